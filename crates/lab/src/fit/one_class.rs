use super::{FitConfig, FitError, Fitted, TrainingLoop};
use crate::data::{DataError, Dataset, Matrix, Sampler, one_class_rows};
use crate::model::{Mlp, MlpConfig, Mode, OneClassDetector, OneClassDetectorConfig, Separation};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::classification::{CrossEntropyLossConfig, HypPcLossConfig, OddBatch};
use contrarian::negatives::PseudoNegativeSamplerConfig;

/// Why a one-class fit gave no model.
#[derive(Debug, thiserror::Error)]
pub enum OneClassError {
    /// The training set is not one of one class.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The fit failed.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// One-class training with pseudo-negatives: cross-entropy of the class against noise around its features, and pairwise
/// confusion of the class's embeddings.
///
/// ```text
/// loss = cross-entropy(features -> 0, pseudo-negatives -> 1) + confusion * (1/b) sum_{i <= b/2} dist(x_i, x_{i + b/2})
/// ```
///
/// with the distance of the detector's own space; a batch without a pair has no confusion. The sampler's mean starts from 0
/// in every epoch, as in the authors' code.
///
/// Source: Narayan, Patel 2024, "Hyp-OC", <https://arxiv.org/abs/2404.14406>.
pub struct OneClassTrainer<'a> {
    /// The detector.
    pub detector: OneClassDetectorConfig,
    /// Where the negatives come from.
    pub sampler: PseudoNegativeSamplerConfig,
    /// Weight of the confusion; 0 leaves it out.
    pub confusion: f64,
    /// Budget and optimiser.
    pub config: &'a FitConfig,
}

impl OneClassTrainer<'_> {
    /// Trains on rows of one class.
    ///
    /// # Errors
    /// When the data is not of one class or not finite, or the fit diverges.
    pub fn run(&self, data: &Dataset, seed: u64) -> Result<Fitted<OneClassDetector>, OneClassError> {
        let x = one_class_rows(data)?;
        let device = Device::flex().autodiff();
        let sampler = self.sampler.clone().with_seed(seed).init();
        let cross_entropy = CrossEntropyLossConfig::new().init();
        let hyperbolic = HypPcLossConfig::new().with_odd_batch(OddBatch::DropLast).init();
        let mut state = Some(sampler.initial_state());
        let mut seen = 0;
        let step = |model: &OneClassDetector, rows: &[usize], _: &mut Mode| {
            let mut before = state.take().expect("every step leaves the state of the next");
            if seen >= x.rows {
                (seen, before.mean) = (0, None);
            }
            seen += rows.len();
            let features = model.features(batch(x, rows, &device));
            let (negatives, after) = sampler.forward(features.clone(), before);
            state = Some(after);
            let embedding = model.embed(Tensor::cat(vec![features, negatives], 0));
            let count = rows.len();
            let labels: Vec<i64> = (0..2 * count).map(|row| i64::from(row >= count)).collect();
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [2 * count]), &device.clone().inner());
            let loss = cross_entropy.forward(model.separate(embedding.clone()), labels);
            if self.confusion == 0.0 || count < 2 {
                return loss;
            }
            let of_class = embedding.narrow(0, 0, count);
            let confusion = match self.detector.separation {
                Separation::Hyperbolic { .. } => hyperbolic.forward(of_class),
                Separation::Euclidean => euclidean_confusion(of_class),
            };
            loss + confusion.mul_scalar(self.confusion)
        };
        let model = self.detector.init(&device, seed);
        Ok(TrainingLoop::new(self.config, Sampler::Shuffled { rows: x.rows }, seed).run(model, step)?)
    }
}

/// Half of the mean Euclidean distance of a pair, an odd last row left out.
fn euclidean_confusion(embedding: Tensor<2>) -> Tensor<1> {
    let pairs = embedding.dims()[0] / 2;
    let apart = embedding.clone().narrow(0, 0, pairs) - embedding.narrow(0, pairs, pairs);
    let squared = apart.square().sum_dim(1);
    let same = squared.clone().equal_scalar(0.0);
    squared.mask_fill(same.clone(), 1.0).sqrt().mask_fill(same, 0.0).mean().mul_scalar(0.5)
}

/// A one-class hypersphere: an encoder whose outputs stay near a centre.
#[derive(Debug, Clone)]
pub struct Hypersphere {
    encoder: Mlp,
    centre: Tensor<1>,
}

