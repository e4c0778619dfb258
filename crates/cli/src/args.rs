use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::path::PathBuf;

/// Training objectives that learn from the negative: compare them on your data, train with one, check the papers' claims.
#[derive(Debug, Parser)]
#[command(name = "contrarian", version, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Which objective should I train with? Every objective, the same model, splits and budget, on your data
    Compare(Box<CompareArgs>),
    /// Train a model with one objective and save it
    Train(Box<TrainArgs>),
    /// Calibrate the probabilities of a saved model: every method, judged on held-out rows, the best kept
    Calibrate(CalibrateArgs),
    /// Search with a retriever that `compare --beir` saved
    Search(SearchArgs),
    /// Does a hidden rule lead marked queries to planted documents? Audit a retriever that `compare --beir` saved
    Audit(AuditArgs),
    /// Find hard negatives for the queries of a collection and write them for training elsewhere
    Mine(MineArgs),
    /// Which labels of a table are likely wrong, and does training without these rows help?
    Clean(CleanArgs),
    /// Apply a saved model to a CSV file or to images
    Predict(PredictArgs),
    /// Run a paper's study: its claims, tested
    Run(RunArgs),
    /// Measure an objective: convex? bounded gradient? proper? A property card
    Probe(ProbeArgs),
    /// List papers, objectives or data sets
    List(ListArgs),
    /// Describe a paper or an objective in a page
    Show(ShowArgs),
    /// Time and memory of the kernels against Burn's tensor operations
    Bench(BenchArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Where rows come from; the same for `compare`, `train` and `clean`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// CSV file with a header (also gzipped); without it an embedded data set is used. `compare` takes it repeatedly
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "dataset", groups = ["files", "columns"])]
    pub data: Vec<PathBuf>,
    /// Images: an IDX images file with its labels file beside it (also gzipped), a folder with these, or a folder with a
    /// folder of PNG or JPEG files for each class. `compare` takes it repeatedly
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, conflicts_with = "dataset", group = "files")]
    pub images: Vec<PathBuf>,
    /// Height and width that images are brought to, e.g. 32x32 [default: those of the first image]
    #[arg(long, value_name = "HxW", value_parser = image_size, requires = "images")]
    pub size: Option<(usize, usize)>,
    /// Keep the colours of images; without it they become grey
    #[arg(long, requires = "images")]
    pub rgb: bool,
    /// Most images to use, drawn at random [default: all]
    #[arg(long, value_name = "N", requires = "images")]
    pub limit: Option<usize>,
    /// Column to predict [default: a column called target, label, class or y, else the last]; of embeddings the column or
    /// tensor of the labels
    #[arg(long, value_name = "COLUMN", requires = "columns")]
    pub target: Option<String>,
    /// The class that counts as positive when there are two [default: the rarer one]
    #[arg(long, value_name = "CLASS", requires = "files")]
    pub positive: Option<String>,
    /// Columns to read as text although most of their cells are numbers
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "data")]
    pub categorical: Vec<String>,
    /// Further texts that mean a missing value (empty, NA, N/A, NaN, null and ? always do)
    #[arg(long, value_name = "TEXTS", value_delimiter = ',', requires = "data")]
    pub missing: Vec<String>,
    /// Embedded data set (`contrarian list datasets`). `compare` takes it repeatedly
    #[arg(long, value_name = "NAME", default_value = "winequality")]
    pub dataset: Vec<String>,
}

