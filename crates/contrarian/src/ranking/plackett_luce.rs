use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{self, Evaluation, Kernel};
use crate::numerics::softplus;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use contrarian_kernels::plackett_luce as kernels;
use contrarian_kernels::{KernelError, Real};
use serde::{Deserialize, Serialize};

/// How much each rank `k = 1 ..= C` of the teacher's order counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankWeights {
    /// The teacher's probability of the class at the rank.
    #[default]
    Teacher,
    /// `1 / C`: ListMLE divided by the number of classes.
    Uniform,
    /// 1: ListMLE.
    ListMle,
    /// 1 at the first rank, 0 after it: cross-entropy.
    First,
    /// `2^(C - k) - 1`: position-aware ListMLE. Overflows f32 from 129 classes on, f64 from 1025.
    Position,
    /// These numbers, one a rank, each at least 0.
    Custom(Vec<f64>),
}

/// Configuration of the [Plackett-Luce loss](PlackettLuceLoss).
#[derive(Config, Debug)]
pub struct PlackettLuceLossConfig {
    /// The teacher's temperature, above 0: flattens its weights, never changes the order. Towards 0 the weight goes to the
    /// teacher's most probable class, which may not be the label.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Weights of the ranks.
    #[config(default = "RankWeights::Teacher")]
    pub weights: RankWeights,
}

impl PlackettLuceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let allowed = "above 0 and finite";
        require(self.temperature > 0.0 && self.temperature.is_finite(), "temperature", self.temperature, allowed)?;
        match &self.weights {
            RankWeights::Custom(numbers) => {
                let legal = numbers.iter().all(|&number| number.is_finite() && number >= 0.0);
                require(legal, "weights", format!("{numbers:?}"), "finite and at least 0")
            }
            _ => Ok(()),
        }
    }

    fn build(&self) -> PlackettLuceLoss {
        PlackettLuceLoss { temperature: self.temperature, weights: self.weights.clone() }
    }
}

init!(PlackettLuceLossConfig => PlackettLuceLoss);

/// Plackett-Luce distillation: the student learns to rank the classes, the label first and then as the teacher does.
///
/// ```text
/// loss_i = sum_k a_k (S_k - s_{pi_k}),        S_k = ln sum_{l >= k} exp(s_{pi_l})
/// ```
///
/// `s` are the student's logits, `pi` the teacher's order ([`teacher_optimal_permutation`]) and `a` the weights of the ranks,
/// by default `softmax(t / temperature)_{pi_k}` of the teacher's logits `t`. Cross-entropy is its first step, so there is no
/// second term to balance. Convex in `s`; adding a number to a row changes nothing. No gradient goes to the teacher. Over
/// retrieval scores with the positive at index 0 it is the same with labels 0.
///
/// Source: Bassam, Zhu, Bian 2025, <https://arxiv.org/abs/2506.12542>; ListMLE: Xia et al. 2008.
#[derive(Module, Debug)]
pub struct PlackettLuceLoss {
    /// The teacher's temperature.
    pub temperature: f64,
    /// Weights of the ranks.
    #[module(skip)]
    pub weights: RankWeights,
}

impl PlackettLuceLoss {
    /// The mean loss of the batch.
    ///
    /// # Shapes
    /// - student, teacher: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When shapes do not fit, a label is no class, a teacher's logit is NaN or plus infinity (minus infinity is a class
    /// that it excludes), or a weight is not finite.
    pub fn forward(&self, student: Tensor<2>, teacher: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        if !fused::available(&student) {
            return self.forward_composed(student, teacher, labels);
        }
        let [rows, items] = check_shapes(&student, &teacher);
        let kernel = DistillationKernel { rows, items, labels: read_labels(labels), loss: self.clone() };
        let teacher = teacher.detach().cast(student.dtype());
        fused::apply([student.into_dispatch(), teacher.into_dispatch()], kernel)
    }

    pub(super) fn forward_composed(&self, student: Tensor<2>, teacher: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        check_shapes(&student, &teacher);
        let order = teacher_optimal_permutation(teacher.clone(), labels);
        let weights = self.rank_weights(teacher.cast(student.dtype()), order.clone());
        (steps(student, order) * weights).sum_dim(1).mean()
    }

