use crate::compare::{Comparison, ObjectiveResult, PairedComparison};

/// The level at which a difference counts as real.
const ALPHA: f64 = 0.05;

/// Which objective to train with, in a few plain sentences that follow from the numbers.
pub fn answer(comparison: &Comparison) -> String {
    let settings = &comparison.settings;
    let Some(best) = comparison.results.first() else {
        return "No objective finished.".into();
    };
    let metric = &settings.metric;
    let mut sentences = Vec::new();
    if let Some(summary) = best.metrics.get(metric) {
        sentences.push(format!(
            "`{}` has the best {metric} on test data, {:.3}.",
            best.name, summary.mean
        ));
    }
    sentences.push(against(
        best,
        &settings.baseline,
        best.against_baseline.as_ref(),
        settings.higher_is_better,
    ));
    let real = |test: &Option<PairedComparison>| {
        test.as_ref()
            .is_some_and(|t| t.p_holm < ALPHA && better(t, settings.higher_is_better))
    };
    let beat_baseline: Vec<&str> = comparison
        .results
        .iter()
        .filter(|r| real(&r.against_baseline))
        .map(|r| r.name.as_str())
        .collect();
    if beat_baseline.len() > 1 {
        sentences.push(format!(
            "{} rows beat `{}` reliably.",
            beat_baseline.len(),
            settings.baseline
        ));
    }
    if let Some(control) = &settings.control {
        if best.name == *control {
            sentences.push(
                "The best row is the control: the baseline loss with its decision threshold chosen on validation, so here \
                 the threshold matters more than the objective."
                    .into(),
            );
        } else {
            sentences.push(against(
                best,
                control,
                best.against_control.as_ref(),
                settings.higher_is_better,
            ));
            if !comparison.results.iter().any(|r| real(&r.against_control)) {
                sentences.push(
                    "No objective is reliably better than choosing the threshold of the baseline on validation, which \
                     costs no training."
                        .into(),
                );
            }
        }
    }
    if comparison.interrupted {
        sentences.push("The run was stopped early: these are the finished fits.".into());
    }
    if !comparison.failures.is_empty() {
        sentences.push(format!("{} fits failed; see below.", comparison.failures.len()));
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

fn better(test: &PairedComparison, higher_is_better: bool) -> bool {
    (test.difference > 0.0) == higher_is_better && test.difference != 0.0
}

fn against(best: &ObjectiveResult, other: &str, test: Option<&PairedComparison>, higher_is_better: bool) -> String {
    if best.name == other {
        return format!("That is the baseline itself: nothing here improves on `{other}`.");
    }
    let Some(test) = test else {
        return format!("There are too few splits to test it against `{other}`.");
    };
    let size = format!("{:+.3} against `{other}`", test.difference);
    let interval = format!("95% interval {:+.3} to {:+.3}", test.low, test.high);
    match (better(test, higher_is_better), test.p_holm < ALPHA) {
        (true, true) => format!(
            "The difference is {size} ({interval}), beyond chance (p = {:.3}).",
            test.p_holm
        ),
        (true, false) => format!(
            "The difference is {size} ({interval}), which chance can explain (p = {:.2}).",
            test.p_holm
        ),
        (false, _) => format!("It is not better than `{other}` ({size})."),
    }
}
