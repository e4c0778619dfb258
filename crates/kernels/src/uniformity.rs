use crate::Real;
use crate::contrastive::check_positive;
use crate::error::KernelError;
use crate::similarity::{Distances, Joint, Pass, Softmax, Terms, Wanted, merge};
use crate::supervised::OneSet;

/// Uniformity of a set of vectors: lower means spread more evenly.
///
/// ```text
/// loss = log mean_{i < j} exp(-t |x_i - x_j|^2)
/// ```
///
/// Safe for points so far apart that every exponential underflows.
///
/// Source: Wang, Isola 2020, <https://arxiv.org/abs/2005.10242>; as a metric in Wang, Liu 2021,
/// <https://arxiv.org/abs/2012.09740>.
///
/// # Errors
/// When there are fewer than two vectors, sizes do not fit memory, or `t` is not above 0.
pub fn uniformity<T: Real>(vectors: &[T], dim: usize, t: T, gradient: bool) -> Result<OneSet<T>, KernelError> {
    check_positive("t", t)?;
    let distances = Distances::new(vectors, vectors, dim, t)?;
    let scores = distances.scores()?;
    let n = scores.n();
    if n < 2 {
        return Err(KernelError::value("vectors", n, "at least two"));
    }
    let function = Softmax {
        excluded: |i: usize| [i, usize::MAX],
        keep: None,
        terms: |_: usize, sum: T| Terms { value: sum, slope: T::ZERO, positive: T::ZERO },
    };
    let (sums, _, _) = Pass { scores, function: &function, wanted: Wanted::Values, sums: false }.run()?;
    let all = merge(sums.iter().map(|&sum| (sum, T::ONE)));
    let loss = T::of(all.f64() - (n as f64).ln() - ((n - 1) as f64).ln());
    if !gradient {
        return Ok(OneSet { loss, per_row: Vec::new(), gradient: Vec::new(), temperature: T::ZERO });
    }
    // Scores are symmetric: what a vector gets as a column is what it gets as a row.
    let two = T::of(2.0);
    let joint = Joint { rows: &vec![(all, two); n], columns: &[], without_own: true };
    let (_, _, mut gradients) = Pass { scores, function: &joint, wanted: Wanted::Rows, sums: false }.run()?;
    let row_sums: Vec<T> = sums.iter().map(|&sum| two * (sum - all).exp::<false>()).collect();
    distances.add_biases(&distances.rows, &row_sums, &mut gradients.rows);
    Ok(OneSet { loss, per_row: Vec::new(), gradient: gradients.rows, temperature: T::ZERO })
}
