use super::init;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData, activation};

/// Configuration of the [triplet loss with online hard negatives](TripletOhnmLoss).
#[derive(Config, Debug)]
pub struct TripletOhnmLossConfig {
    /// How far a negative is to be below the positive, above 0.
    #[config(default = 0.3)]
    pub margin: f64,
    /// Negatives of a row, at least 1.
    #[config(default = 10)]
    pub num_negatives: usize,
    /// Whether harder negatives weigh more.
    #[config(default = true)]
    pub softmax: bool,
    /// Temperature of these weights, above 0.
    #[config(default = 0.1)]
    pub tau: f64,
}

impl TripletOhnmLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value) in [("margin", self.margin), ("tau", self.tau)] {
            require(value > 0.0 && value.is_finite(), field, value, "above 0 and finite")?;
        }
        require(self.num_negatives >= 1, "num_negatives", self.num_negatives, "at least 1")
    }

    fn build(&self) -> TripletOhnmLoss {
        let Self { margin, num_negatives, softmax, tau } = *self;
        TripletOhnmLoss { margin, num_negatives, softmax, tau }
    }
}

init!(TripletOhnmLossConfig => TripletOhnmLoss);

/// Triplet loss over a matrix of scores, each row's positive on the diagonal, its negatives the hardest of the batch.
///
/// ```text
/// h_ij = max(0, s_ij - s_ii + margin) for the k highest s_ij that are no positives of row i
/// w_i  = softmax over them of s_ij / tau where h_ij > 0, of 0 elsewhere        (1 without softmax)
/// loss = sum_ij w_ij h_ij / (B k)
/// ```
///
/// The gradient passes through the weights too. Where a row has fewer than `k` negatives the missing ones count as if they kept the
/// margin (the authors' code takes positives in their place).
///
/// Source: Dahiya et al. 2022, "NGAME", <https://arxiv.org/abs/2207.04452>, section 3, as in the authors' code.
#[derive(Module, Debug)]
pub struct TripletOhnmLoss {
    /// How far a negative is to be below the positive.
    pub margin: f64,
    /// Negatives of a row.
    pub num_negatives: usize,
    /// Whether harder negatives weigh more.
    pub softmax: bool,
    /// Temperature of these weights.
    pub tau: f64,
}

impl TripletOhnmLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    /// - scores: `[B, M]` with `M >= B`; column `i` is a positive of row `i`
    /// - positives: `[B, M]`, true where the column is a positive of the row
    /// - output: `[1]`
    ///
    /// # Panics
    /// When `M < B`, the batch is empty, or `positives` has another shape.
    pub fn forward(&self, scores: Tensor<2>, positives: Tensor<2, Bool>) -> Tensor<1> {
        let [batch, columns] = scores.dims();
        super::mann_whitney::check_scores(&scores, Some(&positives));
        let k = self.num_negatives.min(columns);
        let device = scores.device();
        let (hardest, kept) = extremes(&scores, &positives, k);
        let diagonal = Tensor::<1, Int>::arange(0..batch as i64, &device).reshape([batch, 1]);
        let positive = scores.clone().gather(1, diagonal);
        let negative = scores.gather(1, hardest);
        let violation = activation::relu(negative.clone() - positive + self.margin).mask_fill(kept.bool_not(), 0.0);
        let weighted = if self.softmax {
            let logits =
                negative.mul_scalar(1.0 / self.tau).mask_fill(violation.clone().greater_elem(0.0).bool_not(), 0.0);
            activation::softmax(logits, 1) * violation
        } else {
            violation
        };
        weighted.sum().mul_scalar(1.0 / (batch * k) as f64)
    }
}

/// Configuration of the [triplet loss over several positives](TripletOhnmMultiLoss).
#[derive(Config, Debug)]
pub struct TripletOhnmMultiLossConfig {
    /// How far a negative is to be below a positive, above 0.
    #[config(default = 0.2)]
    pub margin: f64,
    /// Positives of a row, at least 1.
    #[config(default = 3)]
    pub num_positives: usize,
    /// Negatives of a row, at least 1.
    #[config(default = 5)]
    pub num_negatives: usize,
}

impl TripletOhnmMultiLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.margin > 0.0 && self.margin.is_finite(), "margin", self.margin, "above 0 and finite")?;
        require(self.num_positives >= 1, "num_positives", self.num_positives, "at least 1")?;
        require(self.num_negatives >= 1, "num_negatives", self.num_negatives, "at least 1")
    }

    fn build(&self) -> TripletOhnmMultiLoss {
        let Self { margin, num_positives, num_negatives } = *self;
        TripletOhnmMultiLoss { margin, num_positives, num_negatives }
    }
}

init!(TripletOhnmMultiLossConfig => TripletOhnmMultiLoss);

/// Triplet loss of each row's hardest positives with its hardest negatives.
///
/// ```text
/// h_ipn = max(0, s_in - s_ip + margin)      over the lowest positives p and the highest negatives n of row i
/// w_ip  = softmax over n of h_ipn where it is above 0, of -100 elsewhere
/// loss  = sum_ipn w_ipn h_ipn / (B positives negatives)
/// ```
///
/// Missing positives or negatives count as if they kept the margin. In a square matrix only the diagonal is a positive, as in a batch of
/// pairs; other columns that are marked are neither positives nor negatives of the row.
///
/// Source: Dahiya et al. 2022, "NGAME", <https://arxiv.org/abs/2207.04452>, the phase of the classifiers in the authors' code.
#[derive(Module, Debug)]
pub struct TripletOhnmMultiLoss {
    /// How far a negative is to be below a positive.
    pub margin: f64,
    /// Positives of a row.
    pub num_positives: usize,
    /// Negatives of a row.
    pub num_negatives: usize,
}