    /// The weights of the ranks of an order, `[batch, classes]`, constants for the gradient.
    ///
    /// # Panics
    /// When shapes do not fit, or a weight is not finite.
    pub fn rank_weights(&self, teacher: Tensor<2>, order: Tensor<2, Int>) -> Tensor<2> {
        let teacher = teacher.detach();
        let [rows, items] = teacher.dims();
        assert_eq!(order.dims(), [rows, items], "the order must have the teacher's shape");
        let fixed: Vec<f64> = match &self.weights {
            RankWeights::Teacher => {
                return activation::softmax(teacher.mul_scalar(1.0 / self.temperature), 1).gather(1, order);
            }
            RankWeights::Uniform => vec![1.0 / items as f64; items],
            RankWeights::ListMle => vec![1.0; items],
            RankWeights::First => (0..items).map(|k| f64::from(u8::from(k == 0))).collect(),
            RankWeights::Position => (1..=items).map(|k| 2f64.powi((items - k) as i32) - 1.0).collect(),
            RankWeights::Custom(numbers) => numbers.clone(),
        };
        assert_eq!(fixed.len(), items, "{} weights for {items} ranks", fixed.len());
        let largest = if teacher.dtype() == DType::F64 { f64::MAX } else { f32::MAX.into() };
        assert!(fixed.iter().all(|&weight| weight <= largest), "rank weights overflow at {items} classes");
        let data = TensorData::new(fixed, [1, items]).convert_dtype(teacher.dtype());
        Tensor::<2>::from_data(data, (&teacher.device(), teacher.dtype())).expand([rows, items])
    }

    fn kernel_weights(&self) -> kernels::RankWeights<'_> {
        match &self.weights {
            RankWeights::Teacher => kernels::RankWeights::Teacher { temperature: self.temperature },
            RankWeights::Uniform => kernels::RankWeights::Uniform,
            RankWeights::ListMle => kernels::RankWeights::ListMle,
            RankWeights::First => kernels::RankWeights::First,
            RankWeights::Position => kernels::RankWeights::Position,
            RankWeights::Custom(numbers) => kernels::RankWeights::Custom(numbers),
        }
    }
}

