use crate::KernelError;
use crate::error::check_matrix;
use crate::simd::run;
use crate::top_products::{Best, Look};
use rayon::prelude::*;

/// Rows that a step multiplies at once.
const GROUP: usize = 64;
/// Queries that a step multiplies at once: with four registers of rows they fill the 32 of AVX-512.
const TOGETHER: usize = 6;
/// Queries a thread takes at a time.
const QUERIES: usize = 96;
/// Numbers that one instruction multiplies and adds up.
const WORD: usize = 4;

/// Rows in 8 bits, for search by inner products: a first look at a quarter of the memory, and several times as fast as in 32 bits
/// where the processor multiplies bytes (AVX-512 VNNI).
///
/// Each row is scaled by its largest absolute value to whole numbers in `-127..=127`. A product of unit vectors is then off by about
/// .0005 at 384 numbers, so that a search with twice as many candidates, scored again in full, finds nearly all of the best; how many
/// is for the caller to measure.
#[derive(Debug, Clone)]
pub struct QuantizedRows {
    dim: usize,
    rows: usize,
    /// By groups of rows, then words of a row, then rows, then bytes of a word. Rows that fill up the last group are zeros.
    bytes: Vec<i8>,
    /// What a unit of each row is worth.
    scales: Vec<f32>,
    /// 128 times the sum of each row: what shifting the queries' bytes to whole numbers from 0 on adds to a product.
    shifts: Vec<i32>,
}

impl QuantizedRows {
    /// Whether this processor has the instructions that make this faster than products in full.
    pub fn is_fast() -> bool {
        vnni()
    }

    /// From a row-major matrix `[n, dim]`.
    ///
    /// # Errors
    /// When the matrix is not a whole number of rows.
    pub fn new(data: &[f32], dim: usize) -> Result<Self, KernelError> {
        if dim == 0 {
            return Err(KernelError::value("dim", dim, "at least 1"));
        }
        let rows = data.len() / dim;
        check_matrix("data", data, rows, dim)?;
        let words = dim.div_ceil(WORD);
        let groups = rows.div_ceil(GROUP);
        let mut packed = Self {
            dim,
            rows,
            bytes: vec![0; groups * words * GROUP * WORD],
            scales: vec![0.0; groups * GROUP],
            shifts: vec![0; groups * GROUP],
        };
        let of_group = (packed.bytes.par_chunks_mut(words * GROUP * WORD))
            .zip(packed.scales.par_chunks_mut(GROUP).zip(packed.shifts.par_chunks_mut(GROUP)));
        of_group.zip(data.par_chunks(GROUP * dim)).for_each(|((bytes, (scales, shifts)), data)| {
            for (at, row) in data.chunks(dim).enumerate() {
                let scale = quantize(row, |place, value| {
                    bytes[(place / WORD * GROUP + at) * WORD + place % WORD] = value;
                    shifts[at] += 128 * i32::from(value);
                });
                scales[at] = scale;
            }
        });
        Ok(packed)
    }

