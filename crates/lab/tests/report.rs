//! The report of a comparison: what it says, and that nothing in the results can break it.

#[path = "report/demo.rs"]
mod demo;
#[path = "report/markup.rs"]
mod markup;

use contrarian_lab::{
    compare::{ClassCount, Comparison, Curves, EpochPoint},
    report::{ReportError, answer, comparison_html, results_csv, write_comparison},
};
use markup::elements;

/// The page of a comparison, checked.
fn page(comparison: &Comparison) -> String {
    let html = comparison_html(comparison);
    let elements = elements(&html);
    assert!(!elements.iter().any(|name| name == "script" || name == "link" || name == "img"));
    for odd in ["NaN", "inf ", "#F100", "#F101", "\u{e000}"] {
        assert!(!html.contains(odd), "{odd} is in the page");
    }
    html
}

fn multiclass() -> Comparison {
    let mut comparison = demo::binary(5);
    let class = |name: &str| ClassCount { name: name.into(), rows: 50 };
    comparison.data.classes = vec![class("setosa"), class("versicolor"), class("virginica")];
    comparison.data.positive = None;
    comparison.settings.control = None;
    comparison.results.retain(|row| !row.tuned_threshold);
    for row in &mut comparison.results {
        row.metrics_at_tuned_threshold.clear();
        row.against_control = None;
        row.curves.roc.clear();
        row.curves.precision_recall.clear();
    }
    comparison
}

#[test]
fn page_has_every_part() {
    let html = page(&demo::binary(12));
    for part in
        ["Ranking", "All objectives", "Learning", "Every threshold", "Calibration", "Cost", "Every metric", "Data"]
    {
        assert!(html.contains(part), "{part}");
    }
    for name in demo::NAMES {
        assert!(html.contains(name), "{name}");
    }
    assert_eq!(
        html.matches("role=\"img\"").count(),
        html.matches("<svg class=\"").count() - html.matches("class=\"key\"").count()
    );
}

#[test]
fn answer_names_the_best_and_both_tests() {
    let text = answer(&demo::binary(8));
    assert!(
        text.starts_with("soft-f1 has the best mean f1, 0.634 (95% interval 0.620 to 0.648) over 10 splits."),
        "{text}"
    );
    assert!(text.contains("0.077 above the baseline cross-entropy, a difference that holds up"), "{text}");
    assert!(text.contains("dice and focal(gamma=2) are reliably better than the baseline too."), "{text}");
    assert!(
        text.contains("0.011 above the control (cross-entropy, tuned threshold), a difference that chance can explain"),
        "{text}"
    );
    assert!(text.contains("No objective is reliably better than the control."), "{text}");
}

#[test]
fn answer_does_not_call_chance_a_gain() {
    let mut comparison = demo::binary(8);
    for row in &mut comparison.results {
        for paired in [&mut row.against_baseline, &mut row.against_control].into_iter().flatten() {
            paired.p_holm = 0.05;
        }
    }
    let text = answer(&comparison);
    assert!(text.contains("No objective is reliably better than the baseline."), "{text}");
    assert!(!text.contains("holds up"), "{text}");
    assert!(page(&comparison).contains("not shown"));
}

#[test]
fn lower_can_be_better() {
    let mut comparison = demo::binary(3);
    comparison.settings.higher_is_better = false;
    let text = answer(&comparison);
    assert!(text.contains("where lower is better"), "{text}");
    assert!(text.contains("reliably worse"), "{text}");
    assert!(page(&comparison).contains("Further left is better"));
}

