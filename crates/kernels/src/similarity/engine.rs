use super::row::RowFunction;
use super::{Scores, add_scaled};
use crate::Real;
use crate::error::{KernelError, zeros};
use crate::matmul::{View, matmul};
use crate::simd::{Work, run};
use rayon::prelude::*;

/// Rows scored at a time.
pub(super) const STRIP: usize = 128;
/// Columns in a block at most: with a strip of rows, a block of scores stays in a core's second-level cache.
const BLOCK: usize = 512;
/// Few columns are cut into this many blocks, each with something to do for a thread.
const SHARES: usize = 4;
/// Columns in a block at least, where there are as many: a product with fewer is slow.
const SMALLEST_BLOCK: usize = 64;
/// Columns are cut into at most this many parts of whole blocks; a part is what a thread takes.
const PARTS: usize = 32;

/// Gradients of `sum_i value_i` (each row's value as its function weighs it) by the inputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradients<T> {
    /// By the rows, `[n, dim]`.
    pub rows: Vec<T>,
    /// By the columns, `[m, dim]`; empty where they were not asked for.
    pub columns: Vec<T>,
    /// By the row bias, `[n]`; empty where sums were not asked for.
    pub row_sums: Vec<T>,
    /// By the column bias, `[m]`; empty where sums were not asked for.
    pub column_sums: Vec<T>,
}

/// Which gradients a pass makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Values only.
    Values,
    /// The gradient by the rows: all there is to know where rows and columns are the same and scores symmetric.
    Rows,
    /// The gradients by rows and columns.
    Both,
}

/// The value of every row, what its function found out about it, and the gradients.
pub(crate) type Found<T, W> = Result<(Vec<T>, Vec<W>, Gradients<T>), KernelError>;

/// One pass over all strips.
pub(crate) struct Pass<'a, T, F> {
    pub scores: Scores<'a, T>,
    pub function: &'a F,
    pub wanted: Wanted,
    /// Whether sums of the derivatives over rows and columns are wanted too.
    pub sums: bool,
}

/// A run of whole column blocks with all that belongs to it.
struct Part<'a, T, P> {
    /// First column.
    first: usize,
    /// Columns in a block; the last may have fewer.
    block: usize,
    /// Its columns.
    columns: &'a [T],
    bias: Option<&'a [T]>,
    /// Scores, block after block, each block row-major.
    tiles: &'a mut [T],
    /// A summary for every row of every block, block after block.
    pieces: &'a mut [P],
    /// This part's share of the strip's row gradient.
    row_share: &'a mut [T],
    /// This part's share of the strip's row sums.
    sum_share: &'a mut [T],
    column_gradient: &'a mut [T],
    column_sums: &'a mut [T],
}

