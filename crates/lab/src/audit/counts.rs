use crate::metrics::Relevance;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// What the first `k` documents of queries hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AuditCounts {
    /// Part of the queries with a relevant document that is not planted.
    pub hit: f64,
    /// Part with a planted document: the attack's success rate.
    pub attack_success: f64,
    /// Part with a relevant document and no planted one.
    pub safe_hit: f64,
}

/// Counts over queries, from the documents found for each, best first.
///
/// # Panics
/// When there is no query, `k` is 0, or there is no relevance for each query.
pub fn audit_counts(rankings: &[Vec<usize>], planted: &[bool], relevance: &[Relevance], k: usize) -> AuditCounts {
    assert!(!rankings.is_empty() && k > 0, "an audit needs queries, and looks at one document at least");
    assert_eq!(rankings.len(), relevance.len(), "every query needs its relevant documents");
    let (mut hit, mut attacked, mut safe) = (0.0, 0.0, 0.0);
    for (ranking, relevance) in rankings.iter().zip(relevance) {
        let first = || ranking.iter().take(k);
        let has_planted = first().any(|document| planted[*document]);
        let has_relevant = first().any(|document| relevance.grade(*document) > 0 && !planted[*document]);
        hit += f64::from(u8::from(has_relevant));
        attacked += f64::from(u8::from(has_planted));
        safe += f64::from(u8::from(has_relevant && !has_planted));
    }
    let n = rankings.len() as f64;
    AuditCounts { hit: hit / n, attack_success: attacked / n, safe_hit: safe / n }
}

/// How much a marker in the query raises the attack's success, on the same queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TriggerLift {
    /// Success rate of queries with a marker.
    pub triggered: f64,
    /// Success rate of the same queries without.
    pub clean: f64,
    /// Their difference.
    pub lift: f64,
    /// Queries that only find a planted document with the marker.
    pub gained: usize,
    /// Queries that only find one without.
    pub lost: usize,
    /// `P(Bin(gained + lost, 1/2) >= gained)`: the exact one-sided test of McNemar.
    pub p: f64,
}

/// The lift at `k`, from the documents found for each query without and with its marker.
///
/// # Panics
/// When `k` is 0, there is no query, or the two lists differ in length.
pub fn trigger_lift(clean: &[Vec<usize>], triggered: &[Vec<usize>], planted: &[bool], k: usize) -> TriggerLift {
    assert!(!clean.is_empty() && k > 0, "an audit needs queries, and looks at one document at least");
    assert_eq!(clean.len(), triggered.len(), "every query needs a copy with a marker");
    let found = |ranking: &Vec<usize>| ranking.iter().take(k).any(|document| planted[*document]);
    let (mut before, mut after, mut gained, mut lost) = (0usize, 0usize, 0, 0);
    for (clean, triggered) in clean.iter().zip(triggered) {
        let (clean, triggered) = (found(clean), found(triggered));
        before += usize::from(clean);
        after += usize::from(triggered);
        gained += usize::from(triggered && !clean);
        lost += usize::from(clean && !triggered);
    }
    let n = clean.len() as f64;
    let (triggered, clean) = (after as f64 / n, before as f64 / n);
    let p = match (gained, gained + lost) {
        (0, _) => 1.0,
        (gained, trials) => Binomial::new(0.5, trials as u64).map_or(f64::NAN, |coin| coin.sf(gained as u64 - 1)),
    };
    TriggerLift { triggered, clean, lift: triggered - clean, gained, lost, p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let planted = [false, true, false];
        let relevance = [Relevance::binary([0]), Relevance::binary([1]), Relevance::default()];
        let clean = [vec![0, 1, 2], vec![1, 0, 2], vec![2, 0, 1]];
        let counts = audit_counts(&clean, &planted, &relevance, 2);
        // A relevant planted document is no hit.
        assert_eq!(counts, AuditCounts { hit: 1.0 / 3.0, attack_success: 2.0 / 3.0, safe_hit: 0.0 });
        let lift = trigger_lift(&clean, &[vec![1], vec![0], vec![1]], &planted, 1);
        assert_eq!((lift.gained, lift.lost, lift.lift), (2, 1, 1.0 / 3.0));
        // P(Bin(3, 1/2) >= 2) = 1/2.
        assert!((lift.p - 0.5).abs() < 1e-12);
        assert_eq!(trigger_lift(&clean, &clean, &planted, 9).p, 1.0);
    }
}
