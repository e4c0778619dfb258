use super::assign;

/// Normalised mutual information of two groupings of the same rows.
///
/// ```text
/// NMI = 2 I(U; V) / (H(U) + H(V))
/// ```
///
/// with entropies of the groups' shares: between 0 (independent) and 1 (the same groups, whatever their names). Two groupings
/// of one group each are the same, 1. As scikit-learn's `normalized_mutual_info_score` and pytorch-metric-learning's `NMI`.
///
/// # Panics
/// When the two have different lengths.
pub fn normalized_mutual_information(first: &[usize], second: &[usize]) -> f64 {
    let Counts { rows, cols, table: counts } = Counts::new(first, second);
    let n = first.len() as f64;
    let entropy = |sizes: &[f64]| -> f64 { sizes.iter().filter(|s| **s > 0.0).map(|s| -s / n * (s / n).ln()).sum() };
    let of_row: Vec<f64> = (0..rows).map(|row| counts[row * cols..(row + 1) * cols].iter().sum()).collect();
    let of_col: Vec<f64> = (0..cols).map(|col| (0..rows).map(|row| counts[row * cols + col]).sum()).collect();
    let total = entropy(&of_row) + entropy(&of_col);
    if total == 0.0 {
        return 1.0;
    }
    // H(U) + H(V) - H(U, V) would lose digits where the information is small.
    let information: f64 = (0..rows * cols)
        .filter(|at| counts[*at] > 0.0)
        .map(|at| counts[at] / n * (counts[at] * n / (of_row[at / cols] * of_col[at % cols])).ln())
        .sum();
    (2.0 * information / total).clamp(0.0, 1.0)
}

/// Clustering accuracy: the part of the rows that are right when every cluster is given at most one class, and every class to
/// at most one cluster, in the best way ([`assign`]). Clusters beyond the number of classes count as wrong. 0 without rows.
///
/// ```text
/// ACC = max_m (1/n) sum_i [ y_i = m(c_i) ]
/// ```
///
/// # Panics
/// When there are not as many labels as clustered rows.
///
/// Source: Yang et al. 2010, <https://doi.org/10.1109/TIP.2010.2049235>, equation 23.
pub fn clustering_accuracy(labels: &[usize], clusters: &[usize]) -> f64 {
    let Counts { rows, cols, table: counts } = Counts::new(labels, clusters);
    let cost: Vec<f64> = counts.iter().map(|count| -count).collect();
    let given = assign(&cost, rows, cols);
    let right: f64 = given.iter().enumerate().filter_map(|(row, col)| Some(counts[row * cols + (*col)?])).sum();
    right / labels.len().max(1) as f64
}

/// Rand index of two groupings of the same rows, adjusted for chance.
///
/// ```text
/// ARI = (S - E) / ((A + B)/2 - E),   S = sum_uv C(n_uv, 2),  A = sum_u C(n_u, 2),  B = sum_v C(n_v, 2),  E = A B / C(n, 2)
/// ```
///
/// over the rows `n_uv` that are in group `u` of the one and `v` of the other: 1 for the same groups, 0 in the mean over
/// random ones, below 0 for less agreement than by chance. 1 where the formula is 0 by 0: two groupings of one group each, or of
/// single rows. As scikit-learn's `adjusted_rand_score`.
///
/// # Panics
/// When the two have different lengths.
///
/// Source: Hubert, Arabie 1985, "Comparing partitions", <https://doi.org/10.1007/BF01908075>, equation 5.
pub fn adjusted_rand_index(first: &[usize], second: &[usize]) -> f64 {
    let Counts { rows, cols, table: counts } = Counts::new(first, second);
    let pairs = |of: f64| of * (of - 1.0) / 2.0;
    let both: f64 = counts.iter().map(|count| pairs(*count)).sum();
    let of_rows: f64 = (0..rows).map(|row| pairs(counts[row * cols..(row + 1) * cols].iter().sum())).sum();
    let of_cols: f64 = (0..cols).map(|col| pairs((0..rows).map(|row| counts[row * cols + col]).sum())).sum();
    let all = pairs(first.len() as f64);
    let by_chance = if all > 0.0 { of_rows * of_cols / all } else { 0.0 };
    let largest = f64::midpoint(of_rows, of_cols);
    if largest == by_chance { 1.0 } else { (both - by_chance) / (largest - by_chance) }
}

