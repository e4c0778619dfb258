use crate::data::Matrix;
use nalgebra::{DMatrix, SymmetricEigen};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// The directions in which rows differ most (principal component analysis).
///
/// ```text
/// variance_c = max |X v|^2 / (n - 1)  over  |v| = 1, v orthogonal to the directions before,   X the rows less their mean
/// ```
///
/// Found by subspace iteration with eight directions to spare and a Rayleigh-Ritz step each round, until the residual
/// `|X^T X v - l v|` of every direction is 1e-9 of the largest eigenvalue: only the wanted directions are computed, in
/// `O(rows cols)` a round. The largest entry of a direction is positive.
///
/// Source: Halko, Martinsson, Tropp 2011, <https://arxiv.org/abs/0909.4061>, algorithm 4.4.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalComponents {
    mean: Vec<f64>,
    /// `cols x components`.
    directions: DMatrix<f64>,
    variances: Vec<f64>,
    total: f64,
}

/// Directions that are iterated beside the wanted ones.
const SPARE: usize = 8;
/// Most rounds: reached only where variances are equal, and then the directions are not determined either.
const ROUNDS: usize = 300;
/// Residual at which a direction counts as found, as a part of the largest eigenvalue.
const TOLERANCE: f64 = 1e-9;

impl PrincipalComponents {
    /// Finds the first `components` directions, or as many as there are columns or rows.
    ///
    /// # Panics
    /// When there is no row or no column, or a number is not finite.
    pub fn fit(x: &Matrix, components: usize) -> Self {
        assert!(x.rows > 0 && x.cols > 0, "principal components need rows and columns");
        assert!(x.data.iter().all(|value| value.is_finite()), "principal components need finite numbers");
        let mut mean = vec![0.0; x.cols];
        for row in x.data.chunks(x.cols) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        for sum in &mut mean {
            *sum /= x.rows as f64;
        }
        let centred = centred(x, &mean);
        let degrees = (x.rows - 1).max(1) as f64;
        let total = centred.norm_squared() / degrees;

        let most = x.cols.min(x.rows);
        let wanted = components.min(most);
        let width = (wanted + SPARE).min(most);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
        let start = DMatrix::from_fn(x.cols, width, |_, _| rng.sample::<f64, _>(StandardNormal));
        let mut basis = start.qr().q();
        let (mut directions, mut eigenvalues) = (basis.columns(0, wanted).into_owned(), vec![0.0; wanted]);
        for _ in 0..ROUNDS {
            let scores = &centred * &basis;
            let image = centred.tr_mul(&scores);
            let small = SymmetricEigen::new(scores.tr_mul(&scores));
            let mut order: Vec<usize> = (0..width).collect();
            order.sort_by(|a, b| small.eigenvalues[*b].total_cmp(&small.eigenvalues[*a]));
            let rotation = small.eigenvectors.select_columns(&order[..wanted]);
            directions = &basis * &rotation;
            eigenvalues = order[..wanted].iter().map(|at| small.eigenvalues[*at].max(0.0)).collect();
            let images = &image * rotation;
            let residual = |c: usize| (images.column(c) - directions.column(c) * eigenvalues[c]).norm();
            let allowed = TOLERANCE * eigenvalues.first().copied().unwrap_or(0.0);
            if (0..wanted).all(|c| residual(c) <= allowed) {
                break;
            }
            basis = image.qr().q();
        }
        for mut direction in directions.column_iter_mut() {
            let largest = direction.iter().copied().fold(0.0f64, |a, b| if b.abs() > a.abs() { b } else { a });
            if largest < 0.0 {
                direction.neg_mut();
            }
        }
        let variances = eigenvalues.into_iter().map(|value| value / degrees).collect();
        Self { mean, directions, variances, total }
    }

    /// Variance along each direction, largest first.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The part of all variance that each direction shows; 0 where there is none.
    pub fn shares(&self) -> Vec<f64> {
        self.variances.iter().map(|variance| if self.total > 0.0 { variance / self.total } else { 0.0 }).collect()
    }

