use super::linear_algebra::{distance_of_directions, matrix};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::tensor::Tensor;
use nalgebra::{DMatrix, DVector};

/// The global minimum of squared error over free features and a deep linear head without bias, for any class counts.
///
/// ```text
/// minimise 1/(2N) sum_i |P h_i - e_{y_i}|^2 + lw/2 sum_m |W_m|^2 + lh/2 |H|^2,      P = W_M ... W_1
///
/// b = M N (N lw^M lh)^(1/M)
/// x_k = largest root of M x^(M-1) / (x^M + 1)^2 = b / n_k   where b / n_k < (M-1)^((M-1)/M) / M,   else 0
///       (M = 1: sqrt(n_k / b) - 1 where b < n_k)
/// s_k^(2M) = N lh x_k^M
/// P P^T = diag(s_k^(2M)),   mean M^T = diag(s_k^(2M) / (s_k^(2M) + N lh)^2),   P mean^T = diag(x_k^M / (x_k^M + 1))
/// minimum = 1/(2N) sum_k (n_k / (x_k^M + 1) + b x_k)
/// ```
///
/// with `M` layers, `N` examples, `n_k` of class `k`, every width at least the number of classes, and features equal to
/// their class means. Rows of `P` and means are orthogonal; a rare class may vanish altogether (`x_k = 0`, minority
/// collapse). With different decays of the layers `lw^M` is their product. Balanced counts give an orthogonal frame.
///
/// Source: Dang, Tran, Osher et al. 2023, <https://arxiv.org/abs/2301.00437>, the imbalanced theorems. The authors' code
/// leaves out the threshold for `M > 1`, and near it can give a root that is not the global minimum.
#[derive(Config, Debug)]
pub struct ImbalancedGeometry {
    /// Layers of the head, `M`, at least 1.
    #[config(default = 1)]
    pub depth: usize,
    /// L2 decay of each layer, `lw`, above 0.
    #[config(default = 5e-4)]
    pub weight_decay: f64,
    /// L2 decay of the features, `lh`, above 0.
    #[config(default = 5e-4)]
    pub feature_decay: f64,
}

/// The geometry of [`ImbalancedGeometry`] for given counts, one number a class.
#[derive(Debug, Clone, PartialEq)]
pub struct CollapseGeometry {
    /// `x_k`
    pub x: Vec<f64>,
    /// Singular value of each layer, `s_k`.
    pub singular_value: Vec<f64>,
    /// Diagonal of `P P^T`: squared lengths of the head's rows.
    pub weight_gram_diag: Vec<f64>,
    /// Squared lengths of the class means.
    pub feature_gram_diag: Vec<f64>,
    /// Diagonal of `P mean^T`: each class's own logit.
    pub logit_diag: Vec<f64>,
    /// The minimum.
    pub min_loss: f64,
    /// Whether the class has vanished.
    pub collapsed: Vec<bool>,
}

/// Distances of a trained head from a [`CollapseGeometry`], each between 0 and 2, or NaN where a side is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeometryDeviations {
    /// `|hat(P P^T) - hat(diag)|`
    pub weight: f64,
    /// The same of the Gram matrix of the means.
    pub features: f64,
    /// The same of the logits of the means.
    pub logits: f64,
}

