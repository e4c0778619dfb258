//! The Plackett-Luce model of rankings: the likelihood of an order of items under scores, weighted rank by rank.

mod order;
mod row;

pub use order::teacher_order;

use crate::error::{check_indices, check_matrix, check_vector, zeros};
use crate::simd::Level;
use crate::{KernelError, Real};
use order::Sorter;
use rayon::prelude::*;
use row::Row;

/// Rows that a thread takes at a time.
const ROWS: usize = 16;

/// How much each rank of an order counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RankWeights<'a> {
    /// The teacher's probability of the item at the rank, `softmax(teacher / temperature)`.
    Teacher {
        /// Flattens the weights; the order stays.
        temperature: f64,
    },
    /// `1 / items` at every rank.
    Uniform,
    /// 1 at every rank (ListMLE).
    ListMle,
    /// 1 at the first rank and 0 after it: cross-entropy.
    First,
    /// `2^(items - k) - 1` at rank `k = 1 ..= items` (position-aware ListMLE).
    Position,
    /// These numbers, one a rank, for every row.
    Custom(&'a [f64]),
}

/// The loss of every row, and the derivative of each in the row's scores.
#[derive(Debug, Clone, PartialEq)]
pub struct PlackettLuceLoss<T> {
    /// One number a row.
    pub losses: Vec<T>,
    /// `[rows, items]`: of row `i`'s loss in row `i`'s scores.
    pub gradient: Vec<T>,
}

/// The weighted Plackett-Luce loss of given orders.
///
/// ```text
/// loss_i = sum_k a_k (S_k - s_{pi_k}),        S_k = ln sum_{l >= k} exp(s_{pi_l})
/// ```
///
/// `s` are row `i`'s scores, `pi` its order (`order[i, k]` is the item at rank `k`), `a` its weights by rank, at least 0.
/// With weights of 1 the loss is minus the logarithm of the order's probability. One pass from the last rank to the first
/// and one back; rows in parallel. A row with a score that is infinite or NaN has loss and derivatives NaN.
///
/// Source: Plackett 1975; Luce 1959; Xia et al. 2008 (ListMLE).
///
/// # Errors
/// When lengths do not fit, there are no items, an order is not a permutation, or a weight is negative or not finite.
///
/// ```
/// use contrarian_kernels::plackett_luce::plackett_luce;
///
/// let loss = plackett_luce(&[2.0f64, 1.0, 0.0], 1, 3, &[0, 1, 2], &[1.0; 3])?;
/// let by_hand = (2f64.exp() + 1f64.exp() + 1.0).ln() - 2.0 + (1f64.exp() + 1.0).ln() - 1.0;
/// assert!((loss.losses[0] - by_hand).abs() < 1e-12);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
pub fn plackett_luce<T: Real>(
    scores: &[T],
    rows: usize,
    items: usize,
    order: &[u32],
    weights: &[T],
) -> Result<PlackettLuceLoss<T>, KernelError> {
    check_items(items)?;
    check_matrix("order", order, rows, items)?;
    check_matrix("weights", weights, rows, items)?;
    if let Some(at) = order.par_chunks(items).position_first(|row| !is_permutation(row)) {
        let allowed = format!("a permutation of the items 0 to {}", items - 1);
        return Err(KernelError::value("order", format!("row {at}"), allowed));
    }
    if let Some(at) = weights.par_iter().position_first(|&weight| !weight.is_finite() || weight < T::ZERO) {
        return Err(KernelError::value("weights", format!("{} at {at}", weights[at]), "finite and at least 0"));
    }
    over_rows(Level::current(), scores, rows, items, |row, buffers| {
        let of_row = row * items..(row + 1) * items;
        buffers.order.copy_from_slice(&order[of_row.clone()]);
        buffers.weights.copy_from_slice(&weights[of_row]);
    })
}