#[test]
fn hostile_names_are_escaped() {
    let hostile = "<script>alert(\"1\")</script> & 'x' \u{1F600} 目的関数 \u{e000}0\u{e001} #F10001 \u{0} ".to_owned()
        + &"long ".repeat(60);
    let mut comparison = demo::binary(4);
    comparison.data.name.clone_from(&hostile);
    comparison.data.target.clone_from(&hostile);
    comparison.data.notes.push(hostile.clone());
    comparison.data.classes[0].name.clone_from(&hostile);
    comparison.settings.metric.clone_from(&hostile);
    comparison.settings.model.clone_from(&hostile);
    comparison.failures.push(demo::failure(&hostile, 1));
    for row in &mut comparison.results {
        let ranked = row.metrics["f1"].clone();
        row.metrics.insert(hostile.clone(), ranked);
        row.name.push_str(&hostile);
        row.chosen.push(hostile.clone());
    }
    comparison.settings.baseline = comparison.results[0].name.clone();
    let html = comparison_html(&comparison);
    assert!(!elements(&html).iter().any(|name| name == "script"));
    assert!(html.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp;"));
    assert!(results_csv(&comparison).expect("CSV").contains("alert(\"\"1\"\")"));
}

#[test]
fn missing_numbers_and_curves_do_not_break_it() {
    let mut comparison = demo::binary(6);
    for (index, row) in comparison.results.iter_mut().enumerate() {
        for summary in row.metrics.values_mut() {
            (summary.mean, summary.low, summary.high) = (f64::NAN, f64::INFINITY, f64::NEG_INFINITY);
            summary.values = vec![f64::NAN; index];
        }
        for paired in [&mut row.against_baseline, &mut row.against_control].into_iter().flatten() {
            (paired.difference, paired.p_holm) = (f64::NAN, f64::NAN);
        }
        row.seconds_per_fit = f64::NAN;
        row.mean_rank = f64::NAN;
        row.curves = Curves {
            learning: vec![EpochPoint { epoch: 1, train_loss: f64::NAN, validation: f64::INFINITY }],
            ..Curves::default()
        };
    }
    let html = page(&comparison);
    assert!(html.contains("No data to draw."));
    assert!(answer(&comparison).contains("No objective gave a usable f1"));
}

#[test]
fn one_row_without_its_metric_is_last_and_named() {
    let mut comparison = demo::binary(3);
    comparison.results[2].metrics.remove("f1");
    assert!(page(&comparison).contains("no value"));
}

#[test]
fn several_classes_have_no_roc_and_no_control() {
    let html = page(&multiclass());
    assert!(!html.contains("ROC") && !html.contains("To control") && !html.contains("chosen on validation"));
    assert!(html.contains("predicted class"));
    assert!(!answer(&multiclass()).contains("control") && !html.contains("beats the tuned threshold"));
}

#[test]
fn a_single_objective_has_nothing_to_beat() {
    let mut comparison = multiclass();
    comparison.settings.baseline.clone_from(&comparison.results[0].name);
    comparison.results.truncate(1);
    comparison.results[0].against_baseline = None;
    page(&comparison);
    let text = answer(&comparison);
    assert_eq!(text, "soft-f1 reaches a mean f1 of 0.634 (95% interval 0.620 to 0.648) over 10 splits.");
}

#[test]
fn no_results_at_all_still_make_a_page() {
    let mut comparison = demo::binary(0);
    comparison.failures.push(demo::failure("dice", 1));
    comparison.failures[0].reason = "out of memory".into();
    assert!(page(&comparison).contains("out of memory"));
    assert!(page(&comparison).contains("there is nothing to compare"));
}

#[test]
fn interruption_and_failures_are_said_first() {
    let mut comparison = demo::binary(4);
    comparison.interrupted = true;
    comparison.settings.splits = 25;
    comparison.failures = vec![demo::failure("dice", 2), demo::failure("dice", 3)];
    let text = answer(&comparison);
    assert!(text.contains("stopped early, with results from 10 of 25 splits: treat this as preliminary."), "{text}");
    assert!(text.contains("2 fits gave no result (dice)."), "{text}");
    let html = comparison_html(&comparison);
    assert!(html.contains("Fits that gave no result") && html.contains("10 of 25"));
}

#[test]
fn csv_has_a_line_a_split_and_skips_failed_ones() {
    let mut comparison = demo::binary(1);
    comparison.failures.push(demo::failure("soft-f1", 2));
    for summary in comparison.results[0].metrics.values_mut() {
        summary.values.pop();
        summary.values[0] = f64::NAN;
    }
    let text = results_csv(&comparison).expect("CSV");
    let f1: Vec<&str> = text.lines().filter(|line| line.contains(",one_half,") && line.contains(",f1,")).collect();
    assert_eq!(f1.len(), 9);
    assert_eq!(f1[0], "soft-f1,soft-f1,one_half,1,f1,");
    assert!(f1[1].starts_with("soft-f1,soft-f1,one_half,3,f1,0."), "{}", f1[1]);
    assert_eq!(text.lines().count(), 1 + 7 * 9 + 7 * 10);
}

#[test]
fn files_are_written_and_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("a/b");
    let comparison = demo::binary(3);
    write_comparison(&dir, &comparison).expect("first time");
    let written = write_comparison(&dir, &comparison).expect("second time");
    let json = std::fs::read_to_string(&written.json).expect("JSON");
    let back: Comparison = serde_json::from_str(&json).expect("readable");
    assert_eq!(back.results.len(), 3);
    assert_eq!(std::fs::read_dir(&dir).expect("the folder").count(), 3, "no temporary file stays");
    assert!(std::fs::read_to_string(&written.html).expect("HTML").ends_with("</html>"));
}

#[test]
fn one_file_that_fails_does_not_stop_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("report.html")).expect("in the way");
    let error = write_comparison(folder.path(), &demo::binary(2)).expect_err("the page cannot be written");
    assert!(matches!(&error, ReportError::Write { path, .. } if path.ends_with("report.html")), "{error}");
    assert!(error.to_string().contains("report.html") && error.to_string().contains(';'), "{error}");
    for file in ["comparison.json", "results.csv"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 3, "no temporary file stays");
}

#[test]
fn a_file_where_the_folder_should_be_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "x").expect("a file");
    for dir in [taken.clone(), taken.join("below")] {
        let error = write_comparison(&dir, &demo::binary(1)).expect_err("no folder");
        assert!(matches!(error, ReportError::Folder { .. }), "{error}");
        assert!(error.to_string().contains("a file is in the way"), "{error}");
    }
}

#[test]
fn an_unwritable_folder_names_every_file() {
    // Not even root may create files in /proc.
    if !cfg!(target_os = "linux") {
        return;
    }
    let error = write_comparison(std::path::Path::new("/proc/self"), &demo::binary(1)).expect_err("read-only");
    assert!(matches!(&error, ReportError::Several(errors) if errors.len() == 3), "{error}");
    assert!(error.to_string().contains("results.csv"), "{error}");
}
