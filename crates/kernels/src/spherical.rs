use crate::real::softplus;

/// A [`SphericalLoss`] of one example and its partial derivatives in what it depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Partials {
    /// The loss.
    pub loss: f64,
    /// Derivative in the sum of squares `q`.
    pub dq: f64,
    /// Derivative in the sum `s`.
    pub ds: f64,
    /// Derivative in the target's own output.
    pub dtarget: f64,
}

/// A loss of the spherical family: of all outputs `o_1 .. o_D` it sees only three numbers.
///
/// ```text
/// loss = l(q, s, o_c; D),      q = sum_k o_k^2,   s = sum_k o_k,   c the target
/// dloss/do_k = 2 dq o_k + ds + dtarget 1[k == c]
/// ```
///
/// That is what lets a [`FactoredOutputLayer`](crate::FactoredOutputLayer) take an exact step without the outputs.
///
/// Source: Vincent, de Brebisson, Bouthillier 2015, <https://arxiv.org/abs/1412.7091>; de Brebisson, Vincent 2016,
/// <https://arxiv.org/abs/1604.08859>.
pub trait SphericalLoss: Send + Sync {
    /// The loss and its partial derivatives, for `n_classes` outputs.
    fn value_and_partials(&self, q: f64, s: f64, target: f64, n_classes: usize) -> Partials;
}

/// Softplus of the standardised output of the target: invariant to shift and scale of the outputs.
///
/// ```text
/// loss = log(1 + exp(a (b - z_c))) / a,   z_c = (o_c - mu)/sigma,   mu = s/D,   sigma^2 = q/D - mu^2 + eps
/// ```
///
/// Where all outputs are equal and `eps` is 0 they have no scale: `sigma` is taken as 1 there, so that `z_c` is 0 and the
/// derivative finite. `q/D - mu^2` loses digits where `|mu|` is much larger than `sigma`; the full form over logits does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZLoss {
    /// Sharpness, above 0.
    pub a: f64,
    /// Location: larger cares about the very top of the ranking.
    pub b: f64,
    /// Added to the variance, at least 0.
    pub eps: f64,
}

impl Default for ZLoss {
    fn default() -> Self {
        Self { a: 1.0, b: 0.0, eps: 0.0 }
    }
}

impl SphericalLoss for ZLoss {
    fn value_and_partials(&self, q: f64, s: f64, target: f64, n_classes: usize) -> Partials {
        let n = n_classes as f64;
        let mu = s / n;
        let variance = (q / n - mu * mu).max(0.0) + self.eps;
        let (sigma, spread) = if variance > 0.0 { (variance.sqrt(), 1.0) } else { (1.0, 0.0) };
        let z = spread * (target - mu) / sigma;
        let (value, slope) = softplus::<f64, false>(self.a * (self.b - z));
        // -sigmoid(a (b - z)) = dloss/dz
        let dz = -slope;
        Partials {
            loss: value / self.a,
            dq: -dz * z / (2.0 * n * sigma * sigma),
            ds: dz * (z * mu / sigma - 1.0) / (n * sigma),
            dtarget: dz / sigma,
        }
    }
}

/// Minus the logarithm of the Taylor softmax, which has `1 + o + o^2/2` in place of `exp(o)`.
///
/// ```text
/// loss = log(D + s + q/2) - log(1 + o_c + o_c^2/2)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TaylorSoftmaxLoss;

impl SphericalLoss for TaylorSoftmaxLoss {
    fn value_and_partials(&self, q: f64, s: f64, target: f64, n_classes: usize) -> Partials {
        let n = n_classes as f64;
        // Every term of the sum is at least 1/2.
        let total = (n + s + 0.5 * q).max(0.5 * n);
        let own = 1.0 + target + 0.5 * target * target;
        Partials { loss: (total / own).ln(), dq: 0.5 / total, ds: 1.0 / total, dtarget: -(1.0 + target) / own }
    }
}

/// Minus the logarithm of the spherical softmax, which has `o^2 + epsilon` in place of `exp(o)` and so forgets signs.
///
/// ```text
/// loss = log(q + D epsilon) - log(o_c^2 + epsilon)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SphericalSoftmaxLoss {
    /// Keeps the logarithms finite, above 0.
    pub epsilon: f64,
}

impl Default for SphericalSoftmaxLoss {
    fn default() -> Self {
        Self { epsilon: 0.01 }
    }
}

impl SphericalLoss for SphericalSoftmaxLoss {
    fn value_and_partials(&self, q: f64, _s: f64, target: f64, n_classes: usize) -> Partials {
        let total = q.max(0.0) + n_classes as f64 * self.epsilon;
        let own = target * target + self.epsilon;
        Partials { loss: (total / own).ln(), dq: 1.0 / total, ds: 0.0, dtarget: -2.0 * target / own }
    }
}

/// Squared distance of the outputs from the one-hot target.
///
/// ```text
/// loss = sum_k (o_k - 1[k == c])^2 = q - 2 o_c + 1
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SphericalSquaredError;

impl SphericalLoss for SphericalSquaredError {
    fn value_and_partials(&self, q: f64, _s: f64, target: f64, _n_classes: usize) -> Partials {
        Partials { loss: q - 2.0 * target + 1.0, dq: 1.0, ds: 0.0, dtarget: -2.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [(&'static str, Box<dyn SphericalLoss>); 5] {
        [
            ("z", Box::new(ZLoss::default())),
            ("z, tuned", Box::new(ZLoss { a: 0.3, b: 4.0, eps: 1e-3 })),
            ("taylor", Box::new(TaylorSoftmaxLoss)),
            ("spherical", Box::new(SphericalSoftmaxLoss::default())),
            ("squared", Box::new(SphericalSquaredError)),
        ]
    }

    #[test]
    fn partials_are_the_slopes_of_the_value() {
        let (point, n) = ([7.3, -1.9, 0.8], 5);
        for (name, loss) in all() {
            let at = |x: [f64; 3]| loss.value_and_partials(x[0], x[1], x[2], n);
            let found = at(point);
            for (i, slope) in [found.dq, found.ds, found.dtarget].into_iter().enumerate() {
                let shifted = |h: f64| {
                    let mut x = point;
                    x[i] += h;
                    at(x).loss
                };
                let numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!((slope - numeric).abs() < 1e-8, "{name}, argument {i}: {slope} against {numeric}");
            }
        }
    }

    #[test]
    fn equal_and_extreme_outputs_are_finite() {
        for (name, loss) in all() {
            for (q, s, target) in [(0.0, 0.0, 0.0), (5e8, 5e4, 1e4), (5e8, -5e4, -1e4), (4e8, 0.0, -1e4)] {
                let Partials { loss, dq, ds, dtarget } = loss.value_and_partials(q, s, target, 5);
                assert!([loss, dq, ds, dtarget].iter().all(|x| x.is_finite()), "{name} at {q}, {s}, {target}");
            }
        }
    }
}