impl Hypersphere {
    /// Trains `encoder` on rows of one class to minimise `mean |f(x) - c|^2`, where `c` is the mean output before training.
    ///
    /// Source: Ruff et al. 2018, "Deep One-Class Classification", <http://proceedings.mlr.press/v80/ruff18a.html>, equation 4
    /// (theirs has no biases, which keeps the encoder from collapsing onto `c`; with biases, train for a few epochs only).
    ///
    /// # Errors
    /// When the data is not of one class or not finite, or the fit diverges.
    pub fn fit(data: &Dataset, encoder: &MlpConfig, config: &FitConfig, seed: u64) -> Result<Self, OneClassError> {
        let x = one_class_rows(data)?;
        let device = Device::flex().autodiff();
        let model = encoder.init(&device, seed);
        let all: Vec<usize> = (0..x.rows).collect();
        let outputs = model.logits(batch(x, &all, &device), &mut Mode::Inference).detach();
        let centre = outputs.mean_dim(0);
        let step = |model: &Mlp, rows: &[usize], mode: &mut Mode| {
            let apart = model.logits(batch(x, rows, &device), mode) - centre.clone();
            apart.square().sum_dim(1).mean()
        };
        let fitted = TrainingLoop::new(config, Sampler::Shuffled { rows: x.rows }, seed).run(model, step)?;
        Ok(Self { encoder: fitted.model, centre: centre.without_autodiff().flatten(0, 1) })
    }

    /// How unlike the class rows are: the squared distance to the centre.
    ///
    /// # Shapes
    /// - x: `[n, inputs]`
    /// - output: `[n]`
    pub fn score(&self, x: Tensor<2>) -> Tensor<1> {
        let apart = self.encoder.logits(x, &mut Mode::Inference) - self.centre.clone().unsqueeze::<2>();
        apart.square().sum_dim(1).flatten(0, 1)
    }
}

fn batch(x: &Matrix, rows: &[usize], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.gather(rows).data, [rows.len(), x.cols]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::gaussian_classes;
    use crate::metrics::roc_auc;

    fn trainer(config: &FitConfig, separation: Separation, confusion: f64) -> OneClassTrainer<'_> {
        let detector = OneClassDetectorConfig::new(4).with_separation(separation);
        OneClassTrainer { detector, sampler: PseudoNegativeSamplerConfig::new(), confusion, config }
    }

    #[test]
    fn it_learns_one_class_in_either_space_from_any_number_of_rows() {
        let data = gaussian_classes(400, 1, 4, 2.0, 0.3, 1);
        let config = FitConfig::new().with_batch_size(16).with_epochs(10).with_clip_norm(Some(3.0));
        for separation in [Separation::Euclidean, Separation::Hyperbolic { learn_base: true }] {
            for confusion in [0.0, 0.1] {
                let fitted = trainer(&config, separation, confusion).run(&data, 1).unwrap();
                let (first, last) = (fitted.train_loss[0], fitted.train_loss[9]);
                assert!(last < 0.5 * first, "{separation:?}, {confusion}: {first} to {last}");
            }
            // One row, and a last batch of odd size.
            for rows in [1, 33] {
                let few = data.select(&(0..rows).collect::<Vec<_>>());
                assert!(trainer(&config, separation, 1.0).run(&few, 1).unwrap().train_loss[9].is_finite());
            }
        }
    }

    #[test]
    fn a_set_of_two_classes_is_refused() {
        let data = gaussian_classes(40, 2, 4, 2.0, 0.3, 1);
        let config = FitConfig::new();
        let error = trainer(&config, Separation::Euclidean, 0.0).run(&data, 1).unwrap_err().to_string();
        assert!(error.contains("one class"), "{error}");
    }

    #[test]
    fn the_hypersphere_tells_a_far_class() {
        let data = gaussian_classes(400, 2, 4, 3.0, 0.3, 1);
        let rows: Vec<usize> = (0..400).filter(|&row| data.y[row] == 0).collect();
        let encoder = MlpConfig::new(4, 8).with_depth(1);
        let sphere = Hypersphere::fit(&data.select(&rows), &encoder, &FitConfig::new().with_epochs(5), 1).unwrap();
        let all: Vec<usize> = (0..400).collect();
        let scores = sphere.score(batch(&data.x, &all, &Device::flex()));
        let scores: Vec<f64> = scores.into_data().iter::<f64>().collect();
        let outlier: Vec<bool> = data.y.iter().map(|&y| y == 1).collect();
        assert!(roc_auc(&scores, &outlier).unwrap() > 0.95);
    }
}
