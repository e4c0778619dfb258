use super::comp_sum::require_tau;
use crate::InvalidParameter;
use crate::error::require;

/// The H-consistency bound of the [comp-sum family](super::CompSumLoss): how much zero-one error a surrogate error allows.
///
/// For a symmetric and complete class H and every h in it
///
/// ```text
/// R01(h) - R01* <= Gamma_tau( R_tau(h) - R_tau* + M_tau ) - M_01,       Gamma_tau = inverse of T_tau on [0, 1]
/// T_tau(b) = 2^(1-tau)/(1-tau) [1 - (((1+b)^s + (1-b)^s)/2)^(1/s)]               tau in [0, 1),  s = 1/(2-tau)
///          = (1+b)/2 log(1+b) + (1-b)/2 log(1-b)                                 tau = 1
///          = 1/((tau-1) k^(tau-1)) [(((1+b)^s + (1-b)^s)/2)^(1/s) - 1]           tau in (1, 2)
///          = b / ((tau-1) k^(tau-1))                                             tau >= 2
/// ```
///
/// with `R` the expected losses, `R*` the best in class, `M` the minimisability gaps, `k` classes.
///
/// ```
/// use contrarian::classification::HConsistencyTransform;
///
/// let bound = HConsistencyTransform::new(1.0, 10)?;
/// let excess = bound.gamma(0.01);
/// assert!((bound.transform(excess) - 0.01).abs() < 1e-9);
/// # Ok::<(), contrarian::InvalidParameter>(())
/// ```
///
/// Source: Mao, Mohri, Zhong 2023, <https://arxiv.org/abs/2304.07288>, theorem 3.1 and its table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HConsistencyTransform {
    tau: f64,
    classes: f64,
}

impl HConsistencyTransform {
    /// The bound for a shape and a number of classes.
    ///
    /// # Errors
    /// When `tau` is negative or not finite, or `n_classes` is below 2.
    pub fn new(tau: f64, n_classes: usize) -> Result<Self, InvalidParameter> {
        require_tau(tau)?;
        require(n_classes >= 2, "n_classes", n_classes, "at least 2")?;
        Ok(Self { tau, classes: n_classes as f64 })
    }

    /// `T_tau(beta)`; `beta` is clamped to `[0, 1]`.
    pub fn transform(&self, beta: f64) -> f64 {
        let b = beta.clamp(0.0, 1.0);
        let tau = self.tau;
        if tau >= 2.0 {
            return b / ((tau - 1.0) * self.classes.powf(tau - 1.0));
        }
        if tau == 1.0 {
            // (1 - b) log(1 - b) tends to 0 at b = 1.
            let right = if b == 1.0 { 0.0 } else { (1.0 - b) / 2.0 * (-b).ln_1p() };
            return if b < SERIES_BELOW { b * b / 2.0 } else { f64::midpoint(1.0, b) * b.ln_1p() + right };
        }
        let scale = if tau < 1.0 { 2f64.powf(1.0 - tau) / (1.0 - tau) } else { 1.0 / self.upper_scale() };
        if b < SERIES_BELOW {
            // The mean of powers is 1 + (s - 1) b^2 / 2 + O(b^4), with s - 1 = (tau - 1)/(2 - tau).
            return scale * (tau - 1.0).abs() / (2.0 - tau) * b * b / 2.0;
        }
        let s = 1.0 / (2.0 - tau);
        let power_mean = f64::midpoint((1.0 + b).powf(s), (1.0 - b).powf(s)).powf(1.0 / s);
        scale * (power_mean - 1.0).abs()
    }

