use crate::Real;
use crate::contrastive::{check_positive, weighted_sum};
use crate::error::KernelError;
use crate::simd::LANES;
use crate::similarity::{Distances, Gradients, Pass, RowFunction, Sums, Wanted, largest, merge};

/// The cost of a negative at squared distance `d` in [`repulsion`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RepulsionCost<T> {
    /// `-d`.
    Euclidean,
    /// `exp(-t d)`, under a logarithm of the mean over queries.
    Rbf {
        /// Width, above 0.
        t: T,
    },
}

/// Values and gradients of [`repulsion`].
#[derive(Debug, Clone)]
pub struct Repulsion<T> {
    /// The loss.
    pub loss: T,
    /// Gradient by the queries, `[n, dim]`; empty where only values were asked for.
    pub queries: Vec<T>,
    /// Gradient by the keys, `[n, dim]`; empty where only values were asked for.
    pub keys: Vec<T>,
}

/// Contrastive repulsion (CACR): negatives compete with each other, near ones weigh more.
///
/// ```text
/// d_ij = |x_i - y_j|^2,   w_ij = exp(-tau d_ij) / sum_{k != i} exp(-tau d_ik)         j != i
/// euclidean:  loss = mean_i sum_j w_ij (-d_ij)
/// rbf:        loss = log mean_i sum_j w_ij exp(-t d_ij)
/// ```
///
/// With `detach` the weights count as constants in the gradient.
///
/// Source: Zheng et al. 2021, <https://arxiv.org/abs/2105.03746>.
///
/// # Errors
/// When there are not as many queries as keys, fewer than two, sizes do not fit memory, or `tau` or `t` is not above 0.
pub fn repulsion<T: Real>(
    queries: &[T],
    keys: &[T],
    dim: usize,
    tau: T,
    cost: RepulsionCost<T>,
    detach: bool,
    gradient: bool,
) -> Result<Repulsion<T>, KernelError> {
    check_positive("tau", tau)?;
    let distances = Distances::new(queries, keys, dim, tau)?;
    let scores = distances.scores()?;
    let n = scores.n();
    if scores.m() != n || n < 2 {
        return Err(KernelError::value("queries", n, format!("at least two and as many as keys, {}", scores.m())));
    }
    let values = if gradient { Wanted::Both } else { Wanted::Values };
    let (loss, gradients) = match cost {
        RepulsionCost::Euclidean => {
            let slope = T::of(1.0 / n as f64) / tau;
            let function = Euclidean { slope, attached: !detach };
            let (means, _, gradients) = Pass { scores, function: &function, wanted: values, sums: gradient }.run()?;
            (weighted_sum(&means, |_| slope), gradients)
        }
        RepulsionCost::Rbf { t } => {
            check_positive("t", t)?;
            let power = T::ONE + t / tau;
            let first = Rbf { power, slopes: &[], attached: !detach };
            let (ratios, _, _) = Pass { scores, function: &first, wanted: Wanted::Values, sums: false }.run()?;
            let all = merge(ratios.iter().map(|&ratio| (ratio, T::ONE)));
            let loss = T::of(all.f64() - (n as f64).ln());
            let slopes: Vec<T> = ratios.iter().map(|&ratio| (ratio - all).exp::<false>()).collect();
            let second = Rbf { slopes: &slopes, ..first };
            let pass = Pass { scores, function: &second, wanted: Wanted::Both, sums: true };
            (loss, if gradient { pass.run()?.2 } else { Gradients::default() })
        }
    };
    let (mut rows, mut columns) = (gradients.rows, gradients.columns);
    if gradient {
        distances.add_biases(&distances.rows, &gradients.row_sums, &mut rows);
        distances.add_biases(&distances.columns, &gradients.column_sums, &mut columns);
    }
    Ok(Repulsion { loss, queries: rows, keys: columns })
}

/// With scores `l = -tau d`: the value is `sum_j w_j l_j`, its derivative `w_j (1 + l_j - value)`, times the slope.
struct Euclidean<T> {
    slope: T,
    attached: bool,
}

