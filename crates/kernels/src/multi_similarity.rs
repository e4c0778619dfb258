use crate::Real;
use crate::error::{KernelError, check_matrix, check_vector, zeros};
use crate::simd::{LANES, Work, run};
use rayon::prelude::*;

/// The multi-similarity loss over the inner products of a batch, in one pass over them.
///
/// ```text
/// l_i = (1/a) log(1 + sum_p exp(-a (s_ip - b))) + (1/c) log(1 + sum_n exp(c (s_in - b)))         s_ij = x_i . x_j
/// ```
///
/// with `scales` `(a, c)` and `base` `b`; `p` runs over the other rows of the same label, `n` over those of other labels.
/// Gives every row's value and, where `weights` `v` are given, the gradient of `sum_i v_i l_i` by the products, `[n, n]`
/// (else empty).
///
/// Source: Wang et al. 2019, <https://arxiv.org/abs/1904.06627>, equation 15.
///
/// # Errors
/// When `products` is not `[labels, labels]`, there are not as many weights as labels, a scale is not above 0, or memory does
/// not suffice.
pub fn multi_similarity<T: Real>(
    products: &[T],
    labels: &[i64],
    scales: (T, T),
    base: T,
    weights: Option<&[T]>,
) -> Result<(Vec<T>, Vec<T>), KernelError> {
    let n = labels.len();
    check_matrix("products", products, n, n)?;
    for scale in [scales.0, scales.1] {
        if !scale.is_finite() || scale <= T::ZERO {
            return Err(KernelError::value("scales", scale, "finite and above 0"));
        }
    }
    let row = |anchor: usize| Row { products: &products[anchor * n..][..n], labels, anchor, scales, base };
    let mut values = zeros("the values", &[n])?;
    let Some(weights) = weights else {
        let blank = || vec![T::ZERO; n];
        values.par_iter_mut().enumerate().for_each_init(blank, |scratch, (i, value)| {
            *value = run(Anchor { row: row(i), weight: T::ZERO, gradient: scratch });
        });
        return Ok((values, Vec::new()));
    };
    check_vector("weights", weights, n, "label")?;
    let mut by_products = zeros("the gradient", &[n, n])?;
    values.par_iter_mut().zip(by_products.par_chunks_mut(n.max(1))).enumerate().for_each(|(i, (value, gradient))| {
        *value = run(Anchor { row: row(i), weight: weights[i], gradient });
    });
    Ok((values, by_products))
}

#[derive(Clone, Copy)]
struct Row<'a, T> {
    products: &'a [T],
    labels: &'a [i64],
    anchor: usize,
    scales: (T, T),
    base: T,
}

/// The value of an anchor; the gradient by its products is left in `gradient`.
struct Anchor<'a, T> {
    row: Row<'a, T>,
    weight: T,
    gradient: &'a mut [T],
}

impl<T: Real> Work for Anchor<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let Self { row: Row { products, labels, anchor, scales: (alpha, beta), base }, weight, gradient } = self;
        let label = labels[anchor];
        // The exponents, and the largest of each kind or 0: the 1 in the sums has exponent 0.
        let mut largest = ([T::ZERO; LANES], [T::ZERO; LANES]);
        let blocks = gradient.chunks_mut(LANES).zip(products.chunks(LANES)).zip(labels.chunks(LANES));
        for ((exponents, products), labels) in blocks {
            let pairs = exponents.iter_mut().zip(products).zip(labels);
            for (((exponent, &product), &other), (positive, negative)) in
                pairs.zip(largest.0.iter_mut().zip(&mut largest.1))
            {
                let (near, far) = (alpha * (base - product), beta * (product - base));
                let same = other == label;
                *exponent = if same { near } else { far };
                *positive = positive.larger(if same { near } else { T::ZERO });
                *negative = negative.larger(if same { T::ZERO } else { far });
            }
        }
        let top = |lanes: [T; LANES]| lanes.into_iter().fold(T::ZERO, Real::larger);
        let (top_positive, top_negative) = (top(largest.0), top(largest.1));
        // A row is not its own positive.
        gradient[anchor] = T::NEG_INFINITY;
        let mut sums = ([T::ZERO; LANES], [T::ZERO; LANES]);
        for (exponents, labels) in gradient.chunks_mut(LANES).zip(labels.chunks(LANES)) {
            let lanes = sums.0.iter_mut().zip(&mut sums.1);
            for ((exponent, &other), (positive, negative)) in exponents.iter_mut().zip(labels).zip(lanes) {
                let same = other == label;
                *exponent = (*exponent - if same { top_positive } else { top_negative }).exp::<FMA>();
                *positive += if same { *exponent } else { T::ZERO };
                *negative += if same { T::ZERO } else { *exponent };
            }
        }
        let (positives, negatives): (T, T) = (sums.0.into_iter().sum(), sums.1.into_iter().sum());
        let (one_positive, one_negative) = ((-top_positive).exp::<FMA>(), (-top_negative).exp::<FMA>());
        let value = logarithm::<T, FMA>(top_positive, one_positive, positives) / alpha
            + logarithm::<T, FMA>(top_negative, one_negative, negatives) / beta;
        let (near, far) = (-(weight / (one_positive + positives)), weight / (one_negative + negatives));
        for (slope, &other) in gradient.iter_mut().zip(labels) {
            *slope *= if other == label { near } else { far };
        }
        value
    }
}

