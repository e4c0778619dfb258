use super::{require_temperature, same_shape, unit_rows};
use crate::InvalidParameter;
use crate::fused::{InBatch, TwoWayKernel, apply, available};
use crate::objective::pair_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [InfoNCE loss](InfoNceLoss).
#[derive(Config, Debug)]
pub struct InfoNceLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// Whether positives are also contrasted with all anchors, as CLIP does; the loss is the mean of both directions.
    #[config(default = false)]
    pub symmetric: bool,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl InfoNceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the temperature is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> InfoNceLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        InfoNceLoss { temperature: self.temperature, symmetric: self.symmetric, normalize: self.normalize }
    }
}

/// InfoNCE with in-batch negatives: find each anchor's positive among all positives of the batch.
///
/// ```text
/// s_ij = x_i . y_j / T
/// l_i  = log( sum_j exp(s_ij) + sum_k exp(x_i . n_k / T) ) - s_ii,        loss = mean_i l_i
/// ```
///
/// with anchors `x`, positives `y`, optional extra negatives `n` and temperature `T`. Symmetric: the mean of this and of
/// the same with `x` and `y` exchanged (extra negatives serve the first direction only). One pair without extra negatives
/// has loss and gradient 0. Time `O(n (n + m) dim)`; on the CPU memory grows with `n + m`, not with their product.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use contrarian::contrastive::InfoNceLossConfig;
///
/// let device = Device::flex();
/// let views = || Tensor::<2>::random([8, 16], Distribution::Default, &device);
/// let loss = InfoNceLossConfig::new().with_temperature(0.2).init().forward(views(), views());
/// assert!(loss.into_scalar::<f32>() > 0.0);
/// ```
///
/// Source: van den Oord et al. 2018, <https://arxiv.org/abs/1807.03748>, equation 4; as studied by Wang, Liu 2021,
/// <https://arxiv.org/abs/2012.09740>, equation 1.
#[derive(Module, Debug)]
pub struct InfoNceLoss {
    /// Temperature.
    pub temperature: f64,
    /// Whether both directions count.
    pub symmetric: bool,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl InfoNceLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ or are empty, or memory does not suffice (with the sizes).
    pub fn forward(&self, anchors: Tensor<2>, positives: Tensor<2>) -> Tensor<1> {
        self.compute(anchors, positives, None, true)
    }

    /// The mean over the batch, with extra negatives that every anchor is contrasted with (a queue, mined hard negatives).
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_negatives(&self, anchors: Tensor<2>, positives: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        self.compute(anchors, positives, Some(negatives), true)
    }

    /// The mean over the batch at a temperature that is learned: the gradient flows into it.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - temperature: `[1]`, above 0; instead of the configured one
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_temperature(
        &self,
        anchors: Tensor<2>,
        positives: Tensor<2>,
        temperature: Tensor<1>,
    ) -> Tensor<1> {
        // A score is a product: dividing the anchors by the temperature divides the scores.
        let anchors = unit_rows(anchors, self.normalize) / temperature.reshape([1, 1]);
        let positives = unit_rows(positives, self.normalize);
        Self { temperature: 1.0, normalize: false, ..*self }.compute(anchors, positives, None, true)
    }

    /// The loss `l_i` of every anchor (symmetric: the mean of its two directions).
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(
        &self,
        anchors: Tensor<2>,
        positives: Tensor<2>,
        negatives: Option<Tensor<2>>,
    ) -> Tensor<1> {
        self.compute(anchors, positives, negatives, false)
    }

    fn compute(&self, anchors: Tensor<2>, positives: Tensor<2>, negatives: Option<Tensor<2>>, mean: bool) -> Tensor<1> {
        let [n, dim] = same_shape(&anchors, &positives);
        let (x, y) = (unit_rows(anchors, self.normalize), unit_rows(positives, self.normalize));
        let temperature = self.temperature;
        if self.symmetric && negatives.is_none() && available(&x) {
            return apply([x.into_dispatch(), y.into_dispatch()], TwoWayKernel { dim, temperature, mean });
        }
        let forth = InBatch {
            dim,
            temperature,
            positives: (0..n).collect(),
            own: None,
            coupled: true,
            negatives_only: false,
            hardest: None,
            mean,
        };
        let candidates = match negatives {
            Some(negatives) => Tensor::cat(vec![y.clone(), unit_rows(negatives, self.normalize)], 0),
            None => y.clone(),
        };
        let back = self.symmetric.then(|| forth.clone().forward(y, x.clone()));
        let forth = forth.forward(x, candidates);
        match back {
            Some(back) => (forth + back).mul_scalar(0.5),
            None => forth,
        }
    }
}

pair_objective!(InfoNceLoss);
