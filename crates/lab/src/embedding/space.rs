use super::{EmbeddingMetric, EvaluationRows, Settings, evaluate, knn_accuracy};
use crate::data::{Matrix, Split};
use crate::fit::{Examples, FitError, ViewTraining, transform};
use crate::metrics::Distance;
use crate::model::Encoder;
use burn::tensor::Tensor;
use contrarian::contrastive::{InfoNceLossConfig, penalty_summary};

/// What the space of a trained encoder looks like on rows it has not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Space {
    /// `log mean exp(-2 |f_i - f_j|^2)` of the projections' directions: lower is more uniform. `None` for fewer than two rows.
    pub uniformity: Option<f64>,
    /// Mean cosine of projections of one class. `None` where no two rows share one.
    pub tolerance: Option<f64>,
    /// Part of the rows that the nearest training rows classify rightly, by the cosine of the features. `None` without rows.
    pub knn: Option<f64>,
}

impl Space {
    /// The space as `test` shows it; `neighbours` rows of `train` vote.
    ///
    /// # Errors
    /// When the encoder gives values that are not finite.
    ///
    /// # Panics
    /// When there is no training row or no neighbour.
    pub fn of(encoder: &Encoder, train: Examples, test: Examples, neighbours: usize) -> Result<Self, FitError> {
        let features = |x: &Matrix| transform(x, |x| encoder.features(x));
        let (train_x, test_x) = (features(train.x), features(test.x));
        let projections = transform(&test_x, |x| encoder.project_features(x));
        let all: Vec<usize> = (0..test.y.len()).collect();
        let rows = EvaluationRows::of_rows(&Split { train: Vec::new(), validation: Vec::new(), test: all });
        let metrics = [EmbeddingMetric::Uniformity, EmbeddingMetric::Tolerance];
        let scores = evaluate(&projections, test.y, &rows, &metrics, &Settings::default())?;
        let [known, asked] = [(&train_x, train.y), (&test_x, test.y)].map(|(x, y)| Examples { x, y });
        Ok(Self {
            uniformity: scores.get(EmbeddingMetric::Uniformity),
            tolerance: scores.get(EmbeddingMetric::Tolerance),
            knn: knn_accuracy(known, asked, neighbours, Distance::Cosine),
        })
    }
}

/// A row of a [`temperature_sweep`].
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// Temperature of InfoNCE.
    pub temperature: f64,
    /// The space it led to.
    pub space: Space,
    /// Mean entropy of the relative penalties at each step, see [`penalty_summary`].
    pub penalty_entropy: Vec<f64>,
}

/// Trains an encoder with InfoNCE at every temperature, from the same weights, rows and views, and looks at the spaces: small
/// temperatures spread all rows evenly, large ones let rows of a class stay together.
///
/// # Errors
/// When a fit fails or is stopped.
///
/// # Panics
/// When a temperature is not finite and above 0, and as [`ViewTraining::run`] and [`Space::of`].
///
/// Source: Wang, Liu 2021, <https://arxiv.org/abs/2012.09740>, section 5.
pub fn temperature_sweep(
    training: &ViewTraining,
    train: Examples,
    test: Examples,
    temperatures: &[f64],
    neighbours: usize,
) -> Result<Vec<SweepRow>, FitError> {
    let row = |&temperature: &f64| {
        let objective = InfoNceLossConfig::new().with_temperature(temperature).with_normalize(false).init();
        let mut penalty_entropy = Vec::new();
        let fitted = training.run(|views| {
            let (first, second) = views.pair();
            penalty_entropy.push(mean_penalty_entropy(first.clone(), second.clone(), temperature));
            objective.forward(first, second)
        })?;
        Ok(SweepRow { temperature, space: Space::of(&fitted.model, train, test, neighbours)?, penalty_entropy })
    };
    temperatures.iter().map(row).collect()
}

