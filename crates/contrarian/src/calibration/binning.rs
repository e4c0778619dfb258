use super::set::CalibrationSet;
use super::{CalibrationError, one_vs_rest};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// Configuration of [`HistogramBinning`].
#[derive(Config, Debug)]
pub struct HistogramBinningConfig {
    /// Bins of equal width of each class's probability, at least 1.
    #[config(default = 15)]
    pub bins: usize,
}

impl HistogramBinningConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When there is no bin.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.bins >= 1, "bins", self.bins, "at least 1")
    }

    /// Fits the bins on logits `[rows, classes]` and labels `[rows]`.
    ///
    /// # Errors
    /// Without a bin, with fewer than two rows, a class without rows, logits that are not finite, labels that are no class.
    pub fn fit(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<HistogramBinning, CalibrationError> {
        self.validate()?;
        let set = CalibrationSet::new(logits, labels)?;
        set.needs_every_class("histogram binning")?;
        let values = |rows: Vec<(f64, bool)>| {
            let mut counts = vec![(0.0, 0.0); self.bins];
            for (p, yes) in rows {
                let bin = &mut counts[bin_of(p, self.bins)];
                *bin = (bin.0 + f64::from(u8::from(yes)), bin.1 + 1.0);
            }
            let middle = |bin: usize| (bin as f64 + 0.5) / self.bins as f64;
            let value = |(bin, (yes, n)): (usize, (f64, f64))| if n > 0.0 { yes / n } else { middle(bin) };
            counts.into_iter().enumerate().map(value).collect()
        };
        Ok(HistogramBinning { values: one_vs_rest::class_problems(&set).into_iter().map(values).collect() })
    }
}

/// Each class's probability becomes the share of its class in the bin it falls into.
///
/// ```text
/// q_k = mean of 1[y == k] over the calibration rows whose p_k is in the same bin (lo, hi];   p'_k = q_k / sum_j q_j
/// ```
///
/// A bin without calibration rows gives its middle. With two classes the second is mapped and the first is the rest.
///
/// Source: Zadrozny, Elkan 2001, "Obtaining calibrated probability estimates from decision trees and naive Bayesian
/// classifiers"; one class against the rest as in Guo et al. 2017, <https://arxiv.org/abs/1706.04599>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramBinning {
    /// Value of every bin, for each map.
    values: Vec<Vec<f64>>,
}

impl HistogramBinning {
    /// Whether it can be applied to so many classes: for maps that come from a file.
    pub fn suits(&self, classes: usize) -> bool {
        let usable = |map: &Vec<f64>| !map.is_empty() && map.iter().all(|value| (0.0..=1.0).contains(value));
        self.values.len() == one_vs_rest::maps(classes) && self.values.iter().all(usable)
    }

    /// Probabilities from the bins: `[rows, classes]` to the same.
    pub fn apply(&self, logits: Tensor<2>) -> Tensor<2> {
        one_vs_rest::apply(logits, |class, p| self.values[class][bin_of(p, self.values[class].len())])
    }
}

/// The bin `(i/bins, (i+1)/bins]` of a probability; 0 falls into the first.
pub(super) fn bin_of(p: f64, bins: usize) -> usize {
    let edge = |index: usize| index as f64 / bins as f64;
    let near = ((p * bins as f64).ceil().max(1.0) as usize).min(bins) - 1;
    // The product may be rounded across an edge that the quotient hits exactly.
    if near > 0 && p <= edge(near) {
        near - 1
    } else if near + 1 < bins && p > edge(near + 1) {
        near + 1
    } else {
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_bin_below() {
        for bins in 1..60 {
            for edge in 1..=bins {
                let p = edge as f64 / bins as f64;
                assert_eq!(bin_of(p, bins), edge - 1, "{p} of {bins}");
                assert_eq!(bin_of(p.next_down(), bins), edge - 1, "below {p} of {bins}");
                assert_eq!(bin_of(p.next_up(), bins), edge.min(bins - 1), "above {p} of {bins}");
            }
            assert_eq!(bin_of(0.0, bins), 0);
        }
    }
}
