use super::{Effect, Strategy};
use crate::data::Matrix;
use crate::report::ReportError;
use crate::report::number::{count, fixed, interval, p_phrase, percent, plural, signed};
use serde::Serialize;

/// A row whose label is likely wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// Its number where it comes from.
    pub row: usize,
    /// Its label.
    pub given: String,
    /// The label it should rather have.
    pub suggested: String,
    /// Out-of-fold probability of its own label.
    pub probability: f64,
    /// Part of its neighbours that has its label.
    pub agreeing: f64,
    /// How much speaks against the label, in `[0, 1]`: one minus the mean of `probability` and `agreeing`.
    pub evidence: f64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Cleaning {
    /// Name of the data.
    pub data: String,
    /// The column whose labels were looked at.
    pub target: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Rows of the data.
    pub rows: usize,
    /// Rows that were looked at: all, unless the work was stopped.
    pub checked: usize,
    /// By which rule.
    pub strategy: Strategy,
    /// The class "none of the others", if it was named.
    pub negative_class: Option<String>,
    /// Neighbours.
    pub k: usize,
    /// Folds.
    pub folds: usize,
    /// Suspects, the strongest evidence first.
    pub suspects: Vec<Suspect>,
    /// Whether training without them helps; `None` where the control was not asked for, not reached or failed.
    pub effect: Option<Effect>,
    /// Why the control failed.
    pub no_effect: Option<String>,
    /// Whether the work was stopped before its end.
    pub interrupted: bool,
    /// Embeddings of a fold's held-out rows, and which of them are suspects: for a picture.
    #[serde(skip)]
    pub view: Option<(Matrix, Vec<bool>)>,
}

impl Cleaning {
    /// Which score the control compares.
    pub fn metric(&self) -> String {
        match &self.negative_class {
            Some(class) => format!("micro F1 over all classes but `{class}`"),
            None => "balanced accuracy".into(),
        }
    }

    /// What was found, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = vec![self.which()];
        if self.interrupted {
            said.push(format!(
                "The work was stopped: {} of {} rows were looked at, and the comparison has {}.",
                count(self.checked),
                count(self.rows),
                plural(self.effect.as_ref().map_or(0, |effect| effect.splits.len()), "split", "splits"),
            ));
        }
        if self.suspects.is_empty() {
            return said;
        }
        said.push(
            "They are suspects to look at, the strongest evidence first, not rows to delete blindly: a row that is right but \
             rare, or that the columns do not explain, looks the same."
                .into(),
        );
        if let Some(effect) = &self.effect {
            said.extend(self.whether_it_helps(effect));
        }
        if let Some(reason) = &self.no_effect {
            said.push(format!("Whether training without them helps here is not known: {reason}."));
        }
        said
    }

    fn which(&self) -> String {
        let part = percent(self.suspects.len() as f64 / self.checked.max(1) as f64);
        let rows = plural(self.checked, "row", "rows");
        let (negative, k) = (self.negative_class.as_deref().unwrap_or_default(), self.k);
        let rule = match self.strategy {
            Strategy::Agreement => format!(
                "neither a model that has not seen the row nor most of its {k} nearest neighbours would give it its label"
            ),
            Strategy::Intrinsic => format!(
                "they are labelled `{negative}` and lie among the {k} nearest to a row of another class that the model takes for \
                 `{negative}`"
            ),
            Strategy::Extrinsic => {
                let only =
                    if negative.is_empty() { String::new() } else { format!("they are labelled `{negative}` and ") };
                format!("{only}most of the {k} nearest trusted rows have another label")
            }
        };
        match self.suspects.len() {
            0 => format!("None of {rows} is suspect (the rule: {rule})."),
            1 => format!("1 of {rows} is suspect: {rule}."),
            n => format!("{} of {rows} ({part}) are suspect: {rule}.", count(n)),
        }
    }

    fn whether_it_helps(&self, effect: &Effect) -> Vec<String> {
        let mean = |of: fn(&super::SplitScores) -> f64| fixed(effect.mean(of), 3);
        let scores = format!(
            "Does training without them help here? Over {}, {} on held-out rows is {} without the suspects, {} without as many \
             random rows of the same labels, and {} with all rows.",
            plural(effect.splits.len(), "split", "splits"),
            self.metric(),
            mean(|s| s.cleaned),
            mean(|s| s.random),
            mean(|s| s.all),
        );
        let Some(test) = &effect.against_random else {
            return vec![scores, "A single split is too few for a test.".into()];
        };
        let numbers = format!(
            "against the random rows {}, 95% interval {}, {}",
            signed(test.difference, 3),
            interval(test.low, test.high, 3),
            p_phrase(test.p),
        );
        let verdict = match (test.low > 0.0, test.high < 0.0) {
            (true, _) => format!("Leaving the suspects out helps more than chance ({numbers})."),
            (_, true) => format!("Leaving the suspects out does harm ({numbers}): the model needs these rows."),
            _ => format!("There is no evidence that leaving the suspects out helps ({numbers})."),
        };
        vec![
            scores,
            verdict,
            "Held-out rows are judged by their labels as given, wrong ones among them, so that a gain may look smaller than it is."
                .into(),
        ]
    }
}

/// The suspects as CSV, a line each.
///
/// # Errors
/// When they cannot be encoded.
pub fn suspects_csv(found: &Cleaning) -> Result<String, ReportError> {
    let encode = |reason: String| ReportError::Encode { format: "CSV", reason };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["row", "given", "suggested", "evidence", "probability_of_given", "neighbours_with_given"];
    writer.write_record(header).map_err(|error| encode(error.to_string()))?;
    for suspect in &found.suspects {
        let numbers = [suspect.evidence, suspect.probability, suspect.agreeing].map(|value| format!("{value:.4}"));
        let [evidence, probability, agreeing] = &numbers;
        let row = suspect.row.to_string();
        let record = [row.as_str(), &suspect.given, &suspect.suggested, evidence, probability, agreeing];
        writer.write_record(record).map_err(|error| encode(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| encode(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| encode(error.to_string()))
}
