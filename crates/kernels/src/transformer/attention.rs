use crate::Real;
use crate::simd::{LANES, Work, run};

/// Queries at a time: with [`LANES`] keys for each, the sums fill the registers of AVX2.
const QUERIES: usize = 6;

/// What every token attends to, in its sequence and by head: `softmax(q k' / sqrt(size)) v`.
pub(super) struct Attention<'a> {
    /// `[tokens, 3 hidden]`: queries, keys and values, still without bias.
    pub projected: &'a [f32],
    /// `[3 hidden]`.
    pub bias: &'a [f32],
    /// Tokens of every sequence.
    pub lengths: &'a [usize],
    /// Number of heads.
    pub heads: usize,
    /// `[tokens, hidden]`.
    pub out: &'a mut [f32],
}

impl Attention<'_> {
    /// Writes `out`.
    pub fn write(self) {
        let hidden = self.bias.len() / 3;
        let size = hidden / self.heads;
        let longest = self.lengths.iter().max().map_or(0, |length| length.next_multiple_of(LANES));
        let mut keys = vec![0.0; longest * size];
        let mut values = vec![0.0; longest * size.next_multiple_of(LANES)];
        let mut queries = vec![0.0; QUERIES * size];
        let mut weights = vec![0.0; QUERIES * longest];
        let mut start = 0;
        for &length in self.lengths.iter().filter(|&&length| length > 0) {
            let tokens = &self.projected[start * 3 * hidden..(start + length) * 3 * hidden];
            let out = &mut self.out[start * hidden..(start + length) * hidden];
            let padded = length.next_multiple_of(LANES);
            for head in 0..self.heads {
                // Part 0 are the queries, 1 the keys, 2 the values.
                let part = |part: usize| part * hidden + head * size;
                let keys = &mut keys[..padded * size];
                panels_of_keys(keys, tokens, self.bias, part(1), size);
                let values = &mut values[..padded * size.next_multiple_of(LANES)];
                panels_of_values(values, tokens, self.bias, part(2), size);
                let weights = &mut weights[..QUERIES * padded];
                let blocks = tokens.chunks(QUERIES * 3 * hidden).zip(out.chunks_mut(QUERIES * hidden));
                for (tokens, out) in blocks {
                    scaled_queries(&mut queries, tokens, self.bias, part(0), size);
                    for (place, panel) in keys.chunks_exact(size * LANES).enumerate() {
                        let scores = run(Tile { rows: &queries, panel });
                        for (row, scores) in weights.chunks_exact_mut(padded).zip(&scores) {
                            row[place * LANES..][..LANES].copy_from_slice(scores);
                        }
                    }
                    let mut totals = [0.0; QUERIES];
                    for (row, total) in weights.chunks_exact_mut(padded).zip(&mut totals) {
                        row[length..].fill(f32::NEG_INFINITY);
                        *total = run(Exponentials { row });
                    }
                    for (place, panel) in values.chunks_exact(padded * LANES).enumerate() {
                        let sums = run(Tile { rows: weights, panel });
                        let from = head * size + place * LANES;
                        let count = LANES.min(size - place * LANES);
                        for ((row, sums), total) in out.chunks_exact_mut(hidden).zip(&sums).zip(totals) {
                            for (out, sum) in row[from..from + count].iter_mut().zip(sums) {
                                *out = sum / total;
                            }
                        }
                    }
                }
            }
            start += length;
        }
    }
}

/// `[QUERIES, steps]` rows times a `[steps, LANES]` panel. Work of its own, so that the compiler sees a small function: in a
/// large one it does not always keep the sums in registers.
struct Tile<'a> {
    rows: &'a [f32],
    panel: &'a [f32],
}

impl Work for Tile<'_> {
    type Output = [[f32; LANES]; QUERIES];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let (panel, _) = self.panel.as_chunks::<LANES>();
        let steps = panel.len();
        let rows: [&[f32]; QUERIES] = std::array::from_fn(|row| &self.rows[row * steps..(row + 1) * steps]);
        let mut sums = [[0.0; LANES]; QUERIES];
        for (step, panel) in panel.iter().enumerate() {
            for row in 0..QUERIES {
                let x = rows[row][step];
                for lane in 0..LANES {
                    sums[row][lane] = Real::mul_add::<FMA>(x, panel[lane], sums[row][lane]);
                }
            }
        }
        sums
    }
}

/// The keys of a head as panels of [`LANES`] tokens, `[size][LANES]` each; zeros behind the last token.
fn panels_of_keys(panels: &mut [f32], tokens: &[f32], bias: &[f32], from: usize, size: usize) {
    let bias_of_head = &bias[from..from + size];
    let width = bias.len();
    for (panel, tokens) in panels.chunks_exact_mut(size * LANES).zip(tokens.chunks(width * LANES)) {
        panel.fill(0.0);
        for (lane, token) in tokens.chunks_exact(width).enumerate() {
            let key = token[from..from + size].iter().zip(bias_of_head);
            for ((x, bias), panel) in key.zip(panel.chunks_exact_mut(LANES)) {
                panel[lane] = x + bias;
            }
        }
    }
}

/// The values of a head as panels of [`LANES`] features, `[length][LANES]` each, with `length` rounded up; zeros behind the
/// last token and the last feature.
fn panels_of_values(panels: &mut [f32], tokens: &[f32], bias: &[f32], from: usize, size: usize) {
    let padded = panels.len() / size.next_multiple_of(LANES);
    panels.fill(0.0);
    for (place, panel) in panels.chunks_exact_mut(padded * LANES).enumerate() {
        let features = from + place * LANES..from + size.min((place + 1) * LANES);
        let bias_of_panel = &bias[features.clone()];
        for (panel, token) in panel.chunks_exact_mut(LANES).zip(tokens.chunks_exact(bias.len())) {
            for ((out, x), bias) in panel.iter_mut().zip(&token[features.clone()]).zip(bias_of_panel) {
                *out = x + bias;
            }
        }
    }
}

/// The queries of a few tokens, divided by the root of their size; rows behind the last token keep what they had.
fn scaled_queries(queries: &mut [f32], tokens: &[f32], bias: &[f32], from: usize, size: usize) {
    let scale = 1.0 / (size as f32).sqrt();
    let bias_of_head = &bias[from..from + size];
    for (query, token) in queries.chunks_exact_mut(size).zip(tokens.chunks_exact(bias.len())) {
        for ((query, x), bias) in query.iter_mut().zip(&token[from..from + size]).zip(bias_of_head) {
            *query = (x + bias) * scale;
        }
    }
}

/// `e^(x - largest)` of a row in place, and their sum.
struct Exponentials<'a> {
    row: &'a mut [f32],
}

impl Work for Exponentials<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f32 {
        let (blocks, _) = self.row.as_chunks_mut::<LANES>();
        let mut largest = [f32::NEG_INFINITY; LANES];
        for block in &*blocks {
            for lane in 0..LANES {
                largest[lane] = block[lane].larger(largest[lane]);
            }
        }
        let largest = largest.into_iter().fold(f32::NEG_INFINITY, Real::larger);
        let mut sums = [0.0; LANES];
        for block in blocks {
            for lane in 0..LANES {
                block[lane] = Real::exp::<FMA>(block[lane] - largest);
                sums[lane] += block[lane];
            }
        }
        sums.into_iter().sum()
    }
}
