use super::linear_algebra::matrix;
use crate::InvalidParameter;
use burn::tensor::Tensor;
use nalgebra::DMatrix;

/// Linear centred kernel alignment: how alike two sets of features of the same rows are, up to rotation and scale.
///
/// ```text
/// biased:    |Y'X|_F^2 / (|X'X|_F |Y'Y|_F),   columns centred; in [0, 1]
/// debiased:  H(K, L) / sqrt(H(K, K) H(L, L)),   K = XX', L = YY'
/// H(K, L) = ( tr(K~L~) + (1'K~1)(1'L~1)/((n-1)(n-2)) - 2 (1'K~L~1)/(n-2) ) / (n(n-3)),   ~: zero diagonal
/// ```
///
/// The biased form is near 1 for any features that are much wider than there are rows; the debiased one is not, and can be
/// slightly below 0. Features without variance give 0. A measurement, not a loss: read back and computed in f64. Time
/// `O(n p q)` with at least as many rows as columns, else `O(n^2 (p + q))`.
///
/// # Shapes
/// - x: `[n, p]`
/// - y: `[n, q]`
///
/// # Errors
/// When the rows differ in number or are too few (1; debiased: 4), or a feature is not finite.
///
/// Source: Kornblith et al. 2019, <https://arxiv.org/abs/1905.00414>, section 3; debiased after Song et al. 2012,
/// "Feature Selection via Dependence Maximization", equation 4.
pub fn linear_cka(x: Tensor<2>, y: Tensor<2>, debiased: bool) -> Result<f64, InvalidParameter> {
    let ([n, _], [rows, _]) = (x.dims(), y.dims());
    let least = if debiased { 4 } else { 1 };
    if n != rows {
        return Err(InvalidParameter::new("y", rows, format!("as many rows as x has, {n}")));
    }
    if n < least {
        return Err(InvalidParameter::new("x", n, format!("at least {least} rows")));
    }
    // The unbiased estimate does not change with the centre either; centred, it does not cancel.
    let (x, y) = (centred("x", x)?, centred("y", y)?);
    let [joint, of_x, of_y] = if debiased {
        let (k, l) = (hollow_gram(&x), hollow_gram(&y));
        // Of numbers that cancel only rounding is left: that is no variance.
        let of = |gram: &DMatrix<f64>| {
            let found = unbiased(gram, gram);
            if found > 1e-14 * squared_norm(gram) { found } else { 0.0 }
        };
        [unbiased(&k, &l), of(&k), of(&l)]
    } else if n >= x.ncols().max(y.ncols()) {
        [squared_norm(&y.tr_mul(&x)), squared_norm(&x.tr_mul(&x)), squared_norm(&y.tr_mul(&y))]
    } else {
        let (k, l) = (&x * x.transpose(), &y * y.transpose());
        [k.dot(&l), squared_norm(&k), squared_norm(&l)]
    };
    // Not above 0: a set without variance, or (debiased) none beyond what a constant row and column explain.
    if of_x <= 0.0 || of_y <= 0.0 {
        return Ok(0.0);
    }
    Ok(joint / (of_x.sqrt() * of_y.sqrt()))
}

/// Columns with mean 0, all divided by the largest entry: alignment does not change with scale. Sums are of differences from
/// the first row, so that a constant column becomes 0 exactly.
fn centred(name: &str, features: Tensor<2>) -> Result<DMatrix<f64>, InvalidParameter> {
    let mut x = matrix(features);
    if let Some(value) = x.iter().find(|value| !value.is_finite()) {
        return Err(InvalidParameter::new(name, value, "finite"));
    }
    for mut column in x.column_iter_mut() {
        column.add_scalar_mut(-column[0]);
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    let largest = x.amax();
    Ok(if largest > 0.0 { x / largest } else { x })
}

fn squared_norm(a: &DMatrix<f64>) -> f64 {
    a.norm_squared()
}

/// `XX'` with zeros on the diagonal.
fn hollow_gram(x: &DMatrix<f64>) -> DMatrix<f64> {
    let mut gram = x * x.transpose();
    gram.fill_diagonal(0.0);
    gram
}

/// `H` of two symmetric matrices with zero diagonals.
fn unbiased(k: &DMatrix<f64>, l: &DMatrix<f64>) -> f64 {
    let n = k.nrows() as f64;
    let (sums_k, sums_l) = (k.row_sum(), l.row_sum());
    let of_totals = sums_k.sum() * sums_l.sum() / ((n - 1.0) * (n - 2.0));
    (k.dot(l) + of_totals - 2.0 * sums_k.dot(&sums_l) / (n - 2.0)) / (n * (n - 3.0))
}
