//! Metrics of a data set with a dominant class "none of the others", as relation extraction has it.

/// Micro-averaged F1 over all classes but the negative one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelationF1 {
    /// Positives that were predicted with their own class.
    pub true_positives: usize,
    /// Rows predicted positive.
    pub predicted_positive: usize,
    /// Rows that are positive.
    pub gold_positive: usize,
    /// Part of the predicted positives that is right; 1 where nothing is predicted positive.
    pub precision: f64,
    /// Part of the positives that is found; 0 where there is none.
    pub recall: f64,
    /// Harmonic mean of the two; 0 where both are 0.
    pub f1: f64,
}

/// The score of relation extraction: a rightly predicted negative counts for nothing.
///
/// ```text
/// P = tp / #(pred != negative)     R = tp / #(gold != negative)     F1 = 2 P R / (P + R)
/// ```
///
/// with `tp` the rows where `pred = gold != negative`.
///
/// # Panics
/// When there are not as many predictions as labels.
///
/// Source: the scorer of TACRED, Zhang et al. 2017, conventions as in Parekh, Anand, Awekar 2023, <https://arxiv.org/abs/2311.12298>.
pub fn relation_micro_f1(predictions: &[usize], gold: &[usize], negative_class: usize) -> RelationF1 {
    assert_eq!(predictions.len(), gold.len(), "a prediction for each label");
    let positives = |classes: &[usize]| classes.iter().filter(|&&class| class != negative_class).count();
    let hits = predictions.iter().zip(gold).filter(|(p, g)| p == g && **g != negative_class).count();
    let (predicted_positive, gold_positive) = (positives(predictions), positives(gold));
    let part = |whole: usize, of_nothing: f64| if whole == 0 { of_nothing } else { hits as f64 / whole as f64 };
    let (precision, recall) = (part(predicted_positive, 1.0), part(gold_positive, 0.0));
    let f1 = if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
    RelationF1 { true_positives: hits, predicted_positive, gold_positive, precision, recall, f1 }
}

/// Which kinds of errors there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorProfile {
    /// Positives predicted as negative.
    pub false_negatives: usize,
    /// Negatives predicted as positive.
    pub false_positives: usize,
    /// Positives predicted as another positive.
    pub wrong_positives: usize,
}

impl ErrorProfile {
    /// All errors.
    pub fn errors(&self) -> usize {
        self.false_negatives + self.false_positives + self.wrong_positives
    }

    /// The parts of all errors that are false negatives, false positives and wrong positives; `None` without errors.
    pub fn shares(&self) -> Option<[f64; 3]> {
        let errors = self.errors() as f64;
        let counts = [self.false_negatives, self.false_positives, self.wrong_positives];
        (errors > 0.0).then(|| counts.map(|count| count as f64 / errors))
    }
}

/// Counts errors by their kind.
///
/// # Panics
/// When there are not as many predictions as labels.
pub fn error_profile(predictions: &[usize], gold: &[usize], negative_class: usize) -> ErrorProfile {
    assert_eq!(predictions.len(), gold.len(), "a prediction for each label");
    let mut profile = ErrorProfile::default();
    for (prediction, gold) in predictions.iter().zip(gold).filter(|(p, g)| p != g) {
        match (*prediction == negative_class, *gold == negative_class) {
            (true, _) => profile.false_negatives += 1,
            (_, true) => profile.false_positives += 1,
            _ => profile.wrong_positives += 1,
        }
    }
    profile
}

/// How often two models predict the same, averaged over all pairs of models; `None` for fewer than two models or no rows.
///
/// # Panics
/// When the models predict different numbers of rows.
pub fn model_agreement(predictions: &[Vec<usize>]) -> Option<f64> {
    let rows = predictions.first()?.len();
    let pairs = predictions.iter().enumerate().flat_map(|(i, a)| predictions[..i].iter().map(move |b| (a, b)));
    let agreements: Vec<f64> = pairs
        .map(|(a, b)| {
            assert_eq!(a.len(), b.len(), "models must predict the same rows");
            a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / rows as f64
        })
        .collect();
    (!agreements.is_empty() && rows > 0).then(|| agreements.iter().sum::<f64>() / agreements.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_has_a_value_where_a_part_is_missing() {
        let f1 = |predictions: &[usize], gold: &[usize]| {
            let score = relation_micro_f1(predictions, gold, 0);
            (score.precision, score.recall, score.f1)
        };
        assert_eq!(f1(&[1, 2, 0], &[1, 2, 0]), (1.0, 1.0, 1.0));
        assert_eq!(f1(&[0, 0], &[1, 0]), (1.0, 0.0, 0.0), "nothing predicted");
        assert_eq!(f1(&[1, 0], &[0, 0]), (0.0, 0.0, 0.0), "no positive");
        assert_eq!(f1(&[], &[]), (1.0, 0.0, 0.0));
        assert_eq!(f1(&[2, 1], &[1, 1]), (0.5, 0.5, 0.5));
    }

    #[test]
    fn errors_are_of_three_kinds() {
        let profile = error_profile(&[0, 0, 1, 2, 2, 1], &[0, 1, 0, 1, 2, 0], 0);
        assert_eq!(profile, ErrorProfile { false_negatives: 1, false_positives: 2, wrong_positives: 1 });
        assert_eq!(profile.shares(), Some([0.25, 0.5, 0.25]));
        assert_eq!(ErrorProfile::default().shares(), None);
    }

    #[test]
    fn agreement_is_a_mean_over_pairs() {
        let models = [vec![0, 1, 1, 0], vec![0, 1, 1, 1], vec![1, 1, 1, 1]];
        // Pairs agree on 3, 2 and 3 of 4 rows.
        assert_eq!(model_agreement(&models), Some((0.75 + 0.5 + 0.75) / 3.0));
        assert_eq!(model_agreement(&models[..1]), None);
        assert_eq!(model_agreement(&[vec![], vec![]]), None);
    }
}
