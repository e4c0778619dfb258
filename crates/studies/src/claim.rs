use contrarian_lab::report::page::Verdict;
use contrarian_lab::stats::{Sides, one_sample_t};
use serde::{Deserialize, Serialize};

/// Something a paper says, in a form a run can answer. Registered in the source, before any run.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Short name, unique within the study.
    pub id: &'static str,
    /// What is compared, in which direction, and the smallest effect that counts.
    pub statement: &'static str,
    /// What the paper itself reports.
    pub reported: &'static str,
    /// How the test here differs from the paper's; empty when it does not.
    pub differs: &'static str,
    /// How evidence becomes a verdict.
    pub test: Test,
}

/// How evidence becomes a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    /// Differences, one a seed: their mean must exceed `smallest`, and a t-test of mean 0 must give `p < alpha`.
    Gain {
        /// Smallest mean difference that counts.
        smallest: f64,
        /// Level of the test.
        alpha: f64,
        /// Alternative of the test.
        sides: Sides,
    },
    /// A statement about every case: no case may violate it.
    Always,
}

/// What a run measured for one claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Treatment minus control, one value a seed.
    Differences(Vec<f64>),
    /// Cases checked and violations found; `slack` is the smallest distance to violation seen.
    Cases {
        /// Cases checked.
        checked: usize,
        /// Cases that violate the statement.
        violations: usize,
        /// Smallest distance to violation.
        slack: f64,
    },
    /// The run could not test the claim, and why.
    Untested(String),
}

impl Evidence {
    /// Pairs two arms seed by seed.
    ///
    /// # Panics
    /// When the arms have different numbers of seeds.
    pub fn paired(treatment: &[f64], control: &[f64]) -> Self {
        assert_eq!(treatment.len(), control.len(), "paired evidence needs the same seeds in both arms");
        Self::Differences(treatment.iter().zip(control).map(|(t, c)| t - c).collect())
    }

    /// Cases by their distance to violation: one that is not above 0 violates the statement, or is no number.
    pub fn margins(margins: &[f64]) -> Self {
        let holds = |margin: &&f64| **margin > 0.0;
        Self::Cases {
            checked: margins.len(),
            violations: margins.len() - margins.iter().filter(holds).count(),
            slack: margins.iter().copied().fold(f64::INFINITY, f64::min),
        }
    }
}

/// A claim with the run's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// [`Claim::id`].
    pub id: String,
    /// [`Claim::statement`].
    pub statement: String,
    /// [`Claim::reported`].
    pub reported: String,
    /// [`Claim::differs`].
    pub differs: String,
    /// Mean difference (for [`Test::Always`]: the smallest slack).
    pub effect: Option<f64>,
    /// 95% interval of the mean difference.
    pub interval: Option<(f64, f64)>,
    /// p-value of the registered test.
    pub p: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Where the verdict comes from, in a sentence.
    pub reason: String,
}

/// Turns evidence into a verdict: the one place where that happens.
///
/// For a [`Test::Gain`]: *supported* when the mean exceeds `smallest` and `p < alpha`; *not supported* when the mean is
/// not positive, or the whole 95% interval lies at or below `smallest`; *inconclusive* otherwise. For [`Test::Always`]:
/// *supported* without a violation among at least one case, else *not supported*.
pub fn judge(claim: &Claim, evidence: &Evidence) -> Judged {
    let (effect, interval, p, verdict, reason) = match (claim.test, evidence) {
        (Test::Gain { smallest, alpha, sides }, Evidence::Differences(differences)) => {
            gain(differences, smallest, alpha, sides)
        }
        (Test::Always, &Evidence::Cases { checked, violations, slack }) => {
            let verdict = match (checked, violations) {
                (0, _) => Verdict::Inconclusive,
                (_, 0) => Verdict::Supported,
                _ => Verdict::NotSupported,
            };
            (Some(slack), None, None, verdict, format!("{violations} violations in {checked} cases"))
        }
        (_, Evidence::Untested(reason)) => (None, None, None, Verdict::Inconclusive, reason.clone()),
        (test, evidence) => unreachable!("{evidence:?} cannot answer {test:?}"),
    };
    Judged {
        id: claim.id.into(),
        statement: claim.statement.into(),
        reported: claim.reported.into(),
        differs: claim.differs.into(),
        effect,
        interval,
        p,
        verdict,
        reason,
    }
}

