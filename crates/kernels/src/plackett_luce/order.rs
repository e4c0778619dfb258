use super::check_teacher;
use crate::error::elements;
use crate::{KernelError, Real};
use rayon::prelude::*;

/// The order in which a student is to rank the classes: the label first, then the others by descending teacher logit.
///
/// Equal logits keep the order of their classes; logits of minus infinity come last. Row `i` of the `[rows, items]` result
/// is a permutation of the classes. `O(items log items)` a row, rows in parallel.
///
/// Source: Bassam, Zhu, Bian 2025, <https://arxiv.org/abs/2506.12542>.
///
/// # Errors
/// When lengths do not fit, there are no items, a label is not below `items`, or a logit is NaN or plus infinity.
///
/// ```
/// use contrarian_kernels::plackett_luce::teacher_order;
///
/// assert_eq!(teacher_order(&[9.0f32, 1.0, 1.0, 2.0], 1, 4, &[2])?, [2, 0, 3, 1]);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
pub fn teacher_order<T: Real>(
    teacher: &[T],
    rows: usize,
    items: usize,
    labels: &[usize],
) -> Result<Vec<u32>, KernelError> {
    check_teacher(teacher, rows, items, labels)?;
    let mut order = vec![0; elements("order", &[rows, items])?];
    order
        .par_chunks_mut(items)
        .zip(teacher.par_chunks(items).zip(labels))
        .for_each_init(Sorter::default, |sorter, (order, (teacher, &label))| sorter.sort(teacher, label, order));
    Ok(order)
}

/// Sorts rows, reusing its memory. Keys are integers that ascend where logits descend, with the class behind as the last
/// digits, so that an unstable sort of them is stable.
#[derive(Default)]
pub(super) struct Sorter {
    short: Vec<u64>,
    long: Vec<u128>,
}

impl Sorter {
    pub fn sort<T: Real>(&mut self, teacher: &[T], label: usize, order: &mut [u32]) {
        // No logit but minus NaN, which is refused, has the key 0.
        let key = |(class, logit): (usize, &T)| if class == label { 0 } else { logit.descending_key() };
        if size_of::<T>() == 4 {
            let keys = teacher.iter().enumerate().map(|row| key(row) << 32 | row.0 as u64);
            self.short.clear();
            self.short.extend(keys);
            self.short.sort_unstable();
            order.iter_mut().zip(&self.short).for_each(|(class, key)| *class = *key as u32);
        } else {
            let keys = teacher.iter().enumerate().map(|row| u128::from(key(row)) << 32 | row.0 as u128);
            self.long.clear();
            self.long.extend(keys);
            self.long.sort_unstable();
            order.iter_mut().zip(&self.long).for_each(|(class, key)| *class = *key as u32);
        }
    }
}