impl<T: Real> RowFunction<T> for Euclidean<T> {
    /// Largest score, `sum e`, `sum e l` with `e = exp(l - largest)`.
    type Piece = (T, T, T);
    /// Log-sum-exp and mean score.
    type Whole = (T, T);

    fn excluded(&self, row: usize) -> [usize; 2] {
        [row, usize::MAX]
    }

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, _row: usize, _first: usize, scores: &mut [T]) -> (T, T, T) {
        let largest = largest(scores);
        if largest == T::NEG_INFINITY {
            return (largest, T::ZERO, T::ZERO);
        }
        let (mut sums, mut products) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        for block in scores.chunks(LANES) {
            for ((&score, sum), product) in block.iter().zip(&mut sums).zip(&mut products) {
                let e = (score - largest).exp::<FMA>();
                *sum += e;
                // 0 times minus infinity is what an excluded column must not make.
                *product += e * score.larger(T::of(-1e30));
            }
        }
        (largest, sums.into_iter().sum(), products.into_iter().sum())
    }

    fn finish(&self, _row: usize, pieces: &[(T, T, T)]) -> (T, (T, T)) {
        let sum = merge(pieces.iter().map(|&(largest, sum, _)| (largest, sum)));
        let mean = pieces.iter().map(|&(largest, _, product)| {
            if largest == T::NEG_INFINITY { 0.0 } else { (largest - sum).f64().exp() * product.f64() }
        });
        let mean = T::of(mean.sum());
        (mean, (sum, mean))
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(
        &self,
        _row: usize,
        _first: usize,
        scores: &mut [T],
        _piece: (T, T, T),
        (sum, mean): (T, T),
    ) {
        for score in scores {
            let weight = self.slope * (*score - sum).exp::<FMA>();
            let pull = if self.attached { T::ONE + score.larger(T::of(-1e30)) - mean } else { T::ONE };
            *score = weight * pull;
        }
    }
}

/// With scores `l = -tau d` and `p = 1 + t/tau`: the value is `log sum exp(p l) - log sum exp(l)`, its derivative
/// `p softmax(p l) - softmax(l)`, times the row's slope (`(p - 1) softmax(p l)` for constant weights).
struct Rbf<'a, T> {
    power: T,
    slopes: &'a [T],
    attached: bool,
}

impl<T: Real> RowFunction<T> for Rbf<'_, T> {
    /// Largest score, `sum exp(l - largest)`, `sum exp(p (l - largest))`.
    type Piece = (T, T, T);
    /// The two log-sum-exps.
    type Whole = (T, T);

    fn excluded(&self, row: usize) -> [usize; 2] {
        [row, usize::MAX]
    }

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, _row: usize, _first: usize, scores: &mut [T]) -> (T, T, T) {
        let largest = largest(scores);
        if largest == T::NEG_INFINITY {
            return (largest, T::ZERO, T::ZERO);
        }
        let (mut sums, mut powers) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        for block in scores.chunks(LANES) {
            for ((&score, sum), power) in block.iter().zip(&mut sums).zip(&mut powers) {
                let below = score - largest;
                *sum += below.exp::<FMA>();
                *power += (self.power * below).exp::<FMA>();
            }
        }
        (largest, sums.into_iter().sum(), powers.into_iter().sum())
    }

    fn finish(&self, _row: usize, pieces: &[(T, T, T)]) -> (T, (T, T)) {
        let sum = merge(pieces.iter().map(|&(largest, sum, _)| -> Sums<T> { (largest, sum) }));
        let powers = merge(pieces.iter().map(|&(largest, _, power)| -> Sums<T> { (self.power * largest, power) }));
        (powers - sum, (sum, powers))
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(
        &self,
        row: usize,
        _first: usize,
        scores: &mut [T],
        _piece: (T, T, T),
        (sum, powers): (T, T),
    ) {
        let slope = self.slopes[row];
        let (power, weight) = if self.attached { (self.power, T::ONE) } else { (self.power - T::ONE, T::ZERO) };
        for score in scores {
            let near = (self.power * *score - powers).exp::<FMA>();
            *score = slope * (power * near - weight * (*score - sum).exp::<FMA>());
        }
    }
}
