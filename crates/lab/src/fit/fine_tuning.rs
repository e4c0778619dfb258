use super::FitConfig;
use burn::module::{Module, ParamGroup};
use burn::optim::ModuleOptimizer;
use contrarian::InvalidParameter;

/// What of a pre-trained network learns on the target, and how fast. (To learn on source and target together, give the loop
/// both sets.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FineTuning {
    /// Every layer, at the same rate.
    AllLayers,
    /// The head only; the other layers keep their weights and the statistics of their batch normalisation.
    HeadOnly,
    /// Every layer, the more slowly the nearer to the input, see [`layerwise_learning_rates`].
    Discriminative {
        /// Factor between the rates of neighbouring groups, above 0.
        decay: f64,
    },
}

impl FineTuning {
    /// A trained model made ready for the training loop, and the loop's optimiser. `groups` are the model's layer groups, input
    /// side first, the last the head.
    ///
    /// # Errors
    /// When there is no group, or the decay is not above 0.
    pub fn prepare<M: Module>(
        self,
        model: M,
        groups: &[ParamGroup],
        config: &FitConfig,
    ) -> Result<(M, ModuleOptimizer), InvalidParameter> {
        let Some((_, layers)) = groups.split_last() else {
            return Err(InvalidParameter::new("groups", 0, "at least 1"));
        };
        let model = model.train();
        Ok(match self {
            Self::AllLayers => (model, config.optimizer()),
            Self::HeadOnly => {
                let frozen = layers.iter().fold(model, |model, layer| model.freeze_group(layer.clone()));
                (frozen, config.optimizer())
            }
            Self::Discriminative { decay } => {
                let rates = layerwise_learning_rates(1.0, decay, groups.len())?;
                let groups: Vec<(ParamGroup, f64)> = groups.iter().cloned().zip(rates).collect();
                (model, config.optimizer_with_rates(&groups))
            }
        })
    }
}

/// Learning rates of layer groups, input side first: `base / decay^(G - 1 - g)` for group `g` of `G`.
///
/// # Errors
/// When the base is not above 0, the decay is not above 0, or there is no group.
///
/// Source: Howard, Ruder 2018, <https://arxiv.org/abs/1801.06146>, section 3.2, with their decay of 2.6.
pub fn layerwise_learning_rates(base: f64, decay: f64, groups: usize) -> Result<Vec<f64>, InvalidParameter> {
    for (field, value) in [("base", base), ("decay", decay)] {
        if !(value > 0.0 && value.is_finite()) {
            return Err(InvalidParameter::new(field, value, "finite and above 0"));
        }
    }
    if groups == 0 {
        return Err(InvalidParameter::new("groups", groups, "at least 1"));
    }
    Ok((0..groups).map(|group| base / decay.powi((groups - 1 - group) as i32)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sampler;
    use crate::fit::{OptimizerKind, TrainingLoop};
    use crate::model::{Mode, SeriesNetwork, ShallowNet, ShallowNetConfig};
    use burn::tensor::{Device, Tensor, TensorData};
    use contrarian::diagnostics::linear_cka;

    fn windows(device: &Device) -> Tensor<3> {
        let numbers: Vec<f32> = (0..8 * 2 * 40).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
        Tensor::from_data(TensorData::new(numbers, [8, 2, 40]), device)
    }

    /// A network before and after some steps, for inference.
    fn tuned(strategy: FineTuning, optimizer: OptimizerKind) -> [ShallowNet; 2] {
        let device = Device::flex().autodiff();
        let network = ShallowNetConfig::new(2, 40, 2).with_filters_time(3).with_filters_space(4).with_filter_length(5);
        let before = network.with_pool(8).with_stride(4).with_dropout(0.0).init(&device, 1).valid();
        let config = FitConfig::new().with_epochs(3).with_learning_rate(1e-3).with_optimizer(optimizer);
        let (model, optimizer) = strategy.prepare(before.clone(), &before.groups(), &config).unwrap();
        let training =
            TrainingLoop { optimizer: Some(optimizer), ..TrainingLoop::new(&config, Sampler::Shuffled { rows: 8 }, 1) };
        let step =
            |model: &ShallowNet, _: &[usize], mode: &mut Mode| model.logits(windows(&device), mode).square().mean();
        let after = training.run(model, step).unwrap().model;
        [before, after]
    }

    fn moved<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    const SGD: OptimizerKind = OptimizerKind::Sgd { momentum: 0.0, nesterov: false };

    #[test]
    fn head_only_leaves_all_else_as_it_was() {
        let [before, after] = tuned(FineTuning::HeadOnly, OptimizerKind::Adam);
        assert_eq!(moved(before.time_weight.val(), after.time_weight.val()), 0.0);
        assert_eq!(moved(before.spatial_weight.val(), after.spatial_weight.val()), 0.0);
        assert_eq!(moved(before.norm.gamma.val(), after.norm.gamma.val()), 0.0);
        assert_eq!(moved(before.norm.running_mean.value(), after.norm.running_mean.value()), 0.0);
        assert!(moved(before.class_weight.val(), after.class_weight.val()) > 1e-4);
        // So every stage but the last is the same.
        let x = windows(&Device::flex());
        let stage = |model: &ShallowNet| model.stages(x.clone(), &mut Mode::Inference)[1].clone().flatten::<2>(1, 2);
        assert!((linear_cka(stage(&before), stage(&after), false).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn all_layers_move_and_rates_scale_their_steps() {
        for optimizer in [OptimizerKind::Adam, OptimizerKind::AdamW, SGD] {
            let [before, all] = tuned(FineTuning::AllLayers, optimizer);
            let [_, slower] = tuned(FineTuning::Discriminative { decay: 100.0 }, optimizer);
            let steps = |after: &ShallowNet| moved(before.spatial_weight.val(), after.spatial_weight.val());
            let ratio = steps(&all) / steps(&slower);
            // The first step of three is scaled exactly; later ones differ by where they start.
            assert!((80.0..125.0).contains(&ratio), "{optimizer:?}: {ratio}");
            assert!(moved(before.norm.running_mean.value(), all.norm.running_mean.value()) > 0.0);
            let [_, same] = tuned(FineTuning::Discriminative { decay: 1.0 }, optimizer);
            assert_eq!(moved(all.spatial_weight.val(), same.spatial_weight.val()), 0.0);
        }
    }

    #[test]
    fn rates_fall_towards_the_input() {
        let rates = layerwise_learning_rates(0.5, 2.0, 3).unwrap();
        assert_eq!(rates, [0.125, 0.25, 0.5]);
        assert_eq!(layerwise_learning_rates(1.0, 0.0, 3).unwrap_err().field, "decay");
        assert_eq!(layerwise_learning_rates(f64::NAN, 2.6, 3).unwrap_err().field, "base");
        assert_eq!(layerwise_learning_rates(1.0, 2.6, 0).unwrap_err().field, "groups");
    }
}