/// `log(1 + sum)` where `one` and `scaled` are 1 and the sum times `exp(-top)`, `top >= 0`.
#[inline(always)]
fn logarithm<T: Real, const FMA: bool>(top: T, one: T, scaled: T) -> T {
    // With `top` 0 the sum may be far below 1, and keeps its digits; otherwise it is at least 1.
    if top > T::ZERO { top + (one + scaled).ln::<FMA>() } else { scaled.ln_1p::<FMA>() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_slopes_by_hand() {
        let products = [1.0_f64, 0.2, 0.9, 0.2, 1.0, -0.4, 0.9, -0.4, 1.0];
        let labels = [4, 4, 7];
        let (values, gradient) =
            multi_similarity(&products, &labels, (2.0, 50.0), 0.5, Some(&[1.0, 0.0, 2.0])).unwrap();
        let near = |s: f64| (-2.0 * (s - 0.5)).exp();
        let far = |s: f64| (50.0 * (s - 0.5)).exp();
        let expected = [
            near(0.2).ln_1p() / 2.0 + far(0.9).ln_1p() / 50.0,
            near(0.2).ln_1p() / 2.0 + far(-0.4).ln_1p() / 50.0,
            (far(0.9) + far(-0.4)).ln_1p() / 50.0,
        ];
        for (found, expected) in values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13, "{found} against {expected}");
        }
        let all = 1.0 + far(0.9) + far(-0.4);
        let slopes = [
            0.0,
            -near(0.2) / (1.0 + near(0.2)),
            far(0.9) / (1.0 + far(0.9)),
            0.0,
            0.0,
            0.0,
            2.0 * far(0.9) / all,
            2.0 * far(-0.4) / all,
            0.0,
        ];
        for (found, expected) in gradient.iter().zip(slopes) {
            assert!((found - expected).abs() < 1e-13, "{found} against {expected}");
        }
    }

    #[test]
    fn one_row_has_nothing_to_be_near_or_far_from_and_huge_scales_stay_finite() {
        let alone = multi_similarity(&[1.0_f32], &[0], (2.0, 50.0), 0.5, Some(&[1.0])).unwrap();
        assert_eq!(alone, (vec![0.0], vec![0.0]));
        let products = [1.0_f32, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0];
        let (values, gradient) = multi_similarity(&products, &[0, 1, 0], (1e4, 1e4), 0.5, Some(&[1.0; 3])).unwrap();
        assert!(values.iter().chain(&gradient).all(|x| x.is_finite()), "{values:?} {gradient:?}");
        assert!((values[0] - 2.0).abs() < 1e-5, "{}", values[0]);
        assert!(multi_similarity(&products, &[0, 1], (1.0, 1.0), 0.5, None).is_err());
        assert!(multi_similarity(&products, &[0, 1, 0], (0.0, 1.0), 0.5, None).is_err());
    }
}