impl<T: Real, F: RowFunction<T>> Pass<'_, T, F> {
    /// The value of every row, what its function found out about it, and the gradients.
    pub fn run(&self) -> Found<T, F::Whole> {
        let Scores { n, m, dim, .. } = self.scores;
        let strip = STRIP.min(n);
        // By the sizes alone: results are the same for any number of threads.
        let block = m.div_ceil(SHARES).next_multiple_of(SMALLEST_BLOCK).min(BLOCK);
        let blocks = m.div_ceil(block);
        let width = blocks.div_ceil(PARTS) * block;
        let parts = m.div_ceil(width);
        let gradient = self.wanted != Wanted::Values;

        let mut gradients = Gradients {
            rows: zeros("the row gradient", &[if gradient { n } else { 0 }, dim])?,
            columns: zeros("the column gradient", &[if self.wanted == Wanted::Both { m } else { 0 }, dim])?,
            row_sums: zeros("the row sums", &[if self.sums { n } else { 0 }])?,
            column_sums: zeros("the column sums", &[if self.sums { m } else { 0 }])?,
        };
        let mut values = zeros("the values", &[n])?;
        let mut wholes = vec![F::Whole::default(); n];
        let mut tiles: Vec<T> = zeros("a strip of scores", &[strip, m])?;
        let mut pieces = vec![F::Piece::default(); strip * blocks];
        let mut row_shares = zeros("the shares of a strip", &[if gradient { parts } else { 0 }, strip, dim])?;
        let mut sum_shares = zeros("the shares of the row sums", &[if self.sums { parts } else { 0 }, strip])?;

        for first_row in (0..n).step_by(strip) {
            let rows = strip.min(n - first_row);
            let strip_rows = &self.scores.rows[first_row * dim..][..rows * dim];
            // Every buffer is cut the same way; those that are not wanted are empty, and so are their cuts.
            let columns = self.scores.columns.chunks(width * dim);
            let mut column_gradients = gradients.columns.chunks_mut(width * dim);
            let mut column_sums = gradients.column_sums.chunks_mut(width);
            let mut row_shares_left = row_shares.chunks_mut(strip * dim);
            let mut sum_shares_left = sum_shares.chunks_mut(strip);
            let mut biases = self.scores.column_bias.map(|bias| bias.chunks(width));
            let mut all: Vec<Part<T, F::Piece>> = columns
                .zip(tiles.chunks_mut(strip * width))
                .zip(pieces.chunks_mut(strip * width / block))
                .enumerate()
                .map(|(index, ((columns, tiles), pieces))| Part {
                    first: index * width,
                    block,
                    columns,
                    bias: biases.as_mut().and_then(Iterator::next),
                    tiles,
                    pieces,
                    row_share: row_shares_left.next().unwrap_or_default(),
                    sum_share: sum_shares_left.next().unwrap_or_default(),
                    column_gradient: column_gradients.next().unwrap_or_default(),
                    column_sums: column_sums.next().unwrap_or_default(),
                })
                .collect();

            let keeps = self.function.keep(m).is_some();
            all.par_iter_mut().for_each(|part| {
                self.score(part, first_row, strip_rows);
                if !keeps {
                    self.summarise(part, first_row, rows, &[]);
                }
            });
            if keeps {
                let thresholds: Vec<T> = (0..rows).into_par_iter().map(|row| self.threshold(&all, rows, row)).collect();
                all.par_iter_mut().for_each(|part| self.summarise(part, first_row, rows, &thresholds));
            }
            let mut of_row = Vec::with_capacity(blocks);
            for row in 0..rows {
                of_row.clear();
                for part in &all {
                    of_row.extend(part.pieces.chunks(rows).take(part.blocks(dim)).map(|pieces| pieces[row]));
                }
                let (value, whole) = self.function.finish(first_row + row, &of_row);
                values[first_row + row] = value;
                wholes[first_row + row] = whole;
            }
            if !gradient {
                continue;
            }
            let wholes = &wholes[first_row..][..rows];
            all.par_iter_mut().for_each(|part| self.differentiate(part, first_row, strip_rows, wholes));
            drop(all);
            gradients.rows[first_row * dim..][..rows * dim].par_chunks_mut(dim).enumerate().for_each(
                |(row, target)| {
                    for share in row_shares.chunks(strip * dim) {
                        add_scaled(target, T::ONE, &share[row * dim..][..dim]);
                    }
                },
            );
            for share in sum_shares.chunks(strip) {
                add_scaled(&mut gradients.row_sums[first_row..][..rows], T::ONE, &share[..rows]);
            }
        }
        Ok((values, wholes, gradients))
    }

    /// Scores of the strip against a part's columns, with the excluded ones at minus infinity.
    fn score(&self, part: &mut Part<T, F::Piece>, first_row: usize, rows: &[T]) {
        let Scores { dim, scale, row_bias, .. } = self.scores;
        let count = rows.len() / dim;
        for (block, columns) in part.columns.chunks(part.block * dim).enumerate() {
            let width = columns.len() / dim;
            let tile = &mut part.tiles[block * part.block * count..][..count * width];
            matmul(tile, View::new(rows, count, dim), View::new(columns, width, dim).t(), scale, false);
            if row_bias.is_some() || part.bias.is_some() {
                let bias = part.bias.map(|bias| &bias[block * part.block..][..width]);
                for (row, tile) in tile.chunks_mut(width).enumerate() {
                    let own = row_bias.map_or(T::ZERO, |bias| bias[first_row + row]);
                    match bias {
                        Some(bias) => tile.iter_mut().zip(bias).for_each(|(score, &bias)| *score += own + bias),
                        None => tile.iter_mut().for_each(|score| *score += own),
                    }
                }
            }
            let first = part.first + block * part.block;
            for row in 0..count {
                for column in self.function.excluded(first_row + row) {
                    if (first..first + width).contains(&column) {
                        tile[row * width + column - first] = T::NEG_INFINITY;
                    }
                }
            }
        }
    }

    /// The smallest score of a row that is kept.
    fn threshold(&self, parts: &[Part<T, F::Piece>], rows: usize, row: usize) -> T {
        let mut scores = Vec::with_capacity(self.scores.m);
        for part in parts {
            part.each_block(self.scores.dim, rows, |_, width, tile| {
                scores.extend(tile[row * width..][..width].iter().copied().filter(|&score| score > T::NEG_INFINITY));
            });
        }
        match self.function.keep(scores.len()) {
            Some(keep) if keep < scores.len() => {
                let at = scores.len() - keep;
                let (_, &mut kept, _) =
                    scores.select_nth_unstable_by(at, |a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
                kept
            }
            _ => T::NEG_INFINITY,
        }
    }

    fn summarise(&self, part: &mut Part<T, F::Piece>, first_row: usize, rows: usize, thresholds: &[T]) {
        let dim = self.scores.dim;
        let total = part.columns.len() / dim;
        let blocks = part.blocks(dim);
        for (block, pieces) in part.pieces.chunks_mut(rows).take(blocks).enumerate() {
            let width = part.block.min(total - block * part.block);
            let tile = &mut part.tiles[block * part.block * rows..][..rows * width];
            let first = part.first + block * part.block;
            run(Summarise { function: self.function, tile, width, first, first_row, pieces, thresholds });
        }
    }

    fn differentiate(&self, part: &mut Part<T, F::Piece>, first_row: usize, rows: &[T], wholes: &[F::Whole]) {
        let Scores { dim, scale, .. } = self.scores;
        let count = rows.len() / dim;
        part.sum_share.fill(T::ZERO);
        for (block, columns) in part.columns.chunks(part.block * dim).enumerate() {
            let width = columns.len() / dim;
            let tile = &mut part.tiles[block * part.block * count..][..count * width];
            let pieces = &part.pieces[block * count..][..count];
            let first = part.first + block * part.block;
            run(Differentiate { function: self.function, tile: &mut *tile, width, first, first_row, pieces, wholes });
            if self.sums {
                let column_sums = &mut part.column_sums[block * part.block..][..width];
                for (row, tile) in tile.chunks(width).enumerate() {
                    part.sum_share[row] += tile.iter().copied().sum();
                    add_scaled(column_sums, T::ONE, tile);
                }
            }
            let tile = View::new(tile, count, width);
            let share = &mut part.row_share[..count * dim];
            matmul(share, tile, View::new(columns, width, dim), scale, block > 0);
            if self.wanted == Wanted::Both {
                let target = &mut part.column_gradient[block * part.block * dim..][..width * dim];
                matmul(target, tile.t(), View::new(rows, count, dim), scale, true);
            }
        }
    }
}