    /// `Gamma_tau(t)`, the largest excess zero-one error that a surrogate excess `t` allows; 1 from `T(1)` on.
    pub fn gamma(&self, t: f64) -> f64 {
        if t >= self.transform(1.0) {
            return 1.0;
        }
        // T is increasing on [0, 1]; 200 halvings end at the last bit of any answer.
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if self.transform(middle) < t {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }

    /// The simple upper bound of [`gamma`](Self::gamma): `sqrt(2^tau (2-tau) t)` below 1, `sqrt(2 k^(tau-1) t)` up to 2,
    /// `(tau-1) k^(tau-1) t` from 2 on.
    pub fn gamma_upper(&self, t: f64) -> f64 {
        let tau = self.tau;
        if tau < 1.0 {
            (2f64.powf(tau) * (2.0 - tau) * t).sqrt()
        } else if tau < 2.0 {
            (2.0 * self.classes.powf(tau - 1.0) * t).sqrt()
        } else {
            self.upper_scale() * t
        }
    }

    fn upper_scale(&self) -> f64 {
        (self.tau - 1.0) * self.classes.powf(self.tau - 1.0)
    }
}

/// Below this the closed forms of T cancel; the series is exact to 1e-8 relative there.
const SERIES_BELOW: f64 = 1e-4;

/// Upper bound of the minimisability gap of the comp-sum loss for deterministic labels and scores in `[-bound, bound]`.
///
/// ```text
/// M_tau <= Phi_tau(R_0*) - Phi_tau(e^(-2 L) (k - 1))
/// ```
///
/// with `R_0*` the best sum-exponential loss in the class and `L` the score bound. It decreases in `tau`.
///
/// Source: Mao, Mohri, Zhong 2023, <https://arxiv.org/abs/2304.07288>, section 4.
pub fn minimizability_gap_bound(tau: f64, k: usize, score_bound: f64, best_sum_exp_loss: f64) -> f64 {
    let phi = |u: f64| match tau == 1.0 {
        true => u.ln_1p(),
        false => ((1.0 - tau) * u.ln_1p()).exp_m1() / (1.0 - tau),
    };
    phi(best_sum_exp_loss) - phi((-2.0 * score_bound).exp() * (k as f64 - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_inverts_the_transform_and_stays_below_its_bound() {
        for tau in [0.0, 0.5, 1.0, 1.5, 1.9, 2.0, 3.0] {
            for k in [2, 10] {
                let h = HConsistencyTransform::new(tau, k).unwrap();
                for beta in [1e-5, 1e-3, 0.1, 0.5, 0.99] {
                    let t = h.transform(beta);
                    assert!((h.gamma(t) / beta - 1.0).abs() < 1e-6, "tau {tau} beta {beta}: {}", h.gamma(t));
                    assert!(h.gamma_upper(t) >= beta * (1.0 - 1e-6), "tau {tau} beta {beta}");
                }
                assert_eq!(h.gamma(h.transform(1.0)), 1.0);
            }
        }
    }

    #[test]
    fn the_series_meets_the_closed_form() {
        for tau in [0.0, 0.5, 1.0, 1.5] {
            let h = HConsistencyTransform::new(tau, 3).unwrap();
            let (below, above) = (h.transform(SERIES_BELOW * 0.999), h.transform(SERIES_BELOW * 1.001));
            assert!((above / below - (1.001f64 / 0.999).powi(2)).abs() < 1e-6, "tau {tau}");
        }
    }

    #[test]
    fn for_two_classes_it_is_the_calibration_function() {
        // Brute force: the least conditional regret over scores with the wrong sign, at P(y = 1) = (1 + b)/2.
        for tau in [0.0f64, 0.5, 1.0, 1.5] {
            let h = HConsistencyTransform::new(tau, 2).unwrap();
            let phi = |u: f64| {
                if tau == 1.0 { u.ln_1p() } else { ((1.0 + u).powf(1.0 - tau) - 1.0) / (1.0 - tau) }
            };
            let b = 0.4;
            let risk = |x: f64| f64::midpoint(1.0, b) * phi((-x).exp()) + (1.0 - b) / 2.0 * phi(x.exp());
            let best = |from: i32, to: i32| (from..=to).map(|i| risk(f64::from(i) / 1000.0)).fold(f64::MAX, f64::min);
            let regret = best(-20_000, 0) - best(-20_000, 20_000);
            assert!((regret - h.transform(b)).abs() < 1e-6, "tau {tau}: {regret} against {}", h.transform(b));
        }
    }

    #[test]
    fn the_gap_bound_falls_in_tau() {
        let bounds = [0.0, 0.5, 1.0, 1.5, 2.0].map(|tau| minimizability_gap_bound(tau, 10, 2.0, 3.0));
        assert!(bounds.is_sorted_by(|a, b| a > b), "{bounds:?}");
    }
}
