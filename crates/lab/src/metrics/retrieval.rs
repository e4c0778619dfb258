use super::Distance;
use super::neighbours::visit_nearest;
use crate::data::Matrix;

/// How well each row finds the others of its class, see [`retrieval`].
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// Rows whose class has another row: those asked for.
    pub queries: usize,
    /// Rows that are alone in their class: not asked for, but among the others' neighbours.
    pub alone: usize,
    /// Each `k` asked for with its recall@k.
    pub recall: Vec<(usize, f64)>,
    /// R-precision.
    pub r_precision: f64,
    /// Mean average precision at R.
    pub map_at_r: f64,
}

/// Retrieval within a set: every row asks for the rows of its class among all other rows, nearest first.
///
/// ```text
/// recall@k    = mean_q [ one of the first k is of q's class ]
/// R-precision = mean_q (1/R) sum_{i <= R} hit_i
/// MAP@R       = mean_q (1/R) sum_{i <= R} hit_i P_i,    P_i = (1/i) sum_{j <= i} hit_j
/// ```
///
/// `R` is the number of other rows of q's class, `hit_i` is 1 where the i-th nearest row is one of them, and 0 otherwise. The own
/// row is left out by its index. Means are over the rows; those alone in their class have nothing to find and are left out
/// (`None` when all are). A `k` beyond the other rows is as good as all of them.
///
/// These are the definitions of pytorch-metric-learning's `AccuracyCalculator` with one set as query and reference; its
/// `precision_at_1` is recall@1.
///
/// Neighbours are exact and ordered as by [`nearest`](super::nearest); `O(rows^2 cols)` time.
///
/// # Panics
/// When there are not as many labels as rows.
///
/// Source: Musgrave, Belongie, Lim 2020, <https://arxiv.org/abs/2003.08505>, section 3.2 and equation 1; recall@k as in Oh
/// Song et al. 2016, <https://arxiv.org/abs/1511.06452>.
pub fn retrieval(x: &Matrix, labels: &[usize], ks: &[usize], distance: Distance) -> Option<Retrieval> {
    assert_eq!(x.rows, labels.len(), "{} labels for {} rows", labels.len(), x.rows);
    let mut sizes = vec![0usize; labels.iter().max().map_or(0, |max| max + 1)];
    for &label in labels {
        sizes[label] += 1;
    }
    let others = |query: usize| sizes[labels[query]] - 1;
    let most = ks.iter().copied().max().unwrap_or(0);
    let depth = |query: usize| if others(query) == 0 { 0 } else { others(query).max(most) };
    let queries = visit_nearest(x, None, distance, depth, |query, found| {
        let r = others(query);
        (r > 0).then(|| {
            let hit = |row: &usize| labels[*row] == labels[query];
            let (mut hits, mut precision) = (0.0, 0.0);
            for (rank, _) in found.iter().take(r).enumerate().filter(|(_, row)| hit(row)) {
                hits += 1.0;
                precision += hits / (rank + 1) as f64;
            }
            Query { first: found.iter().position(hit), r_precision: hits / r as f64, at_r: precision / r as f64 }
        })
    });
    let queries: Vec<Query> = queries.into_iter().flatten().collect();
    let n = queries.len();
    let mean = |of: &dyn Fn(&Query) -> f64| queries.iter().map(of).sum::<f64>() / n as f64;
    let recall = |&k: &usize| (k, mean(&|query| f64::from(u8::from(query.first.is_some_and(|first| first < k)))));
    (n > 0).then(|| Retrieval {
        queries: n,
        alone: x.rows - n,
        recall: ks.iter().map(recall).collect(),
        r_precision: mean(&|query| query.r_precision),
        map_at_r: mean(&|query| query.at_r),
    })
}

/// What one row found.
struct Query {
    /// Rank of the first row of its class, from 0.
    first: Option<usize>,
    r_precision: f64,
    at_r: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a line, whose neighbours can be read off.
    fn line(places: &[f32]) -> Matrix {
        Matrix { rows: places.len(), cols: 1, data: places.to_vec() }
    }

    #[test]
    fn a_case_by_hand() {
        // Neighbours of 0: 1 (b), 3 (a), 10 (a). Of 1: 0 (a), 3 (a), 10 (a). Of 3: 1 (b), 0 (a), 10 (a). Of 10: 3 (a), 1 (b),
        // 0 (a). b is alone.
        let x = line(&[0.0, 1.0, 3.0, 10.0]);
        let found = retrieval(&x, &[0, 1, 0, 0], &[1, 2, 9], Distance::Euclidean).unwrap();
        assert_eq!((found.queries, found.alone), (3, 1));
        assert_eq!(found.recall, [(1, 1.0 / 3.0), (2, 1.0), (9, 1.0)]);
        // R = 2: hits in the first two are (0, 1), (0, 1), (1, 0).
        assert!((found.r_precision - 0.5).abs() < 1e-12);
        assert!((found.map_at_r - (0.25 + 0.25 + 0.5) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn perfect_classes_score_one_and_lone_rows_nothing() {
        let x = line(&[0.0, 0.0, 9.0, 9.0, 9.0]);
        let found = retrieval(&x, &[3, 3, 0, 0, 0], &[1], Distance::Euclidean).unwrap();
        assert_eq!((found.recall[0].1, found.r_precision, found.map_at_r), (1.0, 1.0, 1.0));
        assert_eq!(retrieval(&x, &[0, 1, 2, 3, 4], &[1], Distance::Euclidean), None);
        assert_eq!(retrieval(&line(&[]), &[], &[1], Distance::Euclidean), None);
    }

    #[test]
    fn all_rows_alike_are_ranked_by_index() {
        // Every ranking is 0, 1, 2, ... without the own row.
        let found = retrieval(&line(&[1.0; 4]), &[0, 1, 0, 1], &[1, 2], Distance::Cosine).unwrap();
        // First hits at ranks (from 0) 1, 2, 0, 1.
        assert_eq!(found.recall, [(1, 0.25), (2, 0.75)]);
    }

    /// Expected values: `crates/lab/tests/reference/embeddings.py`, written from the definitions over scikit-learn's exact
    /// distances.
    #[test]
    fn random_rows_agree_with_the_reference() {
        let (x, labels) = crate::embedding::reference_rows();
        for (distance, expected) in [(Distance::Cosine, RETRIEVAL[0]), (Distance::Euclidean, RETRIEVAL[1])] {
            let found = retrieval(&x, &labels, &[1, 5, 10], distance).unwrap();
            let values = [found.recall[0].1, found.recall[1].1, found.recall[2].1, found.r_precision, found.map_at_r];
            for (value, expected) in values.into_iter().zip(expected) {
                assert!((value - expected).abs() < 1e-12, "{distance:?}: {found:?} against {expected}");
            }
        }
    }

    include!("../../tests/reference/retrieval.in");
}
