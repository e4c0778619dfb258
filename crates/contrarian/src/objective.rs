use burn::tensor::{Int, Tensor};
use rand::rngs::Xoshiro256PlusPlus;
use std::fmt::Debug;

/// One mini-batch of a classification problem, as a [`LogitObjective`] sees it.
#[derive(Debug, Clone)]
pub struct LogitBatch {
    /// Raw scores `[batch, classes]`, before any softmax.
    pub logits: Tensor<2>,
    /// Class indices `[batch]`, each in `0..classes`.
    pub labels: Tensor<1, Int>,
    /// Which training example each row is, `[batch]`, each in `0..n_examples` and none twice: read by objectives that
    /// keep a state for every example, ignored by the others.
    pub ids: Option<Tensor<1, Int>>,
}

impl LogitBatch {
    /// A batch without example ids.
    pub fn new(logits: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        Self { logits, labels, ids: None }
    }
}

/// What an objective carries from one step to the next. The caller owns it: nothing is hidden in an objective.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one state a fit; a box would only be in the way")]
pub enum ObjectiveState {
    /// Nothing is carried over.
    Stateless,
    /// One number for every training example, `[n_examples]` (the temperatures of [`AldrKlLoss`]).
    ///
    /// [`AldrKlLoss`]: crate::classification::AldrKlLoss
    PerExample(Tensor<1>),
    /// The generator of a stochastic objective (the draws of [`EnsLoss`]).
    ///
    /// [`EnsLoss`]: crate::classification::EnsLoss
    Random(Xoshiro256PlusPlus),
}

/// An objective over logits `[batch, classes]` and labels `[batch]`; object-safe, so that tools treat all of them alike.
///
/// In your own training loop call the inherent `forward` of the objective; this trait is the form with a uniform
/// signature.
pub trait LogitObjective: Debug + Send + Sync {
    /// The scalar to minimise, `[1]`, differentiable in `batch.logits`. Updates `state` if the objective has one.
    ///
    /// # Panics
    /// When `state` is not the kind that [`initial_state`](Self::initial_state) gives, when ids are needed and missing,
    /// or when a binary objective is given other than two columns.
    fn loss(&self, batch: LogitBatch, state: &mut ObjectiveState) -> Tensor<1>;

    /// The state before the first step, for a training set of `n_examples`; `seed` feeds stochastic objectives.
    fn initial_state(&self, _n_examples: usize, _seed: u64) -> ObjectiveState {
        ObjectiveState::Stateless
    }

    /// Whether an example may occur only once in a batch, as for objectives that keep a state for every example: such an
    /// objective cannot be trained with sampling that draws rows repeatedly.
    fn needs_distinct_examples(&self) -> bool {
        false
    }
}

/// One mini-batch of labelled embeddings, as an [`EmbeddingObjective`] sees it.
#[derive(Debug, Clone)]
pub struct EmbeddingBatch {
    /// Embeddings `[batch, dim]`, of any length.
    pub embeddings: Tensor<2>,
    /// Class indices `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Class weights `[classes, dim]` of objectives that learn some; they belong to the model.
    pub class_weights: Option<Tensor<2>>,
}

/// An objective over embeddings `[batch, dim]` and labels `[batch]`; object-safe, so that tools treat all of them alike.
pub trait EmbeddingObjective: Debug + Send + Sync {
    /// The scalar to minimise, `[1]`, differentiable in the embeddings and class weights.
    ///
    /// # Panics
    /// When class weights are needed and missing.
    fn loss(&self, batch: EmbeddingBatch) -> Tensor<1>;

    /// Whether class weights are learned with the embeddings.
    fn needs_class_weights(&self) -> bool {
        false
    }
}

/// An objective over anchors and positives `[n, dim]`, row by row pairs of the same thing, with all other rows as negatives.
pub trait PairObjective: Debug + Send + Sync {
    /// The scalar to minimise, `[1]`, differentiable in both.
    fn loss(&self, anchors: Tensor<2>, positives: Tensor<2>) -> Tensor<1>;
}

/// Gives an objective with `forward(embeddings, labels)` its [`EmbeddingObjective`].
macro_rules! embedding_objective {
    ($name:ident) => {
        impl $crate::EmbeddingObjective for $name {
            fn loss(&self, batch: $crate::EmbeddingBatch) -> burn::tensor::Tensor<1> {
                self.forward(batch.embeddings, batch.labels)
            }
        }
    };
}

