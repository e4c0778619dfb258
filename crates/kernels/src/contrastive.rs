use crate::Real;
use crate::error::{KernelError, check_indices, check_vector};
use crate::real::softplus;
use crate::similarity::{Pass, Scores, Softmax, Terms, Wanted, dot};

/// In-batch contrast of anchors with candidates: InfoNCE, NT-Xent, the decoupled and the hard contrastive loss.
///
/// ```text
/// s_ij = x_i . y_j / T
/// N_i  = log sum_{j in negatives of i} exp(s_ij)          all candidates but the anchor itself and its positive
/// l_i  = log(exp(w_i s_ip) + exp(N_i)) - w_i s_ip         coupled: the positive is in the denominator (InfoNCE)
/// l_i  = N_i - w_i s_ip                                   decoupled (DCL; with weights DCLW)
/// loss = sum_i v_i l_i                                    v_i = 1/n without weights
/// ```
///
/// Time `O(n m dim)`, memory beyond inputs and gradients that of 256 rows of scores. An anchor without negatives has the
/// coupled loss 0; decoupled it is an error.
///
/// ```
/// use contrarian_kernels::Contrast;
///
/// // Two anchors, their positives at candidates 0 and 1.
/// let (anchors, candidates) = ([1.0, 0.0, 0.0, 1.0f32], [1.0, 0.0, 0.0, 1.0f32]);
/// let contrast = Contrast::new(&anchors, &candidates, 2, 0.5, &[0, 1]);
/// let found = contrast.value_and_gradient()?;
/// assert!((found.loss - (-2f32).exp().ln_1p()).abs() < 1e-6);
/// assert_eq!(found.anchors.len(), 4);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Contrast<'a, T> {
    /// Anchors `[n, dim]`.
    pub anchors: &'a [T],
    /// Candidates `[m, dim]`.
    pub candidates: &'a [T],
    /// Length of a vector.
    pub dim: usize,
    /// Temperature, above 0.
    pub temperature: T,
    /// The candidate that is each anchor's positive, `[n]`.
    pub positives: &'a [usize],
    /// The candidate that is the anchor itself, `[n]`, where anchors are candidates too.
    pub own: Option<&'a [usize]>,
    /// Whether the positive is part of the denominator.
    pub coupled: bool,
    /// A weight on each positive score, `[n]`; constants.
    pub positive_weights: Option<&'a [T]>,
    /// Only this share of an anchor's negatives counts, the hardest (rounded up, ties stay), in `(0, 1]`.
    pub hardest: Option<f64>,
    /// A weight on each anchor's loss, `[n]`.
    pub weights: Option<&'a [T]>,
}

/// Values and gradients of a [`Contrast`].
#[derive(Debug, Clone)]
pub struct Contrasted<T> {
    /// The weighted sum (mean) of all anchors.
    pub loss: T,
    /// Each anchor's own loss, without its weight.
    pub per_anchor: Vec<T>,
    /// Gradient of the loss by the anchors, `[n, dim]`; empty where only values were asked for.
    pub anchors: Vec<T>,
    /// Gradient by the candidates, `[m, dim]`; empty where only values were asked for.
    pub candidates: Vec<T>,
    /// Derivative by the temperature; 0 where only values were asked for.
    pub temperature: T,
}

impl<'a, T: Real> Contrast<'a, T> {
    /// InfoNCE: coupled, no weights, all negatives, anchors not among the candidates.
    pub fn new(anchors: &'a [T], candidates: &'a [T], dim: usize, temperature: T, positives: &'a [usize]) -> Self {
        Self {
            anchors,
            candidates,
            dim,
            temperature,
            positives,
            own: None,
            coupled: true,
            positive_weights: None,
            hardest: None,
            weights: None,
        }
    }

    /// The loss and each anchor's part in it.
    ///
    /// # Errors
    /// When sizes do not fit each other or memory, an index is out of range, the temperature is not above 0, or an anchor
    /// of a decoupled loss has no negative.
    pub fn value(&self) -> Result<Contrasted<T>, KernelError> {
        self.compute(Wanted::Values)
    }

    /// The loss and all gradients.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn value_and_gradient(&self) -> Result<Contrasted<T>, KernelError> {
        self.compute(Wanted::Both)
    }

    fn compute(&self, wanted: Wanted) -> Result<Contrasted<T>, KernelError> {
        check_positive("temperature", self.temperature)?;
        let scores = Scores::new(self.anchors, self.candidates, self.dim, T::ONE / self.temperature)?;
        let (n, m) = (scores.n(), scores.m());
        check_vector("positives", self.positives, n, "anchor")?;
        check_indices("positives", self.positives, m)?;
        if let Some(own) = self.own {
            check_vector("own", own, n, "anchor")?;
        }
        for (name, weights) in [("positive weights", self.positive_weights), ("weights", self.weights)] {
            check_vector(name, weights.unwrap_or_default(), weights.map_or(0, |_| n), "anchor")?;
        }
        if let Some(share) = self.hardest
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(KernelError::value("hardest", share, "in (0, 1]"));
        }
        let negatives = m - 1 - usize::from(self.own.is_some());
        if !self.coupled && (m < 2 || negatives == 0) {
            return Err(KernelError::value("candidates", m, "enough that every anchor has a negative"));
        }

        let mean = T::of(1.0 / n as f64);
        let weight = |i: usize| self.weights.map_or(mean, |weights| weights[i]);
        let positive_weight = |i: usize| self.positive_weights.map_or(T::ONE, |weights| weights[i]);
        let function = Softmax {
            excluded: |i: usize| [self.positives[i], self.own.map_or(usize::MAX, |own| own[i])],
            keep: self.hardest.filter(|&share| share < 1.0),
            terms: |i: usize, negatives: T| {
                let gap = negatives - positive_weight(i) * scores.score(i, self.positives[i]);
                // With nothing in the sum the gap is minus infinity: value and slope are 0.
                let (value, slope) = if self.coupled { softplus::<T, false>(gap) } else { (gap, T::ONE) };
                let slope = weight(i) * slope;
                Terms { value, slope, positive: -(slope * positive_weight(i)) }
            },
        };
        let (per_anchor, wholes, mut gradients) = Pass { scores, function: &function, wanted, sums: false }.run()?;
        let loss = weighted_sum(&per_anchor, weight);
        let mut temperature = T::ZERO;
        if wanted == Wanted::Both {
            for (i, (_, _, positive)) in wholes.iter().enumerate() {
                scores.add_gradient(i, self.positives[i], *positive, &mut gradients);
            }
            // s = x . y / T, so sum_ij g_ij s_ij = x . dloss/dx.
            temperature = -dot(self.anchors, &gradients.rows) / self.temperature;
        }
        Ok(Contrasted { loss, per_anchor, anchors: gradients.rows, candidates: gradients.columns, temperature })
    }
}

pub(crate) fn check_positive<T: Real>(name: &'static str, value: T) -> Result<(), KernelError> {
    if value > T::ZERO && value.is_finite() {
        Ok(())
    } else {
        Err(KernelError::value(name, value, "finite and above 0"))
    }
}

/// `sum_i weight_i value_i`, accumulated in f64.
pub(crate) fn weighted_sum<T: Real>(values: &[T], weight: impl Fn(usize) -> T) -> T {
    T::of(values.iter().enumerate().map(|(i, value)| weight(i).f64() * value.f64()).sum())
}