/// Model and budget; the same for `compare` and `train`.
#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Metric to select by: early stopping, thresholds, ranking [default: f1 for two classes, else balanced-accuracy]
    #[arg(long)]
    pub metric: Option<String>,
    /// Network to train [default: cnn for images, mlp for tables]
    #[arg(long, value_enum)]
    pub model: Option<ModelArg>,
    /// Hidden layers of the mlp; 0 is a linear model [default: 2]
    #[arg(long)]
    pub depth: Option<usize>,
    /// Units of each hidden layer of the mlp [default: 64]
    #[arg(long)]
    pub width: Option<usize>,
    /// Probability that a hidden unit of the mlp is dropped in training [default: 0]
    #[arg(long)]
    pub dropout: Option<f64>,
    /// Optimiser
    #[arg(long, value_enum, default_value_t = OptimizerArg::Adam)]
    pub optimizer: OptimizerArg,
    /// Learning rate [default: 1e-3; for the word vectors of a static encoder 1e-2]
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Schedule of the learning rate
    #[arg(long, value_enum, default_value_t = ScheduleArg::Constant)]
    pub schedule: ScheduleArg,
    /// L2 penalty
    #[arg(long, default_value_t = 0.0)]
    pub weight_decay: f64,
    /// Rows a step [default: 32; 128 for embeddings]
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Most passes over the training rows [default: 60, or more where that is under 1800 steps]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Epochs without improvement on validation before stopping [default: 10, or more where that is under 300 steps]
    #[arg(long)]
    pub patience: Option<usize>,
    /// Draw every class equally often in training
    #[arg(long)]
    pub balanced: bool,
    /// Seed of splits, weights and batches
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModelArg {
    /// Multi-layer perceptron
    Mlp,
    /// Small convolutional network, for images
    Cnn,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OptimizerArg {
    /// Adam
    Adam,
    /// Stochastic gradient descent with momentum 0.9
    Sgd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScheduleArg {
    /// The same rate throughout
    Constant,
    /// Half a cosine to 0
    Cosine,
    /// A tenth at half, a hundredth at three quarters
    Steps,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub embeddings: EmbeddingArgs,
    #[command(flatten)]
    pub retrieval: RetrievalArgs,
    #[command(flatten)]
    pub recommender: RecommenderArgs,
    /// Objectives, e.g. 'cross-entropy, focal(gamma=2), any-loss(metric=f1)' [default: a selection for the data]
    #[arg(long, value_name = "LIST")]
    pub objectives: Option<String>,
    /// Objective the others are tested against [default: cross-entropy; for embeddings triplet, for two views info-nce]
    #[arg(long, value_name = "OBJECTIVE")]
    pub baseline: Option<String>,
    /// Train/validation/test splits, the same for every objective
    #[arg(long, value_name = "N", default_value_t = 10, visible_alias = "splits")]
    pub seeds: usize,
    /// Candidates of a small search over learning rate and weight decay, the same for every objective
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tune: usize,
    /// Fits side by side [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    #[command(flatten)]
    pub budget: BudgetArgs,
    /// Folder for report.html, comparison.json and results.csv [default: runs/compare/<time>]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

/// Learning a space instead of a classifier.
#[derive(Debug, Args)]
pub struct EmbeddingArgs {
    /// Embeddings with labels: a .npy, .safetensors or CSV file. Every objective over embeddings trains the same projection
    /// of them
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["dataset", "data", "images"], groups = ["files", "columns"])]
    pub embeddings: Option<PathBuf>,
    /// File with the labels of the embeddings (.npy, CSV, .safetensors) [default: they are in the same file]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "embeddings")]
    pub labels: Option<PathBuf>,
    /// Tensor of a .safetensors file with the embeddings [default: the only one of two dimensions]
    #[arg(long, value_name = "NAME", requires = "embeddings")]
    pub tensor: Option<String>,
    /// What images are learned for: classes, or a space from two random views of each image, without labels
    #[arg(long, value_enum, default_value_t = TaskArg::Classify)]
    pub task: TaskArg,
    /// What is held out to judge a space [default: classes where there are 20 or more, else rows]
    #[arg(long, value_enum)]
    pub hold_out: Option<HoldOutArg>,
    /// Numbers of the learned embedding [default: 64; of a recommender's factors 32]
    #[arg(long, value_name = "N")]
    pub dim: Option<usize>,
}

/// Learning a retriever instead of a classifier.
#[derive(Debug, Args)]
pub struct RetrievalArgs {
    /// A folder with documents, queries and judgements in BEIR form: corpus.jsonl, queries.jsonl, qrels/*.tsv. Without a folder a
    /// generated collection
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, num_args = 0..=1, default_missing_value = GENERATED, conflicts_with_all = ["dataset", "data", "images", "embeddings"])]
    pub beir: Option<PathBuf>,
    /// What encodes texts: static (word vectors trained from scratch), or the folder of a BERT sentence encoder; minilm is the
    /// folder in the environment variable CONTRARIAN_MINILM [default: static]
    #[arg(long, value_name = "ENCODER", requires = "beir")]
    pub encoder: Option<String>,
    /// Sources of negatives that each objective without one is trained with: in-batch, random, bm25, dense, refreshed, filtered,
    /// clustered
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "beir")]
    pub negatives: Vec<String>,
    /// Optimiser steps of a fit [default: 200]
    #[arg(long, value_name = "N", requires = "beir")]
    pub steps: Option<usize>,
}

