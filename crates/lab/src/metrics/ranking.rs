//! Metrics of a ranking by one score; equal scores share their place.

/// Positives and negatives at each distinct score, highest score first.
pub(super) fn groups(scores: &[f64], positive: &[bool]) -> Vec<(f64, usize, usize)> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut groups: Vec<(f64, usize, usize)> = Vec::new();
    for row in order {
        if groups.last().is_none_or(|group| group.0 != scores[row]) {
            groups.push((scores[row], 0, 0));
        }
        let last = groups.last_mut().expect("a group was just pushed");
        if positive[row] { last.1 += 1 } else { last.2 += 1 }
    }
    groups
}

/// Average precision, `sum_n (R_n - R_{n-1}) P_n` over the distinct scores: the area under the precision-recall steps.
/// `None` without positives.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let total = positive.iter().filter(|&&p| p).count() as f64;
    let (mut area, mut hits, mut seen) = (0.0, 0.0, 0.0);
    for (_, p, n) in groups(scores, positive) {
        hits += p as f64;
        seen += (p + n) as f64;
        area += p as f64 / total * hits / seen;
    }
    (total > 0.0).then_some(area)
}
