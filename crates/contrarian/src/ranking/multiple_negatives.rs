use super::init;
use crate::InvalidParameter;
use crate::contrastive::{InfoNceLoss, InfoNceLossConfig};
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How the embeddings of a query and a document are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Similarity {
    /// The cosine of their angle.
    Cosine,
    /// Their inner product.
    Dot,
}

/// Configuration of the [multiple-negatives ranking loss](MnrLoss).
#[derive(Config, Debug)]
pub struct MnrLossConfig {
    /// What similarities are multiplied by, above 0; 20 is usual for the cosine, 1 for the inner product.
    #[config(default = 20.0)]
    pub scale: f64,
    /// How query and document are compared.
    #[config(default = "Similarity::Cosine")]
    pub similarity: Similarity,
}

impl MnrLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.scale > 0.0 && self.scale.is_finite(), "scale", self.scale, "above 0 and finite")
    }

    fn build(&self) -> MnrLoss {
        let softmax = InfoNceLossConfig::new()
            .with_temperature(1.0 / self.scale)
            .with_normalize(self.similarity == Similarity::Cosine);
        MnrLoss { softmax: softmax.init() }
    }
}

init!(MnrLossConfig => MnrLoss);

/// Multiple-negatives ranking: each query finds its positive among all positives and all hard negatives of the batch.
///
/// ```text
/// loss = (1/B) sum_i [ log sum_j exp(scale sim(q_i, c_j)) - scale sim(q_i, p_i) ]
/// ```
///
/// `c` are the `B` positives, then the hard negatives of all queries. This is [`InfoNceLoss`] at the temperature `1 / scale`, in the
/// words of retrieval: on the CPU the matrix of scores is never held.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use contrarian::ranking::MnrLossConfig;
///
/// let device = Device::flex();
/// let texts = || Tensor::<2>::random([4, 8], Distribution::Normal(0.0, 1.0), &device);
/// let loss = MnrLossConfig::new().init().forward(texts(), texts(), Some(texts()));
/// assert!(loss.into_scalar::<f32>() > 0.0);
/// ```
///
/// Source: Henderson et al. 2017, <https://arxiv.org/abs/1705.00652>, section 4.4; with hard negatives as in Sinha 2025,
/// <https://arxiv.org/abs/2504.21015>.
#[derive(Module, Debug)]
pub struct MnrLoss {
    softmax: InfoNceLoss,
}

impl MnrLoss {
    /// The mean over the queries.
    ///
    /// # Shapes
    /// - queries, positives: `[B, D]`
    /// - hard: `[N, D]`, the hard negatives of all queries in any order
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes do not fit each other or are empty, or memory does not suffice (with the sizes).
    pub fn forward(&self, queries: Tensor<2>, positives: Tensor<2>, hard: Option<Tensor<2>>) -> Tensor<1> {
        match hard {
            Some(hard) => self.softmax.forward_with_negatives(queries, positives, hard),
            None => self.softmax.forward(queries, positives),
        }
    }
}
