use super::{novel_columns, require_novel};
use crate::InvalidParameter;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};

/// Configuration of the [entropy over novel classes](NovelEntropy).
#[derive(Config, Debug)]
pub struct NovelEntropyConfig {
    /// The novel classes, at least one, none twice.
    pub novel: Vec<usize>,
}

impl NovelEntropyConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When no class is listed, or one twice.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_novel(&self.novel)
    }

    fn build(&self) -> NovelEntropy {
        NovelEntropy { novel: self.novel.clone() }
    }
}

init!(NovelEntropyConfig => NovelEntropy);

/// Entropy of the softmax over the novel classes alone: added to a loss, "be certain which novel class".
///
/// ```text
/// H_i = - sum_{c in V} q_ic log q_ic,        q_i = softmax of the novel logits of i
/// ```
///
/// between 0 and `log |V|`; 0 with one novel class. Alone it drives every example into one class: raise its weight slowly,
/// beside [`NovelVariance`](super::NovelVariance).
///
/// Source: Hasan et al. 2023, "NEV-NCD", <https://arxiv.org/abs/2304.07354>, as in the authors' notebook.
#[derive(Module, Debug)]
pub struct NovelEntropy {
    /// The novel classes.
    #[module(skip)]
    pub novel: Vec<usize>,
}

impl NovelEntropy {
    /// The mean over the batch.
    ///
    /// # Shapes
    /// - logits: `[n, classes]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty or a novel class is out of range.
    pub fn forward(&self, logits: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(logits).mean()
    }

    /// The entropy of every example.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), with output `[n]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, logits: Tensor<2>) -> Tensor<1> {
        let n = logits.dims()[0];
        let log_q = activation::log_softmax(novel_columns(logits, &self.novel), 1);
        (log_q.clone().exp() * log_q).sum_dim(1).neg().reshape([n])
    }
}
