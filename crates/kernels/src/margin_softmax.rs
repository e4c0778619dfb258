use crate::Real;
use crate::error::{KernelError, check_indices, check_matrix, zeros};
use crate::matmul::{View, matmul};
use crate::real::softplus;
use crate::simd::{Work, run};
use crate::similarity::{add_scaled, exponentials};
use crate::unit_rows::{Back, Forth, unit_rows};
use rayon::prelude::*;

/// Rows scored at a time.
const STRIP: usize = 128;
/// Rows are cut into at most this many groups of whole strips, each with a gradient by the classes of its own.
const GROUPS: usize = 8;
/// Classes that a thread takes at a time at least.
const MIN_CLASSES: usize = 32;

/// Value and gradients of [`margin_softmax`].
#[derive(Debug, Clone)]
pub struct MarginSoftmaxed<T> {
    /// The mean over the rows.
    pub loss: T,
    /// Gradient by the rows, `[n, dim]`; empty where only the value was asked for.
    pub rows: Vec<T>,
    /// Gradient by the classes, `[classes, dim]`; empty where only the value was asked for.
    pub classes: Vec<T>,
}

/// The softmax loss over cosines with class vectors, of which a margin changes the own one.
///
/// ```text
/// c_ik = x_i . w_k / (|x_i| |w_k|),   z_iy = f(c_iy),   z_ik = c_ik for k != y,     loss = mean_i -log softmax(scale z_i)_y
/// ```
///
/// A vector of zeros has cosine 0 with everything. `margin` is `f`: it gives value and derivative. Value and gradients are made in one pass over the rows, with memory
/// `O(n + 8 classes)` vectors beside a strip of scores: for fewer classes than rows.
///
/// # Errors
/// When sizes do not fit each other or memory, there is no row, there are fewer than two classes, or a label is out of range.
pub fn margin_softmax<T: Real>(
    rows: &[T],
    classes: &[T],
    dim: usize,
    labels: &[usize],
    scale: T,
    margin: impl Fn(f64) -> (f64, f64) + Sync,
    gradient: bool,
) -> Result<MarginSoftmaxed<T>, KernelError> {
    let (n, m) = (labels.len(), classes.len() / dim.max(1));
    for (name, count, least) in [("labels", n, 1), ("classes", m, 2), ("dim", dim, 1)] {
        if count < least {
            return Err(KernelError::value(name, count, format!("at least {least}")));
        }
    }
    check_matrix("rows", rows, n, dim)?;
    check_matrix("classes", classes, m, dim)?;
    check_indices("labels", labels, m)?;
    let group = n.div_ceil(GROUPS).next_multiple_of(STRIP);
    let groups = n.div_ceil(group);
    let unit_classes = unit_rows(classes, dim)?;
    let sizes = |rows: usize| if gradient { [rows, dim] } else { [0, dim] };
    let mut by_rows: Vec<T> = zeros("the row gradient", &sizes(n))?;
    let mut by_classes: Vec<T> = zeros("the class gradient", &sizes(groups * m))?;
    let mut sums = zeros::<f64>("the sums", &[groups])?;
    let weight = 1.0 / n as f64;
    let mut row_gradients = by_rows.chunks_mut(group * dim);
    let mut class_gradients = by_classes.chunks_mut(m * dim);
    let jobs: Vec<_> = rows
        .chunks(group * dim)
        .zip(labels.chunks(group))
        .zip(&mut sums)
        .map(|((rows, labels), sum)| {
            let gradients = (row_gradients.next().unwrap_or_default(), class_gradients.next().unwrap_or_default());
            (rows, labels, sum, gradients)
        })
        .collect();
    let strip = STRIP.min(n);
    let buffers = || (vec![T::ZERO; strip * m], vec![T::ZERO; strip * dim], vec![T::ZERO; strip * dim]);
    jobs.into_par_iter().for_each_init(buffers, |(tile, unit, by_unit), (rows, labels, sum, (by_rows, by_classes))| {
        let mut row_gradients = by_rows.chunks_mut(STRIP * dim);
        for (rows, labels) in rows.chunks(STRIP * dim).zip(labels.chunks(STRIP)) {
            let (tile, unit) = (&mut tile[..labels.len() * m], &mut unit[..rows.len()]);
            // A row of zeros is left as it is found.
            unit.fill(T::ZERO);
            run(Forth { x: rows, dim, unit });
            let (x, w) = (View::new(unit, labels.len(), dim), View::new(&unit_classes, m, dim));
            matmul(tile, x, w.t(), scale, false);
            *sum += run(Strip { tile, labels, scale, weight, margin: &margin });
            if let Some(gradient) = row_gradients.next() {
                let slopes = View::new(tile, labels.len(), m);
                let by_unit = &mut by_unit[..rows.len()];
                matmul(by_unit, slopes, w, scale, false);
                run(Back { x: rows, dim, upstream: by_unit, gradient });
                matmul(by_classes, slopes.t(), x, scale, true);
            }
        }
    });
    let mut of_classes = zeros("the class gradient", &sizes(m))?;
    let (first, others) = by_classes.split_at_mut(if gradient { m * dim } else { 0 });
    let classes =
        of_classes.par_chunks_mut(dim).zip(first.par_chunks_mut(dim)).zip(classes.par_chunks(dim)).enumerate();
    classes.with_min_len(MIN_CLASSES).for_each(|(class, ((gradient, sum), x))| {
        for share in others.chunks(m * dim) {
            add_scaled(sum, T::ONE, &share[class * dim..][..dim]);
        }
        run(Back { x, dim, upstream: sum, gradient });
    });
    Ok(MarginSoftmaxed { loss: T::of(sums.iter().sum::<f64>() * weight), rows: by_rows, classes: of_classes })
}

