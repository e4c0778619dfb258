use crate::error::{KernelError, check_indices, check_matrix, check_vector, zeros};
use crate::real::softplus;
use crate::simd::{LANES, Work, run};
use crate::similarity::largest;
use crate::{Ldr, Real};
use rayon::prelude::*;

/// A loss of the softmax family: from a row of logits and its label to a number.
#[derive(Debug, Clone, Copy)]
pub enum SoftmaxLoss<'a, T> {
    /// `-log p_y`. A function of this number alone (comp-sum, focal, generalised cross-entropy) needs no kernel of its own:
    /// apply it to the values, and pass its derivative as `upstream`.
    NegativeLogLikelihood,
    /// `(1 - e) w_y (-log p_y) + (e/K) sum_k w_k (-log p_k)`.
    CrossEntropy {
        /// The part `e` of the label's mass that is spread over all classes, in `[0, 1]`.
        label_smoothing: T,
        /// Weight of every class; `None` for ones.
        class_weights: Option<&'a [T]>,
    },
    /// `sum_k (1[k == y] - p_k)^2`.
    Brier,
    /// The label-distributionally robust loss, see [`Ldr`].
    Ldr(Ldr<'a, T>),
}

/// Rows of logits `[n, classes]` with their labels: values and gradients of a [`SoftmaxLoss`], one pass a row, which stays
/// in cache. Nothing is held beside inputs and outputs but one row a thread.
///
/// ```
/// use contrarian_kernels::{SoftmaxLoss, SoftmaxRows};
///
/// let rows = SoftmaxRows { logits: &[0.0f32, 0.0, 3.0, 0.0], labels: &[1, 0], classes: 2 };
/// let values = rows.values(&SoftmaxLoss::NegativeLogLikelihood)?;
/// assert!((values[0] - 2f32.ln()).abs() < 1e-6);
/// let gradient = rows.gradient(&SoftmaxLoss::NegativeLogLikelihood, &[0.5, 0.5])?; // of the mean
/// assert!((gradient[0] - 0.25).abs() < 1e-6);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxRows<'a, T> {
    /// Logits, row-major.
    pub logits: &'a [T],
    /// Class of each row.
    pub labels: &'a [usize],
    /// Length of a row.
    pub classes: usize,
}

impl<T: Real> SoftmaxRows<'_, T> {
    /// The loss of every row, `[n]`.
    ///
    /// # Errors
    /// When sizes do not fit each other or memory, or a label or parameter is out of range.
    pub fn values(&self, loss: &SoftmaxLoss<T>) -> Result<Vec<T>, KernelError> {
        self.check(loss)?;
        let mut values = zeros("the values", &[self.labels.len()])?;
        let tasks = self.rows_at_a_time();
        values.par_chunks_mut(tasks).enumerate().for_each(|(task, values)| {
            run(Rows { of: self, loss, first: task * tasks, values, gradient: None });
        });
        Ok(values)
    }

    /// The gradient of `sum_i upstream_i loss_i` by the logits, `[n, classes]`.
    ///
    /// # Errors
    /// As [`values`](Self::values).
    pub fn gradient(&self, loss: &SoftmaxLoss<T>, upstream: &[T]) -> Result<Vec<T>, KernelError> {
        self.check(loss)?;
        check_vector("upstream", upstream, self.labels.len(), "row")?;
        let mut gradient = zeros("the gradient", &[self.logits.len()])?;
        let tasks = self.rows_at_a_time();
        gradient.par_chunks_mut(tasks * self.classes).enumerate().for_each(|(task, gradient)| {
            let upstream = &upstream[task * tasks..][..gradient.len() / self.classes];
            run(Rows { of: self, loss, first: task * tasks, values: &mut [], gradient: Some((gradient, upstream)) });
        });
        Ok(gradient)
    }

    /// So many that a task is worth a thread's while; the same for any number of threads.
    fn rows_at_a_time(&self) -> usize {
        const NUMBERS: usize = 1 << 15;
        NUMBERS.div_ceil(self.classes)
    }

    fn check(&self, loss: &SoftmaxLoss<T>) -> Result<(), KernelError> {
        if self.classes == 0 {
            return Err(KernelError::value("classes", 0, "at least 1"));
        }
        check_matrix("logits", self.logits, self.labels.len(), self.classes)?;
        check_indices("labels", self.labels, self.classes)?;
        match loss {
            SoftmaxLoss::NegativeLogLikelihood | SoftmaxLoss::Brier => Ok(()),
            SoftmaxLoss::CrossEntropy { class_weights, .. } => {
                class_weights.map_or(Ok(()), |weights| check_vector("class weights", weights, self.classes, "class"))
            }
            SoftmaxLoss::Ldr(ldr) => ldr.check(self.labels.len()),
        }
    }
}

