use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::softplus;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of [Bayesian personalised ranking](BprLoss).
#[derive(Config, Debug)]
pub struct BprLossConfig {
    /// Weight of the squared lengths of the embeddings, at least 0.
    #[config(default = 1e-4)]
    pub weight_decay: f64,
}

impl BprLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let decay = self.weight_decay;
        require(decay >= 0.0 && decay.is_finite(), "weight_decay", decay, "finite and at least 0")
    }

    fn build(&self) -> BprLoss {
        BprLoss { weight_decay: self.weight_decay }
    }
}

init!(BprLossConfig => BprLoss);

/// Bayesian personalised ranking: an item that a user chose above one that the user did not.
///
/// ```text
/// loss = (1/B) sum_b softplus(<u_b, n_b> - <u_b, p_b>) + weight_decay (1/B) sum_b (|u_b|^2 + |p_b|^2 + |n_b|^2)
/// ```
///
/// with the embeddings of user, chosen and other item. Where scores come from propagated embeddings, the penalty is of the
/// embeddings looked up, before propagation: add [`penalty`](Self::penalty) of those to [`ranking`](Self::ranking).
///
/// Source: Rendle et al. 2009, <https://arxiv.org/abs/1205.2618>; the penalty as in Zhang, Cao, Wu et al. 2025,
/// <https://arxiv.org/abs/2502.00348>.
#[derive(Module, Debug)]
pub struct BprLoss {
    /// Weight of the squared lengths.
    pub weight_decay: f64,
}

impl BprLoss {
    /// The mean ranking loss with the penalty.
    ///
    /// # Shapes
    /// - user, positive, negative: `[B, D]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ, or the batch is empty.
    pub fn forward(&self, user: Tensor<2>, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
        let penalty = self.penalty(user.clone(), positive.clone(), negative.clone());
        self.ranking(user, positive, negative).mean() + penalty.mul_scalar(self.weight_decay)
    }

    /// The ranking loss of every row, `[B]`.
    ///
    /// # Panics
    /// When the shapes differ, or the batch is empty.
    pub fn ranking(&self, user: Tensor<2>, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
        check(&user, &positive, &negative);
        let rows = user.dims()[0];
        softplus((user * (negative - positive)).sum_dim(1)).reshape([rows])
    }

    /// The mean of the summed squared lengths, `[1]`, without its weight.
    ///
    /// # Panics
    /// When the shapes differ, or the batch is empty.
    pub fn penalty(&self, user: Tensor<2>, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
        check(&user, &positive, &negative);
        let rows = user.dims()[0] as f64;
        (user.square() + positive.square() + negative.square()).sum().mul_scalar(1.0 / rows)
    }
}

fn check(user: &Tensor<2>, positive: &Tensor<2>, negative: &Tensor<2>) {
    let shape = user.dims();
    assert!(shape[0] > 0, "a loss needs at least one row");
    assert!(
        positive.dims() == shape && negative.dims() == shape,
        "users {shape:?}, chosen items {:?} and other items {:?} must have one shape",
        positive.dims(),
        negative.dims()
    );
}