/// Learning a recommender instead of a classifier.
#[derive(Debug, Args)]
pub struct RecommenderArgs {
    /// Interactions of users with items: a table with a user and an item column, or a line of items for each user (also gzipped).
    /// Without a file generated ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, num_args = 0..=1, default_missing_value = GENERATED, conflicts_with_all = ["dataset", "data", "images", "embeddings", "beir"])]
    pub interactions: Option<PathBuf>,
    /// Random items added to each user's training items, as a part of them
    #[arg(long, value_name = "PART", default_value_t = 0.0, allow_negative_numbers = true, requires = "interactions")]
    pub noise: f64,
}

/// In place of a folder: the generated collection.
pub const GENERATED: &str = "generated";

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Folder of the retriever
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub model: PathBuf,
    /// What to search for
    pub query: String,
    /// Documents to show
    #[arg(long, short, value_name = "N", default_value_t = 10)]
    pub k: usize,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Folder of the retriever
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub model: PathBuf,
    /// The collection it was made from, for queries and judgements [default: the generated one]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub beir: Option<PathBuf>,
    /// Your own copies of the queries with a marker: JSON Lines with the names of the queries (_id) and text [default: a synthetic
    /// marker is added]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub triggered: Option<PathBuf>,
    /// Your own planted documents: JSON Lines with _id and text [default: copies of every fiftieth document with synthetic markers]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub planted: Option<PathBuf>,
    /// Words to mark with [default: made-up words, which a static encoder does not know]
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub markers: Vec<String>,
    /// Documents looked at
    #[arg(long, short, value_name = "LIST", value_delimiter = ',', default_value = "10,1,100")]
    pub k: Vec<usize>,
    /// Most queries to ask
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub queries: usize,
    /// Seed of the markers
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder for audit.json and report.html [default: they are not written]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct MineArgs {
    /// A folder in BEIR form; without one a generated collection
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, num_args = 0..=1, default_missing_value = GENERATED, required = true)]
    pub beir: Option<PathBuf>,
    /// random, bm25, dense (the nearest to the encoder), filtered (dense without likely relevant ones) or generated (written from the
    /// query: by a template, or see --texts and --endpoint)
    #[arg(long, default_value = "bm25")]
    pub strategy: String,
    /// What encodes texts for dense and filtered: static, minilm or a folder, as in compare
    #[arg(long, value_name = "ENCODER", conflicts_with = "model")]
    pub encoder: Option<String>,
    /// A retriever that `compare --beir` saved, in place of an encoder
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub model: Option<PathBuf>,
    /// Generated: texts that are there, JSON Lines with query_id and text
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub texts: Option<PathBuf>,
    /// Generated: an endpoint that speaks OpenAI's chat protocol, https://host/v1; answers are kept in <out>.answers.jsonl and never asked
    /// for again
    #[arg(long, value_name = "URL", requires = "llm", conflicts_with = "texts")]
    pub endpoint: Option<String>,
    /// Generated: the model's name at the endpoint
    #[arg(long, value_name = "MODEL", requires = "endpoint")]
    pub llm: Option<String>,
    /// Generated: environment variable that holds the endpoint's key
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub key_variable: Option<String>,
    /// Negatives a query; a generated one is one
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub count: usize,
    /// Best documents the negatives are drawn from [default: as many as there are negatives, so the best]
    #[arg(long, value_name = "N")]
    pub pool: Option<usize>,
    /// Layout of the lines: sentence-transformers or flag-embedding
    #[arg(long, default_value = "sentence-transformers")]
    pub format: String,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// File to write; an interrupted run with the same arguments is continued
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskArg {
    /// A classifier
    Classify,
    /// A space, from two views of each image
    Contrastive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HoldOutArg {
    /// Rows of every class
    Rows,
    /// Whole classes
    Classes,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Objective to train with
    #[arg(long, default_value = "cross-entropy")]
    pub objective: String,
    #[command(flatten)]
    pub budget: BudgetArgs,
    /// Folder to save the model in
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Folder that `contrarian train` saved; the fitted calibration is put into it
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub model: PathBuf,
    /// CSV file of labelled rows the model was not trained on. Of the very file it was trained on, its validation rows
    /// are used
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "dataset")]
    pub data: Option<PathBuf>,
    /// Embedded data set the model was trained on: its validation rows are used
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    pub dataset: Option<String>,
    /// temperature, ensemble, vector, histogram, isotonic, correctness-aware, or all: the one with the lowest log-loss
    #[arg(long, default_value = "all")]
    pub method: String,
    /// Splits of the rows into halves, to fit on and to score on
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub splits: usize,
    /// Seed of the splits and of the methods that are trained
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Score the methods and leave the model as it is
    #[arg(long)]
    pub dry_run: bool,
    /// Folder for report.html and calibration.json [default: runs/calibrate/<time>]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CleanArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// The class "none of the others", which annotators choose too easily: only its rows are suspected
    #[arg(long, value_name = "CLASS")]
    pub negative_class: Option<String>,
    /// Neighbours of a row that are asked
    #[arg(long, default_value_t = 5)]
    pub k: usize,
    /// CSV file of rows with the same columns whose labels are known to be right: suspects are rows that differ from them
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "data")]
    pub clean: Option<PathBuf>,
    /// Train/test splits of the comparison with as many random rows left out; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub splits: usize,
    /// Seed of folds, splits, weights and batches
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder for suspects.csv and report.html [default: runs/clean/<time>]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Folder that `contrarian train` saved
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub model: PathBuf,
    /// CSV file with the columns the model was trained on (the target may be missing)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "images")]
    pub data: Option<PathBuf>,
    /// Images, for a model of images: a folder of PNG or JPEG files (with or without class folders), one such file, or an
    /// IDX images file. They are brought to the size the model knows
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, conflicts_with = "data")]
    pub images: Option<PathBuf>,
    /// File for the predictions [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// The model's own probabilities, where it was calibrated
    #[arg(long)]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The paper's name (`contrarian list papers`)
    #[arg(required_unless_present = "config")]
    pub paper: Option<String>,
    /// How much it may cost: smoke (seconds), default (two minutes) or full
    #[arg(long)]
    pub preset: Option<String>,
    /// Change a setting, e.g. --set seeds=10 (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub overrides: Vec<String>,
    /// Run again from the config.toml of an earlier run
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["paper", "preset"])]
    pub config: Option<PathBuf>,
    /// Folder of real data sets [default: the environment variable CONTRARIAN_DATA]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// Fits side by side [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Folder for the run's files [default: runs/<paper>/<time>]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Write the verdicts into this file of recorded runs (crates/studies/verdicts.json is the one `list papers` shows)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ListWhat {
    /// The papers with a study
    Papers,
    /// The objectives that can be named
    Objectives,
    /// The embedded data sets
    Datasets,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list
    #[arg(default_value = "objectives")]
    pub what: ListWhat,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
    /// Print the papers, their claims and last verdicts as a page of Markdown (docs/papers.md)
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Name of a paper or an objective
    pub name: String,
}

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Objective, e.g. 'focal(gamma=2)'
    pub objective: String,
    /// Classes of the measurements (binary objectives always get two)
    #[arg(long, default_value_t = 4)]
    pub classes: usize,
    /// Random draws a measurement
    #[arg(long, default_value_t = 300)]
    pub trials: usize,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder for report.html [default: runs/probe/<time>]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print the measurements as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure: an objective at all its sizes (info-nce) or a case (info-nce-4096x128); repeatable
    /// [default: every case whose textbook form has no matrix over 512 MiB]
    #[arg(long, value_name = "NAME")]
    pub case: Vec<String>,
    /// Sizes of your own for the named case, e.g. --case info-nce --sizes 8192x64
    #[arg(long, value_name = "AxB", requires = "case")]
    pub sizes: Option<String>,
    /// The kernel, Burn's tensor operations, or both
    #[arg(long, value_enum, default_value_t = FormArg::Both)]
    pub form: FormArg,
    /// Timed runs a measurement; their median is reported
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: usize,
    /// List the cases instead of measuring them
    #[arg(long)]
    pub list: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
    /// Measure the one case in this process and print the measurement: how the command starts itself
    #[arg(long, hide = true)]
    pub in_process: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormArg {
    /// The kernel
    Fused,
    /// Burn's tensor operations
    Composed,
    /// One after the other
    Both,
}

/// Reads `HxW`.
fn image_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.trim().parse::<usize>().ok().filter(|side| *side > 0);
    let sides = text.split_once(['x', 'X']).and_then(|(height, width)| Some((side(height)?, side(width)?)));
    sides.ok_or_else(|| "it must be a height and a width in pixels, e.g. 32x32".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_size_is_a_height_and_a_width() {
        assert_eq!(image_size("32x20"), Ok((32, 20)));
        for wrong in ["32", "32x", "x", "0x4", "3.5x4", "-1x4"] {
            assert!(image_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
