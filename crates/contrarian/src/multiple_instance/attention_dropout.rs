use super::BagMask;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::tensor::{Bool, DType, Tensor, TensorData};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index;

/// Training without the instances attended to most: a random part of the top ones of every head is left out.
///
/// Source: Zhang et al. 2023, "Attention-Challenging Multiple Instance Learning", <https://arxiv.org/abs/2311.07125>
/// (stochastic top-k masking), with the sizes of its code.
#[derive(Config, Debug, Copy)]
pub struct AttentionDropout {
    /// How many of the highest-scored instances may be left out.
    #[config(default = 10)]
    pub top: usize,
    /// Which part of them is, in `[0, 1)`: an instance always remains.
    #[config(default = 0.6)]
    pub rate: f64,
}

impl AttentionDropout {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `rate` is not in `[0, 1)`.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((0.0..1.0).contains(&self.rate), "rate", self.rate, "in [0, 1)")
    }

    /// Scores in which `floor(rate * top)` of the `top` highest (all, in a shorter bag) are minus infinity; of equal scores
    /// those of lower index count as higher.
    ///
    /// # Shapes
    /// - scores, output: `[bags, heads, instances]`
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn drop(&self, scores: Tensor<3>, mask: Option<&BagMask>, rng: &mut Xoshiro256PlusPlus) -> Tensor<3> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let [_, heads, places] = scores.dims();
        let shown = mask.map_or_else(|| scores.clone(), |mask| mask.fill(scores.clone(), f64::NEG_INFINITY));
        // Read back on purpose: the draw is the caller's generator's, and ranking must break ties by index to be repeatable.
        let ranked = shown.detach().into_data().convert_dtype(DType::F64).try_to_vec::<f64>();
        let ranked = ranked.expect("float tensors convert to f64");
        let mut dropped = vec![false; ranked.len()];
        for (row, (scores, dropped)) in ranked.chunks(places).zip(dropped.chunks_mut(places)).enumerate() {
            let real = mask.map_or(places, |mask| mask.lengths()[row / heads]);
            let mut order: Vec<usize> = (0..places).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            let top = self.top.min(real);
            let count = (self.rate * top as f64).floor() as usize;
            for place in index::sample(rng, top, count) {
                dropped[order[place]] = true;
            }
        }
        let device = scores.device().inner();
        let dropped = Tensor::<3, Bool>::from_data(TensorData::new(dropped, scores.dims()), &device);
        scores.mask_fill(dropped, f64::NEG_INFINITY)
    }
}
