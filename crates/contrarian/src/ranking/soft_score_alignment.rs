use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{polar, softplus};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// How two distributions over candidates are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divergence {
    /// Half the symmetrised Kullback-Leibler divergence: `(KL(P||Q) + KL(Q||P)) / 2`.
    Jeffreys,
    /// `(KL(P||M) + KL(Q||M)) / 2` with `M = (P + Q) / 2`: at most `log 2`.
    JensenShannon,
    /// `KL(P||Q)`: distillation of the scores.
    ForwardKl,
}

/// Configuration of the [soft-score alignment](SoftScoreAlignment).
#[derive(Config, Debug)]
pub struct SoftScoreAlignmentConfig {
    /// Temperature of the similarities, above 0.
    #[config(default = 0.02)]
    pub temperature: f64,
    /// Temperature of the judge's scores, above 0; without it that of the similarities.
    pub score_temperature: Option<f64>,
    /// Added within the logarithm of the second distribution of every divergence, at least 0. The authors' code has 1e-8,
    /// which cuts logarithms off at -18.4; 0 is exact.
    #[config(default = 0.0)]
    pub epsilon: f64,
    /// How the distributions are compared.
    #[config(default = "Divergence::Jeffreys")]
    pub divergence: Divergence,
}

impl SoftScoreAlignmentConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let positive =
            |field: &str, value: f64| require(value > 0.0 && value.is_finite(), field, value, "finite and above 0");
        positive("temperature", self.temperature)?;
        positive("score_temperature", self.score_temperature.unwrap_or(self.temperature))?;
        require(self.epsilon >= 0.0 && self.epsilon.is_finite(), "epsilon", self.epsilon, "finite and at least 0")
    }

    fn build(&self) -> SoftScoreAlignment {
        SoftScoreAlignment {
            temperature: self.temperature,
            score_temperature: self.score_temperature.unwrap_or(self.temperature),
            epsilon: self.epsilon,
            divergence: self.divergence,
        }
    }
}

init!(SoftScoreAlignmentConfig => SoftScoreAlignment);

/// Soft labels of a judge: a query's similarities to its candidates shall have the distribution of the judge's scores.
///
/// ```text
/// P_i = softmax_j(s_ij / T_s),   Q_i = softmax_j(c_ij / T)
/// l_i = ( KL(P_i || Q_i) + KL(Q_i || P_i) ) / 2 = 1/2 sum_j (P_ij - Q_ij) (log P_ij - log Q_ij),        loss = mean_i l_i
/// ```
///
/// with the judge's scores `s` in `[0, 1]`, similarities `c` (cosines), temperatures `T_s` and `T`; other [`Divergence`]s by
/// choice. The paper calls this form a Jensen-Shannon divergence; it is the halved Jeffreys divergence. Logarithms are exact
/// however small the probabilities. One candidate has loss 0. With `epsilon` every `KL(A||B)` is
/// `sum_j A_j (log A_j - log(B_j + epsilon))`, as in the authors' code.
///
/// The gradient in the similarities grows with `|log P|`: where the judge is over-confident, give the scores a higher
/// temperature than the similarities.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use contrarian::ranking::SoftScoreAlignmentConfig;
///
/// let device = Device::flex();
/// let scores = Tensor::<2>::from_floats([[0.9, 0.7, 0.1]], &device);
/// let alignment = SoftScoreAlignmentConfig::new().with_temperature(0.1).init();
/// assert!(alignment.forward(scores.clone(), scores).into_scalar::<f32>().abs() < 1e-6);
/// ```
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.3.
#[derive(Module, Debug)]
pub struct SoftScoreAlignment {
    /// Temperature of the similarities.
    pub temperature: f64,
    /// Temperature of the scores.
    pub score_temperature: f64,
    /// Added within the logarithms.
    pub epsilon: f64,
    /// How the distributions are compared.
    #[module(skip)]
    pub divergence: Divergence,
}

