use super::set::CalibrationSet;
use super::{CalibrationError, one_vs_rest};
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// Each class's probability goes through the best non-decreasing map.
///
/// ```text
/// f_k = argmin over non-decreasing f of sum_i (f(p_ik) - 1[y_i == k])^2;   p'_k = f_k(p_k) / sum_j f_j(p_j)
/// ```
///
/// Between the calibration rows the map is linear, beyond them constant. With two classes the second is mapped and the first
/// is the rest.
///
/// Source: Zadrozny, Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IsotonicCalibration {
    /// Knots (probability, value) of each map, ascending.
    maps: Vec<Vec<(f64, f64)>>,
}

impl IsotonicCalibration {
    /// Fits the maps on logits `[rows, classes]` and labels `[rows]`.
    ///
    /// # Errors
    /// With fewer than two rows, a class without rows, logits that are not finite, labels that are no class.
    pub fn fit(logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<Self, CalibrationError> {
        let set = CalibrationSet::new(logits, labels)?;
        set.needs_every_class("isotonic calibration")?;
        Ok(Self { maps: one_vs_rest::class_problems(&set).into_iter().map(knots).collect() })
    }

    /// Whether it can be applied to so many classes: for maps that come from a file.
    pub fn suits(&self, classes: usize) -> bool {
        let in_range = |value: f64| (0.0..=1.0).contains(&value);
        let usable =
            |map: &Vec<(f64, f64)>| !map.is_empty() && map.iter().all(|knot| in_range(knot.0) && in_range(knot.1));
        self.maps.len() == one_vs_rest::maps(classes) && self.maps.iter().all(usable)
    }

    /// Probabilities from the maps: `[rows, classes]` to the same.
    pub fn apply(&self, logits: Tensor<2>) -> Tensor<2> {
        one_vs_rest::apply(logits, |class, p| interpolate(&self.maps[class], p))
    }
}

/// First and last point of every level of the non-decreasing fit.
fn knots(mut rows: Vec<(f64, bool)>) -> Vec<(f64, f64)> {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Equal probabilities are one point, or the map would have two values there.
    let mut points: Vec<(f64, f64, f64)> = Vec::new();
    for (p, yes) in rows {
        let yes = f64::from(u8::from(yes));
        match points.last_mut() {
            Some(last) if last.0 == p => *last = (p, last.1 + yes, last.2 + 1.0),
            _ => points.push((p, yes, 1.0)),
        }
    }
    let means: Vec<f64> = points.iter().map(|(_, yes, n)| yes / n).collect();
    let weights: Vec<f64> = points.iter().map(|(.., n)| *n).collect();
    let fitted = pool_adjacent_violators(&means, &weights);
    let mut knots: Vec<(f64, f64)> = Vec::new();
    for (index, (&(p, ..), &value)) in points.iter().zip(&fitted).enumerate() {
        let inside = index > 0 && index + 1 < fitted.len() && fitted[index - 1] == value && fitted[index + 1] == value;
        if !inside {
            knots.push((p, value));
        }
    }
    knots
}

fn interpolate(knots: &[(f64, f64)], p: f64) -> f64 {
    let above = knots.partition_point(|knot| knot.0 < p);
    match (above.checked_sub(1).map(|below| knots[below]), knots.get(above)) {
        (Some(low), Some(high)) => low.1 + (high.1 - low.1) * (p - low.0) / (high.0 - low.0),
        (Some(end), None) => end.1,
        (None, Some(start)) => start.1,
        (None, None) => p,
    }
}

/// The non-decreasing sequence nearest to `values` in weighted squares.
///
/// ```text
/// argmin sum_i w_i (f_i - v_i)^2   subject to   f_1 <= f_2 <= ...
/// ```
///
/// Neighbours in the wrong order are replaced by their mean until none is left; linear time. Weights are above 0.
///
/// Source: Ayer et al. 1955, "An empirical distribution function for sampling with incomplete information".
///
/// # Panics
/// When there are not as many weights as values.
pub fn pool_adjacent_violators(values: &[f64], weights: &[f64]) -> Vec<f64> {
    assert_eq!(values.len(), weights.len(), "{} weights for {} values", weights.len(), values.len());
    // Mean, weight and length of each block.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for (&value, &weight) in values.iter().zip(weights) {
        let mut block = (value, weight, 1);
        while let Some(&(mean, mass, length)) = blocks.last()
            && mean >= block.0
        {
            blocks.pop();
            let total = mass + block.1;
            block = ((mean * mass + block.0 * block.1) / total, total, length + block.2);
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(mean, _, length)| std::iter::repeat_n(mean, length)).collect()
}
