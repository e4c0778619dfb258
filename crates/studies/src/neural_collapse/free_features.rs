use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::diagnostics::{
    DeepLinearHead, NeuralCollapse, NeuralCollapseMetrics, UnconstrainedFeatureObjective,
    UnconstrainedFeatureObjectiveConfig, UnconstrainedLoss,
};
use contrarian_lab::data::Sampler;
use contrarian_lab::fit::{FitConfig, FitError, OptimizerKind, TrainingLoop};
use contrarian_lab::model::Mode;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// Width of the features and of every hidden layer of the head.
pub const WIDTH: usize = 16;
const FEATURE_SCALE: f64 = 0.1;

/// Free features of so many examples a class, under a deep linear head.
pub struct FreeFeatures<'a> {
    pub counts: &'a [usize],
    pub loss: UnconstrainedLoss,
    pub bias: bool,
    pub depth: usize,
    /// Of every layer and of the features; the bias has none.
    pub decay: f64,
}

/// Features and head are all there is to learn.
#[derive(Module, Debug)]
struct FreeModel {
    features: Param<Tensor<2>>,
    head: DeepLinearHead,
}

/// Where gradient descent ended.
pub struct Trained {
    pub objective: f64,
    /// Product of the layers, `[classes, WIDTH]`.
    pub head: Tensor<2>,
    /// Mean feature of each class, `[classes, WIDTH]`.
    pub means: Tensor<2>,
    features: Tensor<2>,
    labels: Tensor<1, Int>,
    bias: Option<Tensor<1>>,
}

impl FreeFeatures<'_> {
    /// Full-batch gradient descent in f64 (rate .5, momentum .9) from normal features and weights of the given scale.
    ///
    /// # Errors
    /// When it diverges.
    pub fn train(&self, steps: usize, weight_scale: f64, seed: u64) -> Result<Trained, FitError> {
        let objective = UnconstrainedFeatureObjectiveConfig::new()
            .with_loss(self.loss)
            .with_weight_decay(self.decay)
            .with_feature_decay(self.decay)
            .with_depth(self.depth)
            .init();
        let config = FitConfig::new()
            .with_optimizer(OptimizerKind::Sgd { momentum: 0.9, nesterov: false })
            .with_learning_rate(0.5)
            .with_batch_size(1)
            .with_epochs(steps);
        let labels = self.labels();
        // Every step is of all examples, so an epoch is one step and the rows drawn for it do not matter.
        let everything = Sampler::Shuffled { rows: 1 };
        let step = |model: &FreeModel, _: &[usize], _: &mut Mode| value(&objective, model, &labels);
        let fitted = TrainingLoop::new(&config, everything, seed).run(self.start(weight_scale, seed), step)?;
        let FreeModel { features, head } = &fitted.model;
        Ok(Trained {
            objective: value(&objective, &fitted.model, &labels).into_scalar::<f64>(),
            head: head.product(),
            means: self.class_means(features.val()),
            features: features.val(),
            labels,
            bias: head.bias.as_ref().map(Param::val),
        })
    }

    fn start(&self, weight_scale: f64, seed: u64) -> FreeModel {
        let device = Device::flex().autodiff();
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = |rows: usize, columns: usize, scale: f64| {
            let draw = |_| -> f64 { scale * Distribution::<f64>::sample(&StandardNormal, rng) };
            let data = TensorData::new((0..rows * columns).map(draw).collect::<Vec<f64>>(), [rows, columns]);
            Param::from_tensor(Tensor::<2>::from_data(data, (&device, DType::F64)))
        };
        let features = normal(self.counts.iter().sum(), WIDTH, FEATURE_SCALE);
        let classes = self.counts.len();
        let outputs = |layer: usize| if layer == self.depth { classes } else { WIDTH };
        let weights = (1..=self.depth).map(|layer| normal(outputs(layer), WIDTH, weight_scale)).collect();
        let bias = self.bias.then(|| Param::from_tensor(Tensor::zeros([classes], (&device, DType::F64))));
        FreeModel { features, head: DeepLinearHead { weights, bias } }
    }

    /// Class by class.
    fn labels(&self) -> Tensor<1, Int> {
        let labels =
            self.counts.iter().enumerate().flat_map(|(class, &count)| std::iter::repeat_n(class as i64, count));
        let labels: Vec<i64> = labels.collect();
        let rows = labels.len();
        Tensor::from_data(TensorData::new(labels, [rows]), &Device::flex())
    }

    fn class_means(&self, features: Tensor<2>) -> Tensor<2> {
        let mut first = 0;
        let mean_of = |&count: &usize| {
            let rows = features.clone().slice([first..first + count, 0..WIDTH]);
            first += count;
            rows.mean_dim(0)
        };
        Tensor::cat(self.counts.iter().map(mean_of).collect(), 0)
    }
}

