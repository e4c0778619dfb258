use crate::Real;
use crate::contrastive::weighted_sum;
use crate::error::{KernelError, check_vector};
use crate::real::softplus;
use crate::similarity::{Pass, Scores, Softmax, Terms, Wanted, add_scaled};

/// The label of a row that does not count.
pub const IGNORED: usize = usize::MAX;

/// A linear layer and the cross-entropy of its softmax in one: the logits are never held.
///
/// ```text
/// z_ik = h_i . w_k + b_k,   L_i = log sum_k exp(z_ik)
/// l_i  = (1 - e) (L_i - z_iy) + (e/K) sum_k (L_i - z_ik) + c L_i^2
/// loss = sum_i v_i l_i,     v_i = 1/(number of rows that count) without weights
/// ```
///
/// with label smoothing `e` and the weight `c` of the squared log-normaliser that keeps logits from drifting (the "z-loss"
/// of language models). Time `O(n K dim)`; memory beyond inputs and gradients is that of 128 rows of logits.
///
/// ```
/// use contrarian_kernels::LinearSoftmax;
///
/// let (hidden, weight) = ([1.0f32, 0.0], [1.0f32, 0.0, 0.0, 1.0]); // one row; two classes
/// let found = LinearSoftmax::new(&hidden, &weight, 2, &[0]).value_and_gradient()?;
/// assert!((found.loss - (-1f32).exp().ln_1p()).abs() < 1e-6);
/// assert_eq!(found.weight.len(), 4);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LinearSoftmax<'a, T> {
    /// Inputs of the layer `[n, dim]`.
    pub hidden: &'a [T],
    /// Weights of the layer, a row for every class: `[classes, dim]`.
    pub weight: &'a [T],
    /// Bias `[classes]`.
    pub bias: Option<&'a [T]>,
    /// Length of a vector.
    pub dim: usize,
    /// Class of every row, or [`IGNORED`], `[n]`.
    pub labels: &'a [usize],
    /// Part of the label's mass spread over all classes, in `[0, 1]`.
    pub label_smoothing: T,
    /// Weight of the squared log-normaliser, at least 0.
    pub log_z_penalty: T,
    /// A weight on every row's loss, `[n]`.
    pub weights: Option<&'a [T]>,
}

/// Values and gradients of a [`LinearSoftmax`].
#[derive(Debug, Clone)]
pub struct LinearSoftmaxed<T> {
    /// The weighted sum (mean) of all rows.
    pub loss: T,
    /// Each row's own loss, without its weight; 0 for ignored rows.
    pub per_row: Vec<T>,
    /// Gradient by the inputs, `[n, dim]`; empty where only values were asked for.
    pub hidden: Vec<T>,
    /// Gradient by the weights, `[classes, dim]`; empty where only values were asked for.
    pub weight: Vec<T>,
    /// Gradient by the bias, `[classes]`; empty where there is none or only values were asked for.
    pub bias: Vec<T>,
}

impl<'a, T: Real> LinearSoftmax<'a, T> {
    /// Cross-entropy without bias, smoothing, penalty and weights.
    pub fn new(hidden: &'a [T], weight: &'a [T], dim: usize, labels: &'a [usize]) -> Self {
        Self {
            hidden,
            weight,
            bias: None,
            dim,
            labels,
            label_smoothing: T::ZERO,
            log_z_penalty: T::ZERO,
            weights: None,
        }
    }

    /// The loss and each row's part in it.
    ///
    /// # Errors
    /// When sizes do not fit each other or memory, or a label or parameter is out of range.
    pub fn value(&self) -> Result<LinearSoftmaxed<T>, KernelError> {
        self.compute(Wanted::Values)
    }

