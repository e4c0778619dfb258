use super::{PairReduction, PairwiseLoss, Sorted, check_scores, excess, not_a_number};
use crate::simd::{self, LANES, Level, Work};
use crate::{KernelError, Real};
use rayon::prelude::*;
use std::ops::Range;

/// Most negatives of a block. A product of as many factors `1 + e^-|x|` a lane stays far from overflow.
const BLOCK: usize = 512;
/// Most positives of a group.
const GROUP: usize = 64;
/// Most temperatures between the ends of a block or a group: exponentials within stay far from overflow in f32.
const WIDTH: f64 = 20.0;
/// Groups of which partial sums are held at the same time: bounds the memory.
const GROUPS_AT_ONCE: usize = 64;

/// The Mann-Whitney loss: softplus of all differences between negatives and positives, a smooth bound of `1 - AUC`.
///
/// ```text
/// loss = w sum_i sum_k softplus((n_k - p_i) / temperature),        w from the reduction
/// ```
///
/// With scores sorted, a pair's `e^(n - p)` is the product of two numbers of its block, so there are exponentials of single
/// scores only. Pairs that are so far apart that only their linear part counts, or nothing, are not looked at one by one:
/// `O((P + N) log(P + N))` and a few operations for every pair within that distance, `O(P + N)` memory.
/// Sums over blocks are in f64. NaN where a score is infinite or NaN.
///
/// Source: Sheikholeslami et al. 2025, <https://arxiv.org/abs/2510.00137>.
///
/// # Errors
/// When a side is empty or the temperature is not positive and finite.
///
/// ```
/// use contrarian_kernels::pairwise::{PairReduction, mann_whitney};
///
/// let loss = mann_whitney(&[0.9f32, 0.7], &[0.1, 0.8, 0.3], 0.1, PairReduction::MeanPairs)?;
/// assert!((loss.value - 0.27499).abs() < 1e-4);
/// assert!(loss.gradient_negatives[1] > loss.gradient_negatives[0], "the hard negative is pushed down most");
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
pub fn mann_whitney<T: Real>(
    positives: &[T],
    negatives: &[T],
    temperature: f64,
    reduction: PairReduction,
) -> Result<PairwiseLoss<T>, KernelError> {
    at_level(Level::current(), positives, negatives, temperature, reduction)
}

pub(super) fn at_level<T: Real>(
    level: Level,
    positives: &[T],
    negatives: &[T],
    temperature: f64,
    reduction: PairReduction,
) -> Result<PairwiseLoss<T>, KernelError> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(KernelError::value("temperature", temperature, "above 0 and finite"));
    }
    if !check_scores(positives, negatives)? {
        return Ok(not_a_number(positives.len(), negatives.len()));
    }
    let weight = reduction.weight(positives.len(), negatives.len());
    let positives = Sorted::new("positives", positives)?;
    let negatives = Sorted::new("negatives", negatives)?;
    // The larger side is cut into the blocks that threads share. Negating and exchanging the sides changes no difference.
    let exchanged = positives.order.len() > negatives.order.len();
    let (few, many) = if exchanged { (negatives.negated(), positives.negated()) } else { (positives, negatives) };
    let sums = pair_sums::<T>(level, &few.values, &many.values, temperature)?;
    let by = weight / temperature;
    let few = few.restore(sums.rows.into_iter().map(|sum| if exchanged { by * sum } else { -by * sum }));
    let many = many.restore(sums.columns.into_iter().map(|sum| if exchanged { -by * sum } else { by * sum }));
    let (gradient_positives, gradient_negatives) = if exchanged { (many, few) } else { (few, many) };
    Ok(PairwiseLoss { value: weight * sums.value, gradient_positives, gradient_negatives })
}

/// Sums over pairs of `softplus(x)`, and for every positive and every negative of `sigmoid(x)`.
struct Sums {
    value: f64,
    rows: Vec<f64>,
    columns: Vec<f64>,
}

fn pair_sums<T: Real>(
    level: Level,
    positives: &[f64],
    negatives: &[f64],
    temperature: f64,
) -> Result<Sums, KernelError> {
    // softplus(x) = max(x, 0) + ln(1 + e^-|x|). The first part is a hinge.
    let linear: f64 = excess(negatives, positives).map(|below| below.distances).sum();
    let mut value = linear / temperature;
    let mut rows = crate::error::zeros("sums over negatives", &[positives.len()])?;
    let mut columns = crate::error::zeros("sums over positives", &[negatives.len()])?;

    // Above `upper`, e^-x is nothing beside x and the sigmoid is 1. Below `lower`, all pairs together are nothing beside
    // the largest.
    let upper = if size_of::<T>() == 4 { 17.0 } else { 37.0 };
    let largest = (negatives[negatives.len() - 1] - positives[0]) / temperature;
    let pairs = positives.len() as f64 * negatives.len() as f64;
    let lower = largest.min(0.0) - upper - pairs.ln();

    let blocks = cut(negatives, BLOCK, WIDTH * temperature);
    let groups = cut(positives, GROUP, WIDTH * temperature);
    // Blocks that each group meets one pair at a time: both ends rise from group to group.
    let near: Vec<Range<usize>> = groups
        .iter()
        .map(|group| {
            let (first, last) = (positives[group.start], positives[group.end - 1]);
            let start = blocks.partition_point(|block| (negatives[block.end - 1] - first) / temperature < lower);
            let end = blocks.partition_point(|block| (negatives[block.start] - last) / temperature <= upper);
            start..end.max(start)
        })
        .collect();
    for (group, near) in groups.iter().zip(&near) {
        let above = blocks.get(near.end).map_or(0, |block| negatives.len() - block.start);
        rows[group.clone()].fill(above as f64);
    }
    for (index, block) in blocks.iter().enumerate() {
        let below = near.partition_point(|near| near.end <= index);
        let below = below.checked_sub(1).map_or(0, |group| groups[group].end);
        columns[block.clone()].fill(below as f64);
    }

    for (groups, near) in groups.chunks(GROUPS_AT_ONCE).zip(near.chunks(GROUPS_AT_ONCE)) {
        let touched = near[0].start..near[near.len() - 1].end;
        let parts: Vec<Part> = touched
            .into_par_iter()
            .map(|index| {
                let first = near.partition_point(|near| near.end <= index);
                let last = near.partition_point(|near| near.start <= index).max(first);
                block_sums::<T>(level, positives, &groups[first..last], &negatives[blocks[index].clone()], temperature)
                    .at(blocks[index].start)
            })
            .collect();
        for part in parts {
            value += part.value;
            add(&mut rows[part.first_row..], &part.rows);
            add(&mut columns[part.first_column..], &part.columns);
        }
    }
    Ok(Sums { value, rows, columns })
}

