use crate::InvalidParameter;
use crate::contrastive::normalize_rows;
use burn::tensor::{DType, Int, Tensor};

/// How well the pairs of one label stand above those of different labels, see [`pair_separation`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairSeparation {
    /// Lowest cosine of two embeddings with one label.
    pub lowest_positive: f64,
    /// Highest cosine of two embeddings with different labels.
    pub highest_negative: f64,
    /// Part of the negative pairs strictly above the lowest positive one, in `[0, 1]`.
    pub overlap: f64,
}

impl PairSeparation {
    /// `lowest_positive - highest_negative`: above 0 the space is well-discriminative, one threshold tells all pairs.
    pub fn gap(&self) -> f64 {
        self.lowest_positive - self.highest_negative
    }
}

/// The gap between the positive and the negative pairs of embeddings.
///
/// ```text
/// gap = min { cos(x_i, x_j) : y_i = y_j, i < j } - max { cos(x_i, x_j) : y_i != y_j, i < j }
/// ```
///
/// A measurement, not a loss: embeddings are read back and compared in f64. Time `O(n^2 dim)`, memory `O(n dim)`.
///
/// # Shapes
/// - embeddings: `[n, dim]`, of any length; a row of zeros has cosine 0 with everything
/// - labels: `[n]`
///
/// # Errors
/// When there are not as many labels as embeddings, no two embeddings share a label, or all do.
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3 (well-discriminative feature space).
pub fn pair_separation(embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Result<PairSeparation, InvalidParameter> {
    let [n, dim] = embeddings.dims();
    let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
    if labels.len() != n {
        return Err(InvalidParameter::new("labels", labels.len(), format!("one for each of {n} embeddings")));
    }
    let one_kind = || InvalidParameter::new("labels", n, "such that two embeddings share one and two do not");
    if n < 2 {
        return Err(one_kind());
    }
    let unit = normalize_rows(embeddings.cast(DType::F64)).into_data();
    let unit: Vec<f64> = unit.iter::<f64>().collect();
    let rows: Vec<&[f64]> = unit.chunks(dim).collect();
    let pairs = |same: bool| {
        let (rows, labels) = (&rows, &labels);
        (0..rows.len()).flat_map(move |i| {
            let others = (i + 1..rows.len()).filter(move |&j| (labels[i] == labels[j]) == same);
            others.map(move |j| -> f64 { rows[i].iter().zip(rows[j]).map(|(a, b)| a * b).sum() })
        })
    };
    let lowest_positive = pairs(true).reduce(f64::min);
    let highest_negative = pairs(false).reduce(f64::max);
    let (Some(lowest_positive), Some(highest_negative)) = (lowest_positive, highest_negative) else {
        return Err(one_kind());
    };
    let (mut above, mut all) = (0.0, 0.0);
    for similarity in pairs(false) {
        above += f64::from(u8::from(similarity > lowest_positive));
        all += 1.0;
    }
    Ok(PairSeparation { lowest_positive, highest_negative, overlap: above / all })
}