impl SoftScoreAlignment {
    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the queries.
    ///
    /// # Shapes
    /// - similarities, scores: `[n, c]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn forward(&self, similarities: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(similarities, scores).mean()
    }

    /// The same from embeddings, whose cosines are the similarities.
    ///
    /// # Shapes
    /// - queries: `[n, dim]`
    /// - candidates: `[n, c, dim]`, a query's own
    /// - scores: `[n, c]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes do not fit, and as [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn forward_embeddings(&self, queries: Tensor<2>, candidates: Tensor<3>, scores: Tensor<2>) -> Tensor<1> {
        let ([n, dim], [rows, count, length]) = (queries.dims(), candidates.dims());
        assert!(n == rows && dim == length, "queries [{n}, {dim}] do not fit candidates [{rows}, {count}, {length}]");
        let queries = polar(queries).0.reshape([n, 1, dim]);
        let similarities = (polar(candidates).0 * queries).sum_dim(2).reshape([n, count]);
        self.forward(similarities, scores)
    }

    /// The divergence of every query.
    ///
    /// # Shapes
    /// - similarities, scores: `[n, c]`; scores are constants, each in `[0, 1]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// When the shapes differ, a set is empty, or a score is not in `[0, 1]` (with its place).
    pub fn forward_no_reduction(&self, similarities: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
        let [n, candidates] = similarities.dims();
        assert_eq!(similarities.dims(), scores.dims(), "every similarity needs a score");
        assert!(n > 0 && candidates > 0, "an alignment needs queries with candidates, got [{n}, {candidates}]");
        check_scores(&scores).unwrap_or_else(|error| panic!("{error}"));
        let log_p = activation::log_softmax(scores.detach().mul_scalar(1.0 / self.score_temperature), 1);
        let log_q = activation::log_softmax(similarities.mul_scalar(1.0 / self.temperature), 1);
        let (p, q) = (log_p.clone().exp(), log_q.clone().exp());
        let values = match (self.divergence, self.epsilon > 0.0) {
            (Divergence::ForwardKl, false) => p * (log_p - log_q),
            (Divergence::ForwardKl, true) => self.relative(&p, &log_p, q),
            (Divergence::Jeffreys, false) => ((p - q) * (log_p - log_q)).mul_scalar(0.5),
            (Divergence::Jeffreys, true) => {
                (self.relative(&p, &log_p, q.clone()) + self.relative(&q, &log_q, p)).mul_scalar(0.5)
            }
            (Divergence::JensenShannon, false) => {
                // log(P/M) = log 2 - log(1 + Q/P).
                let ratio = log_q - log_p;
                let to_mean = |ratio: Tensor<2>| softplus(ratio).neg().add_scalar(std::f64::consts::LN_2);
                (p * to_mean(ratio.clone()) + q * to_mean(ratio.neg())).mul_scalar(0.5)
            }
            (Divergence::JensenShannon, true) => {
                let m = (p.clone() + q.clone()).mul_scalar(0.5);
                (self.relative(&p, &log_p, m.clone()) + self.relative(&q, &log_q, m)).mul_scalar(0.5)
            }
        };
        values.sum_dim(1).reshape([n])
    }

    /// `a (log a - log(b + epsilon))`.
    fn relative(&self, a: &Tensor<2>, log_a: &Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        a.clone() * (log_a.clone() - b.add_scalar(self.epsilon).log())
    }
}

/// Checks that every score of a judge is in `[0, 1]`.
///
/// # Errors
/// Names the first that is not, with its row and column.
pub fn check_scores(scores: &Tensor<2>) -> Result<(), InvalidParameter> {
    let [_, columns] = scores.dims();
    // Read back on purpose: a judge that answers on another scale would be learned without a sign of it.
    let bad = scores.to_data().iter::<f64>().enumerate().find(|(_, score)| !(0.0..=1.0).contains(score));
    bad.map_or(Ok(()), |(at, score)| {
        let field = format!("scores[{}][{}]", at / columns, at % columns);
        Err(InvalidParameter::new(&field, score, "in [0, 1]"))
    })
}
