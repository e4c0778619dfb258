use super::DataError;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// Draws episodes of few-shot learning: `ways` classes, of each `shots` support rows and `queries` other rows.
///
/// ```
/// use contrarian_lab::data::EpisodeSampler;
/// use rand::SeedableRng;
///
/// let labels = [4, 4, 4, 7, 7, 7, 9, 9, 9];
/// let sampler = EpisodeSampler::new(&labels, 2, 1, 2)?;
/// let episode = sampler.episode(&mut rand::rngs::Xoshiro256PlusPlus::seed_from_u64(0));
/// assert_eq!((episode.support.len(), episode.queries.len()), (2, 4));
/// # Ok::<(), contrarian_lab::data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeSampler {
    /// Rows of every class.
    classes: Vec<(usize, Vec<usize>)>,
    ways: usize,
    shots: usize,
    queries: usize,
}

/// The rows of one episode. Its classes are numbered anew from 0, in the order they were drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// The label each class of the episode has in the data.
    pub classes: Vec<usize>,
    /// Support rows, class by class.
    pub support: Vec<usize>,
    /// Class of each support row, in `0..ways`.
    pub support_labels: Vec<usize>,
    /// Query rows, class by class; none of them is a support row.
    pub queries: Vec<usize>,
    /// Class of each query row, in `0..ways`.
    pub query_labels: Vec<usize>,
}

impl EpisodeSampler {
    /// A sampler over the rows of these labels.
    ///
    /// # Errors
    /// When `ways`, `shots` or `queries` is 0, there are fewer classes than `ways`, or a class (which is named) has fewer rows
    /// than `shots + queries`.
    pub fn new(labels: &[usize], ways: usize, shots: usize, queries: usize) -> Result<Self, DataError> {
        let split = |reason: String| DataError::Split { reason };
        if ways == 0 || shots == 0 || queries == 0 {
            return Err(split(format!("an episode of {ways} ways, {shots} shots and {queries} queries has no rows")));
        }
        let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, &label) in labels.iter().enumerate() {
            classes.entry(label).or_default().push(row);
        }
        if classes.len() < ways {
            return Err(split(format!(
                "an episode of {ways} ways needs as many classes, but there are {}",
                classes.len()
            )));
        }
        if let Some((class, rows)) = classes.iter().find(|(_, rows)| rows.len() < shots + queries) {
            let reason =
                format!("class {class} has {} rows, but {shots} shots and {queries} queries are needed", rows.len());
            return Err(split(reason));
        }
        Ok(Self { classes: classes.into_iter().collect(), ways, shots, queries })
    }

    /// The next episode of a generator.
    pub fn episode(&self, rng: &mut Xoshiro256PlusPlus) -> Episode {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        let (drawn, _) = order.partial_shuffle(rng, self.ways);
        let mut episode = Episode {
            classes: Vec::new(),
            support: Vec::new(),
            support_labels: Vec::new(),
            queries: Vec::new(),
            query_labels: Vec::new(),
        };
        for (class, &place) in drawn.iter().enumerate() {
            let (label, rows) = &self.classes[place];
            let mut rows = rows.clone();
            let (rows, _) = rows.partial_shuffle(rng, self.shots + self.queries);
            let (support, queries) = rows.split_at(self.shots);
            episode.classes.push(*label);
            episode.support.extend(support);
            episode.support_labels.extend(std::iter::repeat_n(class, self.shots));
            episode.queries.extend(queries);
            episode.query_labels.extend(std::iter::repeat_n(class, self.queries));
        }
        episode
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn episodes_are_of_distinct_rows_of_the_classes_they_name() {
        let labels: Vec<usize> = (0..60).map(|row| 2 * (row % 6)).collect();
        let sampler = EpisodeSampler::new(&labels, 4, 3, 5).unwrap();
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(3);
        for _ in 0..20 {
            let episode = sampler.episode(rng);
            let rows: BTreeSet<usize> = episode.support.iter().chain(&episode.queries).copied().collect();
            assert_eq!((rows.len(), episode.classes.iter().collect::<BTreeSet<_>>().len()), (32, 4));
            let of_support = episode.support.iter().zip(&episode.support_labels);
            let of_queries = episode.queries.iter().zip(&episode.query_labels);
            assert!(of_support.chain(of_queries).all(|(row, class)| labels[*row] == episode.classes[*class]));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |ways, shots| EpisodeSampler::new(&[5, 5, 5, 8, 8], ways, shots, 1).unwrap_err().to_string();
        assert!(error(3, 1).contains("needs as many classes, but there are 2"), "{}", error(3, 1));
        assert!(error(2, 2).contains("class 8 has 2 rows"), "{}", error(2, 2));
        assert!(error(0, 1).contains("no rows"));
    }
}