impl TripletOhnmMultiLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    /// - scores: `[B, M]`
    /// - positives: `[B, M]`, true where the column is a positive of the row
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there is no score, or `positives` has another shape.
    pub fn forward(&self, scores: Tensor<2>, positives: Tensor<2, Bool>) -> Tensor<1> {
        let [batch, columns] = scores.dims();
        assert!(batch > 0 && columns > 0, "a loss needs scores, got [{batch}, {columns}]");
        assert_eq!(positives.dims(), [batch, columns], "`positives` must have the shape of the scores");
        let (p, n) = (self.num_positives.min(columns), self.num_negatives.min(columns));
        let no_positive = if batch == columns {
            Tensor::<2, Bool>::diag_mask([batch, columns], 0, &scores.device())
        } else {
            positives.clone().bool_not()
        };
        let (lowest, is_positive) = extremes(&scores.clone().neg(), &no_positive, p);
        let (highest, is_negative) = extremes(&scores, &positives, n);
        let positive = scores.clone().gather(1, lowest).reshape([batch, p, 1]).expand([batch, p, n]);
        let negative = scores.gather(1, highest).reshape([batch, 1, n]).expand([batch, p, n]);
        let pair = |mask: Tensor<2, Bool>, shape: [usize; 3]| mask.reshape(shape).expand([batch, p, n]);
        let both = pair(is_positive, [batch, p, 1]).bool_and(pair(is_negative, [batch, 1, n]));
        let violation = activation::relu(negative - positive + self.margin).mask_fill(both.bool_not(), 0.0);
        let logits = violation.clone().mask_fill(violation.clone().greater_elem(0.0).bool_not(), -100.0);
        let count = batch * self.num_positives * self.num_negatives;
        (activation::softmax(logits, 2) * violation).sum().mul_scalar(1.0 / count as f64)
    }
}

/// Configuration of the [hinge-contrastive loss](HingeContrastiveLoss).
#[derive(Config, Debug)]
pub struct HingeContrastiveLossConfig {
    /// Cosine from which a negative counts, in `[-1, 1]`.
    #[config(default = 0.8)]
    pub margin: f64,
    /// Weight of the positives, at least 0.
    #[config(default = 1.0)]
    pub pos_weight: f64,
}

impl HingeContrastiveLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((-1.0..=1.0).contains(&self.margin), "margin", self.margin, "in [-1, 1]")?;
        require(
            self.pos_weight >= 0.0 && self.pos_weight.is_finite(),
            "pos_weight",
            self.pos_weight,
            "at least 0 and finite",
        )
    }

    fn build(&self) -> HingeContrastiveLoss {
        HingeContrastiveLoss { margin: self.margin, pos_weight: self.pos_weight }
    }
}

init!(HingeContrastiveLossConfig => HingeContrastiveLoss);

/// Every pair of a matrix of cosines: positives to 1, negatives below the margin.
///
/// ```text
/// loss = mean_ij pos_weight (1 - s_ij) of positives, max(0, s_ij - margin) of the others
/// ```
///
/// Source: Dahiya et al. 2022, "NGAME", <https://arxiv.org/abs/2207.04452>, an alternative in the authors' code.
#[derive(Module, Debug)]
pub struct HingeContrastiveLoss {
    /// Cosine from which a negative counts.
    pub margin: f64,
    /// Weight of the positives.
    pub pos_weight: f64,
}

impl HingeContrastiveLoss {
    /// The loss of cosines `[B, M]`, with `positives` true where the column is a positive of the row.
    ///
    /// # Panics
    /// When there is no score, or `positives` has another shape.
    pub fn forward(&self, scores: Tensor<2>, positives: Tensor<2, Bool>) -> Tensor<1> {
        let [batch, columns] = scores.dims();
        assert!(batch > 0 && columns > 0, "a loss needs scores, got [{batch}, {columns}]");
        assert_eq!(positives.dims(), [batch, columns], "`positives` must have the shape of the scores");
        let near = scores.clone().neg().add_scalar(1.0).mul_scalar(self.pos_weight);
        let far = activation::relu(scores.sub_scalar(self.margin));
        far.mask_where(positives, near).mean()
    }
}

/// Columns of the `k` highest scores of each row that are not left out, and which of the `k` there are; equal scores by the lower column.
fn extremes(scores: &Tensor<2>, left_out: &Tensor<2, Bool>, k: usize) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let [batch, columns] = scores.dims();
    let values: Vec<f64> = scores.to_data().iter::<f64>().collect();
    let out: Vec<bool> = left_out.to_data().try_to_vec().expect("a mask holds booleans");
    let (mut places, mut kept) = (Vec::with_capacity(batch * k), Vec::with_capacity(batch * k));
    for row in 0..batch {
        let score = |column: &usize| values[row * columns + column];
        let mut order: Vec<usize> = (0..columns).filter(|column| !out[row * columns + column]).collect();
        let harder = |a: &usize, b: &usize| score(b).total_cmp(&score(a)).then(a.cmp(b));
        if k < order.len() {
            order.select_nth_unstable_by(k, harder);
            order.truncate(k);
        }
        order.sort_unstable_by(harder);
        kept.extend((0..k).map(|at| at < order.len()));
        places.extend((0..k).map(|at| order.get(at).map_or(0, |column| *column as i64)));
    }
    let device = scores.device();
    (
        Tensor::from_data(TensorData::new(places, [batch, k]), &device),
        Tensor::from_data(TensorData::new(kept, [batch, k]), &device),
    )
}
