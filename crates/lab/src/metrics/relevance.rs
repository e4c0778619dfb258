use std::collections::BTreeMap;

/// What a relevance grade is worth in a discounted cumulative gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gain {
    /// The grade itself, as in trec_eval.
    Linear,
    /// `2^grade - 1`.
    Exponential,
}

impl Gain {
    fn of(self, grade: u32) -> f64 {
        match self {
            Self::Linear => f64::from(grade),
            Self::Exponential => f64::from(grade).exp2() - 1.0,
        }
    }
}

/// The relevant documents of a query and their grades; what is not listed has grade 0.
///
/// The metrics take a ranking of document numbers, best first, without repetitions. They are 0 for a query without a relevant
/// document; who averages says whether such queries count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Relevance {
    grades: BTreeMap<usize, u32>,
}

impl Relevance {
    /// Documents and their grades; the last grade of a document counts, and those of grade 0 are left out.
    pub fn new(grades: impl IntoIterator<Item = (usize, u32)>) -> Self {
        let mut grades: BTreeMap<usize, u32> = grades.into_iter().collect();
        grades.retain(|_, grade| *grade > 0);
        Self { grades }
    }

    /// Documents that are all as relevant, with grade 1.
    pub fn binary(documents: impl IntoIterator<Item = usize>) -> Self {
        Self::new(documents.into_iter().map(|document| (document, 1)))
    }

    /// The relevant documents, in ascending order.
    pub fn documents(&self) -> impl Iterator<Item = usize> {
        self.grades.keys().copied()
    }

    /// How many documents are relevant.
    pub fn len(&self) -> usize {
        self.grades.len()
    }

    /// Whether no document is relevant.
    pub fn is_empty(&self) -> bool {
        self.grades.is_empty()
    }

    /// The grade of a document.
    pub fn grade(&self, document: usize) -> u32 {
        self.grades.get(&document).copied().unwrap_or(0)
    }

    fn hits(&self, ranking: &[usize], k: usize) -> usize {
        ranking.iter().take(k).filter(|document| self.grade(**document) > 0).count()
    }

    /// Normalised discounted cumulative gain of the first `k`: `DCG = sum_{i < k} gain_i / log2(i + 2)`, divided by the largest
    /// there is. As trec_eval's `ndcg_cut` where the gain is linear.
    pub fn ndcg(&self, ranking: &[usize], k: usize, gain: Gain) -> f64 {
        let discounted = |grades: &mut dyn Iterator<Item = u32>| -> f64 {
            grades.take(k).enumerate().map(|(at, grade)| gain.of(grade) / (at as f64 + 2.0).log2()).sum()
        };
        let mut best: Vec<u32> = self.grades.values().copied().collect();
        best.sort_unstable_by(|a, b| b.cmp(a));
        let most = discounted(&mut best.into_iter());
        if most > 0.0 { discounted(&mut ranking.iter().map(|document| self.grade(*document))) / most } else { 0.0 }
    }

    /// One over the place of the first relevant document among the first `k`.
    pub fn reciprocal_rank(&self, ranking: &[usize], k: usize) -> f64 {
        let first = ranking.iter().take(k).position(|document| self.grade(*document) > 0);
        first.map_or(0.0, |at| 1.0 / (at as f64 + 1.0))
    }

    /// Part of the relevant documents among the first `k`.
    pub fn recall(&self, ranking: &[usize], k: usize) -> f64 {
        if self.is_empty() { 0.0 } else { self.hits(ranking, k) as f64 / self.len() as f64 }
    }

    /// Relevant documents among the first `k`, divided by `k` even where the ranking is shorter.
    pub fn precision(&self, ranking: &[usize], k: usize) -> f64 {
        if k == 0 { 0.0 } else { self.hits(ranking, k) as f64 / k as f64 }
    }

    /// The mean over all relevant documents of the precision at each one's place, 0 for those not ranked.
    pub fn average_precision(&self, ranking: &[usize]) -> f64 {
        let (mut hits, mut sum) = (0.0, 0.0);
        for (at, _) in ranking.iter().enumerate().filter(|(_, document)| self.grade(**document) > 0) {
            hits += 1.0;
            sum += hits / (at as f64 + 1.0);
        }
        if self.is_empty() { 0.0 } else { sum / self.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let relevance = Relevance::new([(7, 2), (3, 1), (5, 0)]);
        let ranking = [5, 3, 1, 7];
        let log = |x: f64| x.log2();
        // Found: 1 / log2 3 + 2 / log2 5; best: 2 + 1 / log2 3.
        let linear = (1.0 / log(3.0) + 2.0 / log(5.0)) / (2.0 + 1.0 / log(3.0));
        assert!((relevance.ndcg(&ranking, 10, Gain::Linear) - linear).abs() < 1e-12);
        let exponential = (1.0 / log(3.0)) / (3.0 + 1.0 / log(3.0));
        assert!((relevance.ndcg(&ranking, 3, Gain::Exponential) - exponential).abs() < 1e-12);
        assert_eq!(relevance.reciprocal_rank(&ranking, 10), 0.5);
        assert_eq!(relevance.reciprocal_rank(&ranking, 1), 0.0);
        assert_eq!((relevance.recall(&ranking, 2), relevance.precision(&ranking, 5)), (0.5, 0.2 * 2.0));
        assert_eq!(relevance.average_precision(&ranking), 0.5);
        assert_eq!(relevance.average_precision(&[7]), 0.5);
    }

    #[test]
    fn nothing_relevant_scores_nothing() {
        let nothing = Relevance::new([(1, 0)]);
        assert!(nothing.is_empty());
        let scores = [
            nothing.ndcg(&[1], 10, Gain::Linear),
            nothing.recall(&[1], 10),
            nothing.precision(&[1], 0),
            nothing.average_precision(&[1]),
            Relevance::binary([4]).ndcg(&[], 10, Gain::Linear),
        ];
        assert_eq!(scores, [0.0; 5]);
    }
}