/// Rows next to each other.
struct Rows<'a, T> {
    of: &'a SoftmaxRows<'a, T>,
    loss: &'a SoftmaxLoss<'a, T>,
    first: usize,
    values: &'a mut [T],
    gradient: Option<(&'a mut [T], &'a [T])>,
}

impl<T: Real> Work for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let classes = self.of.classes;
        let row = |i: usize| (&self.of.logits[(self.first + i) * classes..][..classes], self.of.labels[self.first + i]);
        // LDR needs the row's scores and exponentials, the others nothing.
        let mut scratch = match self.loss {
            SoftmaxLoss::Ldr(_) => vec![T::ZERO; 2 * classes],
            _ => Vec::new(),
        };
        if let Some((gradient, upstream)) = self.gradient {
            for (i, (gradient, &upstream)) in gradient.chunks_exact_mut(classes).zip(upstream).enumerate() {
                let (logits, label) = row(i);
                match self.loss {
                    SoftmaxLoss::NegativeLogLikelihood => {
                        log_likelihood_gradient::<T, FMA>(logits, label, upstream, gradient);
                    }
                    SoftmaxLoss::CrossEntropy { label_smoothing, class_weights } => {
                        cross_entropy_gradient::<T, FMA>(
                            logits,
                            label,
                            *label_smoothing,
                            *class_weights,
                            upstream,
                            gradient,
                        );
                    }
                    SoftmaxLoss::Brier => brier_gradient::<T, FMA>(logits, label, upstream, gradient),
                    SoftmaxLoss::Ldr(ldr) => {
                        ldr.gradient::<FMA>(self.first + i, logits, label, upstream, &mut scratch, gradient);
                    }
                }
            }
            return;
        }
        for (i, value) in self.values.iter_mut().enumerate() {
            let (logits, label) = row(i);
            *value = match self.loss {
                SoftmaxLoss::NegativeLogLikelihood => negative_log_likelihood::<T, FMA>(logits, label),
                SoftmaxLoss::CrossEntropy { label_smoothing, class_weights } => {
                    cross_entropy::<T, FMA>(logits, label, *label_smoothing, *class_weights)
                }
                SoftmaxLoss::Brier => brier::<T, FMA>(logits, label),
                SoftmaxLoss::Ldr(ldr) => ldr.value::<FMA>(self.first + i, logits, label, &mut scratch),
            };
        }
    }
}

/// `sum exp(x - largest)`, without keeping the exponentials.
#[inline(always)]
fn sum_exp<T: Real, const FMA: bool>(x: &[T], largest: T) -> T {
    let mut sums = [T::ZERO; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (&x, sum) in block.iter().zip(&mut sums) {
            *sum += (x - largest).exp::<FMA>();
        }
    }
    for (&x, sum) in rest.iter().zip(&mut sums) {
        *sum += (x - largest).exp::<FMA>();
    }
    sums.into_iter().sum()
}

/// `-log p_y` and `1 - p_y`, both exact however close to 0: from the sum `r` over the other classes,
/// `-log p_y = softplus(log r - (x_y - largest))`.
#[inline(always)]
fn from_others<T: Real, const FMA: bool>(others: T, label_score: T) -> (T, T) {
    softplus::<T, FMA>(others.ln::<FMA>() - label_score)
}

#[inline(always)]
fn negative_log_likelihood<T: Real, const FMA: bool>(logits: &[T], label: usize) -> T {
    let top = largest(logits);
    let others = sum_exp::<T, FMA>(&logits[..label], top) + sum_exp::<T, FMA>(&logits[label + 1..], top);
    from_others::<T, FMA>(others, logits[label] - top).0
}

