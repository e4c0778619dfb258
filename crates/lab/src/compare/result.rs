use crate::data::{ImageShape, Preprocessor, Problem};
use crate::report::SpacePicture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a comparison found: what the report, the JSON and the CSV are written from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of contrarian that made it.
    pub version: String,
    /// The data.
    pub data: DataSummary,
    /// How every objective was trained and judged.
    pub settings: Settings,
    /// One entry a row of the table, best first by [`Settings::metric`].
    pub results: Vec<ObjectiveResult>,
    /// Fits that gave no result, and why.
    pub failures: Vec<Failure>,
    /// Pictures of the test rows of the first split, before and after training (embeddings only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spaces: Vec<SpacePicture>,
    /// True when the run was stopped early; the results are those of the finished splits.
    pub interrupted: bool,
    /// Wall-clock seconds of the whole comparison.
    pub seconds: f64,
    /// Fits that ran side by side.
    pub threads: usize,
    /// Peak memory of the process in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

/// The data of a comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataSummary {
    /// Name of the data set or file.
    pub name: String,
    /// Name of the target column.
    pub target: String,
    /// Rows used.
    pub rows: usize,
    /// Feature columns before encoding; numbers of an image.
    pub columns: usize,
    /// Shape of the images, if the rows are images.
    pub images: Option<ImageShape>,
    /// Model inputs after encoding.
    pub inputs: usize,
    /// The classes and how many rows each has, in label order.
    pub classes: Vec<ClassCount>,
    /// With two classes: the one that counts as positive (label 1).
    pub positive: Option<String>,
    /// What was done to the data that a person should know: imputed cells, dropped columns, ...
    pub notes: Vec<String>,
}

/// A class and its size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClassCount {
    /// Class name as in the data.
    pub name: String,
    /// Rows of the class.
    pub rows: usize,
}

/// What is compared, and so what the honest control is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComparisonKind {
    /// Classifiers; the control is the baseline at a tuned threshold.
    #[default]
    Classification,
    /// Embeddings; the control is what there was before any training.
    Embedding,
    /// Retrievers; the control is BM25.
    Retrieval,
    /// Recommenders; the control is what is most popular.
    Recommendation,
}

impl ComparisonKind {
    /// What the control of this kind is, in words.
    pub fn control(self) -> &'static str {
        match self {
            Self::Classification => "the baseline with its threshold chosen on validation",
            Self::Embedding => "the vectors as they came, without any training",
            Self::Retrieval => "ranking by words in common, without any training",
            Self::Recommendation => "what most users chose, the same for everybody",
        }
    }

    /// The control in a word or two, for a heading.
    pub fn control_in_short(self) -> &'static str {
        match self {
            Self::Classification => "tuned",
            Self::Embedding => "untrained",
            Self::Retrieval => "BM25",
            Self::Recommendation => "most popular",
        }
    }
}

/// The budget and the rules, the same for every objective.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// What is compared.
    #[serde(default)]
    pub kind: ComparisonKind,
    /// The model in words: `MLP 11-64-64-2`.
    pub model: String,
    /// The optimiser in words: `Adam 0.001, batch 32, at most 60 epochs`.
    pub training: String,
    /// Number of train/validation/test splits.
    pub splits: usize,
    /// Base seed.
    pub seed: u64,
    /// Name of the metric rows are ranked and tested by.
    pub metric: String,
    /// Whether larger values of [`metric`](Self::metric) are better.
    pub higher_is_better: bool,
    /// Name of the row the others are tested against.
    pub baseline: String,
    /// Name of the honest control: the baseline with its threshold chosen on validation (two classes only), or the vectors
    /// before training.
    pub control: Option<String>,
    /// Candidates of the parameter search each objective had; 0 is none.
    pub tune: usize,
}

