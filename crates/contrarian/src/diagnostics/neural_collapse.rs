use super::linear_algebra::{distance_of_directions, matrix, numbers, simplex};
use burn::tensor::{Int, Tensor};
use nalgebra::{DMatrix, DVector};

/// Why there are no measurements of collapse.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NeuralCollapseError {
    /// Fewer than two classes.
    #[error("neural collapse is about two classes or more, got {0}")]
    TooFewClasses(usize),
    /// A class without an example has no mean.
    #[error("class {0} has no example, so it has no mean; give examples of every class, or ignore missing classes")]
    MissingClass(usize),
    /// A label that is no class.
    #[error("label {label} in row {row} is not in 0..{classes}")]
    Label {
        /// Which row of the batch.
        row: usize,
        /// Its label.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// Shapes that do not fit each other.
    #[error("{0}")]
    Shape(String),
    /// A number that is infinite or NaN.
    #[error("the {0} have a number that is infinite or NaN")]
    NotFinite(&'static str),
    /// The second pass saw other examples than the first.
    #[error("the second pass saw {second} examples and the first {first}: both must see the same")]
    Passes {
        /// Examples of the first pass.
        first: usize,
        /// Examples of the second pass.
        second: usize,
    },
}

/// How far features and classifier of a model are from neural collapse.
///
/// `|.|` is the Frobenius norm and `hat(A) = A / |A|`, NaN where `A` is 0. All but [`nc1`](Self::nc1) lie between 0 and 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeuralCollapse {
    /// Scatter within classes relative to that between them, `tr(S_W pinv(S_B)) / K`; 0 for features equal to their class
    /// means, NaN for features that differ while all class means are equal.
    pub nc1: f64,
    /// `|hat(W W^T) - ETF|`: the classifier's rows against a simplex (with bias, or cross-entropy).
    pub nc2_weight_etf: f64,
    /// `|hat(W W^T) - I/sqrt(K)|`: against an orthogonal frame (squared error without bias).
    pub nc2_weight_orthogonal: f64,
    /// The class means less the global mean against a simplex.
    pub nc2_means_etf: f64,
    /// The class means as they are against an orthogonal frame.
    pub nc2_means_orthogonal: f64,
    /// `|hat(W M^T) - ETF|` with the centred means `M` as rows.
    pub nc3_etf: f64,
    /// `|hat(W M^T) - I/sqrt(K)|` with the means as they are.
    pub nc3_orthogonal: f64,
    /// `|hat(W) - hat(M)|` with the means as they are.
    pub nc3_self_dual: f64,
    /// `|hat(W) - hat(M)|` with the centred means.
    pub nc3_self_dual_centred: f64,
    /// Share of examples whose most probable class is not that of the nearest class mean.
    pub nc4_disagreement: f64,
}

/// Measures [neural collapse](NeuralCollapse) of any model's last features `[n, d]`, labels and classifier.
///
/// ```text
/// S_W = 1/N sum_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T,   S_B = 1/K sum_k (mu_k - mu_G)(mu_k - mu_G)^T
/// ETF = (I - 11^T/K) / sqrt(K - 1)
/// ```
///
/// with the class means `mu_k` and the mean of all examples `mu_G`. For a deep linear head the classifier is the product of
/// its weights. Everything is computed in f64 in time `O(n d K)` and memory `O(d K)` beside the batch; no `d x d` matrix is
/// made. Two passes over batches serve data that do not fit in memory:
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use contrarian::diagnostics::NeuralCollapseMetrics;
///
/// let device = Device::flex();
/// let features = || Tensor::<2>::from_floats([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]], &device);
/// let labels = || Tensor::from_ints([0, 0, 1], &device);
/// let weight = Tensor::<2>::from_floats([[1.0, 0.0], [-1.0, 0.0]], &device);
///
/// let metrics = NeuralCollapseMetrics::new(2)?;
/// let at_once = metrics.compute(features(), labels(), weight.clone(), None)?;
///
/// let mut means = metrics.class_means();
/// means.update(features(), labels())?;
/// let mut scatter = means.finish(weight, None)?;
/// scatter.update(features(), labels())?;
/// assert_eq!(scatter.finish()?, at_once);
/// # Ok::<(), contrarian::diagnostics::NeuralCollapseError>(())
/// ```
///
/// Source: Papyan, Han, Donoho 2020 for NC1 to NC4; the targets as Dang, Tran, Osher et al. 2023,
/// <https://arxiv.org/abs/2301.00437>, measure them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeuralCollapseMetrics {
    classes: usize,
    ignore_missing: bool,
}