/// The Plackett-Luce loss of a student against the order of a teacher: [`plackett_luce`] with [`teacher_order`] and
/// [`rank_weights`], without holding either.
///
/// # Errors
/// Those of [`teacher_order`] and [`rank_weights`], and when `student` is not `[rows, items]`.
///
/// ```
/// use contrarian_kernels::plackett_luce::{RankWeights, plackett_luce_distillation};
///
/// let student = [0.5f64, -0.2, 1.3];
/// let teacher = [9.0, 1.0, 0.0];
/// let loss = plackett_luce_distillation(&student, &teacher, 1, 3, &[2], RankWeights::First)?;
/// let cross_entropy = student.iter().map(|s| s.exp()).sum::<f64>().ln() - student[2];
/// assert!((loss.losses[0] - cross_entropy).abs() < 1e-12);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
pub fn plackett_luce_distillation<T: Real>(
    student: &[T],
    teacher: &[T],
    rows: usize,
    items: usize,
    labels: &[usize],
    weights: RankWeights,
) -> Result<PlackettLuceLoss<T>, KernelError> {
    distillation_at(Level::current(), student, teacher, rows, items, labels, weights)
}

fn distillation_at<T: Real>(
    level: Level,
    student: &[T],
    teacher: &[T],
    rows: usize,
    items: usize,
    labels: &[usize],
    weights: RankWeights,
) -> Result<PlackettLuceLoss<T>, KernelError> {
    check_teacher(teacher, rows, items, labels)?;
    let weights = Weigher::<T>::new(weights, teacher, items)?;
    over_rows(level, student, rows, items, |row, buffers| {
        let teacher = &teacher[row * items..(row + 1) * items];
        buffers.sorter.sort(teacher, labels[row], &mut buffers.order);
        weights.fill(level, teacher, &buffers.order, &mut buffers.weights);
    })
}

/// The weights of every rank, `[rows, items]`, for an order of the teacher's classes (see [`teacher_order`]).
///
/// # Errors
/// When lengths do not fit, there are no items, the temperature is not positive and finite, custom weights are negative
/// or not finite, `2^(items - 1)` overflows, or a teacher's row has no class at all (all minus infinity).
pub fn rank_weights<T: Real>(
    weights: RankWeights,
    teacher: &[T],
    rows: usize,
    items: usize,
    order: &[u32],
) -> Result<Vec<T>, KernelError> {
    check_items(items)?;
    check_matrix("teacher", teacher, rows, items)?;
    check_matrix("order", order, rows, items)?;
    if let Some(at) = order.iter().position(|&item| item as usize >= items) {
        return Err(KernelError::value("order", format!("{} at {at}", order[at]), format!("below {items}")));
    }
    let weigher = Weigher::<T>::new(weights, teacher, items)?;
    let mut filled = zeros("rank weights", &[rows, items])?;
    filled
        .par_chunks_mut(items)
        .zip(teacher.par_chunks(items).zip(order.par_chunks(items)))
        .for_each(|(weights, (teacher, order))| weigher.fill(Level::current(), teacher, order, weights));
    Ok(filled)
}

/// What a thread needs for the row in its hands.
struct Buffers<T> {
    sorter: Sorter,
    order: Vec<u32>,
    weights: Vec<T>,
    row: Row<T>,
}

/// Loss and gradient of all rows; `prepare` fills in the order and the weights of one.
fn over_rows<T: Real>(
    level: Level,
    scores: &[T],
    rows: usize,
    items: usize,
    prepare: impl Fn(usize, &mut Buffers<T>) + Sync,
) -> Result<PlackettLuceLoss<T>, KernelError> {
    check_matrix("scores", scores, rows, items)?;
    let mut losses = zeros("losses", &[rows])?;
    let mut gradient = zeros("gradient", &[rows, items])?;
    let buffers = || Buffers {
        sorter: Sorter::default(),
        order: vec![0; items],
        weights: vec![T::ZERO; items],
        row: Row::new(items),
    };
    losses.par_chunks_mut(ROWS).zip(gradient.par_chunks_mut(ROWS * items)).enumerate().for_each_init(
        buffers,
        |buffers, (chunk, (losses, gradients))| {
            for (at, (loss, gradient)) in losses.iter_mut().zip(gradients.chunks_mut(items)).enumerate() {
                let row = chunk * ROWS + at;
                prepare(row, buffers);
                let scores = &scores[row * items..(row + 1) * items];
                *loss = buffers.row.evaluate(level, scores, &buffers.order, &buffers.weights, gradient);
            }
        },
    );
    Ok(PlackettLuceLoss { losses, gradient })
}

