use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{LinearSoftmaxKernel, apply, available};
use crate::numerics::log_sum_exp;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use contrarian_kernels::IGNORED;

/// Configuration of the [linear cross-entropy loss](LinearCrossEntropyLoss).
#[derive(Config, Debug)]
pub struct LinearCrossEntropyLossConfig {
    /// Part of the label's mass that is spread over all classes, in `[0, 1]`.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Label of rows that do not count.
    pub ignore_index: Option<i64>,
    /// Weight of the squared log-normaliser, at least 0: keeps logits from drifting.
    #[config(default = 0.0)]
    pub log_z_penalty: f64,
}

impl LinearCrossEntropyLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let (e, c) = (self.label_smoothing, self.log_z_penalty);
        require((0.0..=1.0).contains(&e), "label_smoothing", e, "in [0, 1]")?;
        require(c >= 0.0 && c.is_finite(), "log_z_penalty", c, "finite and at least 0")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> LinearCrossEntropyLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        LinearCrossEntropyLoss {
            label_smoothing: self.label_smoothing,
            ignore_index: self.ignore_index,
            log_z_penalty: self.log_z_penalty,
        }
    }
}

/// The last linear layer and its cross-entropy in one: for output layers so wide that their logits would not fit memory.
///
/// ```text
/// z_ik = h_i . w_k + b_k,   L_i = log sum_k exp(z_ik)
/// l_i  = (1 - e) (L_i - z_iy) + (e/K) sum_k (L_i - z_ik) + c L_i^2,        loss = mean of l_i over the rows that count
/// ```
///
/// with label smoothing `e` and `c` the weight of the penalty that keeps the log-normaliser near 0 (the "z-loss" of
/// language-model training; no relation to the loss of that name for large output layers). With no row that counts the loss
/// is 0. On the CPU, memory grows with `batch dim + classes dim`: the logits `[batch, classes]` are never held.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Int, Tensor};
/// use contrarian::classification::LinearCrossEntropyLossConfig;
///
/// let device = Device::flex();
/// let random = |rows, columns| Tensor::<2>::random([rows, columns], Distribution::Default, &device);
/// let labels = Tensor::<1, Int>::from_ints([3, 0], &device);
/// let loss = LinearCrossEntropyLossConfig::new().init().forward(random(2, 8), random(100, 8), None, labels);
/// assert!(loss.into_scalar::<f32>() > 0.0);
/// ```
#[derive(Module, Debug)]
pub struct LinearCrossEntropyLoss {
    /// Part of the label's mass that is spread over all classes.
    pub label_smoothing: f64,
    /// Label of rows that do not count.
    #[module(skip)]
    pub ignore_index: Option<i64>,
    /// Weight of the squared log-normaliser.
    pub log_z_penalty: f64,
}

impl LinearCrossEntropyLoss {
    /// The mean over the rows that count.
    ///
    /// # Shapes
    /// - hidden: `[batch, dim]`
    /// - weight: `[classes, dim]`, a row for every class (the transpose of what Burn's `Linear` keeps)
    /// - bias: `[classes]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When shapes do not fit each other, a label is out of range, or memory does not suffice (with the sizes).
    pub fn forward(
        &self,
        hidden: Tensor<2>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.compute(hidden, weight, bias, labels, true)
    }

    /// The loss of every row; 0 for those that do not count.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), with output `[batch]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(
        &self,
        hidden: Tensor<2>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.compute(hidden, weight, bias, labels, false)
    }

    fn compute(
        &self,
        hidden: Tensor<2>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        labels: Tensor<1, Int>,
        mean: bool,
    ) -> Tensor<1> {
        let ([n, dim], [classes, width]) = (hidden.dims(), weight.dims());
        assert!(
            n > 0 && classes > 0,
            "a loss needs a row and a class, got hidden [{n}, {dim}], weight [{classes}, {width}]"
        );
        assert_eq!(dim, width, "hidden is [{n}, {dim}], so weight must be [classes, {dim}], not [{classes}, {width}]");
        let labels: Vec<usize> = labels
            .into_data()
            .iter::<i64>()
            .map(|label| match label {
                _ if Some(label) == self.ignore_index => IGNORED,
                _ => usize::try_from(label)
                    .ok()
                    .filter(|&label| label < classes)
                    .unwrap_or_else(|| panic!("label {label} is not in 0..{classes} and is not the ignored label")),
            })
            .collect();
        assert_eq!(labels.len(), n, "{} labels for {n} rows", labels.len());
        if available(&hidden) {
            let (label_smoothing, log_z_penalty) = (self.label_smoothing, self.log_z_penalty);
            let kernel = LinearSoftmaxKernel { dim, labels, label_smoothing, log_z_penalty, mean };
            return match bias {
                Some(bias) => apply([hidden.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()], kernel),
                None => apply([hidden.into_dispatch(), weight.into_dispatch()], kernel),
            };
        }
        let mut logits = hidden.matmul(weight.transpose());
        if let Some(bias) = bias {
            logits = logits + bias.reshape([1, classes]);
        }
        let device = logits.device();
        let counts: Vec<bool> = labels.iter().map(|&label| label != IGNORED).collect();
        let counted = counts.iter().filter(|&&counts| counts).count().max(1);
        let ignored = Tensor::from_data(TensorData::new(counts, [n]), &device).bool_not();
        let at: Vec<i64> = labels.iter().map(|&label| if label == IGNORED { 0 } else { label as i64 }).collect();
        let at = Tensor::<1, Int>::from_data(TensorData::new(at, [n]), &device).reshape([n, 1]);
        let own: Tensor<1> = logits.clone().gather(1, at).reshape([n]);
        let log_z: Tensor<1> = log_sum_exp(logits.clone()).reshape([n]);
        let mut losses =
            log_z.clone() - own.mul_scalar(1.0 - self.label_smoothing) + log_z.square().mul_scalar(self.log_z_penalty);
        if self.label_smoothing > 0.0 {
            losses = losses - logits.mean_dim(1).reshape([n]).mul_scalar(self.label_smoothing);
        }
        let losses = losses.mask_fill(ignored, 0.0);
        if mean { losses.sum().mul_scalar(1.0 / counted as f64) } else { losses }
    }
}