    /// The rows in the new coordinates, `rows x components`.
    ///
    /// # Panics
    /// When the rows have another number of columns than those of [`fit`](Self::fit).
    pub fn transform(&self, x: &Matrix) -> Matrix {
        assert_eq!(x.cols, self.mean.len(), "rows with as many columns as in the fit are needed");
        let scores = centred(x, &self.mean) * &self.directions;
        let data = (0..x.rows).flat_map(|row| scores.row(row).iter().map(|v| *v as f32).collect::<Vec<_>>()).collect();
        Matrix { rows: x.rows, cols: self.directions.ncols(), data }
    }
}

fn centred(x: &Matrix, mean: &[f64]) -> DMatrix<f64> {
    DMatrix::from_fn(x.rows, x.cols, |row, col| f64::from(x.data[row * x.cols + col]) - mean[col])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: scikit-learn, see `crates/lab/tests/reference/embeddings.py`.
    #[test]
    fn variances_and_coordinates_agree_with_scikit_learn() {
        let (x, _) = crate::embedding::reference_rows();
        let found = PrincipalComponents::fit(&x, 2);
        for (c, [variance, share]) in PRINCIPAL.into_iter().enumerate() {
            assert!((found.variances()[c] - variance).abs() < 1e-9 * variance, "{:?}", found.variances());
            assert!((found.shares()[c] - share).abs() < 1e-9);
        }
        let scores = found.transform(&x);
        for (row, expected) in PRINCIPAL_ROWS.into_iter().enumerate() {
            for (c, expected) in expected.into_iter().enumerate() {
                // Rounded to f32, and directions are found to 1e-9 over the gap of the eigenvalues.
                assert!((f64::from(scores.row(row)[c]) - expected).abs() < 1e-5, "row {row}: {:?}", scores.row(row));
            }
        }
    }

    /// Many more columns than rows wanted: the iteration itself is at work, not only its Rayleigh-Ritz step.
    #[test]
    fn wide_rows_agree_with_the_whole_decomposition() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(4);
        let data =
            (0..80 * 40).map(|at| rng.sample::<f32, _>(StandardNormal) * (1.0 + 3.0 / (1 + at % 40) as f32)).collect();
        let x = Matrix { rows: 80, cols: 40, data };
        let found = PrincipalComponents::fit(&x, 3);
        let centred = centred(&x, &found.mean);
        let mut whole: Vec<f64> = centred.singular_values().iter().map(|s| s * s / 79.0).collect();
        whole.sort_by(|a, b| b.total_cmp(a));
        for (found, whole) in found.variances().iter().zip(&whole) {
            assert!((found - whole).abs() < 1e-9 * whole, "{found} against {whole}");
        }
        assert!((found.total - whole.iter().sum::<f64>()).abs() < 1e-9 * found.total);
    }

    #[test]
    fn little_data_is_defined() {
        let same = Matrix { rows: 4, cols: 3, data: vec![0.7; 12] };
        let found = PrincipalComponents::fit(&same, 2);
        assert_eq!(found.shares().len(), 2);
        assert!(found.shares().iter().all(|share| *share == 0.0), "{:?}", found.shares());
        assert!(found.transform(&same).data.iter().all(|v| v.abs() < 1e-6));
        let one = PrincipalComponents::fit(&Matrix { rows: 1, cols: 3, data: vec![1.0, 2.0, 3.0] }, 2);
        assert_eq!((one.shares(), one.transform(&same).cols), (vec![0.0], 1));
        let line = Matrix { rows: 3, cols: 1, data: vec![1.0, 2.0, 3.0] };
        let found = PrincipalComponents::fit(&line, 2);
        assert_eq!((found.variances(), found.shares()), (&[1.0][..], vec![1.0]));
        assert_eq!(found.transform(&line).data, [-1.0, 0.0, 1.0]);
    }

    include!("../../tests/reference/principal.in");
}
