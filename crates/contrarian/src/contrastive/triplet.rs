use super::class_pairs::check;
use super::distances::distances;
use super::unit_rows;
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::{embedding_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Which triplets of a batch count in the [triplet loss](TripletLoss).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripletMining {
    /// All: the mean over those with a loss above 0.
    All,
    /// Those whose negative is farther than the positive, but by less than the margin; the mean over them.
    SemiHard,
    /// One an anchor, its farthest positive with its nearest negative; the mean over the anchors that have both.
    BatchHard,
}

/// Configuration of the [triplet loss](TripletLoss).
#[derive(Config, Debug)]
pub struct TripletLossConfig {
    /// How much farther a negative should be than a positive, above 0.
    #[config(default = 0.2)]
    pub margin: f64,
    /// Which triplets count.
    #[config(default = "TripletMining::All")]
    pub mining: TripletMining,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl TripletLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the margin is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.margin > 0.0 && self.margin.is_finite(), "margin", self.margin, "finite and above 0")
    }

    fn build(&self) -> TripletLoss {
        TripletLoss { margin: self.margin, mining: self.mining, normalize: self.normalize }
    }
}

init!(TripletLossConfig => TripletLoss);
embedding_objective!(TripletLoss);

/// Triplet loss: a positive shall be nearer to its anchor than any negative, by a margin.
///
/// ```text
/// l_apn = max(|x_a - x_p| - |x_a - x_n| + m, 0)      a, p of one label, p != a;  n of another
/// loss  = mean of l_apn over the triplets that the mining chooses, 0 where there is none
/// ```
///
/// Which triplets are chosen carries no gradient. Positives of an anchor are all other rows with its label, told apart by
/// index: a copy of the anchor is a positive at distance 0, with gradient 0. Of equally far candidates the first is taken.
/// A class with one example only serves as a negative.
///
/// Time `O(n^2 (dim + log n))`, memory `O(n^2)`: triplets are counted, not listed.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Int, Tensor};
/// use contrarian::contrastive::{TripletLossConfig, TripletMining};
///
/// let device = Device::flex();
/// let embeddings = Tensor::<2>::random([4, 8], Distribution::Normal(0.0, 1.0), &device);
/// let labels = Tensor::<1, Int>::from_ints([0, 0, 1, 1], &device);
/// let config = TripletLossConfig::new().with_margin(0.5).with_mining(TripletMining::BatchHard);
/// assert!(config.init().forward(embeddings, labels).into_scalar::<f32>() >= 0.0);
/// ```
///
/// Source: Schroff et al. 2015, "FaceNet", <https://arxiv.org/abs/1503.03832>, equations 3 and 4 (semi-hard), here with
/// distances instead of their squares as in Hermans et al. 2017, <https://arxiv.org/abs/1703.07737>, equation 5 (batch hard)
/// and section 2 (the mean over triplets that are not 0).
#[derive(Module, Debug)]
pub struct TripletLoss {
    /// How much farther a negative should be than a positive.
    pub margin: f64,
    /// Which triplets count.
    #[module(skip)]
    pub mining: TripletMining,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

/// The loss as `sum_ij weights_ij |x_i - x_j| + margins * margin`.
struct Mined {
    weights: Vec<f64>,
    margins: f64,
}

impl TripletLoss {
    /// The mean over the chosen triplets.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`
    /// - labels: `[n]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, or there are not as many labels as embeddings.
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [n, _] = embeddings.dims();
        check(n, &labels);
        let x = unit_rows(embeddings, self.normalize);
        let distances = distances(x.clone(), x);
        // Read back: mining sorts, and must break ties by index to be repeatable.
        let found: Vec<f64> = distances.clone().into_data().iter::<f64>().collect();
        let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
        let Mined { weights, margins } = self.mine(&found, &labels);
        let weights = TensorData::new(weights, [n, n]).convert_dtype(distances.dtype());
        let weights = Tensor::<2>::from_data(weights, (&distances.device(), distances.dtype()));
        (distances * weights).sum().add_scalar(self.margin * margins)
    }

    /// Every loss above 0 is a sum of two distances and the margin, so their mean is a weighted sum of distances.
    fn mine(&self, distances: &[f64], labels: &[i64]) -> Mined {
        let n = labels.len();
        let mut weights = vec![0.0; n * n];
        let (mut active, mut counted) = (0.0, 0.0);
        for anchor in 0..n {
            let row = &distances[anchor * n..][..n];
            let weights = &mut weights[anchor * n..][..n];
            let others = (0..n).filter(|&other| other != anchor);
            let (positives, mut negatives): (Vec<usize>, Vec<usize>) =
                others.partition(|&other| labels[other] == labels[anchor]);
            if positives.is_empty() || negatives.is_empty() {
                continue;
            }
            // Stable: equal distances stay in the order of their indices.
            negatives.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
            if self.mining == TripletMining::BatchHard {
                let farther = |best: usize, &next: &usize| if row[next] > row[best] { next } else { best };
                let (positive, negative) = (positives.iter().fold(positives[0], farther), negatives[0]);
                counted += 1.0;
                if row[positive] - row[negative] + self.margin > 0.0 {
                    active += 1.0;
                    weights[positive] += 1.0;
                    weights[negative] -= 1.0;
                }
                continue;
            }
            // A positive is active with a range of the sorted negatives: the range's ends are noted, and summed up at last.
            let mut ends = vec![0.0; negatives.len() + 1];
            for positive in positives {
                let to = negatives.partition_point(|&negative| row[negative] < row[positive] + self.margin);
                let beyond = || negatives.partition_point(|&negative| row[negative] <= row[positive]);
                let from = if self.mining == TripletMining::SemiHard { beyond() } else { 0 };
                // With a margin lost in rounding the range is empty, and its ends may be out of order.
                if from < to {
                    weights[positive] += (to - from) as f64;
                    active += (to - from) as f64;
                    ends[from] += 1.0;
                    ends[to] -= 1.0;
                }
            }
            let mut positives_of = 0.0;
            for (&negative, end) in negatives.iter().zip(ends) {
                positives_of += end;
                weights[negative] -= positives_of;
            }
        }
        if self.mining != TripletMining::BatchHard {
            counted = active;
        }
        let share = if counted == 0.0 { 0.0 } else { 1.0 / counted };
        for weight in &mut weights {
            *weight *= share;
        }
        Mined { weights, margins: active * share }
    }
}
