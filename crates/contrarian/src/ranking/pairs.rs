use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{self, Evaluation, Kernel};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};
use contrarian_kernels::pairwise::{self, PairwiseLoss, pairwise_hinge, pairwise_squared_hinge};
use contrarian_kernels::{KernelError, Real};
use serde::{Deserialize, Serialize};

/// How the losses of all pairs of a positive and a negative become one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairReduction {
    /// The mean over all pairs: the size of the step does not depend on the batch.
    #[default]
    MeanPairs,
    /// The mean over the positives of the sum over the negatives.
    SumOverNegatives,
    /// The sum over all pairs.
    SumPairs,
}

impl PairReduction {
    pub(super) fn kernel(self) -> pairwise::PairReduction {
        match self {
            Self::MeanPairs => pairwise::PairReduction::MeanPairs,
            Self::SumOverNegatives => pairwise::PairReduction::SumOverNegatives,
            Self::SumPairs => pairwise::PairReduction::SumPairs,
        }
    }

    /// Of the losses `[positives, negatives]` of all pairs.
    fn reduce(self, pairs: Tensor<2>) -> Tensor<1> {
        let [positives, _] = pairs.dims();
        match self {
            Self::MeanPairs => pairs.mean(),
            Self::SumOverNegatives => pairs.sum().mul_scalar(1.0 / positives as f64),
            Self::SumPairs => pairs.sum(),
        }
    }
}

/// A loss of the differences `n - p`, as a kernel and as tensor operations.
#[derive(Debug, Clone, Copy)]
pub(super) enum PairLoss {
    MannWhitney { temperature: f64 },
    Hinge { margin: f64 },
    SquaredHinge { margin: f64 },
}

#[derive(Debug)]
struct PairKernel {
    loss: PairLoss,
    reduction: PairReduction,
}

impl<T: Real> Kernel<T> for PairKernel {
    fn evaluate(&self, inputs: &[&[T]], _gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let (positives, negatives, reduction) = (inputs[0], inputs[1], self.reduction.kernel());
        let PairwiseLoss { value, gradient_positives, gradient_negatives } = match self.loss {
            PairLoss::MannWhitney { temperature } => {
                pairwise::mann_whitney(positives, negatives, temperature, reduction)
            }
            PairLoss::Hinge { margin } => pairwise_hinge(positives, negatives, margin, reduction),
            PairLoss::SquaredHinge { margin } => pairwise_squared_hinge(positives, negatives, margin, reduction),
        }?;
        Ok(Evaluation { value: vec![T::of(value)], gradients: Some(vec![gradient_positives, gradient_negatives]) })
    }
}

impl PairLoss {
    /// The loss over all pairs, by the kernel where there is one.
    pub fn forward(self, reduction: PairReduction, positives: Tensor<1>, negatives: Tensor<1>) -> Tensor<1> {
        if !fused::available(&positives) {
            return self.forward_composed(reduction, positives, negatives);
        }
        check_sides(&positives, &negatives);
        let kernel = PairKernel { loss: self, reduction };
        fused::apply([positives.into_dispatch(), negatives.into_dispatch()], kernel)
    }

    /// The loss over all pairs, by tensor operations over the matrix of them.
    pub(super) fn forward_composed(
        self,
        reduction: PairReduction,
        positives: Tensor<1>,
        negatives: Tensor<1>,
    ) -> Tensor<1> {
        let [rows, columns] = check_sides(&positives, &negatives);
        let differences = negatives.reshape([1, columns]) - positives.reshape([rows, 1]);
        let pairs = match self {
            Self::MannWhitney { temperature } => crate::numerics::softplus(differences.mul_scalar(1.0 / temperature)),
            Self::Hinge { margin } => activation::relu(differences.add_scalar(margin)),
            Self::SquaredHinge { margin } => activation::relu(differences.add_scalar(margin)).square(),
        };
        reduction.reduce(pairs)
    }
}

fn check_sides(positives: &Tensor<1>, negatives: &Tensor<1>) -> [usize; 2] {
    let sides = [positives.dims()[0], negatives.dims()[0]];
    assert!(sides[0] > 0, "a loss over pairs needs at least one positive score");
    assert!(sides[1] > 0, "a loss over pairs needs at least one negative score");
    assert_eq!(positives.dtype(), negatives.dtype(), "positive and negative scores differ in their type of numbers");
    sides
}

/// A hinge and its configuration.
macro_rules! hinge {
    ($(#[$doc:meta])* $config:ident => $objective:ident, $loss:ident, $name:literal) => {
        #[doc = concat!("Configuration of the [", $name, "](", stringify!($objective), ").")]
        #[derive(Config, Debug)]
        pub struct $config {
            /// Distance that a positive is to have above a negative, at least 0.
            #[config(default = 1.0)]
            pub margin: f64,
            /// How pairs become one number.
            #[config(default = "PairReduction::MeanPairs")]
            pub reduction: PairReduction,
        }

        impl $config {
            /// Checks the parameters.
            ///
            /// # Errors
            /// Names the first parameter outside its range.
            pub fn validate(&self) -> Result<(), InvalidParameter> {
                require(self.margin >= 0.0 && self.margin.is_finite(), "margin", self.margin, "finite and at least 0")
            }

            fn build(&self) -> $objective {
                $objective { margin: self.margin, reduction: self.reduction }
            }
        }

        init!($config => $objective);

        $(#[$doc])*
        #[derive(Module, Debug)]
        pub struct $objective {
            /// Distance that a positive is to have above a negative.
            pub margin: f64,
            /// How pairs become one number.
            #[module(skip)]
            pub reduction: PairReduction,
        }

        impl $objective {
            /// The loss. On the CPU a kernel that sorts once takes `O((P + N) log(P + N))`.
            ///
            /// # Shapes
            /// - positives: `[P]`
            /// - negatives: `[N]`
            /// - output: `[1]`
            ///
            /// # Panics
            /// When a side is empty, or the sides differ in dtype.
            pub fn forward(&self, positives: Tensor<1>, negatives: Tensor<1>) -> Tensor<1> {
                PairLoss::$loss { margin: self.margin }.forward(self.reduction, positives, negatives)
            }
        }
    };
}

hinge! {
    /// Pairwise hinge: a piecewise linear bound of `1 - AUC`.
    ///
    /// ```text
    /// loss = w sum_i sum_k max(0, margin - (p_i - n_k))
    /// ```
    ///
    /// over positives `p` `[P]` and negatives `n` `[N]`; `w` is `1/(P N)`, `1/P` or 1 by the reduction. The derivative of a
    /// pair exactly at the margin is 0.
    ///
    /// Source: Joachims 2005, a support vector method for multivariate performance measures, section 3.
    PairwiseHingeLossConfig => PairwiseHingeLoss, Hinge, "pairwise hinge loss"
}

hinge! {
    /// Pairwise squared hinge: a smooth bound of `1 - AUC`.
    ///
    /// ```text
    /// loss = w sum_i sum_k max(0, margin - (p_i - n_k))^2
    /// ```
    ///
    /// over positives `p` `[P]` and negatives `n` `[N]`; `w` is `1/(P N)`, `1/P` or 1 by the reduction.
    ///
    /// Source: Gao, Zhou 2015, <https://arxiv.org/abs/1208.0645>, on the consistency of AUC pairwise surrogates.
    PairwiseSquaredHingeLossConfig => PairwiseSquaredHingeLoss, SquaredHinge, "pairwise squared hinge loss"
}
