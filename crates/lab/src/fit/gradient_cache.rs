use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

/// The gradient of a loss over one large batch of embeddings, with the memory of a chunk.
///
/// ```text
/// 1. e_c = encode(model, c) for every chunk c, without keeping its graph
/// 2. L = loss(e_1, ..., e_k stacked),  g = dL/de
/// 3. for every chunk: add the gradient of sum(encode(model, c) * g_c) to the parameters' gradients
/// ```
///
/// Equal to the direct gradient up to rounding, at the price of a second forward pass. `encode` must give the same rows both times
/// and treat each row by itself: no dropout with fresh masks, no batch normalisation in training. A loss over several sets
/// (queries and documents) takes them as chunks of one list and splits the rows itself.
///
/// Gives the loss (without a graph) and the gradients for an optimiser's step.
///
/// # Panics
/// When there is no chunk.
///
/// Source: Gao et al. 2021, <https://arxiv.org/abs/2101.06983>, section 3.2; used by Gu et al. 2025,
/// <https://arxiv.org/abs/2510.13515>.
pub fn gradient_cache<M: Module, C>(
    model: &M,
    chunks: &[C],
    mut encode: impl FnMut(&M, &C) -> Tensor<2>,
    loss: impl FnOnce(Tensor<2>) -> Tensor<1>,
) -> (Tensor<1>, GradientsParams) {
    assert!(!chunks.is_empty(), "a batch needs at least one chunk");
    // Below autodiff, so that each chunk's graph ends with it.
    let encoded: Vec<Tensor<2>> = chunks.iter().map(|chunk| encode(model, chunk).inner()).collect();
    let sizes: Vec<usize> = encoded.iter().map(|rows| rows.dims()[0]).collect();
    let embeddings = Tensor::from_inner(Tensor::cat(encoded, 0)).require_grad();
    let value = loss(embeddings.clone());
    let of_embeddings = embeddings.grad(&value.backward());
    let mut accumulator = GradientsAccumulator::new();
    if let Some(gradient) = of_embeddings {
        let mut start = 0;
        for (chunk, rows) in chunks.iter().zip(sizes) {
            let own = Tensor::from_inner(gradient.clone().narrow(0, start, rows));
            let surrogate = (encode(model, chunk) * own).sum();
            accumulator.accumulate(model, GradientsParams::from_grads(surrogate.backward(), model));
            start += rows;
        }
    }
    (value.inner(), accumulator.grads())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Matrix;
    use crate::model::{Mlp, MlpConfig, Mode};
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::{Device, TensorData};
    use contrarian::contrastive::InfoNceLossConfig;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    fn rows(count: usize) -> Matrix {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let data = (0..count * 5).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        Matrix { rows: count, cols: 5, data }
    }

    fn encode(model: &Mlp, x: &Matrix) -> Tensor<2> {
        let x = Tensor::from_data(TensorData::new(x.data.clone(), [x.rows, x.cols]), &Device::flex().autodiff());
        model.logits(x, &mut Mode::Inference)
    }

    /// InfoNCE between the first half of the rows and the second.
    fn loss(embeddings: Tensor<2>) -> Tensor<1> {
        let half = embeddings.dims()[0] / 2;
        InfoNceLossConfig::new().init().forward(embeddings.clone().narrow(0, 0, half), embeddings.narrow(0, half, half))
    }

    struct Read<'a> {
        gradients: &'a GradientsParams,
        found: Vec<Vec<f32>>,
    }

    impl ModuleVisitor for Read<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.get::<D>(param.id).expect("every weight has a gradient");
            self.found.push(gradient.into_data().try_to_vec().unwrap());
        }
    }

    fn read(model: &Mlp, gradients: &GradientsParams) -> Vec<Vec<f32>> {
        let mut read = Read { gradients, found: Vec::new() };
        model.visit(&mut read);
        read.found
    }

    #[test]
    fn the_cached_gradient_is_the_direct_one_for_any_chunks() {
        let model = MlpConfig::new(5, 4).with_width(7).init(&Device::flex().autodiff(), 1);
        let all = rows(24);
        let direct = loss(encode(&model, &all));
        let expected = read(&model, &GradientsParams::from_grads(direct.backward(), &model));
        for size in [1, 5, 24] {
            let chunks: Vec<Matrix> = (0..24)
                .step_by(size)
                .map(|start| all.gather(&(start..(start + size).min(24)).collect::<Vec<_>>()))
                .collect();
            let (value, gradients) = gradient_cache(&model, &chunks, encode, loss);
            let (value, wanted): (f32, f32) = (value.into_scalar(), direct.clone().into_scalar());
            assert!((value - wanted).abs() < 1e-6 * wanted.abs(), "{value} against {wanted}");
            for (found, expected) in read(&model, &gradients).iter().zip(&expected) {
                let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    // Sums of 24 rows in f32, in another order.
                    assert!((found - expected).abs() <= 1e-5 * largest, "chunks of {size}: {found} against {expected}");
                }
            }
        }
    }
}
