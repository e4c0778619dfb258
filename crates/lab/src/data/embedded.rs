use super::images::Glyphs;
use super::{Column, DataError, Features, Problem, Values};
use contrarian::registry::suggest;

/// A data set that is part of the program.
#[derive(Debug)]
pub struct EmbeddedData {
    /// Name on the command line.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Rows.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
    /// Where it comes from, and its licence.
    pub source: &'static str,
    load: fn() -> Problem,
}

/// The embedded data sets; the first is the default.
pub static EMBEDDED: &[EmbeddedData] = &[
    EmbeddedData {
        name: "winequality",
        description: "red wines: excellent (quality 7 or 8) or not, from 11 measurements; 217 of 1599 are",
        rows: 1599,
        classes: 2,
        source: "Cortez et al. 2009, UCI Machine Learning Repository, CC BY 4.0; through linfa-datasets",
        load: wine,
    },
    EmbeddedData {
        name: "iris",
        description: "three species of iris, 50 flowers each, from 4 lengths",
        rows: 150,
        classes: 3,
        source: "Fisher 1936, UCI Machine Learning Repository, CC BY 4.0; through linfa-datasets",
        load: iris,
    },
    EmbeddedData {
        name: "glyphs",
        description: "generated: 40 shapes of four bumps in noise, 40 grey images of 10 x 10 pixels each",
        rows: 1600,
        classes: 40,
        source: "generated from a fixed seed",
        load: || Glyphs::default().generate(0).into_problem("shape"),
    },
];

/// Loads an embedded data set.
///
/// # Errors
/// When there is none of this name; the nearest is suggested.
pub fn embedded(name: &str) -> Result<Problem, DataError> {
    let found = EMBEDDED.iter().find(|data| data.name == name);
    found.map(|data| (data.load)()).ok_or_else(|| DataError::NoDataset {
        name: name.into(),
        nearest: suggest(name, EMBEDDED.iter().map(|data| data.name)),
        known: EMBEDDED.iter().map(|data| data.name.to_string()).collect(),
    })
}

/// Quality from which a wine counts as excellent.
const EXCELLENT: usize = 7;

fn wine() -> Problem {
    let data = linfa_datasets::winequality();
    let features = columns(data.feature_names(), data.records.columns().into_iter().map(|c| c.to_vec()));
    Problem {
        name: "winequality".into(),
        target: "quality".into(),
        features: Features::Columns(features),
        labels: data.targets.iter().map(|&quality| usize::from(quality >= EXCELLENT)).collect(),
        classes: vec!["ordinary".into(), "excellent".into()],
        positive: Some(1),
        notes: Vec::new(),
    }
}

fn iris() -> Problem {
    let data = linfa_datasets::iris();
    let features = columns(data.feature_names(), data.records.columns().into_iter().map(|c| c.to_vec()));
    Problem {
        name: "iris".into(),
        target: "species".into(),
        features: Features::Columns(features),
        labels: data.targets.to_vec(),
        classes: ["setosa", "versicolor", "virginica"].map(String::from).to_vec(),
        positive: None,
        notes: Vec::new(),
    }
}

fn columns<S: ToString>(names: &[S], values: impl Iterator<Item = Vec<f64>>) -> Vec<Column> {
    names
        .iter()
        .zip(values)
        .map(|(name, values)| Column { name: name.to_string(), values: Values::Numeric(values) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_what_is_loaded() {
        for data in EMBEDDED {
            let problem = embedded(data.name).unwrap();
            assert_eq!((problem.labels.len(), problem.classes.len()), (data.rows, data.classes), "{}", data.name);
            match &problem.features {
                Features::Columns(columns) => assert!(columns.iter().all(|column| column.values.len() == data.rows)),
                Features::Images(images) => assert_eq!(images.pixels.rows, data.rows),
            }
            assert!(problem.features.columns() > 0);
        }
        assert_eq!(embedded("winequality").unwrap().labels.iter().sum::<usize>(), 217);
        assert!(embedded("wine-quality").unwrap_err().to_string().contains("did you mean `winequality`?"));
    }
}
