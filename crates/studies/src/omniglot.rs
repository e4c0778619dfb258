//! Handwritten characters as identities.

use crate::study::{Context, StudyError};
use contrarian_lab::data::{CsvOptions, Dataset, ImageShape, Matrix, load_csv, load_unlabelled_images};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::path::Path;

/// Images of characters, and which character and alphabet each is of.
pub struct Characters {
    x: Matrix,
    labels: Vec<String>,
    alphabets: Vec<String>,
}

/// The small background set of Omniglot at 28 x 28; `None` where the data folder has none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn characters(context: &Context) -> Result<Option<Characters>, StudyError> {
    let folder = context.data.as_ref().map(|data| data.join("omniglot_small")).filter(|folder| folder.exists());
    let Some(folder) = folder else { return Ok(None) };
    read(&folder).map(Some).map_err(|reason| StudyError::Data { name: "omniglot_small", reason })
}

fn read(folder: &Path) -> Result<Characters, String> {
    let shape = ImageShape { channels: 1, height: 28, width: 28 };
    let images = load_unlabelled_images(&folder.join("small1-images-idx3-ubyte.gz"), shape);
    let x = images.map_err(|error| error.to_string())?.images.pixels;
    let table =
        load_csv(&folder.join("small1-labels.csv"), &CsvOptions::default()).map_err(|error| error.to_string())?;
    if table.rows() != x.rows {
        return Err(format!("it has {} images and {} labels", x.rows, table.rows()));
    }
    let column = |name: &str| -> Result<Vec<String>, String> {
        let values = &table.columns[table.position(name).map_err(|error| error.to_string())?].values;
        let missing = |row: usize| format!("row {row} of its labels has no {name}");
        (0..table.rows()).map(|row| values.text(row).ok_or_else(|| missing(row))).collect()
    };
    Ok(Characters { x, labels: column("class")?, alphabets: column("alphabet")? })
}

impl Characters {
    /// Characters to learn, and those of half of the alphabets (rounded down) to be judged by.
    ///
    /// # Errors
    /// When there are fewer than two alphabets.
    pub fn without_alphabets(&self, seed: u64) -> Result<(Dataset, Dataset), String> {
        let mut names = self.alphabets.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() < 2 {
            return Err("alphabets can be held out only where there are two or more".into());
        }
        names.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        let (held_out, learned) = names.split_at(names.len() / 2);
        Ok((self.part(learned), self.part(held_out)))
    }

    /// The rows of some alphabets; their characters are the classes.
    fn part(&self, alphabets: &[String]) -> Dataset {
        let rows: Vec<usize> = (0..self.x.rows).filter(|&row| alphabets.contains(&self.alphabets[row])).collect();
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        let y = rows
            .iter()
            .map(|&row| {
                let next = classes.len();
                *classes.entry(&self.labels[row]).or_insert(next)
            })
            .collect();
        Dataset { x: self.x.gather(&rows), y, classes: classes.len() }
    }
}
