use crate::stats::{Sides, TTest, one_sample_t};
use contrarian::InvalidParameter;

/// A difference of a metric over seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferEffect {
    /// The difference, seed by seed.
    pub by_seed: Vec<f64>,
    /// Its mean.
    pub mean: f64,
    /// The paired test with its 95% interval; `None` for a single seed.
    pub test: Option<TTest>,
}

/// What pre-training on a source did for a target, and what fine-tuning did to the source.
///
/// ```text
/// gain = metric(fine-tuned, target) - metric(from scratch, target)      with the same target data
/// forgetting = metric(source) before fine-tuning - after
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TransferReport {
    /// The gain on the target.
    pub gain: TransferEffect,
    /// The loss on the source.
    pub forgetting: TransferEffect,
    /// Part of the seeds with negative transfer, a gain below 0.
    pub negative_transfer: f64,
}

impl TransferReport {
    /// Pairs the arms seed by seed; larger values of the metric are better.
    ///
    /// # Errors
    /// When there is no seed, or the arms have different numbers of them.
    pub fn new(
        scratch: &[f64],
        fine_tuned: &[f64],
        source_before: &[f64],
        source_after: &[f64],
    ) -> Result<Self, InvalidParameter> {
        let arms = [("fine_tuned", fine_tuned), ("source_before", source_before), ("source_after", source_after)];
        if let Some((name, arm)) = arms.into_iter().find(|(_, arm)| arm.len() != scratch.len() || arm.is_empty()) {
            let allowed = format!("one value for each seed of scratch ({}), at least one", scratch.len());
            return Err(InvalidParameter::new(name, arm.len(), allowed));
        }
        let gain = effect(fine_tuned, scratch);
        let negative = gain.by_seed.iter().filter(|gain| **gain < 0.0).count();
        let negative_transfer = negative as f64 / scratch.len() as f64;
        Ok(Self { gain, forgetting: effect(source_before, source_after), negative_transfer })
    }
}

fn effect(high: &[f64], low: &[f64]) -> TransferEffect {
    let by_seed: Vec<f64> = high.iter().zip(low).map(|(high, low)| high - low).collect();
    let mean = by_seed.iter().sum::<f64>() / by_seed.len() as f64;
    TransferEffect { mean, test: one_sample_t(&by_seed, Sides::Two), by_seed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_paired_by_seed() {
        let report = TransferReport::new(&[0.5, 0.75], &[0.75, 0.625], &[0.875, 1.0], &[0.875, 0.5]).unwrap();
        assert_eq!(report.gain.by_seed, [0.25, -0.125]);
        assert_eq!((report.gain.mean, report.forgetting.mean, report.negative_transfer), (0.0625, 0.25, 0.5));
        assert!(report.gain.test.is_some_and(|test| test.low < 0.0 && test.high > 0.0));
        assert!(TransferReport::new(&[0.5], &[0.75], &[1.0], &[1.0]).unwrap().gain.test.is_none());
        assert_eq!(TransferReport::new(&[0.5], &[0.75], &[1.0, 1.0], &[1.0]).unwrap_err().field, "source_before");
        assert_eq!(TransferReport::new(&[], &[], &[], &[]).unwrap_err().field, "fine_tuned");
    }
}
