use crate::federated::{FederatedError, federated_average};
use burn::module::Module;

/// Why a momentum encoder cannot be updated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MomentumError {
    /// A momentum outside its range.
    #[error("the momentum is {momentum}, but must be in [0, 1]")]
    Momentum {
        /// The momentum.
        momentum: f64,
    },
    /// The two encoders are not alike.
    #[error("the online encoder has other parameters than the target: {reason}")]
    Parameters {
        /// Where and how.
        reason: String,
    },
}

/// The next momentum encoder: the target moved a little towards the online one.
///
/// ```text
/// theta_t = m theta_t + (1 - m) theta_o
/// ```
///
/// for every float tensor: weights, and the running statistics of batch normalisation (with which a target for inference
/// normalises). What is no float (flags, counts) stays the target's. The result is a model for inference, so keys made with it
/// are constants; it shares nothing with either argument. Begin with `momentum_update(&online, online.clone(), 0.0)`: a mere clone
/// has its running statistics in common with the original, and follows them at once.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use contrarian_lab::fit::momentum_update;
///
/// let online = LinearConfig::new(2, 3).init(&Device::flex().autodiff());
/// let mut target = momentum_update(&online, online.clone(), 0.0)?;
/// // After every step of the optimiser on `online`:
/// target = momentum_update(&online, target, 0.999)?;
/// # drop(target);
/// # Ok::<(), contrarian_lab::fit::MomentumError>(())
/// ```
///
/// # Errors
/// When the momentum is outside `[0, 1]`, or the two have not the same parameters.
///
/// Source: He et al. 2020, <https://arxiv.org/abs/1911.05722>, equation 2 (which leaves running statistics open).
pub fn momentum_update<M: Module>(online: &M, target: M, momentum: f64) -> Result<M, MomentumError> {
    if !(0.0..=1.0).contains(&momentum) {
        return Err(MomentumError::Momentum { momentum });
    }
    // An average of two, the target first: what is no float is the first's.
    federated_average(&[target, online.clone()], &[momentum, 1.0 - momentum]).map_err(|error| match error {
        FederatedError::Parameters { reason, .. } => MomentumError::Parameters { reason },
        other => unreachable!("two models with weights in [0, 1] that sum to 1: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::FitConfig;
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor, TensorData};
    use contrarian::contrastive::InfoNceLossConfig;
    use contrarian::negatives::MemoryQueue;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    #[derive(Module, Debug)]
    struct Encoder {
        linear: Linear,
        norm: BatchNorm,
    }

    impl Encoder {
        fn new(outputs: usize, device: &Device) -> Self {
            Self {
                linear: LinearConfig::new(4, outputs).init(device),
                norm: BatchNormConfig::new(outputs).init(device),
            }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            self.norm.forward(self.linear.forward(x))
        }
    }

    fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn parts(encoder: &Encoder) -> [Vec<f32>; 5] {
        let encoder = encoder.valid();
        let Encoder { linear, norm } = &encoder;
        [
            floats(linear.weight.val()),
            floats(linear.bias.as_ref().unwrap().val()),
            floats(norm.gamma.val()),
            floats(norm.running_mean.value()),
            floats(norm.running_var.value()),
        ]
    }

    /// Rows of random numbers, one after the other from `rng`.
    fn draw(rng: &mut Xoshiro256PlusPlus, rows: usize, scale: f32, device: &Device) -> Tensor<2> {
        let numbers: Vec<f32> = (0..rows * 4).map(|_| rng.random_range(-scale..scale)).collect();
        Tensor::from_data(TensorData::new(numbers, [rows, 4]), device)
    }

    #[test]
    fn every_float_moves_by_the_momentum() {
        let device = Device::flex().autodiff();
        let (online, target) = (Encoder::new(3, &device), Encoder::new(3, &device));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        online.forward(draw(&mut rng, 8, 2.0, &device).add_scalar(5.0));
        let (theirs, before) = (parts(&online), parts(&target));
        assert_ne!(theirs[3], before[3], "the statistics have something to move to");
        let after = parts(&momentum_update(&online, target, 0.9).unwrap());
        for ((theirs, before), after) in theirs.iter().zip(&before).zip(&after) {
            for ((theirs, before), after) in theirs.iter().zip(before).zip(after) {
                // A sum of two numbers of order 1 in f32.
                assert!((0.9 * before + 0.1 * theirs - after).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_ends_are_the_two_models_and_nothing_is_shared() {
        let device = Device::flex().autodiff();
        let (online, target) = (Encoder::new(3, &device), Encoder::new(3, &device));
        assert_eq!(parts(&momentum_update(&online, target.clone(), 1.0).unwrap()), parts(&target));
        let copy = momentum_update(&online, online.clone(), 0.0).unwrap();
        let before = parts(&copy);
        assert_eq!(before, parts(&online));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        online.forward(draw(&mut rng, 8, 2.0, &device).add_scalar(5.0));
        assert_ne!(parts(&online), before);
        assert_eq!(parts(&copy), before, "what the online encoder sees must not move the target");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let device = Device::flex();
        let online = Encoder::new(3, &device);
        for momentum in [-0.1, 1.1, f64::NAN] {
            let error = momentum_update(&online, online.clone(), momentum).unwrap_err();
            assert!(matches!(error, MomentumError::Momentum { .. }));
        }
        let error = momentum_update(&online, Encoder::new(2, &device), 0.9).unwrap_err().to_string();
        assert!(error.contains("linear.weight"), "{error}");
    }

    /// MoCo in small: queries against the keys of a momentum encoder, with the queue's negatives. Two numbers of a view tell its
    /// item, two are louder noise: the encoder must learn which.
    #[test]
    fn an_encoder_trains_on_the_queues_negatives() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let mut online = Encoder::new(8, &device);
        let mut target = momentum_update(&online, online.clone(), 0.0).unwrap();
        let mut queue = MemoryQueue::new(64, 8).unwrap();
        let loss = InfoNceLossConfig::new().with_temperature(0.2).init();
        let mut optimizer = FitConfig::new().optimizer();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
        let mut values = Vec::new();
        let signal = Tensor::<2>::from_floats([[1.0, 1.0, 0.0, 0.0]], &device);
        let noise = Tensor::<2>::from_floats([[0.1, 0.1, 2.0, 2.0]], &device);
        for _ in 0..200 {
            let items = draw(&mut rng, 16, 1.0, &device) * signal.clone();
            let views = [0, 1].map(|_| items.clone() + draw(&mut rng, 16, 1.0, &device) * noise.clone());
            let [queries, keys] = views;
            let keys = target.forward(keys.inner());
            let keys = Tensor::from_data(keys.into_data(), &device);
            let value = loss.forward_no_reduction(online.forward(queries), keys.clone(), queue.negatives()).mean();
            queue.push(keys).unwrap();
            values.push(f64::from(value.clone().into_scalar::<f32>()));
            let gradients = GradientsParams::from_grads(value.backward(), &online);
            online = optimizer.step(0.01, online, gradients);
            target = momentum_update(&online, target, 0.9).unwrap();
        }
        assert_eq!(queue.len(), 64);
        // The queue is full from the fifth step on.
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let (early, late) = (mean(&values[5..15]), mean(&values[190..]));
        assert!(late < 0.8 * early, "from {early} to {late}");
    }
}