impl Trained {
    /// The metrics of collapse.
    ///
    /// # Errors
    /// When there is a number that is not finite.
    pub fn collapse(&self) -> Result<NeuralCollapse, String> {
        let [classes, _] = self.head.dims();
        NeuralCollapseMetrics::new(classes)
            .and_then(|metrics| {
                metrics.compute(self.features.clone(), self.labels.clone(), self.head.clone(), self.bias.clone())
            })
            .map_err(|error| error.to_string())
    }

    /// Length of the head's row of each class.
    pub fn row_lengths(&self) -> Vec<f64> {
        self.head.clone().square().sum_dim(1).sqrt().into_data().iter::<f64>().collect()
    }
}

fn value(objective: &UnconstrainedFeatureObjective, model: &FreeModel, labels: &Tensor<1, Int>) -> Tensor<1> {
    let weights: Vec<Tensor<2>> = model.head.weights.iter().map(Param::val).collect();
    let bias = model.head.bias.as_ref().map(Param::val);
    objective.forward(model.features.val(), labels.clone(), &weights, bias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contrarian::diagnostics::ImbalancedGeometry;

    #[test]
    fn a_short_descent_comes_near_the_closed_form_and_starts_far_from_it() {
        let counts = [8, 4, 2];
        let problem =
            FreeFeatures { counts: &counts, loss: UnconstrainedLoss::Mse, bias: false, depth: 1, decay: 2e-3 };
        let geometry = ImbalancedGeometry::new().with_weight_decay(2e-3).with_feature_decay(2e-3);
        let minimum = geometry.compute(&counts).unwrap().min_loss;
        let after = |steps: usize| {
            let trained = problem.train(steps, 0.1, 0).unwrap();
            let deviations = geometry.compare(trained.head.clone(), trained.means.clone(), &counts).unwrap();
            (trained.objective - minimum, deviations)
        };
        let ((start, far), (end, near)) = (after(1), after(800));
        assert!(start > 0.1 && far.weight > 0.1 && far.features > 0.1, "{start}, {far:?}");
        // The bounds of the paper's specification for a run of this size; no point lies below a minimum but for rounding.
        assert!(end > -1e-12 && end < 1e-6, "{end}");
        assert!(near.weight < 0.1 && near.features < 0.1 && near.logits < 0.1, "{near:?}");
    }

    #[test]
    fn class_means_are_of_the_rows_of_the_class() {
        let problem = FreeFeatures { counts: &[1, 2], loss: UnconstrainedLoss::Ce, bias: true, depth: 2, decay: 1e-3 };
        let rows: Vec<f64> = [1.0, 3.0, 5.0].into_iter().flat_map(|x| [x; WIDTH]).collect();
        let features = Tensor::<2>::from_data(TensorData::new(rows, [3, WIDTH]), (&Device::flex(), DType::F64));
        let means: Vec<f64> = problem.class_means(features).into_data().iter::<f64>().collect();
        assert_eq!(means, [[1.0; WIDTH], [4.0; WIDTH]].concat());
        assert_eq!(problem.labels().into_data().iter::<i64>().collect::<Vec<_>>(), [0, 1, 1]);
    }
}
