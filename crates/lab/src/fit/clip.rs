//! Clipping by the norm of the whole gradient. Burn clips each parameter by its own norm, which changes the direction of
//! the step; the papers' scripts mean the norm over all parameters together.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales all gradients by `min(1, max_norm / norm)`.
pub fn clip_global_norm<M: Module>(model: &M, gradients: GradientsParams, max_norm: f64) -> GradientsParams {
    let mut norm = SquaredNorm { gradients: &gradients, sum: 0.0 };
    model.visit(&mut norm);
    let norm = norm.sum.sqrt();
    if norm <= max_norm {
        return gradients;
    }
    let mut scaled = Scale { from: gradients, to: GradientsParams::new(), factor: max_norm / norm };
    model.visit(&mut scaled);
    scaled.to
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}

struct Scale {
    from: GradientsParams,
    to: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MlpConfig, Mode};
    use burn::tensor::Device;

    #[test]
    fn the_clipped_norm_is_the_bound_and_short_gradients_are_kept() {
        let device = Device::flex().autodiff();
        let model = MlpConfig::new(2, 2).with_width(4).init(&device, 3);
        let norm_after = |max: f64| {
            let x = Tensor::<2>::from_floats([[100.0, -50.0]], &device);
            let gradients = model.logits(x, &mut Mode::Inference).square().sum().backward();
            let gradients = clip_global_norm(&model, GradientsParams::from_grads(gradients, &model), max);
            let mut norm = SquaredNorm { gradients: &gradients, sum: 0.0 };
            model.visit(&mut norm);
            norm.sum.sqrt()
        };
        let full = norm_after(f64::INFINITY);
        assert!(full > 10.0);
        assert!((norm_after(10.0) - 10.0).abs() < 1e-4);
        assert!((norm_after(full * 2.0) - full).abs() < 1e-9 * full);
    }
}