/// Mean over the anchors of the entropy of InfoNCE's relative penalties, a measurement without gradient.
///
/// # Panics
/// As [`penalty_summary`], and when the temperature is not finite and above 0.
pub fn mean_penalty_entropy(anchors: Tensor<2>, positives: Tensor<2>, temperature: f64) -> f64 {
    let [anchors, positives] = [anchors, positives].map(Tensor::without_autodiff);
    let summary = penalty_summary(anchors, positives, None, temperature).unwrap_or_else(|error| panic!("{error}"));
    f64::from(summary.entropy.mean().into_scalar::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::VectorAugmentation;
    use crate::data::generate::gaussian_classes;
    use crate::fit::FitConfig;
    use crate::model::EncoderConfig;
    use burn::tensor::Device;

    const SIZES: EncoderConfig = EncoderConfig { inputs: 12, width: 24, features: 16, projection: 6 };

    #[test]
    fn every_temperature_starts_alike_and_low_ones_share_the_penalty_unevenly() {
        let [train, test] = gaussian_classes(400, 8, 12, 2.0, 1.0, 1).parts([250, 150]);
        let [known, asked] = [&train, &test].map(|part| Examples { x: &part.x, y: &part.y });
        let config = FitConfig::new().with_learning_rate(3e-3).with_batch_size(64).with_epochs(40);
        let training = ViewTraining {
            x: &train.x,
            augmentation: &VectorAugmentation { dropout: 0.2, scale: 0.2, noise: 0.5 },
            views: 2,
            encoder: &SIZES,
            config: &config,
            seed: 5,
            stop: None,
        };
        let sweep = |temperatures: &[f64]| temperature_sweep(&training, known, asked, temperatures, 5).unwrap();
        let rows = sweep(&[0.1, 1.0]);
        let [low, high] = &rows[..] else { panic!("two temperatures") };
        assert_eq!(sweep(&[1.0])[0], *high, "a row does not depend on the others");
        assert_eq!((low.temperature, low.penalty_entropy.len()), (0.1, 40));
        for (low, high) in low.penalty_entropy.iter().zip(&high.penalty_entropy) {
            // 63 negatives.
            assert!(low < high && *high <= 63f64.ln() + 1e-5, "{low} {high}");
        }
        // Chance is 1/8 with a deviation of .03.
        assert!(rows.iter().all(|row| row.space.knn.unwrap() > 0.3), "{rows:?}");
    }

    #[test]
    fn the_space_is_that_of_the_test_rows() {
        let [train, test] = gaussian_classes(60, 4, 12, 1.0, 1.0, 1).parts([30, 30]);
        let [known, asked] = [&train, &test].map(|part| Examples { x: &part.x, y: &part.y });
        let encoder = SIZES.init(&Device::flex(), 3);
        let space = Space::of(&encoder, known, asked, 5).unwrap();
        let projected = transform(&test.x, |x| encoder.project(x));
        let product = |i: usize, j: usize| -> f64 {
            projected.row(i).iter().zip(projected.row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let cosine = |i: usize, j: usize| product(i, j) / (product(i, i) * product(j, j)).sqrt();
        let pairs: Vec<(usize, usize)> = (0..30).flat_map(|i| (i + 1..30).map(move |j| (i, j))).collect();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let uniformity = mean(pairs.iter().map(|&(i, j)| (-4.0 * (1.0 - cosine(i, j))).exp()).collect()).ln();
        let same = pairs.iter().filter(|(i, j)| test.y[*i] == test.y[*j]);
        let tolerance = mean(same.map(|&(i, j)| cosine(i, j)).collect());
        // Sums of 435 numbers in f32.
        assert!((space.uniformity.unwrap() - uniformity).abs() < 1e-4, "{space:?} {uniformity}");
        assert!((space.tolerance.unwrap() - tolerance).abs() < 1e-4, "{space:?} {tolerance}");
        let one = Examples { x: &test.x.gather(&[0]), y: &test.y[..1] };
        let alone = Space::of(&encoder, known, one, 5).unwrap();
        assert_eq!((alone.uniformity, alone.tolerance), (None, None));
        assert!(alone.knn.is_some());
    }
}
