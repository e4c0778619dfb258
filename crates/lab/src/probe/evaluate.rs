use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::{LogitBatch, LogitObjective, ObjectiveState};
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// An objective as a function of numbers. Every evaluation starts from the same fresh state, so that a stochastic
/// objective is one fixed function: the one of its first draw.
pub(super) struct Evaluator<'a> {
    pub objective: &'a dyn LogitObjective,
    pub classes: usize,
    pub dtype: DType,
}

impl Evaluator<'_> {
    /// Loss of a batch, logits row by row.
    pub fn value(&self, logits: &[f64], labels: &[usize]) -> f64 {
        self.loss(logits, labels).1.into_data().iter::<f64>().next().unwrap_or(f64::NAN)
    }

    /// Loss and its gradient by the logits.
    pub fn value_and_gradient(&self, logits: &[f64], labels: &[usize]) -> (f64, Vec<f64>) {
        let (leaf, loss) = self.loss(logits, labels);
        let value = loss.clone().into_data().iter::<f64>().next().unwrap_or(f64::NAN);
        let gradient = match leaf.grad(&loss.backward()) {
            Some(gradient) => gradient.into_data().iter::<f64>().collect(),
            None => vec![0.0; logits.len()],
        };
        (value, gradient)
    }

    fn loss(&self, logits: &[f64], labels: &[usize]) -> (Tensor<2>, Tensor<1>) {
        let device = Device::flex().autodiff();
        let rows = labels.len();
        let data = TensorData::new(logits.to_vec(), [rows, self.classes]);
        let leaf = Tensor::<2>::from_data(data, (&device, self.dtype)).require_grad();
        let ints = |values: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(values, [rows]), &device);
        let batch = LogitBatch {
            logits: leaf.clone(),
            labels: ints(labels.iter().map(|&label| label as i64).collect()),
            ids: Some(ints((0..rows as i64).collect())),
        };
        let mut state = match self.objective.initial_state(rows, 0) {
            ObjectiveState::PerExample(numbers) => {
                ObjectiveState::PerExample(Tensor::from_data(numbers.into_data(), (&device.inner(), self.dtype)))
            }
            state => state,
        };
        let loss = self.objective.loss(batch, &mut state);
        (leaf, loss)
    }

    /// Labels of a batch that has every class equally often.
    pub fn labels(&self, rows: usize) -> Vec<usize> {
        (0..rows).map(|row| row % self.classes).collect()
    }

    /// Normal logits.
    pub fn draw(&self, rows: usize, scale: f64, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        (0..rows * self.classes).map(|_| scale * normal()).collect()
    }
}
