use crate::data::{EmbeddingSet, Features, ImageShape, MIN_CLASS_ROWS, Matrix, Problem};

/// Vectors or images with a class each, and how they are learned from.
#[derive(Debug, Clone)]
pub struct EmbeddingProblem {
    /// Name of the data.
    pub name: String,
    /// The rows: vectors, or pixels.
    pub x: Matrix,
    /// Class of each row.
    pub labels: Vec<usize>,
    /// Class names by label.
    pub classes: Vec<String>,
    /// The shape of images; `None` for vectors.
    pub images: Option<ImageShape>,
    /// What a person should know about the data.
    pub notes: Vec<String>,
}

impl From<EmbeddingSet> for EmbeddingProblem {
    fn from(set: EmbeddingSet) -> Self {
        let EmbeddingSet { name, x, labels, classes, notes } = set;
        Self { name, x, labels, classes, images: None, notes }
    }
}

impl EmbeddingProblem {
    /// The images of a classification problem; `None` for a table.
    pub fn of_images(problem: Problem) -> Option<Self> {
        let Features::Images(images) = problem.features else {
            return None;
        };
        Some(Self {
            name: problem.name,
            images: Some(images.shape),
            x: images.pixels,
            labels: problem.labels,
            classes: problem.classes,
            notes: problem.notes,
        })
    }

    /// Leaves out classes with too few rows to hold some out, and notes it.
    pub(super) fn with_enough_rows(&self) -> Self {
        let mut counts = vec![0usize; self.classes.len()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        let small = counts.iter().filter(|&&count| count > 0 && count < MIN_CLASS_ROWS).count();
        if small == 0 {
            return self.clone();
        }
        let kept: Vec<usize> =
            (0..self.labels.len()).filter(|&row| counts[self.labels[row]] >= MIN_CLASS_ROWS).collect();
        let classes: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] >= MIN_CLASS_ROWS).collect();
        let mut notes = self.notes.clone();
        notes.push(format!(
            "{small} of {} classes have fewer than {MIN_CLASS_ROWS} rows and are left out with {} rows",
            self.classes.len(),
            self.labels.len() - kept.len()
        ));
        Self {
            name: self.name.clone(),
            x: self.x.gather(&kept),
            labels: kept.iter().map(|&row| classes.binary_search(&self.labels[row]).unwrap_or_default()).collect(),
            classes: classes.into_iter().map(|class| self.classes[class].clone()).collect(),
            images: self.images,
            notes,
        }
    }
}