/// The order in which a student is to rank the classes, `[batch, classes]`: the label, then the others by descending logit of
/// the teacher, equal ones by class.
///
/// The logits are read back to be sorted: Burn's sort does not keep the order of equals. The order depends on the data set
/// alone, so it may be made once.
///
/// # Panics
/// When shapes do not fit, a label is no class, or a logit is NaN or plus infinity.
pub fn teacher_optimal_permutation(teacher: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<2, Int> {
    let [rows, items] = teacher.dims();
    let device = teacher.device();
    let logits: Vec<f64> =
        teacher.into_data().convert_dtype(DType::F64).try_to_vec().expect("the logits were made f64");
    let order = kernels::teacher_order(&logits, rows, items, &read_labels(labels)).unwrap_or_else(|e| panic!("{e}"));
    let order: Vec<i64> = order.into_iter().map(i64::from).collect();
    Tensor::from_data(TensorData::new(order, [rows, items]), &device)
}

/// The logarithm of the probability of an order under the Plackett-Luce model, `[batch]`.
///
/// ```text
/// log p_i = sum_k ( s_{pi_k} - ln sum_{l >= k} exp(s_{pi_l}) )
/// ```
///
/// # Shapes
/// - scores: `[batch, items]`
/// - order: `[batch, items]`, each row a permutation: the item at every rank, best first
/// - output: `[batch]`
///
/// # Panics
/// When shapes do not fit or a row of `order` is no permutation.
pub fn plackett_luce_log_prob(scores: Tensor<2>, order: Tensor<2, Int>) -> Tensor<1> {
    if !fused::available(&scores) {
        return plackett_luce_log_prob_composed(scores, order);
    }
    let [rows, items] = scores.dims();
    let order: Vec<i64> = order.into_data().convert_dtype(DType::I64).try_to_vec().expect("the order was made i64");
    // What is no item becomes a number that the kernel refuses.
    let order = order.into_iter().map(|item| u32::try_from(item).unwrap_or(u32::MAX)).collect();
    fused::apply([scores.into_dispatch()], LogProbKernel { rows, items, order })
}

/// Does not check that rows of `order` are permutations.
pub(super) fn plackett_luce_log_prob_composed(scores: Tensor<2>, order: Tensor<2, Int>) -> Tensor<1> {
    let [rows, _] = scores.dims();
    assert_eq!(order.dims(), scores.dims(), "the order must have the shape of the scores");
    steps(scores, order).sum_dim(1).neg().reshape([rows])
}

/// `S_k - s_{pi_k}` of every rank, `[batch, items]`.
fn steps(scores: Tensor<2>, order: Tensor<2, Int>) -> Tensor<2> {
    let [_, items] = scores.dims();
    let ranked = scores.gather(1, order);
    // Suffixes of twice the length at each turn: with S over the ranks k .. k + w, the next is S_k + softplus(S_{k+w} - S_k).
    // That is a running log-sum-exp in log2(items) steps, which needs no guard against underflow.
    let mut sums = ranked.clone();
    let mut width = 1;
    while width < items {
        let near = sums.clone().narrow(1, 0, items - width);
        let far = sums.clone().narrow(1, width, items - width);
        let joined = near.clone() + softplus(far - near);
        sums = Tensor::cat(vec![joined, sums.narrow(1, items - width, width)], 1);
        width *= 2;
    }
    sums - ranked
}

fn check_shapes(student: &Tensor<2>, teacher: &Tensor<2>) -> [usize; 2] {
    let shape = student.dims();
    assert!(shape[0] > 0, "a loss needs at least one example");
    assert_eq!(teacher.dims(), shape, "student and teacher must have the same shape");
    shape
}

/// Labels as indices; they choose the order, which is made here and not on a device.
fn read_labels(labels: Tensor<1, Int>) -> Vec<usize> {
    let labels: Vec<i64> = labels.into_data().convert_dtype(DType::I64).try_to_vec().expect("the labels were made i64");
    // What is no class becomes a number that the kernel refuses.
    labels.into_iter().map(|label| usize::try_from(label).unwrap_or(usize::MAX)).collect()
}

/// The mean loss of a batch, over student and teacher.
#[derive(Debug)]
struct DistillationKernel {
    rows: usize,
    items: usize,
    labels: Vec<usize>,
    loss: PlackettLuceLoss,
}

impl<T: Real> Kernel<T> for DistillationKernel {
    fn evaluate(&self, inputs: &[&[T]], _gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let Self { rows, items, labels, loss } = self;
        let weights = loss.kernel_weights();
        let mut found = kernels::plackett_luce_distillation(inputs[0], inputs[1], *rows, *items, labels, weights)?;
        let by = 1.0 / *rows as f64;
        let value = T::of(found.losses.iter().map(|loss| loss.f64()).sum::<f64>() * by);
        found.gradient.iter_mut().for_each(|number| *number *= T::of(by));
        // The teacher is a constant; its zeros are never touched.
        let teacher = vec![T::ZERO; inputs[1].len()];
        Ok(Evaluation { value: vec![value], gradients: Some(vec![found.gradient, teacher]) })
    }
}

/// The log-probability of every row.
#[derive(Debug)]
struct LogProbKernel {
    rows: usize,
    items: usize,
    order: Vec<u32>,
}

impl LogProbKernel {
    fn loss<T: Real>(&self, scores: &[T]) -> Result<kernels::PlackettLuceLoss<T>, KernelError> {
        kernels::plackett_luce(scores, self.rows, self.items, &self.order, &vec![T::ONE; scores.len()])
    }
}

impl<T: Real> Kernel<T> for LogProbKernel {
    fn evaluate(&self, inputs: &[&[T]], _gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let value = self.loss(inputs[0])?.losses.into_iter().map(|loss| -loss).collect();
        Ok(Evaluation { value, gradients: None })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        let mut gradient = self.loss(inputs[0])?.gradient;
        for (row, &by) in gradient.chunks_mut(self.items).zip(upstream) {
            for number in row {
                *number *= -by;
            }
        }
        Ok(vec![gradient])
    }
}