/// One row: an objective with a decision rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectiveResult {
    /// Row name: the objective as written, or the control's name.
    pub name: String,
    /// The objective as the registry reads it; with a search, the base of it.
    pub objective: String,
    /// True when this row decides at the threshold chosen on validation instead of at one half.
    pub tuned_threshold: bool,
    /// Each metric, by name, at the row's decision rule, on test data.
    pub metrics: BTreeMap<String, Summary>,
    /// The same with the threshold chosen on validation (two classes only; empty otherwise).
    pub metrics_at_tuned_threshold: BTreeMap<String, Summary>,
    /// Difference to the baseline row in the selected metric; `None` for the baseline itself.
    pub against_baseline: Option<PairedComparison>,
    /// Difference to the control row in the selected metric; `None` for the control itself or without one.
    pub against_control: Option<PairedComparison>,
    /// Rank by the selected metric, 1 is best, averaged over splits, ties share.
    pub mean_rank: f64,
    /// Mean training seconds of one fit.
    pub seconds_per_fit: f64,
    /// Mean optimiser steps a second.
    pub steps_per_second: f64,
    /// Mean epochs until early stopping.
    pub epochs: f64,
    /// What the search chose on each split, by parameter; empty without a search.
    pub chosen: Vec<String>,
    /// For the charts.
    pub curves: Curves,
}

/// A metric over splits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Mean over splits.
    pub mean: f64,
    /// Lower end of the 95% interval (corrected for overlapping training sets).
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// One value a split.
    pub values: Vec<f64>,
}

/// A paired comparison of two rows over the same splits (Nadeau-Bengio corrected resampled t-test).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairedComparison {
    /// Mean difference, this row minus the other.
    pub difference: f64,
    /// Lower end of its 95% interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// The p-value after Holm's correction over all rows tested.
    pub p_holm: f64,
}

/// Curves of one row over all splits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Curves {
    /// Learning curve, averaged over the splits that reached the epoch.
    pub learning: Vec<EpochPoint>,
    /// False-positive rate, true-positive rate (two classes; averaged over splits at equal horizontal positions).
    pub roc: Vec<(f64, f64)>,
    /// Recall, precision (two classes; averaged over splits at equal horizontal positions).
    pub precision_recall: Vec<(f64, f64)>,
    /// Reliability of the predicted probability (of the positive class, or of the predicted class).
    pub calibration: Vec<CalibrationBin>,
}

/// One epoch of a learning curve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EpochPoint {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean value of the objective on training batches.
    pub train_loss: f64,
    /// The selected metric on validation.
    pub validation: f64,
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean predicted probability in the bin.
    pub predicted: f64,
    /// Fraction that was so.
    pub observed: f64,
    /// Examples in the bin.
    pub count: usize,
}

/// A fit that gave no result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// Row name.
    pub objective: String,
    /// Split, from 1.
    pub split: usize,
    /// What happened.
    pub reason: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on split {}: {}", self.objective, self.split, self.reason)
    }
}

impl DataSummary {
    /// What a row is, in words: `11 columns`, `grey images of 28 x 28 pixels`.
    pub fn features(&self) -> String {
        match (self.images, self.columns) {
            (Some(shape), _) => shape.to_string(),
            (None, 1) => "1 column".into(),
            (None, columns) => format!("{columns} columns"),
        }
    }

    /// Describes a problem as an encoder sees it.
    pub(super) fn of(problem: &Problem, encoder: &Preprocessor) -> Self {
        let count = |class: usize| problem.labels.iter().filter(|&&label| label == class).count();
        let classes = problem.classes.iter().enumerate();
        Self {
            name: problem.name.clone(),
            target: problem.target.clone(),
            rows: problem.labels.len(),
            columns: problem.features.columns(),
            images: problem.features.image_shape(),
            inputs: encoder.inputs(),
            classes: classes.map(|(class, name)| ClassCount { name: name.clone(), rows: count(class) }).collect(),
            positive: problem.positive.map(|class| problem.classes[class].clone()),
            notes: problem.notes.iter().cloned().chain(encoder.notes()).collect(),
        }
    }
}
