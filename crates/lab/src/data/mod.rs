//! Tables, images, series and embeddings in, numbers out: loading, encoding, splitting, generating.

mod bag_set;
mod csv_file;
mod embedded;
mod embeddings;
mod episodes;
mod error;
mod features;
pub mod generate;
pub mod images;
mod matrix;
pub mod noise;
mod one_class;
mod preprocess;
mod problem;
mod sampling;
pub mod series;
mod split;
mod table;
mod table_encoder;
mod transform;

pub use bag_set::BagSet;
pub use csv_file::{CsvOptions, load_csv};
pub(crate) use csv_file::{Records, read};
pub use embedded::{EMBEDDED, EmbeddedData, embedded};
pub use embeddings::{EmbeddingOptions, EmbeddingSet, load_embeddings};
pub use episodes::{Episode, EpisodeSampler};
pub use error::DataError;
pub use features::Features;
pub use generate::Dataset;
pub use images::{
    Glyphs, ImageOptions, ImageSet, ImageShape, Images, PixelScaler, UnlabelledImages, load_images,
    load_unlabelled_images,
};
pub use matrix::Matrix;
pub use one_class::one_class_rows;
pub use preprocess::Preprocessor;
pub use problem::{Problem, guess_target};
pub use sampling::{Sampler, long_tail};
pub use series::{SeriesSet, SeriesShape, load_ts};
pub use split::{MIN_CLASS_ROWS, Split, class_splits, halves, hold_out, stratified_splits};
pub use table::{Column, Table, Values};
pub use table_encoder::TableEncoder;
pub use transform::Transform;