    /// Candidates for the `k` rows with the largest inner products with each query, by approximate products, best first.
    ///
    /// # Errors
    /// When the queries are not a whole number of rows.
    pub fn top(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<usize>>, KernelError> {
        let count = queries.len() / self.dim;
        check_matrix("queries", queries, count, self.dim)?;
        if k == 0 || self.rows == 0 || count == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        Ok(queries.par_chunks(QUERIES * self.dim).flat_map_iter(|queries| self.top_of_block(queries, k)).collect())
    }

    fn top_of_block(&self, queries: &[f32], k: usize) -> Vec<Vec<usize>> {
        let words = self.dim.div_ceil(WORD);
        let count = queries.len() / self.dim;
        // Whole sets of queries, the last filled up.
        let mut asked = vec![[0x80u8; WORD]; count.next_multiple_of(TOGETHER) * words];
        for (at, query) in queries.chunks(self.dim).enumerate() {
            quantize(query, |place, value| {
                asked[at * words + place / WORD][place % WORD] = (i16::from(value) + 128) as u8;
            });
        }
        let asked: Vec<i32> = asked.into_iter().map(i32::from_le_bytes).collect();
        let mut best: Vec<Best<f32>> = (0..count).map(|_| Best::new(k)).collect();
        let mut sums = [[0i32; GROUP]; TOGETHER];
        let mut products = [0.0f32; GROUP];
        for (group, bytes) in self.bytes.chunks(words * GROUP * WORD).enumerate() {
            let first = group * GROUP;
            let (scales, shifts) = (&self.scales[first..first + GROUP], &self.shifts[first..first + GROUP]);
            let here = GROUP.min(self.rows - first);
            for (set, best) in best.chunks_mut(TOGETHER).enumerate() {
                let asked = &asked[set * TOGETHER * words..(set + 1) * TOGETHER * words];
                multiply(asked, bytes, &mut sums);
                for (best, sums) in best.iter_mut().zip(&sums) {
                    for (product, (sum, (scale, shift))) in
                        products.iter_mut().zip(sums.iter().zip(scales.iter().zip(shifts)))
                    {
                        *product = (sum - shift) as f32 * scale;
                    }
                    run(Look { best, products: &products[..here], first });
                }
            }
        }
        best.into_iter().map(|best| best.finish().into_iter().map(|(row, _)| row).collect()).collect()
    }
}

/// Hands out each number of a row as a whole number in `-127..=127`, and gives what a unit is worth. A row with a number that is not
/// finite is all zeros.
fn quantize(row: &[f32], mut put: impl FnMut(usize, i8)) -> f32 {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let finite = row.iter().all(|value| value.is_finite());
    let per_unit = if finite && largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (place, value) in row.iter().enumerate() {
        put(place, if per_unit > 0.0 { (value * per_unit).round() as i8 } else { 0 });
    }
    if per_unit > 0.0 { 1.0 / per_unit } else { 0.0 }
}

/// The sums of products of a set of queries (bytes from 0 on) with a group of rows.
fn multiply(queries: &[i32], rows: &[i8], sums: &mut [[i32; GROUP]; TOGETHER]) {
    #[cfg(target_arch = "x86_64")]
    if vnni() {
        // SAFETY: the processor was found to have these instructions.
        unsafe { multiply_vnni(queries, rows, sums) };
        return;
    }
    multiply_plain(queries, rows, sums);
}

fn multiply_plain(queries: &[i32], rows: &[i8], sums: &mut [[i32; GROUP]; TOGETHER]) {
    let words = queries.len() / TOGETHER;
    for (query, sums) in queries.chunks(words).zip(sums) {
        sums.fill(0);
        for (word, rows) in query.iter().zip(rows.chunks(GROUP * WORD)) {
            let bytes = word.to_le_bytes();
            for (sum, row) in sums.iter_mut().zip(rows.chunks(WORD)) {
                *sum += bytes.iter().zip(row).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn vnni() -> bool {
    use crate::simd::Level;
    Level::current() == Level::Avx512 && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn vnni() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn multiply_vnni(queries: &[i32], rows: &[i8], sums: &mut [[i32; GROUP]; TOGETHER]) {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };
    /// Rows that a register holds a word of each of.
    const LANES: usize = 16;
    let words = queries.len() / TOGETHER;
    assert!(queries.len() == words * TOGETHER && rows.len() == words * GROUP * WORD);
    let mut total = [[_mm512_setzero_si512(); GROUP / LANES]; TOGETHER];
    for (word, rows) in rows.chunks_exact(GROUP * WORD).enumerate() {
        let (registers, _) = rows.as_chunks::<{ LANES * WORD }>();
        let mut loaded = [_mm512_setzero_si512(); GROUP / LANES];
        for (loaded, register) in loaded.iter_mut().zip(registers) {
            // SAFETY: a register is 64 bytes, and so is the chunk.
            *loaded = unsafe { _mm512_loadu_si512(register.as_ptr().cast()) };
        }
        for (query, total) in total.iter_mut().enumerate() {
            let word = _mm512_set1_epi32(queries[query * words + word]);
            for (total, rows) in total.iter_mut().zip(&loaded) {
                *total = _mm512_dpbusd_epi32(*total, word, *rows);
            }
        }
    }
    for (sums, total) in sums.iter_mut().zip(&total) {
        let (registers, _) = sums.as_chunks_mut::<LANES>();
        for (register, total) in registers.iter_mut().zip(total) {
            // SAFETY: sixteen whole numbers of 32 bits are a register.
            unsafe { _mm512_storeu_si512(register.as_mut_ptr().cast(), *total) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top_products;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as f32 / (1u64 << 24) as f32) - 0.5
        };
        // Sums of three are about normal.
        (0..count).map(|_| next() + next() + next()).collect()
    }

    #[test]
    fn both_ways_to_multiply_agree() {
        let words = 5;
        let queries: Vec<i32> = (0..words * TOGETHER).map(|at| (at as i32).wrapping_mul(0x1234_5679)).collect();
        let rows: Vec<i8> = (0..words * GROUP * WORD).map(|at| ((at * 37) % 255) as u8 as i8).collect();
        let (mut plain, mut fast) = ([[0; GROUP]; TOGETHER], [[1; GROUP]; TOGETHER]);
        multiply_plain(&queries, &rows, &mut plain);
        multiply(&queries, &rows, &mut fast);
        assert_eq!(plain, fast);
    }

    #[test]
    fn twice_as_many_candidates_hold_nearly_all_of_the_best() {
        for dim in [7, 48] {
            let (rows, queries) = (numbers(1500 * dim, 1), numbers(101 * dim, 2));
            let exact = top_products(&queries, &rows, dim, 20).unwrap();
            let found = QuantizedRows::new(&rows, dim).unwrap().top(&queries, 40).unwrap();
            let held = exact
                .iter()
                .zip(&found)
                .map(|(exact, found)| exact.iter().filter(|hit| found.contains(&hit.0)).count());
            let recall = held.sum::<usize>() as f64 / (20.0 * 101.0);
            assert!(recall > 0.995, "{dim}: {recall}");
        }
    }

    #[test]
    fn small_sets_zeros_and_infinite_numbers_are_defined() {
        let rows = QuantizedRows::new(&[1.0, 0.0, f32::NAN, 1.0, -1.0, 0.0, 0.0, 0.0], 2).unwrap();
        assert_eq!(rows.top(&[2.0, 0.0], 9).unwrap(), [vec![0, 1, 3, 2]]);
        assert_eq!(rows.top(&[0.0, 0.0], 2).unwrap(), [vec![0, 1]]);
        assert_eq!(rows.top(&[1.0, 0.0], 0).unwrap(), [vec![0usize; 0]]);
        assert!(QuantizedRows::new(&[], 3).unwrap().top(&[1.0; 3], 2).unwrap()[0].is_empty());
        assert!(QuantizedRows::new(&[1.0; 3], 2).is_err() && QuantizedRows::new(&[1.0], 0).is_err());
        assert!(rows.top(&[1.0; 3], 1).is_err());
    }
}