/// Share of the rows whose largest logit (the first of equals) is of one of the listed classes: with the novel classes, the
/// share that a discovery method routes to them. 0 without rows.
///
/// - logits: `rows x classes`, row by row
///
/// # Panics
/// When `classes` is 0.
pub fn share_of_classes(logits: &[f64], classes: usize, listed: &[usize]) -> f64 {
    let largest = |row: &[f64]| (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    let rows = logits.chunks(classes);
    let count = rows.len().max(1);
    rows.filter(|row| listed.contains(&largest(row))).count() as f64 / count as f64
}

/// How many rows are in a group of the one and a group of the other.
struct Counts {
    rows: usize,
    cols: usize,
    table: Vec<f64>,
}

impl Counts {
    fn new(first: &[usize], second: &[usize]) -> Self {
        assert_eq!(first.len(), second.len(), "two groupings of the same rows are needed");
        let groups = |of: &[usize]| of.iter().max().map_or(0, |max| max + 1);
        let (rows, cols) = (groups(first), groups(second));
        let mut table = vec![0.0; rows * cols];
        for (&a, &b) in first.iter().zip(second) {
            table[a * cols + b] += 1.0;
        }
        Self { rows, cols, table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_do_not_matter() {
        let (a, b) = ([0, 0, 1, 1, 2, 2], [5, 5, 0, 0, 3, 3]);
        assert!((normalized_mutual_information(&a, &b) - 1.0).abs() < 1e-12);
        assert_eq!(clustering_accuracy(&a, &b), 1.0);
        assert_eq!(normalized_mutual_information(&[0, 0, 1, 1], &[0, 1, 0, 1]), 0.0);
        assert_eq!(adjusted_rand_index(&a, &b), 1.0);
        // By hand: S = 0, A = B = 2, C(4, 2) = 6, E = 2/3: -2/3 over 4/3.
        assert!((adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-15);
        assert_eq!(clustering_accuracy(&[0, 0, 1, 1], &[0, 1, 0, 1]), 0.5);
    }

    #[test]
    fn one_group_and_no_rows_are_defined() {
        assert_eq!(normalized_mutual_information(&[2, 2], &[0, 0]), 1.0);
        assert_eq!(normalized_mutual_information(&[0, 1], &[0, 0]), 0.0);
        assert_eq!(normalized_mutual_information(&[], &[]), 1.0);
        assert_eq!(adjusted_rand_index(&[2, 2], &[0, 0]), 1.0);
        assert_eq!(adjusted_rand_index(&[0, 1], &[1, 0]), 1.0);
        assert_eq!(adjusted_rand_index(&[], &[]), 1.0);
        assert_eq!(share_of_classes(&[1.0, 1.0, 0.0, 3.0], 2, &[1]), 0.5);
        assert_eq!(share_of_classes(&[], 2, &[1]), 0.0);
        assert_eq!(clustering_accuracy(&[], &[]), 0.0);
        // Two clusters for one class: the smaller one is wrong.
        assert_eq!(clustering_accuracy(&[0, 0, 0, 0], &[0, 0, 0, 1]), 0.75);
        // Two classes in one cluster: the smaller one is wrong.
        assert_eq!(clustering_accuracy(&[0, 0, 0, 1], &[0, 0, 0, 0]), 0.75);
    }

    const ARI: f64 = -0.005299270599262188;

    /// Expected values: scikit-learn and scipy, see `crates/lab/tests/reference/embeddings.py`.
    #[test]
    fn random_groupings_agree_with_the_reference() {
        let labels: Vec<usize> = (0..90).map(|i| (i * i + i / 7) % 5).collect();
        let clusters: Vec<usize> = (0..90).map(|i| (i * i + i / 11) % 7).collect();
        for (first, second, [nmi, accuracy]) in
            [(&labels, &clusters, CLUSTERING[0]), (&clusters, &labels, CLUSTERING[1])]
        {
            assert!((normalized_mutual_information(first, second) - nmi).abs() < 1e-12);
            assert!((clustering_accuracy(first, second) - accuracy).abs() < 1e-12);
            // scikit-learn 1.9.1's adjusted_rand_score.
            assert!((adjusted_rand_index(first, second) - ARI).abs() < 1e-12);
        }
    }

    include!("../../tests/reference/clustering.in");
}
