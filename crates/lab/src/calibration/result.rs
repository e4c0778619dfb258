use super::CalibrationScore;
use crate::compare::PairedComparison;
use crate::report::number::{count, fixed, plural};
use contrarian::calibration::ReliabilityBin;
use serde::Serialize;

/// The model as it is, in the table.
pub const UNCALIBRATED: &str = "uncalibrated";

/// One line of the table: the model as it is, or a method.
#[derive(Debug, Clone, Serialize)]
pub struct MethodResult {
    /// `uncalibrated`, or the method's name.
    pub name: String,
    /// Scores on the held-out half of each split.
    pub scores: Vec<CalibrationScore>,
    /// Difference of the log-loss to the model as it is: below 0 is better. `None` for the model itself, and with a single
    /// split.
    pub log_loss: Option<PairedComparison>,
    /// The same of the expected calibration error.
    pub ece: Option<PairedComparison>,
    /// Expected calibration error that these confidences would show on as many rows if they were exactly right: bins are
    /// never filled evenly, so it is above 0. Mean of simulated outcomes.
    pub ece_if_right: f64,
    /// Reliability over the held-out halves of all splits.
    pub reliability: Vec<ReliabilityBin>,
}

impl MethodResult {
    /// Mean of a number over the splits; `None` where a split has none.
    pub fn mean(&self, number: impl Fn(&CalibrationScore) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.scores.iter().map(number).collect();
        values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Mean log-loss over the splits, which methods are ranked by.
    pub fn mean_log_loss(&self) -> f64 {
        self.mean(|score| Some(score.log_loss)).unwrap_or(f64::INFINITY)
    }
}

/// What calibrating a model found.
#[derive(Debug, Clone, Serialize)]
pub struct Calibration {
    /// Data it was done on.
    pub data: String,
    /// Labelled rows used.
    pub rows: usize,
    /// Whether they are the validation part of the rows the model was trained on, instead of rows it has never seen.
    pub of_training: bool,
    /// Splits into halves.
    pub splits: usize,
    /// Whether the model is right on every row: then nothing says how often it is wrong.
    pub all_right: bool,
    /// The model as it is first, then the methods that could be fitted.
    pub results: Vec<MethodResult>,
    /// The method that was chosen; `None` when none has a lower log-loss than the model as it is, or the model is right on
    /// every row and no method was named.
    pub chosen: Option<String>,
    /// Whether a person named the method.
    pub named: bool,
    /// What a person should know: rows and methods left out, columns ignored.
    pub notes: Vec<String>,
}

impl Calibration {
    /// Rows of a split that methods are fitted on and scored on.
    pub fn halves(&self) -> (usize, usize) {
        (self.rows.div_ceil(2), self.rows / 2)
    }

    /// The chosen line of the table.
    pub fn chosen(&self) -> Option<&MethodResult> {
        self.results.iter().find(|result| Some(&result.name) == self.chosen.as_ref())
    }

    /// Which rows were used for what, in a sentence.
    pub fn rows_sentence(&self) -> String {
        let (fit, score) = self.halves();
        let of = if self.of_training {
            format!("the validation part of {}, the data the model was trained on", self.data)
        } else {
            format!("{}, taken as rows the model was not trained on", self.data)
        };
        format!(
            "{} of {of}: {} into halves, each method fitted on one ({}) and scored on the other ({}).",
            plural(self.rows, "labelled row", "labelled rows"),
            plural(self.splits, "split", "splits"),
            count(fit),
            count(score)
        )
    }

    /// What was found, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = vec![self.choice()];
        let before = &self.results[0];
        let ece = |result: &MethodResult| fixed(result.mean(|s| Some(s.errors.ece)).unwrap_or(f64::NAN), 3);
        let (_, score) = self.halves();
        said.push(match self.chosen() {
            Some(best) => format!(
                "Expected calibration error {} before and {} after; confidences that are exactly right would show {} on {} rows.",
                ece(before), ece(best), fixed(best.ece_if_right, 3), count(score)
            ),
            None => format!(
                "Its expected calibration error is {}; confidences that are exactly right would show {} on {} rows.",
                ece(before), fixed(before.ece_if_right, 3), count(score)
            ),
        });
        if self.of_training {
            said.push(
                "The same rows chose the epoch in training (and, with two classes, the threshold), so all figures flatter the model a little; \
                 rows of their own (--data) are better."
                    .into(),
            );
        }
        said
    }

    fn choice(&self) -> String {
        let all = count(self.rows);
        if self.all_right && self.chosen.is_none() {
            return "The model is right on every row, so these rows cannot say how often it is wrong, and a calibration would only \
                    make it sure of everything: it stays uncalibrated. Use more rows, or name a method to have it nonetheless."
                .into();
        }
        let Some(best) = self.chosen() else {
            return "No method has a lower log-loss than the model as it is on rows it was not fitted on: the model stays \
                    uncalibrated."
                .into();
        };
        let doubt = match &best.log_loss {
            _ if self.all_right => {
                " The model is right on every row: the probabilities are surer than these rows can show."
            }
            Some(change) if change.low > 0.0 => " It is worse than none, with a 95% interval above 0.",
            Some(change) if change.difference >= 0.0 => " Its log-loss is no lower than that of the model as it is.",
            Some(change) if change.high >= 0.0 => " The gain may be chance: its 95% interval includes 0.",
            _ => "",
        };
        if self.named {
            return format!("{} was asked for; it is fitted again on all {all} rows.{doubt}", best.name);
        }
        let flattered = match self.results.len() {
            2 => "",
            _ => ", chosen and scored on the same halves, which flatters it a little",
        };
        format!(
            "{} has the lowest log-loss on rows it was not fitted on{flattered}; it is fitted again on all {all} rows.{doubt}",
            best.name
        )
    }
}
