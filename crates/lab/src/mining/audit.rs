use std::collections::BTreeSet;

/// A query, its positive and a negative, as words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triple<'a> {
    /// Words of the query.
    pub query: &'a [u32],
    /// Words of the positive.
    pub positive: &'a [u32],
    /// Words of the negative.
    pub negative: &'a [u32],
    /// Whether the negative answers the query after all, where that is known.
    pub relevant: Option<bool>,
}

/// What negatives are like: means over triples, each word counted once a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripleAudit {
    /// Triples.
    pub triples: usize,
    /// Those of which it is known whether the negative is one.
    pub judged: usize,
    /// Part of the judged ones whose negative answers the query; `None` where none is judged.
    pub false_negatives: Option<f64>,
    /// Part of the query's words that the negative has.
    pub query_overlap: f64,
    /// Part of the positive's words that the negative has.
    pub positive_overlap: f64,
    /// Part of the negative's words that neither query nor positive has.
    pub novelty: f64,
}

/// Looks at the triples of a source of negatives: why it is good or bad. `None` where there is no triple.
///
/// Shares of a text without words are 0.
pub fn triple_audit<'a>(triples: impl IntoIterator<Item = Triple<'a>>) -> Option<TripleAudit> {
    let (mut count, mut judged, mut wrong) = (0usize, 0usize, 0usize);
    let mut sums = [0.0; 3];
    for triple in triples {
        count += 1;
        judged += usize::from(triple.relevant.is_some());
        wrong += usize::from(triple.relevant == Some(true));
        let [query, positive, negative] =
            [triple.query, triple.positive, triple.negative].map(|words| words.iter().collect::<BTreeSet<_>>());
        let share = |part: usize, of: &BTreeSet<&u32>| part as f64 / of.len().max(1) as f64;
        let new = negative.iter().filter(|word| !query.contains(*word) && !positive.contains(*word)).count();
        sums[0] += share(query.intersection(&negative).count(), &query);
        sums[1] += share(positive.intersection(&negative).count(), &positive);
        sums[2] += share(new, &negative);
    }
    let [query_overlap, positive_overlap, novelty] = sums.map(|sum| sum / count as f64);
    (count > 0).then(|| TripleAudit {
        triples: count,
        judged,
        false_negatives: (judged > 0).then(|| wrong as f64 / judged as f64),
        query_overlap,
        positive_overlap,
        novelty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let first = Triple { query: &[1, 2], positive: &[2, 3, 4, 5], negative: &[2, 2, 3, 9], relevant: Some(true) };
        let second = Triple { negative: &[7, 8], relevant: None, ..first };
        let audit = triple_audit([first, second, Triple { negative: &[], relevant: Some(false), ..first }]).unwrap();
        assert_eq!((audit.triples, audit.judged, audit.false_negatives), (3, 2, Some(0.5)));
        assert!((audit.query_overlap - 0.5 / 3.0).abs() < 1e-15);
        assert!((audit.positive_overlap - 0.5 / 3.0).abs() < 1e-15);
        assert!((audit.novelty - (1.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15);
        assert_eq!(triple_audit([second]).unwrap().false_negatives, None);
        assert!(triple_audit([]).is_none());
    }
}
