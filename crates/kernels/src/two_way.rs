use crate::Real;
use crate::contrastive::{check_positive, weighted_sum};
use crate::error::KernelError;
use crate::real::softplus;
use crate::similarity::{Joint, Pass, Scores, Softmax, Terms, Wanted, dot, finite};

/// Values and gradients of [`two_way_info_nce`].
#[derive(Debug, Clone)]
pub struct TwoWay<T> {
    /// The mean over both directions.
    pub loss: T,
    /// Loss of every pair, the mean of its two directions, `[n]`.
    pub per_pair: Vec<T>,
    /// Gradient by the first of each pair, `[n, dim]`; empty where only values were asked for.
    pub first: Vec<T>,
    /// Gradient by the second, `[n, dim]`; empty where only values were asked for.
    pub second: Vec<T>,
    /// Derivative by the temperature; 0 where only values were asked for.
    pub temperature: T,
}

/// InfoNCE in both directions, as CLIP trains: each first against all seconds, each second against all firsts.
///
/// ```text
/// s_ij = x_i . y_j / T
/// l_i  = (log sum_j exp(s_ij) - s_ii)/2 + (log sum_j exp(s_ji) - s_ii)/2,     loss = sum_i v_i l_i
/// ```
///
/// with `weights` `v` (1/n without). Takes the scores three times and the two products of the gradient once; memory beyond
/// inputs and gradients is that of a strip of rows.
///
/// # Errors
/// When there are not as many firsts as seconds, sizes do not fit memory, or the temperature is not above 0.
pub fn two_way_info_nce<T: Real>(
    first: &[T],
    second: &[T],
    dim: usize,
    temperature: T,
    weights: Option<&[T]>,
    gradient: bool,
) -> Result<TwoWay<T>, KernelError> {
    check_positive("temperature", temperature)?;
    let scale = T::ONE / temperature;
    let scores = Scores::new(first, second, dim, scale)?;
    let n = scores.n();
    if scores.m() != n {
        return Err(KernelError::value("second", scores.m(), format!("as many vectors as `first` has, {n}")));
    }
    let back = Scores::new(second, first, dim, scale)?;
    let mean = T::of(1.0 / n as f64);
    let weight = |i: usize| weights.map_or(mean, |weights| weights[i]);
    let half = T::of(0.5);
    // Positives are kept out of the sums: the loss is softplus(N_i - s_ii), exact however small it is.
    let direction = |scores: Scores<T>| {
        let function = Softmax {
            excluded: |i: usize| [i, usize::MAX],
            keep: None,
            terms: |i: usize, negatives: T| {
                let (value, slope) = softplus::<T, false>(negatives - scores.score(i, i));
                Terms { value, slope: half * weight(i) * slope, positive: T::ZERO }
            },
        };
        Pass { scores, function: &function, wanted: Wanted::Values, sums: false }.run()
    };
    let (forth_values, forth, _) = direction(scores)?;
    let (back_values, back, _) = direction(back)?;
    let per_pair: Vec<T> = forth_values.iter().zip(&back_values).map(|(&a, &b)| half * (a + b)).collect();
    let loss = weighted_sum(&per_pair, weight);
    if !gradient {
        return Ok(TwoWay { loss, per_pair, first: Vec::new(), second: Vec::new(), temperature: T::ZERO });
    }
    let known = |wholes: &[(T, T, T)]| -> Vec<(T, T)> {
        wholes.iter().map(|&(normaliser, slope, _)| (finite(normaliser), slope)).collect()
    };
    let joint = Joint { rows: &known(&forth), columns: &known(&back), without_own: true };
    let (_, _, mut gradients) = Pass { scores, function: &joint, wanted: Wanted::Both, sums: false }.run()?;
    for (i, (forth, back)) in forth.iter().zip(&back).enumerate() {
        scores.add_gradient(i, i, -(forth.1 + back.1), &mut gradients);
    }
    let temperature = -dot(first, &gradients.rows) / temperature;
    Ok(TwoWay { loss, per_pair, first: gradients.rows, second: gradients.columns, temperature })
}