/// Leaves `exp(x - top)` in `out` and gives their sum.
#[inline(always)]
fn exp_into<T: Real, const FMA: bool>(x: &[T], top: T, out: &mut [T]) -> T {
    let mut sums = [T::ZERO; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    let (outs, rest_out) = out.as_chunks_mut::<LANES>();
    for (block, out) in blocks.iter().zip(outs) {
        for ((&x, out), sum) in block.iter().zip(out).zip(&mut sums) {
            *out = (x - top).exp::<FMA>();
            *sum += *out;
        }
    }
    for ((&x, out), sum) in rest.iter().zip(rest_out).zip(&mut sums) {
        *out = (x - top).exp::<FMA>();
        *sum += *out;
    }
    sums.into_iter().sum()
}

/// The largest logit, the sum of `exp(x - largest)` over all classes but the label, left in `out`, and `1 - p_y`.
#[inline(always)]
fn others_into<T: Real, const FMA: bool>(logits: &[T], label: usize, out: &mut [T]) -> (T, T, T) {
    let top = largest(logits);
    let others = exp_into::<T, FMA>(&logits[..label], top, &mut out[..label])
        + exp_into::<T, FMA>(&logits[label + 1..], top, &mut out[label + 1..]);
    (top, others, from_others::<T, FMA>(others, logits[label] - top).1)
}

#[inline(always)]
fn scale<T: Real>(x: &mut [T], by: T) {
    for x in x {
        *x *= by;
    }
}

/// `upstream (p - e_y)`.
#[inline(always)]
fn log_likelihood_gradient<T: Real, const FMA: bool>(logits: &[T], label: usize, upstream: T, out: &mut [T]) {
    let (_, others, rest) = others_into::<T, FMA>(logits, label, out);
    out[label] = T::ZERO;
    // With nothing beside the label, everything is 0 already.
    scale(out, if others > T::ZERO { upstream * rest / others } else { T::ZERO });
    out[label] = -(upstream * rest);
}

#[inline(always)]
fn cross_entropy<T: Real, const FMA: bool>(logits: &[T], label: usize, e: T, weights: Option<&[T]>) -> T {
    let cost = negative_log_likelihood::<T, FMA>(logits, label);
    let own = weights.map_or(T::ONE, |weights| weights[label]);
    if e == T::ZERO {
        return own * cost;
    }
    // -log p_k = cost + x_y - x_k, averaged over the classes by their weights.
    let mut spread = [T::ZERO; LANES];
    let at_label = logits[label];
    for (at, x) in logits.chunks(LANES).enumerate() {
        match weights {
            Some(weights) => {
                for ((&x, &w), sum) in x.iter().zip(&weights[at * LANES..]).zip(&mut spread) {
                    *sum += w * (cost + at_label - x);
                }
            }
            None => {
                for (&x, sum) in x.iter().zip(&mut spread) {
                    *sum += cost + at_label - x;
                }
            }
        }
    }
    let spread: T = spread.into_iter().sum();
    (T::ONE - e) * own * cost + e / T::of(logits.len() as f64) * spread
}

#[inline(always)]
fn cross_entropy_gradient<T: Real, const FMA: bool>(
    logits: &[T],
    label: usize,
    e: T,
    weights: Option<&[T]>,
    upstream: T,
    out: &mut [T],
) {
    let own = (T::ONE - e) * weights.map_or(T::ONE, |weights| weights[label]);
    if e == T::ZERO {
        log_likelihood_gradient::<T, FMA>(logits, label, upstream * own, out);
        return;
    }
    // sum_k c_k (p - e_k) with c the weights of the smoothed label: (sum c) p - c.
    let share = e / T::of(logits.len() as f64);
    let total = own + share * weights.map_or(T::of(logits.len() as f64), |weights| weights.iter().copied().sum());
    let (_, others, rest) = others_into::<T, FMA>(logits, label, out);
    let by = if others > T::ZERO { upstream * total * rest / others } else { T::ZERO };
    match weights {
        Some(weights) => {
            for (out, &w) in out.iter_mut().zip(weights) {
                *out = by * *out - upstream * share * w;
            }
        }
        None => {
            for out in &mut *out {
                *out = by * *out - upstream * share;
            }
        }
    }
    let at_label = share * weights.map_or(T::ONE, |weights| weights[label]);
    out[label] = upstream * (total * (T::ONE - rest) - own - at_label);
}

#[inline(always)]
fn brier<T: Real, const FMA: bool>(logits: &[T], label: usize) -> T {
    let top = largest(logits);
    let (mut sums, mut squares) = ([T::ZERO; LANES], [T::ZERO; LANES]);
    for part in [&logits[..label], &logits[label + 1..]] {
        for x in part.chunks(LANES) {
            for ((&x, sum), square) in x.iter().zip(&mut sums).zip(&mut squares) {
                let e = (x - top).exp::<FMA>();
                *sum += e;
                *square += e * e;
            }
        }
    }
    let (others, squares): (T, T) = (sums.into_iter().sum(), squares.into_iter().sum());
    let rest = from_others::<T, FMA>(others, logits[label] - top).1;
    // p_k = rest e_k / others.
    let by = if others > T::ZERO { rest / others } else { T::ZERO };
    rest * rest + squares * by * by
}

/// `2 p_j (p_j - 1[j == y] - sum_k p_k (p_k - 1[k == y]))`.
#[inline(always)]
fn brier_gradient<T: Real, const FMA: bool>(logits: &[T], label: usize, upstream: T, out: &mut [T]) {
    let (_, others, rest) = others_into::<T, FMA>(logits, label, out);
    let by = if others > T::ZERO { rest / others } else { T::ZERO };
    out[label] = T::ZERO;
    let mut squares = [T::ZERO; LANES];
    for p in out.chunks_mut(LANES) {
        for (p, square) in p.iter_mut().zip(&mut squares) {
            *p *= by;
            *square += *p * *p;
        }
    }
    let mean = squares.into_iter().sum::<T>() - (T::ONE - rest) * rest;
    let two = T::of(2.0) * upstream;
    for p in &mut *out {
        *p = two * *p * (*p - mean);
    }
    out[label] = two * (T::ONE - rest) * (-rest - mean);
}