/// The weights by rank: the same for every row, or the teacher's.
enum Weigher<T> {
    Fixed(Vec<T>),
    Teacher(f64),
}

impl<T: Real> Weigher<T> {
    fn new(weights: RankWeights, teacher: &[T], items: usize) -> Result<Self, KernelError> {
        let fixed: Vec<f64> = match weights {
            RankWeights::Teacher { temperature } => {
                if !(temperature > 0.0 && temperature.is_finite()) {
                    return Err(KernelError::value("temperature", temperature, "above 0 and finite"));
                }
                let empty = |row: &[T]| row.iter().all(|&logit| logit == T::NEG_INFINITY);
                if let Some(row) = teacher.par_chunks(items).position_first(empty) {
                    let allowed = "above minus infinity for at least one class";
                    return Err(KernelError::value("teacher", format!("minus infinity in all of row {row}"), allowed));
                }
                return Ok(Self::Teacher(temperature));
            }
            RankWeights::Uniform => vec![1.0 / items as f64; items],
            RankWeights::ListMle => vec![1.0; items],
            RankWeights::First => std::iter::once(1.0).chain(std::iter::repeat_n(0.0, items - 1)).collect(),
            RankWeights::Position => (1..=items).map(|k| 2f64.powi((items - k) as i32) - 1.0).collect(),
            RankWeights::Custom(numbers) => {
                check_vector("weights", numbers, items, "rank")?;
                numbers.to_vec()
            }
        };
        let fixed: Vec<T> = fixed.into_iter().map(T::of).collect();
        if let Some(rank) = fixed.iter().position(|&weight| !weight.is_finite() || weight < T::ZERO) {
            let value = format!("{} at rank {}", fixed[rank], rank + 1);
            return Err(KernelError::value("weights", value, "finite and at least 0"));
        }
        Ok(Self::Fixed(fixed))
    }

    fn fill(&self, level: Level, teacher: &[T], order: &[u32], weights: &mut [T]) {
        match self {
            Self::Fixed(fixed) => weights.copy_from_slice(fixed),
            Self::Teacher(temperature) => row::softmax_in_order(level, teacher, *temperature, order, weights),
        }
    }
}

fn check_items(items: usize) -> Result<(), KernelError> {
    if items > 0 { Ok(()) } else { Err(KernelError::value("items", 0, "at least 1")) }
}

fn check_teacher<T: Real>(teacher: &[T], rows: usize, items: usize, labels: &[usize]) -> Result<(), KernelError> {
    check_items(items)?;
    check_matrix("teacher", teacher, rows, items)?;
    check_vector("labels", labels, rows, "row")?;
    check_indices("labels", labels, items)?;
    let bad = |&logit: &T| !logit.is_finite() && logit != T::NEG_INFINITY;
    match teacher.par_iter().position_first(bad) {
        None => Ok(()),
        Some(at) => {
            let value = format!("{} in row {}, class {}", teacher[at], at / items, at % items);
            Err(KernelError::value("teacher", value, "finite or minus infinity"))
        }
    }
}

fn is_permutation(row: &[u32]) -> bool {
    let mut seen = vec![false; row.len()];
    row.iter().all(|&item| seen.get_mut(item as usize).is_some_and(|seen| !std::mem::replace(seen, true)))
}

#[cfg(test)]
mod tests;