fn add(to: &mut [f64], numbers: &[f64]) {
    to.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

/// Cuts ascending numbers into ranges of at most `most` numbers, the ends of each at most `width` apart.
fn cut(values: &[f64], most: usize, width: f64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < values.len() {
        let candidates = &values[start..values.len().min(start + most)];
        // The first is within any width, also where the difference of infinities of rounding is not.
        let end = start + candidates.partition_point(|value| value - values[start] <= width).max(1);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// The sums of one block of negatives over consecutive groups of positives.
struct Part {
    value: f64,
    first_row: usize,
    rows: Vec<f64>,
    first_column: usize,
    columns: Vec<f64>,
}

impl Part {
    fn at(self, first_column: usize) -> Self {
        Self { first_column, ..self }
    }
}

fn block_sums<T: Real>(
    level: Level,
    positives: &[f64],
    groups: &[Range<usize>],
    block: &[f64],
    temperature: f64,
) -> Part {
    let first_row = groups.first().map_or(0, |group| group.start);
    let end_row = groups.last().map_or(0, |group| group.end);
    let mut rows = vec![0.0; end_row - first_row];
    let mut columns = vec![0.0; block.len()];
    let mut value = 0.0;
    // x = (n - c)/temperature + (c - p)/temperature, with c the first of the block.
    let padded = block.len().next_multiple_of(LANES);
    // Where the block is filled up, e^x = 0 adds nothing.
    let (mut up, mut down) = (vec![T::ZERO; padded], vec![T::ONE; padded]);
    for (k, negative) in block.iter().enumerate() {
        let e = ((negative - block[0]) / temperature).exp();
        (up[k], down[k]) = (T::of(e), T::of(1.0 / e));
    }
    let mut positive_factors = Vec::with_capacity(GROUP);
    let mut column_sums = vec![T::ZERO; padded];
    for group in groups {
        positive_factors.clear();
        positive_factors.extend(positives[group.clone()].iter().map(|positive| {
            let e = ((block[0] - positive) / temperature).exp();
            (T::of(e), T::of(1.0 / e))
        }));
        column_sums.fill(T::ZERO);
        value += simd::run_at(
            level,
            Tile {
                up: &up,
                down: &down,
                positives: &positive_factors,
                rows: &mut rows[group.start - first_row..group.end - first_row],
                columns: &mut column_sums,
            },
        );
        columns.iter_mut().zip(&column_sums).for_each(|(sum, number)| *sum += number.f64());
    }
    Part { value, first_row, rows, first_column: 0, columns }
}

/// All pairs of a group and a block: returns the sum of `ln(1 + e^-|x|)` and adds up `sigmoid(x)`.
struct Tile<'a, T> {
    /// `e^x`'s factor of every negative.
    up: &'a [T],
    /// `e^-x`'s factor of every negative.
    down: &'a [T],
    /// Both factors of every positive.
    positives: &'a [(T, T)],
    /// Sum of the sigmoid for every positive.
    rows: &'a mut [f64],
    /// Sum of the sigmoid for every negative.
    columns: &'a mut [T],
}

impl<T: Real> Work for Tile<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut value = 0.0;
        for (&(v, w), sum) in self.positives.iter().zip(self.rows) {
            let mut row = [T::ZERO; LANES];
            // The product of the factors 1 + e^-|x|, less 1: small ones keep their digits, and one logarithm serves all.
            let mut product = [T::ZERO; LANES];
            let negatives = self.up.chunks_exact(LANES).zip(self.down.chunks_exact(LANES));
            for ((up, down), column) in negatives.zip(self.columns.chunks_exact_mut(LANES)) {
                for l in 0..LANES {
                    let e = up[l] * v;
                    let small = e.smaller(down[l] * w);
                    let sigmoid = e / (T::ONE + e);
                    row[l] += sigmoid;
                    column[l] += sigmoid;
                    product[l] = product[l].mul_add::<FMA>(small, product[l] + small);
                }
            }
            for l in 0..LANES {
                value += product[l].ln_1p::<FMA>().f64();
                *sum += row[l].f64();
            }
        }
        value
    }
}