/// Overwrites scaled scores with the derivative of the weighted loss by them; gives the sum of the rows' losses.
struct Strip<'a, T, F> {
    tile: &'a mut [T],
    labels: &'a [usize],
    scale: T,
    weight: f64,
    margin: &'a F,
}

impl<T: Real, F: Fn(f64) -> (f64, f64)> Work for Strip<'_, T, F> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let scale = self.scale.f64();
        let mut total = 0.0;
        let classes = self.tile.len() / self.labels.len();
        for (scores, &label) in self.tile.chunks_mut(classes).zip(self.labels) {
            let (own, slope) = (self.margin)(scores[label].f64() / scale);
            // The own class is kept out of the sum: the loss is exact however small it is.
            scores[label] = T::NEG_INFINITY;
            let (largest, sum) = exponentials::<T, FMA>(scores);
            let others = largest.f64() + sum.f64().ln();
            let (value, by_gap) = softplus::<f64, false>(others - scale * own);
            total += value;
            let by = T::of(self.weight * by_gap / sum.f64());
            for score in &mut *scores {
                *score *= by;
            }
            scores[label] = T::of(-self.weight * by_gap * slope);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as f64 / (1u64 << 31) as f64 * 2.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Plain loops: one row after the other.
    fn loss(rows: &[f64], classes: &[f64], dim: usize, labels: &[usize], scale: f64) -> f64 {
        let of_row = |(x, &label): (&[f64], &usize)| {
            let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
            let cosine = |w: &[f64]| dot(x, w) / (dot(x, x) * dot(w, w)).sqrt();
            let scores = classes.chunks(dim).map(cosine).enumerate();
            let scores: Vec<f64> = scores.map(|(k, s)| scale * if k == label { margin(s).0 } else { s }).collect();
            scores.iter().map(|s| s.exp()).sum::<f64>().ln() - scores[label]
        };
        rows.chunks(dim).zip(labels).map(of_row).sum::<f64>() / labels.len() as f64
    }

    fn margin(s: f64) -> (f64, f64) {
        (s - 0.1 * s * s, 1.0 - 0.2 * s)
    }

    #[test]
    fn value_and_gradients_are_those_of_plain_loops_over_several_groups() {
        let (n, m, dim, scale) = (300, 5, 3, 2.0);
        let (rows, classes) = (numbers(1, n * dim), numbers(2, m * dim));
        let labels: Vec<usize> = (0..n).map(|i| i * i % m).collect();
        let found = margin_softmax(&rows, &classes, dim, &labels, scale, margin, true).unwrap();
        let value = margin_softmax(&rows, &classes, dim, &labels, scale, margin, false).unwrap();
        let expected = loss(&rows, &classes, dim, &labels, scale);
        assert!((found.loss - expected).abs() < 1e-13 && value.loss == found.loss, "{} {expected}", found.loss);
        assert!(value.rows.is_empty() && value.classes.is_empty());
        let step = 1e-5;
        let slope = |of: &dyn Fn(f64) -> f64| (of(step) - of(-step)) / (2.0 * step);
        for at in [0, 1, 400, n * dim - 1] {
            let moved = slope(&|by| {
                let mut rows = rows.clone();
                rows[at] += by;
                loss(&rows, &classes, dim, &labels, scale)
            });
            assert!((found.rows[at] - moved).abs() < 1e-9, "row {at}: {} against {moved}", found.rows[at]);
        }
        for at in 0..m * dim {
            let moved = slope(&|by| {
                let mut classes = classes.clone();
                classes[at] += by;
                loss(&rows, &classes, dim, &labels, scale)
            });
            assert!((found.classes[at] - moved).abs() < 1e-9, "class {at}: {} against {moved}", found.classes[at]);
        }
    }

    #[test]
    fn huge_scales_stay_finite_and_bad_sizes_are_errors() {
        let plain = |s: f64| (s, 1.0);
        let found = margin_softmax(&[1.0_f32, 0.0], &[1.0, 0.0, -1.0, 0.0], 2, &[1], 1e4, plain, true).unwrap();
        assert_eq!(found.loss, 2e4);
        assert!(found.rows.iter().chain(&found.classes).all(|x| x.is_finite()));
        for (labels, classes) in [(&[2][..], &[0.0; 4][..]), (&[], &[0.0; 4]), (&[0], &[0.0; 2]), (&[0, 1], &[0.0; 4])]
        {
            assert!(margin_softmax(&[1.0_f32, 0.0], classes, 2, labels, 1.0, plain, true).is_err());
        }
    }
}