type Answer = (Option<f64>, Option<(f64, f64)>, Option<f64>, Verdict, String);

fn gain(differences: &[f64], smallest: f64, alpha: f64, sides: Sides) -> Answer {
    let Some(test) = one_sample_t(differences, sides) else {
        let mean = (!differences.is_empty()).then(|| differences.iter().sum::<f64>() / differences.len() as f64);
        let reason = format!("{} seed(s) are too few for a test", differences.len());
        return (mean, None, None, Verdict::Inconclusive, reason);
    };
    let (verdict, reason) = if test.mean > smallest && test.p < alpha {
        (Verdict::Supported, format!("the mean exceeds {smallest} and p < {alpha}"))
    } else if test.mean <= 0.0 {
        (Verdict::NotSupported, "the mean difference is not positive".to_string())
    } else if test.high <= smallest {
        (Verdict::NotSupported, format!("the whole interval lies at or below {smallest}"))
    } else if test.mean > smallest {
        (Verdict::Inconclusive, format!("the mean exceeds {smallest}, but p is not below {alpha}"))
    } else {
        (Verdict::Inconclusive, format!("the mean does not exceed {smallest}, but the interval reaches above it"))
    };
    (Some(test.mean), Some((test.low, test.high)), Some(test.p), verdict, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(test: Test, evidence: &Evidence) -> Verdict {
        let claim = Claim { id: "x", statement: "", reported: "", differs: "", test };
        judge(&claim, evidence).verdict
    }

    const GAIN: Test = Test::Gain { smallest: 0.02, alpha: 0.05, sides: Sides::Two };

    #[test]
    fn a_gain_must_be_large_and_beyond_chance() {
        let differences = |values: &[f64]| Evidence::Differences(values.to_vec());
        assert_eq!(verdict(GAIN, &differences(&[0.05, 0.06, 0.055, 0.05])), Verdict::Supported);
        assert_eq!(verdict(GAIN, &differences(&[0.01, 0.011, 0.009, 0.01])), Verdict::NotSupported, "too small");
        assert_eq!(verdict(GAIN, &differences(&[-0.05, 0.01, -0.02, 0.0])), Verdict::NotSupported, "wrong direction");
        assert_eq!(verdict(GAIN, &differences(&[0.3, -0.2, 0.1, 0.05])), Verdict::Inconclusive, "noisy");
        assert_eq!(verdict(GAIN, &differences(&[0.3])), Verdict::Inconclusive, "one seed");
        assert_eq!(verdict(GAIN, &differences(&[])), Verdict::Inconclusive, "no seed");
    }

    #[test]
    fn a_law_falls_with_one_violation() {
        let cases = |checked, violations| Evidence::Cases { checked, violations, slack: 0.1 };
        assert_eq!(verdict(Test::Always, &cases(1000, 0)), Verdict::Supported);
        assert_eq!(verdict(Test::Always, &cases(1000, 1)), Verdict::NotSupported);
        assert_eq!(verdict(Test::Always, &cases(0, 0)), Verdict::Inconclusive);
        assert_eq!(verdict(GAIN, &Evidence::Untested("no data".into())), Verdict::Inconclusive);
    }

    #[test]
    fn a_case_without_a_margin_is_a_violation() {
        let cases = |checked, violations, slack| Evidence::Cases { checked, violations, slack };
        assert_eq!(Evidence::margins(&[0.5, 0.2]), cases(2, 0, 0.2));
        assert_eq!(Evidence::margins(&[0.5, -0.2, 0.0]), cases(3, 2, -0.2));
        assert_eq!(Evidence::margins(&[f64::NAN, 0.2]), cases(2, 1, 0.2));
    }
}
