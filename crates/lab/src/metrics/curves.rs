use super::Predictions;
use super::metric::CALIBRATION_BINS;
use super::ranking::groups;
use crate::calibration::top_label;
use crate::compare::CalibrationBin;
use contrarian::calibration::reliability_bins;

/// False-positive and true-positive rate at every distinct threshold, from (0, 0) to (1, 1), for two classes. Empty when
/// one of them does not occur.
pub fn roc_curve(predictions: &Predictions) -> Vec<(f64, f64)> {
    let points = cumulated(predictions);
    let Some(&(positives, negatives)) = points.last() else {
        return Vec::new();
    };
    if positives == 0.0 || negatives == 0.0 {
        return Vec::new();
    }
    std::iter::once((0.0, 0.0)).chain(points.iter().map(|(p, n)| (n / negatives, p / positives))).collect()
}

/// Recall and precision at every distinct threshold, by rising recall, for two classes. Empty without positives.
pub fn precision_recall_curve(predictions: &Predictions) -> Vec<(f64, f64)> {
    let points = cumulated(predictions);
    let positives = points.last().map_or(0.0, |last| last.0);
    if positives == 0.0 {
        return Vec::new();
    }
    points.iter().map(|(p, n)| (p / positives, p / (p + n))).collect()
}

/// Positives and negatives above each distinct score.
fn cumulated(predictions: &Predictions) -> Vec<(f64, f64)> {
    let mut seen = (0.0, 0.0);
    let add = |(_, p, n): (f64, usize, usize)| {
        seen = (seen.0 + p as f64, seen.1 + n as f64);
        seen
    };
    groups(&predictions.scores(1), &predictions.is(1)).into_iter().map(add).collect()
}

/// Reliability diagram over 15 bins of equal width: of the positive class's probability for two classes, of the decided
/// class's for more. Empty bins are kept, with count 0, so that bins of several models match by position.
pub fn calibration_bins(predictions: &Predictions) -> Vec<CalibrationBin> {
    let (confidence, correct) = match predictions.classes {
        2 => (predictions.scores(1), predictions.is(1)),
        _ => top_label(predictions),
    };
    let bins = reliability_bins(&confidence, &correct, CALIBRATION_BINS).into_iter();
    bins.map(|bin| CalibrationBin { predicted: bin.confidence, observed: bin.accuracy, count: bin.count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        let probabilities = [0.9, 0.8, 0.8, 0.1].iter().flat_map(|&p| [1.0 - p, p]).collect();
        Predictions { probabilities, classes: 2, labels: vec![1, 0, 1, 0] }
    }

    #[test]
    fn curves_go_through_the_known_points() {
        assert_eq!(roc_curve(&predictions()), [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        let curve = precision_recall_curve(&predictions());
        assert_eq!((curve[0], curve[2]), ((0.5, 1.0), (1.0, 0.5)));
        let one_class = Predictions { labels: vec![0; 4], ..predictions() };
        assert!(roc_curve(&one_class).is_empty() && precision_recall_curve(&one_class).is_empty());
    }

    #[test]
    fn every_row_falls_into_a_bin() {
        let bins = calibration_bins(&predictions());
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), 4);
        let shared = bins.iter().find(|bin| bin.count == 2).unwrap();
        assert!((shared.predicted - 0.8).abs() < 1e-12 && shared.observed == 0.5);
    }
}
