use crate::Real;
use crate::error::KernelError;
use crate::simd::LANES;
use crate::similarity::{Distances, Pass, RowFunction, Wanted};
use crate::supervised::OneSet;

/// Multi-kernel maximum mean discrepancy of the first `sources` vectors from the others.
///
/// ```text
/// loss = sum_ij w_i w_j k(x_i, x_j),    w = 1/n for the n first vectors, -1/m for the m others
/// k(a, b) = sum_{i < kernels} exp(-|a - b|^2 / 2^i)
/// ```
///
/// Scale the vectors for other widths. One exponential a pair serves all kernels: each is the square of the next wider one. A
/// vector is at distance 0 from itself, to the bit.
///
/// Source: Gretton et al. 2012, "A Kernel Two-Sample Test", equation 5.
///
/// # Errors
/// When either set is empty, there is no kernel or more than 64, or sizes do not fit memory.
pub fn mean_discrepancy<T: Real>(
    vectors: &[T],
    dim: usize,
    sources: usize,
    kernels: usize,
    gradient: bool,
) -> Result<OneSet<T>, KernelError> {
    if !(1..=64).contains(&kernels) {
        return Err(KernelError::value("kernels", kernels, "from 1 to 64"));
    }
    let widest = T::of(0.5f64.powi(kernels as i32 - 1));
    let distances = Distances::new(vectors, vectors, dim, widest)?;
    let scores = distances.scores()?;
    let n = scores.n();
    if sources == 0 || sources >= n {
        return Err(KernelError::value("sources", sources, format!("at least 1 and below {n}, the number of vectors")));
    }
    let function = KernelSums { sources, kernels, weights: [1.0 / sources as f64, -1.0 / (n - sources) as f64] };
    let wanted = if gradient { Wanted::Rows } else { Wanted::Values };
    let (values, _, mut gradients) = Pass { scores, function: &function, wanted, sums: gradient }.run()?;
    if gradient {
        distances.add_biases(&distances.rows, &gradients.row_sums, &mut gradients.rows);
    }
    let loss = T::of(values.iter().map(|value| value.f64()).sum());
    Ok(OneSet { loss, per_row: Vec::new(), gradient: gradients.rows, temperature: T::ZERO })
}

/// From scores `-|x_i - x_j|^2 / 2^(kernels - 1)` to the weighted sum of a row's kernels.
struct KernelSums {
    sources: usize,
    kernels: usize,
    /// Of a source, of a target.
    weights: [f64; 2],
}

impl KernelSums {
    fn weight(&self, row: usize) -> f64 {
        self.weights[usize::from(row >= self.sources)]
    }

    /// The sum of the kernels of all scores; `by` times its derivative by each is left in its place.
    #[inline(always)]
    fn sum<T: Real, const FMA: bool>(&self, scores: &mut [T], by: T) -> T {
        let mut sums = [T::ZERO; LANES];
        for block in scores.chunks_mut(LANES) {
            for (score, sum) in block.iter_mut().zip(&mut sums) {
                // Rounding must not make a distance negative.
                let mut kernel = score.smaller(T::ZERO).exp::<FMA>();
                let (mut value, mut slope, mut power) = (kernel, kernel, T::ONE);
                for _ in 1..self.kernels {
                    kernel = kernel * kernel;
                    power = power + power;
                    value += kernel;
                    slope += power * kernel;
                }
                *sum += value;
                *score = by * slope;
            }
        }
        sums.into_iter().sum()
    }
}

impl<T: Real> RowFunction<T> for KernelSums {
    /// Sums over the columns that are sources and over the others.
    type Piece = (T, T);
    type Whole = ();

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, row: usize, first: usize, scores: &mut [T]) -> (T, T) {
        let own = row.checked_sub(first).filter(|&at| at < scores.len());
        if let Some(at) = own {
            scores[at] = T::ZERO;
        }
        let (sources, targets) = scores.split_at_mut(self.sources.saturating_sub(first).min(scores.len()));
        // A vector is moved by every pair twice: as its row and as its column.
        let by = self.weights.map(|weight| T::of(2.0 * self.weight(row) * weight));
        let sums = (self.sum::<T, FMA>(sources, by[0]), self.sum::<T, FMA>(targets, by[1]));
        if let Some(at) = own {
            scores[at] = T::ZERO;
        }
        sums
    }

    fn finish(&self, row: usize, pieces: &[(T, T)]) -> (T, ()) {
        let [source, target] = self.weights;
        let sum: f64 = pieces.iter().map(|(sources, targets)| source * sources.f64() + target * targets.f64()).sum();
        (T::of(self.weight(row) * sum), ())
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(&self, _row: usize, _first: usize, _scores: &mut [T], _piece: (T, T), (): ()) {}
}