impl NeuralCollapseMetrics {
    /// Metrics for this many classes; a class without an example is an error.
    ///
    /// # Errors
    /// With fewer than two classes.
    pub fn new(n_classes: usize) -> Result<Self, NeuralCollapseError> {
        match n_classes {
            0 | 1 => Err(NeuralCollapseError::TooFewClasses(n_classes)),
            classes => Ok(Self { classes, ignore_missing: false }),
        }
    }

    /// Leaves classes without an example out, with their rows of the classifier: the metrics are those of the others.
    pub fn ignore_missing(self) -> Self {
        Self { ignore_missing: true, ..self }
    }

    /// The metrics of features held in one tensor. See the shapes at [`ClassMeans`].
    ///
    /// # Errors
    /// See [`NeuralCollapseError`].
    pub fn compute(
        &self,
        features: Tensor<2>,
        labels: Tensor<1, Int>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Result<NeuralCollapse, NeuralCollapseError> {
        let mut means = self.class_means();
        means.update(features.clone(), labels.clone())?;
        let mut scatter = means.finish(weight, bias)?;
        scatter.update(features, labels)?;
        scatter.finish()
    }

    /// The first pass over batches.
    pub fn class_means(&self) -> ClassMeans {
        ClassMeans { metrics: *self, counts: vec![0; self.classes], sums: None }
    }

    fn batch(
        self,
        features: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Result<(DMatrix<f64>, Vec<usize>), NeuralCollapseError> {
        let [rows, _] = features.dims();
        if labels.dims()[0] != rows {
            let reason = format!("{} labels for {rows} rows of features", labels.dims()[0]);
            return Err(NeuralCollapseError::Shape(reason));
        }
        let features = finite(matrix(features), "features")?;
        let labels: Vec<i64> =
            labels.into_data().convert_dtype(burn::tensor::DType::I64).try_to_vec().expect("converted to i64");
        let class = |(row, &label): (usize, &i64)| match usize::try_from(label) {
            Ok(class) if class < self.classes => Ok(class),
            _ => Err(NeuralCollapseError::Label { row, label, classes: self.classes }),
        };
        Ok((features, labels.iter().enumerate().map(class).collect::<Result<_, _>>()?))
    }
}

fn finite(numbers: DMatrix<f64>, name: &'static str) -> Result<DMatrix<f64>, NeuralCollapseError> {
    if numbers.iter().all(|x| x.is_finite()) { Ok(numbers) } else { Err(NeuralCollapseError::NotFinite(name)) }
}

/// First pass of [`NeuralCollapseMetrics`]: the class means.
#[derive(Debug, Clone)]
pub struct ClassMeans {
    metrics: NeuralCollapseMetrics,
    counts: Vec<usize>,
    sums: Option<DMatrix<f64>>,
}

impl ClassMeans {
    /// Takes a batch.
    ///
    /// # Shapes
    /// - features: `[batch, d]`
    /// - labels: `[batch]`
    ///
    /// # Errors
    /// See [`NeuralCollapseError`].
    pub fn update(&mut self, features: Tensor<2>, labels: Tensor<1, Int>) -> Result<(), NeuralCollapseError> {
        let [_, d] = features.dims();
        let (features, labels) = self.metrics.batch(features, labels)?;
        let sums = self.sums.get_or_insert_with(|| DMatrix::zeros(self.counts.len(), d));
        if sums.ncols() != d {
            return Err(NeuralCollapseError::Shape(format!(
                "features of width {d} after some of width {}",
                sums.ncols()
            )));
        }
        for (row, class) in features.row_iter().zip(labels) {
            self.counts[class] += 1;
            let mut sum = sums.row_mut(class);
            sum += row;
        }
        Ok(())
    }

    /// Ends the pass; the classifier is `W h + b`.
    ///
    /// # Shapes
    /// - weight: `[classes, d]`
    /// - bias: `[classes]`, `None` for 0
    ///
    /// # Errors
    /// See [`NeuralCollapseError`].
    pub fn finish(self, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Result<ClassScatter, NeuralCollapseError> {
        let Self { metrics, counts, sums } = self;
        let present: Vec<usize> = (0..metrics.classes).filter(|&class| counts[class] > 0).collect();
        if present.len() < metrics.classes && !metrics.ignore_missing {
            let missing = (0..metrics.classes).find(|&class| counts[class] == 0).expect("one is missing");
            return Err(NeuralCollapseError::MissingClass(missing));
        }
        let Some(sums) = sums.filter(|_| present.len() >= 2) else {
            return Err(NeuralCollapseError::TooFewClasses(present.len()));
        };
        let wanted = [metrics.classes, sums.ncols()];
        if weight.dims() != wanted {
            let reason = format!("the weight is {:?}, but must be [classes, d] = {wanted:?}", weight.dims());
            return Err(NeuralCollapseError::Shape(reason));
        }
        let weight = finite(matrix(weight), "weights")?.select_rows(&present);
        let bias = match bias {
            Some(bias) if bias.dims() != [metrics.classes] => {
                let reason = format!("the bias has {} numbers for {} classes", bias.dims()[0], metrics.classes);
                return Err(NeuralCollapseError::Shape(reason));
            }
            Some(bias) => finite(DMatrix::from_vec(metrics.classes, 1, numbers(bias)), "biases")?.select_rows(&present),
            None => DMatrix::zeros(present.len(), 1),
        };
        let examples: usize = counts.iter().sum();
        let global = sums.row_sum() / examples as f64;
        let mut means = sums.select_rows(&present);
        for (mut mean, &class) in means.row_iter_mut().zip(&present) {
            mean /= counts[class] as f64;
        }
        let mut centred = means.clone();
        for mut mean in centred.row_iter_mut() {
            mean -= &global;
        }
        // Means that differ by rounding only are equal.
        if centred.norm_squared() <= NEGLIGIBLE * means.norm_squared() {
            centred.fill(0.0);
        }
        let (directions, strengths) = between_scatter(&centred);
        let mut row_of = vec![None; metrics.classes];
        for (row, &class) in present.iter().enumerate() {
            row_of[class] = Some(row);
        }
        let bias = DVector::from_iterator(present.len(), bias.iter().copied());
        Ok(ClassScatter {
            metrics,
            row_of,
            examples,
            seen: 0,
            means,
            centred,
            weight,
            bias,
            directions,
            strengths,
            within: 0.0,
            spread: 0.0,
            disagreements: 0,
        })
    }
}

/// Squared size, relative to that of the means, below which a difference of means is rounding.
const NEGLIGIBLE: f64 = 1e-26;
/// Eigenvalues below this share of the largest are those of the null space, which the pseudo-inverse leaves out.
const RELATIVE_CUT: f64 = 1e-10;

/// Directions `[d, r]` and eigenvalues of `S_B = B^T B / K`, those above the cut. The eigenvalues are those of the Gram
/// matrix `B B^T / K` over classes, and `B^T u / sqrt(K lambda)` the directions.
fn between_scatter(centred: &DMatrix<f64>) -> (DMatrix<f64>, Vec<f64>) {
    let k = centred.nrows() as f64;
    let eigen = (centred * centred.transpose() / k).symmetric_eigen();
    let largest = eigen.eigenvalues.max();
    let kept: Vec<usize> = (0..eigen.eigenvalues.len())
        .filter(|&i| eigen.eigenvalues[i] > RELATIVE_CUT * largest && eigen.eigenvalues[i] > 0.0)
        .collect();
    let strengths: Vec<f64> = kept.iter().map(|&i| eigen.eigenvalues[i]).collect();
    let mut directions = centred.transpose() * eigen.eigenvectors.select_columns(&kept);
    for (mut direction, strength) in directions.column_iter_mut().zip(&strengths) {
        direction /= (k * strength).sqrt();
    }
    (directions, strengths)
}

/// Second pass of [`NeuralCollapseMetrics`]: the scatter around the class means, and the decisions.
#[derive(Debug, Clone)]
pub struct ClassScatter {
    metrics: NeuralCollapseMetrics,
    row_of: Vec<Option<usize>>,
    examples: usize,
    seen: usize,
    means: DMatrix<f64>,
    centred: DMatrix<f64>,
    weight: DMatrix<f64>,
    bias: DVector<f64>,
    directions: DMatrix<f64>,
    strengths: Vec<f64>,
    within: f64,
    spread: f64,
    disagreements: usize,
}

impl ClassScatter {
    /// Takes a batch, of the same examples as the first pass. See the shapes at [`ClassMeans::update`].
    ///
    /// # Errors
    /// See [`NeuralCollapseError`].
    pub fn update(&mut self, features: Tensor<2>, labels: Tensor<1, Int>) -> Result<(), NeuralCollapseError> {
        let [_, d] = features.dims();
        if d != self.means.ncols() {
            let reason = format!("features of width {d} in the second pass, {} in the first", self.means.ncols());
            return Err(NeuralCollapseError::Shape(reason));
        }
        let (features, labels) = self.metrics.batch(features, labels)?;
        self.seen += labels.len();
        let mut logits = &features * self.weight.transpose();
        for (mut column, bias) in logits.column_iter_mut().zip(self.bias.iter()) {
            column.add_scalar_mut(*bias);
        }
        let mut deviations = features.clone();
        for (index, class) in labels.into_iter().enumerate() {
            let mean =
                self.row_of[class].ok_or(NeuralCollapseError::Passes { first: self.examples, second: self.seen })?;
            let mut deviation = deviations.row_mut(index);
            deviation -= self.means.row(mean);
            let squared_distance = |mean: usize| (features.row(index) - self.means.row(mean)).norm_squared();
            let nearest = first_largest((0..self.means.nrows()).map(|mean| -squared_distance(mean)));
            let decided = first_largest(logits.row(index).iter().copied());
            self.disagreements += usize::from(nearest != decided);
        }
        self.spread += deviations.norm_squared();
        let projected = deviations * &self.directions;
        for (column, strength) in projected.column_iter().zip(&self.strengths) {
            self.within += column.norm_squared() / strength;
        }
        Ok(())
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// When this pass did not see as many examples as the first.
    pub fn finish(self) -> Result<NeuralCollapse, NeuralCollapseError> {
        if self.seen != self.examples {
            return Err(NeuralCollapseError::Passes { first: self.examples, second: self.seen });
        }
        let k = self.means.nrows();
        let (etf, orthogonal) = (simplex(k), DMatrix::identity(k, k));
        let gram = |a: &DMatrix<f64>| a * a.transpose();
        let (weight, means, centred) = (&self.weight, &self.means, &self.centred);
        let coincide = self.strengths.is_empty();
        let differ = self.spread > NEGLIGIBLE * self.examples as f64 * means.norm_squared();
        Ok(NeuralCollapse {
            nc1: if coincide && differ { f64::NAN } else { self.within / (self.examples * k) as f64 },
            nc2_weight_etf: distance_of_directions(&gram(weight), &etf),
            nc2_weight_orthogonal: distance_of_directions(&gram(weight), &orthogonal),
            nc2_means_etf: distance_of_directions(&gram(centred), &etf),
            nc2_means_orthogonal: distance_of_directions(&gram(means), &orthogonal),
            nc3_etf: distance_of_directions(&(weight * centred.transpose()), &etf),
            nc3_orthogonal: distance_of_directions(&(weight * means.transpose()), &orthogonal),
            nc3_self_dual: distance_of_directions(weight, means),
            nc3_self_dual_centred: distance_of_directions(weight, centred),
            nc4_disagreement: self.disagreements as f64 / self.examples as f64,
        })
    }
}

/// Index of the largest value, the first of equals.
fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