    /// The loss and all gradients.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn value_and_gradient(&self) -> Result<LinearSoftmaxed<T>, KernelError> {
        self.compute(Wanted::Both)
    }

    fn compute(&self, wanted: Wanted) -> Result<LinearSoftmaxed<T>, KernelError> {
        let scores = Scores::new(self.hidden, self.weight, self.dim, T::ONE)?.with_biases(None, self.bias)?;
        let (n, classes) = (scores.n(), scores.m());
        check_vector("labels", self.labels, n, "row")?;
        if let Some(at) = self.labels.iter().position(|&label| label >= classes && label != IGNORED) {
            let found = format!("{} at {at}", self.labels[at]);
            return Err(KernelError::value("labels", found, format!("below {classes}, or ignored")));
        }
        check_vector("weights", self.weights.unwrap_or_default(), self.weights.map_or(0, |_| n), "row")?;
        let (smoothing, penalty) = (self.label_smoothing, self.log_z_penalty);
        if !(smoothing >= T::ZERO && smoothing <= T::ONE) {
            return Err(KernelError::value("label_smoothing", smoothing, "in [0, 1]"));
        }
        if !(penalty >= T::ZERO && penalty.is_finite()) {
            return Err(KernelError::value("log_z_penalty", penalty, "finite and at least 0"));
        }

        let counted = self.labels.iter().filter(|&&label| label != IGNORED).count().max(1);
        let mean = T::of(1.0 / counted as f64);
        let weight = |i: usize| match self.labels[i] {
            IGNORED => T::ZERO,
            _ => self.weights.map_or(mean, |weights| weights[i]),
        };
        // The mean logit of a row is its product with the mean class.
        let spread = smoothing > T::ZERO;
        let mean_class = if spread { column_means(self.weight, self.dim) } else { Vec::new() };
        let mean_bias = self.bias.map_or(0.0, |bias| bias.iter().map(|b| b.f64()).sum::<f64>() / classes as f64);
        let mean_logit = |i: usize| -> T {
            let products = scores.row(i).iter().zip(&mean_class).map(|(h, w)| h.f64() * w);
            T::of(products.sum::<f64>() + mean_bias)
        };
        let two = T::of(2.0);
        let function = Softmax {
            excluded: |i: usize| [self.labels[i], usize::MAX],
            keep: None,
            terms: |i: usize, others: T| {
                let label = self.labels[i];
                if label == IGNORED {
                    return Terms { value: T::ZERO, slope: T::ZERO, positive: T::ZERO };
                }
                let own = scores.score(i, label);
                // q is the probability of all other classes together.
                let (cost, q) = softplus::<T, false>(others - own);
                let log_z = own + cost;
                let mut value = cost + penalty * log_z * log_z;
                if spread {
                    value += smoothing * (own - mean_logit(i));
                }
                let by_log_z = two * penalty * log_z;
                let slope = weight(i) * (q + by_log_z * q);
                let positive = weight(i) * (by_log_z * (T::ONE - q) - q + smoothing);
                Terms { value, slope, positive }
            },
        };
        let sums = wanted == Wanted::Both && self.bias.is_some();
        let (per_row, wholes, mut gradients) = Pass { scores, function: &function, wanted, sums }.run()?;
        let loss = weighted_sum(&per_row, weight);
        if wanted == Wanted::Both {
            for (i, (&label, &(_, _, by))) in self.labels.iter().zip(&wholes).enumerate() {
                if label == IGNORED {
                    continue;
                }
                scores.add_gradient(i, label, by, &mut gradients);
                if let Some(sum) = gradients.column_sums.get_mut(label) {
                    *sum += by;
                }
            }
            if spread {
                self.spread(
                    &mean_class,
                    weight,
                    &mut gradients.rows,
                    &mut gradients.columns,
                    &mut gradients.column_sums,
                );
            }
        }
        Ok(LinearSoftmaxed {
            loss,
            per_row,
            hidden: gradients.rows,
            weight: gradients.columns,
            bias: gradients.column_sums,
        })
    }

    /// The gradient of minus the smoothed mean logit of every row.
    fn spread(
        &self,
        mean_class: &[f64],
        weight: impl Fn(usize) -> T,
        hidden: &mut [T],
        classes: &mut [T],
        bias: &mut [T],
    ) {
        let e = self.label_smoothing.f64();
        let share = e * self.dim as f64 / self.weight.len() as f64;
        let mut sum = vec![0.0; self.dim];
        let mut total = 0.0;
        for (i, (row, gradient)) in self.hidden.chunks(self.dim).zip(hidden.chunks_mut(self.dim)).enumerate() {
            let v = weight(i).f64();
            total += v;
            sum.iter_mut().zip(row).for_each(|(sum, h)| *sum += v * h.f64());
            gradient.iter_mut().zip(mean_class).for_each(|(gradient, w)| *gradient -= T::of(e * v * w));
        }
        let sum: Vec<T> = sum.into_iter().map(|sum| T::of(-share * sum)).collect();
        for gradient in classes.chunks_mut(self.dim) {
            add_scaled(gradient, T::ONE, &sum);
        }
        for gradient in bias {
            *gradient -= T::of(share * total);
        }
    }
}

fn column_means<T: Real>(matrix: &[T], dim: usize) -> Vec<f64> {
    let mut sums = vec![0.0; dim];
    for row in matrix.chunks(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.f64());
    }
    let rows = (matrix.len() / dim) as f64;
    sums.into_iter().map(|sum| sum / rows).collect()
}