impl<T, P> Part<'_, T, P> {
    fn blocks(&self, dim: usize) -> usize {
        self.columns.len().div_ceil(self.block * dim)
    }

    /// Calls `f(first column, width, tile)` for every block.
    fn each_block(&self, dim: usize, rows: usize, mut f: impl FnMut(usize, usize, &[T])) {
        let total = self.columns.len() / dim;
        for block in 0..self.blocks(dim) {
            let width = self.block.min(total - block * self.block);
            f(self.first + block * self.block, width, &self.tiles[block * self.block * rows..][..rows * width]);
        }
    }
}

struct Summarise<'a, T, F: RowFunction<T>>
where
    T: Real,
{
    function: &'a F,
    tile: &'a mut [T],
    width: usize,
    first: usize,
    first_row: usize,
    pieces: &'a mut [F::Piece],
    thresholds: &'a [T],
}

impl<T: Real, F: RowFunction<T>> Work for Summarise<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (row, (scores, piece)) in self.tile.chunks_exact_mut(self.width).zip(self.pieces).enumerate() {
            if let Some(&threshold) = self.thresholds.get(row) {
                for score in &mut *scores {
                    *score = if *score < threshold { T::NEG_INFINITY } else { *score };
                }
            }
            *piece = self.function.summarise::<FMA>(self.first_row + row, self.first, scores);
        }
    }
}

struct Differentiate<'a, T, F: RowFunction<T>>
where
    T: Real,
{
    function: &'a F,
    tile: &'a mut [T],
    width: usize,
    first: usize,
    first_row: usize,
    pieces: &'a [F::Piece],
    wholes: &'a [F::Whole],
}

impl<T: Real, F: RowFunction<T>> Work for Differentiate<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.tile.chunks_exact_mut(self.width).zip(self.pieces).zip(self.wholes);
        for (row, ((scores, &piece), &whole)) in rows.enumerate() {
            self.function.gradient::<FMA>(self.first_row + row, self.first, scores, piece, whole);
        }
    }
}