impl ImbalancedGeometry {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.depth >= 1, "depth", self.depth, "at least 1")?;
        let positive = |name: &str, x: f64| require(x.is_finite() && x > 0.0, name, x, "finite and above 0");
        positive("weight_decay", self.weight_decay)?;
        positive("feature_decay", self.feature_decay)
    }

    /// The geometry for these examples of each class.
    ///
    /// # Errors
    /// When [`validate`](Self::validate) fails, with fewer than two classes, or with no example at all.
    pub fn compute(&self, counts: &[usize]) -> Result<CollapseGeometry, InvalidParameter> {
        self.validate()?;
        require(counts.len() >= 2, "counts", format!("{counts:?}"), "of two classes or more")?;
        let examples: usize = counts.iter().sum();
        require(examples > 0, "counts", format!("{counts:?}"), "above 0 for some class")?;
        let b = self.price(examples);
        let (n, depth) = (examples as f64, self.depth as f64);
        let x: Vec<f64> = counts.iter().map(|&count| self.root(b, count as f64)).collect();
        let power: Vec<f64> = x.iter().map(|x| x.powf(depth)).collect();
        let features = n * self.feature_decay;
        let each = |f: &dyn Fn(f64) -> f64| power.iter().map(|&power| f(power)).collect::<Vec<f64>>();
        let paid: f64 = counts.iter().zip(&x).zip(&power).map(|((&n, x), p)| n as f64 / (p + 1.0) + b * x).sum();
        Ok(CollapseGeometry {
            singular_value: each(&|p| (features * p).powf(0.5 / depth)),
            weight_gram_diag: each(&|p| features * p),
            feature_gram_diag: each(&|p| p / (features * (p + 1.0).powi(2))),
            logit_diag: each(&|p| p / (p + 1.0)),
            min_loss: paid / (2.0 * n),
            collapsed: x.iter().map(|&x| x == 0.0).collect(),
            x,
        })
    }

    /// The count at and below which a class vanishes, for this many examples of all classes.
    ///
    /// ```text
    /// n* = b M / (M-1)^((M-1)/M),   for M = 1: b
    /// ```
    ///
    /// # Errors
    /// When [`validate`](Self::validate) fails.
    pub fn collapse_threshold(&self, examples: usize) -> Result<f64, InvalidParameter> {
        self.validate()?;
        Ok(self.price(examples) / self.steepest_worth())
    }

    /// How far a head and class means are from the geometry of `counts`.
    ///
    /// # Shapes
    /// - head: `[classes, d]`, the product of the layers
    /// - means: `[classes, d]`
    ///
    /// # Errors
    /// As [`compute`](Self::compute), and when a shape does not fit the counts.
    pub fn compare(
        &self,
        head: Tensor<2>,
        means: Tensor<2>,
        counts: &[usize],
    ) -> Result<GeometryDeviations, InvalidParameter> {
        let wanted = self.compute(counts)?;
        for (name, shape) in [("head", head.dims()), ("means", means.dims())] {
            let fits = shape[0] == counts.len() && shape[1] == head.dims()[1];
            require(fits, name, format!("{shape:?}"), "[classes, d], a row for every count, both as wide")?;
        }
        let (head, means) = (matrix(head), matrix(means));
        let deviation = |found: DMatrix<f64>, diagonal: Vec<f64>| {
            distance_of_directions(&found, &DMatrix::from_diagonal(&DVector::from_vec(diagonal)))
        };
        Ok(GeometryDeviations {
            weight: deviation(&head * head.transpose(), wanted.weight_gram_diag),
            features: deviation(&means * means.transpose(), wanted.feature_gram_diag),
            logits: deviation(&head * means.transpose(), wanted.logit_diag),
        })
    }

    /// `b`, by logarithms: `lw^M` underflows for many layers.
    fn price(&self, examples: usize) -> f64 {
        let (n, depth) = ((examples as f64).ln(), self.depth as f64);
        let root = (n + depth * self.weight_decay.ln() + self.feature_decay.ln()) / depth;
        (depth.ln() + n + root).exp()
    }

    /// `(M-1)^((M-1)/M) / M`, the price for an example from which on 0 is the better minimum.
    fn steepest_worth(&self) -> f64 {
        let depth = self.depth as f64;
        (depth - 1.0).powf((depth - 1.0) / depth) / depth
    }

    fn root(&self, b: f64, count: f64) -> f64 {
        let depth = self.depth as f64;
        let price = b / count;
        // Written so that the price of a class without an example, which is infinite, is too high as well.
        if !matches!(price.partial_cmp(&self.steepest_worth()), Some(std::cmp::Ordering::Less)) {
            return 0.0;
        }
        if self.depth == 1 {
            return (1.0 / price).sqrt() - 1.0;
        }
        let worth = |x: f64| depth * x.powf(depth - 1.0) / (x.powf(depth) + 1.0).powi(2);
        // The worth rises up to `low` and falls from there on; the larger root is on the falling side.
        let mut low = ((depth - 1.0) / (depth + 1.0)).powf(1.0 / depth);
        let mut high = 2.0 * low;
        while worth(high) > price {
            high *= 2.0;
        }
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if worth(middle) > price {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn geometry(depth: usize, decay: f64) -> ImbalancedGeometry {
        ImbalancedGeometry::new().with_depth(depth).with_weight_decay(decay).with_feature_decay(decay)
    }

    #[test]
    fn the_roots_minimise_every_class_on_a_grid() {
        for depth in [1usize, 2, 3, 9] {
            for decay in [1e-4, 2e-3, 1e-2] {
                let counts = [200, 40, 10, 3, 1];
                let found = geometry(depth, decay).compute(&counts).unwrap();
                let b = geometry(depth, decay).price(254);
                for (&count, &x) in counts.iter().zip(&found.x) {
                    let cost = |x: f64| count as f64 / (x.powi(depth as i32) + 1.0) + b * x;
                    let best = (0..200_000).map(|i| cost(f64::from(i) / 1000.0)).fold(f64::MAX, f64::min);
                    assert!(cost(x) <= best * (1.0 + 1e-12), "M {depth}, decay {decay}, n {count}: {x}");
                }
            }
        }
    }

    #[test]
    fn a_class_vanishes_at_the_threshold() {
        for depth in [1, 2, 3, 5] {
            let geometry = geometry(depth, 3e-3);
            let threshold = geometry.collapse_threshold(100).unwrap();
            for (count, vanishes) in [(threshold.floor() as usize, true), (threshold.ceil() as usize + 1, false)] {
                let x = geometry.root(geometry.price(100), count as f64);
                assert_eq!(x == 0.0, vanishes, "M {depth}: {count} of {threshold}");
            }
            assert_eq!(geometry.root(geometry.price(100), 0.0), 0.0);
        }
    }

    #[test]
    fn frequent_classes_have_longer_weights_and_shorter_features_at_depth_one() {
        let found = geometry(1, 5e-4).compute(&[200, 100, 50]).unwrap();
        assert!(found.weight_gram_diag.is_sorted_by(|a, b| a > b));
        assert!(found.feature_gram_diag.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_geometry_itself_does_not_deviate() {
        let counts = [40, 20, 10];
        let geometry = geometry(2, 2e-3);
        let wanted = geometry.compute(&counts).unwrap();
        let diagonal = |squares: &[f64]| {
            let mut data = [[0.0f32; 3]; 3];
            for (index, square) in squares.iter().enumerate() {
                data[index][index] = square.sqrt() as f32;
            }
            Tensor::<2>::from_floats(data, &Device::flex())
        };
        let (head, means) = (diagonal(&wanted.weight_gram_diag), diagonal(&wanted.feature_gram_diag));
        let found = geometry.compare(head.clone(), means.clone(), &counts).unwrap();
        // The tensors are f32.
        assert!(found.weight < 1e-6 && found.features < 1e-6 && found.logits < 1e-6, "{found:?}");
        assert_eq!(geometry.compare(head.clone(), means, &[1, 2]).unwrap_err().field, "head");
        let gone = geometry.compare(head.zeros_like(), head, &counts).unwrap();
        assert!(gone.weight.is_nan() && gone.logits.is_nan() && gone.features.is_finite());
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(geometry(0, 1e-3).compute(&[1, 2]).unwrap_err().field, "depth");
        assert_eq!(geometry(1, 0.0).compute(&[1, 2]).unwrap_err().field, "weight_decay");
        for counts in [&[][..], &[5], &[0, 0]] {
            assert_eq!(geometry(1, 1e-3).compute(counts).unwrap_err().field, "counts");
        }
        assert!(geometry(1, 1e-3).compute(&[5, 0]).unwrap().collapsed[1]);
    }
}