/// Gives a loss with `forward(features, class weights, labels)` its [`EmbeddingObjective`].
macro_rules! class_weight_objective {
    ($name:ident) => {
        impl $crate::EmbeddingObjective for $name {
            fn loss(&self, batch: $crate::EmbeddingBatch) -> burn::tensor::Tensor<1> {
                let weights = batch.class_weights.expect("this objective needs class weights");
                self.forward(batch.embeddings, weights, batch.labels)
            }

            fn needs_class_weights(&self) -> bool {
                true
            }
        }
    };
}

/// Gives an objective with `forward(anchors, positives)`, or the method named, its [`PairObjective`].
macro_rules! pair_objective {
    ($name:ident) => {
        $crate::objective::pair_objective!($name, forward);
    };
    ($name:ident, $method:ident) => {
        impl $crate::PairObjective for $name {
            fn loss(
                &self,
                anchors: burn::tensor::Tensor<2>,
                positives: burn::tensor::Tensor<2>,
            ) -> burn::tensor::Tensor<1> {
                self.$method(anchors, positives)
            }
        }
    };
}

/// Gives an objective with `forward(logits, labels)` its [`LogitObjective`].
macro_rules! logit_objective {
    ($name:ident) => {
        impl $crate::LogitObjective for $name {
            fn loss(&self, batch: $crate::LogitBatch, _state: &mut $crate::ObjectiveState) -> burn::tensor::Tensor<1> {
                self.forward(batch.logits, batch.labels)
            }
        }
    };
}

/// The shared reduction: gives an objective whose per-example value is primitive its inherent `forward` (the mean) and
/// its [`LogitObjective`].
macro_rules! mean_of_examples {
    ($name:ident) => {
        impl $name {
            /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the batch.
            ///
            /// # Shapes
            /// - logits: `[batch, classes]`
            /// - labels: `[batch]`
            /// - output: `[1]`
            pub fn forward(
                &self,
                logits: burn::tensor::Tensor<2>,
                labels: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> burn::tensor::Tensor<1> {
                self.forward_no_reduction(logits, labels).mean()
            }
        }

        $crate::objective::logit_objective!($name);
    };
}

/// Gives a binary objective with `forward(scores, labels)` its [`LogitObjective`], over `logit_1 - logit_0`.
macro_rules! binary_objective {
    ($name:ident) => {
        impl $crate::LogitObjective for $name {
            fn loss(&self, batch: $crate::LogitBatch, _state: &mut $crate::ObjectiveState) -> burn::tensor::Tensor<1> {
                self.forward($crate::numerics::binary_score(batch.logits), batch.labels)
            }
        }
    };
}

/// The shared reduction of binary objectives whose per-example value is primitive.
macro_rules! mean_of_binary_examples {
    ($name:ident) => {
        impl $name {
            /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the batch.
            ///
            /// # Shapes
            /// - logits: `[batch]`
            /// - labels: `[batch]`, each 0 or 1
            /// - output: `[1]`
            pub fn forward(
                &self,
                logits: burn::tensor::Tensor<1>,
                labels: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> burn::tensor::Tensor<1> {
                self.forward_no_reduction(logits, labels).mean()
            }
        }

        $crate::objective::binary_objective!($name);
    };
}

/// Gives a configuration without a place in the registry its `init`, from its `validate` and a private `build`.
macro_rules! init {
    ($config:ident => $objective:ident) => {
        impl $config {
            /// Builds the objective.
            ///
            /// # Panics
            /// When [`validate`](Self::validate) fails, with its message.
            pub fn init(&self) -> $objective {
                self.validate().unwrap_or_else(|error| panic!("{error}"));
                self.build()
            }
        }
    };
}

/// The configuration of an objective without parameters, but for its `init`.
macro_rules! plain {
    ($(#[$doc:meta])* $config:ident => $objective:ident) => {
        $(#[$doc])*
        #[derive(burn::config::Config, Debug)]
        pub struct $config {}

        impl $config {
            /// Checks the parameters: there are none.
            ///
            /// # Errors
            /// Never.
            pub fn validate(&self) -> Result<(), $crate::InvalidParameter> {
                Ok(())
            }

            fn build(&self) -> $objective {
                $objective {}
            }
        }
    };
}

pub(crate) use {
    binary_objective, class_weight_objective, embedding_objective, init, logit_objective, mean_of_binary_examples,
    mean_of_examples, pair_objective, plain,
};
