//! Metrics of extreme classification: rankings of very many labels, of which a few are right.

/// How much a label counts that a person is likely to have missed, by how many of `instances` have it.
///
/// ```text
/// 1/p_l = 1 + (ln N - 1) (b + 1)^a (n_l + b)^-a
/// ```
///
/// `(a, b)` is (.6, 2.6) for Amazon's data, (.5, .4) for Wikipedia's, and (.55, 1.5) otherwise.
///
/// Source: Jain, Prabhu, Varma 2016, "Extreme multi-label loss functions for recommendation, tagging, ranking and other missing label
/// applications", section 4.
pub fn inverse_propensity(label_frequency: f64, instances: usize, (a, b): (f64, f64)) -> f64 {
    1.0 + ((instances as f64).ln() - 1.0) * (b + 1.0).powf(a) * (label_frequency + b).powf(-a)
}

/// Precision at `1..=k`, propensity-scored precision at `1..=k`, and recall at `k`, see [`extreme_metrics`].
#[derive(Debug, Clone, PartialEq)]
pub struct ExtremeMetrics {
    /// P@1 to P@k.
    pub precision: Vec<f64>,
    /// PSP@1 to PSP@k.
    pub propensity_scored: Vec<f64>,
    /// Mean part of an instance's labels among its first k.
    pub recall: f64,
}

/// Metrics of rankings, each with the labels of its instance.
///
/// ```text
/// P@k   = mean of hits / k
/// PSP@k = (sum of 1/p_l over the hits in the first k of all instances) / (the most that it could be)
/// ```
///
/// An instance without labels counts 0.
///
/// # Panics
/// When there is no instance, not as many lists of labels as rankings, or a label without a propensity.
///
/// Source: Jain, Prabhu, Varma 2016, as above, section 5.
pub fn extreme_metrics(
    rankings: &[Vec<usize>],
    labels: &[Vec<usize>],
    inverse_propensity: &[f64],
    k: usize,
) -> ExtremeMetrics {
    assert!(!rankings.is_empty() && rankings.len() == labels.len(), "every ranking needs the labels of its instance");
    let n = rankings.len() as f64;
    let (mut hits, mut gained, mut most) = (vec![0.0; k], vec![0.0; k], vec![0.0; k]);
    let mut recall = 0.0;
    for (ranking, labels) in rankings.iter().zip(labels) {
        let mut own: Vec<f64> = labels.iter().map(|label| inverse_propensity[*label]).collect();
        own.sort_by(|a, b| b.total_cmp(a));
        let mut found = 0.0;
        for at in 0..k {
            if let Some(label) = ranking.get(at).filter(|label| labels.contains(label)) {
                hits[at] += 1.0;
                gained[at] += inverse_propensity[*label];
                found += 1.0;
            }
            most[at] += own.get(at).copied().unwrap_or(0.0);
        }
        recall += found / labels.len().max(1) as f64;
    }
    let so_far = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .scan(0.0, |sum, value| {
                *sum += value;
                Some(*sum)
            })
            .collect()
    };
    let precision = so_far(&hits).into_iter().enumerate().map(|(at, hits)| hits / n / (at as f64 + 1.0)).collect();
    let part = |(gained, most): (f64, f64)| if most > 0.0 { gained / most } else { 0.0 };
    let propensity_scored = so_far(&gained).into_iter().zip(so_far(&most)).map(part).collect();
    ExtremeMetrics { precision, propensity_scored, recall: recall / n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let found = extreme_metrics(&[vec![0, 2], vec![1, 0]], &[vec![0, 1], vec![0]], &[1.0, 3.0, 1.0], 2);
        assert_eq!((found.precision, found.recall), (vec![0.5, 0.5], 0.75));
        // The best first label of the first instance weighs 3, of the second 1; then 1 and nothing.
        assert_eq!(found.propensity_scored, [0.25, 0.4]);
        assert_eq!(extreme_metrics(&[vec![]], &[vec![]], &[], 1).recall, 0.0);
    }
}
