use super::selected::{Selector, smooth_distances, values};
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [proto-triplet loss](ProtoTriplet).
#[derive(Config, Debug)]
pub struct ProtoTripletConfig {
    /// How much farther the nearest wrong prototype should be than the own one, at least 0.
    #[config(default = 0.5)]
    pub margin: f64,
}

impl ProtoTripletConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the margin is negative or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.margin >= 0.0 && self.margin.is_finite(), "margin", self.margin, "finite and at least 0")
    }

    fn build(&self) -> ProtoTriplet {
        ProtoTriplet { margin: self.margin }
    }
}

init!(ProtoTripletConfig => ProtoTriplet);

/// Proto-triplet loss: a query shall be nearer to the prototype of its class than to any other, by a margin.
///
/// ```text
/// l_i = max(D(q_i, p_y) - min_{c != y} D(q_i, p_c) + m, 0),        D(a, b) = sqrt(|a - b|^2 + 1e-6)
/// ```
///
/// The root has a finite slope everywhere, 0 where the two are equal. Which wrong prototype is nearest carries no gradient; of
/// equally near ones the first is taken. Time `O(n classes dim)`, memory `O(n (classes + dim))`.
///
/// Source: Mendez-Ruiz et al. 2023, <https://arxiv.org/abs/2305.09062>, in the form of the authors' code.
#[derive(Module, Debug)]
pub struct ProtoTriplet {
    /// How much farther the nearest wrong prototype should be.
    pub margin: f64,
}

impl ProtoTriplet {
    /// The mean over the queries.
    ///
    /// # Shapes
    /// - queries: `[n, dim]`
    /// - labels: `[n]`, each in `0..classes`
    /// - prototypes: `[classes, dim]`, `classes >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there is no query or only one prototype, shapes do not fit each other, or a label is out of range.
    pub fn forward(&self, queries: Tensor<2>, labels: Tensor<1, Int>, prototypes: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(queries, labels, prototypes).mean()
    }

    /// The loss of every query.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), with output `[n]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, queries: Tensor<2>, labels: Tensor<1, Int>, prototypes: Tensor<2>) -> Tensor<1> {
        let ([n, dim], [classes, _]) = (queries.dims(), prototypes.dims());
        super::class_pairs::check(n, &labels);
        assert!(classes >= 2, "a wrong prototype is needed: there must be at least two, got {classes}");
        let selector = Selector::new(&prototypes);
        let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
        let found = values(&queries);
        let mut pairs = Vec::with_capacity(2 * n);
        for (query, label) in found.chunks(dim).zip(labels) {
            let own = usize::try_from(label).ok().filter(|class| *class < classes);
            let own = own.unwrap_or_else(|| panic!("label {label} is not in 0..{classes}"));
            let squared = selector.squared_distances(query);
            let wrong = (0..classes).filter(|class| *class != own);
            let nearest = wrong.reduce(|best, class| if squared[class] < squared[best] { class } else { best });
            pairs.extend([own, nearest.expect("there are two prototypes")]);
        }
        let distances = smooth_distances(queries, prototypes, &pairs);
        let difference = distances.clone().narrow(1, 0, 1) - distances.narrow(1, 1, 1);
        difference.reshape([n]).add_scalar(self.margin).clamp_min(0.0)
    }
}
