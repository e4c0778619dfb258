use crate::Real;
use crate::contrastive::{check_positive, weighted_sum};
use crate::error::{KernelError, check_vector};
use crate::similarity::{Pass, Scores, Softmax, Terms, Wanted, add_scaled, dot};
use std::collections::HashMap;

/// Values and gradients of a loss over one set of vectors.
#[derive(Debug, Clone)]
pub struct OneSet<T> {
    /// The loss.
    pub loss: T,
    /// Each vector's own part, without its weight, `[n]`; empty for losses that are not a sum over vectors.
    pub per_row: Vec<T>,
    /// Gradient by the vectors, `[n, dim]`; empty where only values were asked for.
    pub gradient: Vec<T>,
    /// Derivative by the temperature; 0 where only values were asked for.
    pub temperature: T,
}

/// Supervised contrastive loss (SupCon, the form with the sum outside the logarithm).
///
/// ```text
/// s_ij = x_i . x_j / T,   P_i = the other vectors with the label of i
/// l_i  = log sum_{k != i} exp(s_ik) - mean_{p in P_i} s_ip          0 where P_i is empty
/// loss = sum_i v_i l_i,   v_i = 1/(number of vectors with P_i not empty) without weights
/// ```
///
/// The positives enter through the sums of their classes, in `O(n dim)`. With no positive pair at all the loss is 0.
///
/// Source: Khosla et al. 2020, "Supervised Contrastive Learning", <https://arxiv.org/abs/2004.11362>, equation 2.
///
/// # Errors
/// When there are not as many labels as vectors, sizes do not fit memory, or the temperature is not above 0.
pub fn supervised_contrastive<T: Real>(
    vectors: &[T],
    labels: &[i64],
    dim: usize,
    temperature: T,
    weights: Option<&[T]>,
    gradient: bool,
) -> Result<OneSet<T>, KernelError> {
    check_positive("temperature", temperature)?;
    let scores = Scores::new(vectors, vectors, dim, T::ONE / temperature)?;
    let n = scores.n();
    check_vector("labels", labels, n, "vector")?;
    let mut classes: HashMap<i64, usize> = HashMap::new();
    for &label in labels {
        *classes.entry(label).or_default() += 1;
    }
    let positives = |i: usize| classes[&labels[i]] - 1;
    let anchors = (0..n).filter(|&i| positives(i) > 0).count().max(1);
    let mean = T::of(1.0 / anchors as f64);
    let weight = |i: usize| if positives(i) == 0 { T::ZERO } else { weights.map_or(mean, |weights| weights[i]) };
    let sums = class_sums(scores, labels, |_| 1.0);
    let own = |i: usize| &sums[&labels[i]];

    let function = Softmax {
        excluded: |i: usize| [i, usize::MAX],
        keep: None,
        terms: |i: usize, sum: T| {
            let positives = positives(i);
            if positives == 0 {
                return Terms { value: T::ZERO, slope: T::ZERO, positive: T::ZERO };
            }
            let row = scores.row(i);
            let others: f64 = row.iter().zip(own(i)).map(|(x, sum)| x.f64() * (sum - x.f64())).sum();
            let value = T::of(sum.f64() - others / temperature.f64() / positives as f64);
            Terms { value, slope: weight(i), positive: T::ZERO }
        },
    };
    let wanted = if gradient { Wanted::Both } else { Wanted::Values };
    let (per_row, _, mut gradients) = Pass { scores, function: &function, wanted, sums: false }.run()?;
    let loss = weighted_sum(&per_row, weight);
    if !gradient {
        return Ok(OneSet { loss, per_row, gradient: Vec::new(), temperature: T::ZERO });
    }
    // -v_i s_ip / |P_i| pulls at i through the others of its class, and at p through the weighted others of its own.
    let pull = |i: usize| weight(i).f64() / (temperature.f64() * positives(i).max(1) as f64);
    let weighted = class_sums(scores, labels, pull);
    for i in 0..n {
        let (row, pull) = (scores.row(i), pull(i));
        let gradient = &mut gradients.rows[i * dim..][..dim];
        for ((gradient, x), sum) in gradient.iter_mut().zip(row).zip(own(i)) {
            *gradient -= T::of(pull * (sum - x.f64()));
        }
    }
    // Read off the gradient by the rows alone, before that by the columns is added.
    let by_temperature = -dot(vectors, &gradients.rows) / temperature;
    for i in 0..n {
        let (row, pull) = (scores.row(i), pull(i));
        let gradient = &mut gradients.rows[i * dim..][..dim];
        for ((gradient, x), weighted) in gradient.iter_mut().zip(row).zip(&weighted[&labels[i]]) {
            *gradient -= T::of(weighted - pull * x.f64());
        }
    }
    add_scaled(&mut gradients.rows, T::ONE, &gradients.columns);
    Ok(OneSet { loss, per_row, gradient: gradients.rows, temperature: by_temperature })
}

/// The weighted sum of each class's vectors.
fn class_sums<T: Real>(scores: Scores<T>, labels: &[i64], weight: impl Fn(usize) -> f64) -> HashMap<i64, Vec<f64>> {
    let mut sums: HashMap<i64, Vec<f64>> = HashMap::new();
    for (i, &label) in labels.iter().enumerate() {
        let (row, weight) = (scores.row(i), weight(i));
        let sum = sums.entry(label).or_insert_with(|| vec![0.0; row.len()]);
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x.f64());
    }
    sums
}
