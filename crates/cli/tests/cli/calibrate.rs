//! Calibrating a saved model, and what its predictions are then.

use crate::support::{Outcome, Place};
use contrarian_lab::data::{Table, embedded};
use serde_json::Value;
use std::path::Path;

/// Rows of three classes that one number tells, a fifth of the labels wrong: `size,kind`.
fn noisy(rows: usize, salt: usize) -> String {
    let mut text = String::from("size,kind\n");
    for row in 0..rows {
        // A spread without a generator: multiples of an odd number, hashed once more for the labels.
        let size = ((row * 7919 + salt * 104_729) % 1009) as f64 / 1009.0;
        let hash = (row + salt * 31).wrapping_mul(2_654_435_761) >> 7;
        let right = (size * 3.0) as usize;
        let kind = if hash.is_multiple_of(5) { (right + 1 + hash / 5 % 2) % 3 } else { right };
        text += &format!("{size},{}\n", ["low", "middle", "high"][kind]);
    }
    text
}

/// A model whose objective makes it sure of the likeliest class, however often that is wrong.
fn sure_model(place: &Place) {
    place.write("train.csv", noisy(600, 1));
    place.write("held-out.csv", noisy(600, 2));
    place
        .run("train --data train.csv --objective mae --depth 1 --width 16 --learning-rate 0.02 --epochs 30 --out model")
        .succeeds();
}

/// Probabilities and whether each row is decided rightly, from the predictions of a file with its labels last.
fn judged(predictions: &Outcome, truth: &str) -> (Vec<Vec<f64>>, Vec<bool>) {
    let header: Vec<&str> = predictions.out.lines().next().unwrap().split(',').skip(1).collect();
    let rows = predictions.out.lines().skip(1).zip(truth.lines().skip(1));
    rows.map(|(row, truth)| {
        let p: Vec<f64> = row.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
        let best = (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        let right = header[best] == format!("p({})", truth.rsplit(',').next().unwrap());
        (p, right)
    })
    .unzip()
}

/// How much surer than right the predictions are, over all rows.
fn overconfidence(p: &[Vec<f64>], right: &[bool]) -> f64 {
    let sure: f64 = p.iter().map(|row| row.iter().copied().fold(0.0, f64::max)).sum();
    let right = right.iter().filter(|&&right| right).count();
    (sure - right as f64) / p.len() as f64
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.succeeds().out).unwrap()
}

#[test]
fn an_overconfident_model_is_mended_and_predict_applies_it() {
    let place = Place::new();
    sure_model(&place);
    let truth = noisy(500, 3);
    place.write("fresh.csv", &truth);
    let predict = |flags: &str| place.run(&format!("predict --model model --data fresh.csv {flags}"));
    let (before, right) = judged(predict("").succeeds(), &truth);
    assert!(overconfidence(&before, &right) > 0.1);

    let run = place.run("calibrate --model model --data held-out.csv --out report");
    run.succeeds();
    for part in ["taken as rows the model was not trained on", "uncalibrated", ", chosen", "p (Holm)", "would show"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(run.err.contains("saved in model") && run.err.contains("--raw"), "{}", run.err);
    assert!(std::fs::read_to_string(place.path("report/report.html")).unwrap().contains("<svg"));

    let after = predict("");
    assert!(after.succeeds().err.contains("probabilities are calibrated by"), "{}", after.err);
    let (after, right) = judged(&after, &truth);
    assert!(after.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-6));
    // On rows that neither training nor calibration has seen; the standard error of 500 rows is .018.
    assert!(overconfidence(&after, &right).abs() < 0.06, "{}", overconfidence(&after, &right));
    assert_eq!(judged(predict("--raw").succeeds(), &truth).0, before);
}

#[test]
fn the_embedded_rows_of_training_are_known_and_only_their_validation_part_is_used() {
    let place = Place::new();
    place.run("train --dataset winequality --epochs 3 --out model").succeeds();
    let run = "calibrate --model model --dataset winequality --method temperature --splits 3 --json --out report";
    let found = json(&place.run(run));
    assert_eq!((&found["of_training"], &found["rows"]), (&Value::Bool(true), &Value::from(320)));
    let names: Vec<&str> = found["results"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["uncalibrated", "temperature"]);
    assert_eq!(found["chosen"], "temperature");
    let file = std::fs::read_to_string(place.path("report/calibration.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), found);
    assert_eq!(json(&place.run(run)), found, "the same seed gives the same numbers");

    // The same rows from a file are known as well.
    let text = csv(&embedded("winequality").unwrap().into_table().unwrap());
    let path = place.write("wine.csv", &text);
    let found = json(&place.run(&format!("{run} --dry-run").replace("--dataset winequality", "--data wine.csv")));
    assert_eq!((&found["of_training"], &found["rows"]), (&Value::Bool(true), &Value::from(320)));
    let predicted = place.run_list(&["predict", "--model", "model", "--data", path.to_str().unwrap()]);
    let (p, _) = judged(predicted.succeeds(), &text);
    assert!(p.len() == 1599 && p.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-6));
}

fn csv(table: &Table) -> String {
    let header: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let row = |row: usize| table.columns.iter().map(|c| c.values.text(row).unwrap()).collect::<Vec<_>>().join(",");
    let rows: String = (0..table.rows()).map(|r| row(r) + "\n").collect();
    format!("{}\n{rows}", header.join(","))
}

#[test]
fn a_dry_run_changes_nothing_and_a_second_calibration_replaces_the_first() {
    let place = Place::new();
    sure_model(&place);
    let manifest = || std::fs::read_to_string(place.path("model/model.json")).unwrap();
    let trained = manifest();
    let calibrate = |flags: &str| place.run(&format!("calibrate --model model --data held-out.csv --splits 2 {flags}"));
    assert!(calibrate("--dry-run --out a").succeeds().err.contains("nothing was saved"));
    assert_eq!(manifest(), trained);
    calibrate("--method isotonic --out b").succeeds();
    let calibrated = manifest();
    assert!(calibrated.contains("isotonic"));
    // A calibration of another model, or one edited by hand, is told at once.
    let mut other: Value = serde_json::from_str(&calibrated).unwrap();
    other["calibrator"]["calibrator"]["isotonic"]["maps"].as_array_mut().unwrap().pop();
    place.write("model/model.json", other.to_string());
    place.run("predict --model model --data held-out.csv").fails(1, &["the calibration in model.json does not fit"]);
    place.write("model/model.json", calibrated);
    let again = calibrate("--method correctness-aware --out c");
    assert!(again.succeeds().err.contains("instead of its earlier isotonic"), "{}", again.err);
    assert!(again.out.contains("was asked for"), "{}", again.out);
    assert!(!manifest().contains("\"isotonic\""));
    // Its copies are drawn from the row and the seed: the same row, the same probabilities.
    let predict = || place.run("predict --model model --data held-out.csv").succeeds().out.clone();
    assert_eq!(predict(), predict());
}

#[test]
fn a_class_without_rows_leaves_out_the_methods_that_need_it() {
    let place = Place::new();
    sure_model(&place);
    let without: String = noisy(600, 2).lines().filter(|l| !l.ends_with("high")).map(|l| format!("{l}\n")).collect();
    place.write("without.csv", without);
    let run = place.run("calibrate --model model --data without.csv --splits 2 --out report");
    assert!(run.succeeds().err.contains("no row is of class `high`"), "{}", run.err);
    assert!(run.err.contains("isotonic is left out") && !run.out.contains("isotonic"), "{}{}", run.out, run.err);
    place
        .run("calibrate --model model --data without.csv --method isotonic")
        .fails(1, &["isotonic", "no row of class `high`", "choose a temperature"]);
}

#[test]
fn rows_and_words_that_cannot_be_used() {
    let place = Place::new();
    sure_model(&place);
    let trained = std::fs::read_to_string(place.path("model/model.json")).unwrap();
    let calibrate = |file: &Path| place.run(&format!("calibrate --model model --data {}", file.display()));
    place.run("calibrate --model nowhere --data held-out.csv").fails(1, &["nowhere", "model.json"]);
    place.run("calibrate --model model --data nowhere.csv").fails(1, &["cannot read nowhere.csv"]);
    place.run("calibrate --model model").fails(2, &["--data"]);
    place.run("calibrate --model model --dataset wine").fails(2, &["did you mean `winequality`?"]);
    place.run("calibrate --model model --dataset iris").fails(1, &["no column `kind`"]);
    let words = "calibrate --model model --data held-out.csv";
    place.run(&format!("{words} --method temprature")).fails(2, &["`temprature`", "did you mean `temperature`?"]);
    place.run(&format!("{words} --splits 0")).fails(2, &["`splits` is 0"]);
    let few: String = noisy(600, 2).lines().take(15).map(|line| format!("{line}\n")).collect();
    for (name, content, says) in [
        ("few.csv", few, vec!["at least 20 rows", "there are 14"]),
        ("unlabelled.csv", "size\n0.5\n".to_string(), vec!["no column `kind`", "size"]),
        ("lacking.csv", "kind\nlow\n".to_string(), vec!["lacks the columns size"]),
        ("unknown.csv", format!("{}0.5,huge\n", noisy(60, 2)), vec!["row 61 is `huge`", "classes", "leave out"]),
        ("text.csv", "size,kind\nbig,low\n".to_string(), vec!["`size` was numeric", "row 1: `big`"]),
        ("inf.csv", format!("{}inf,low\n", noisy(60, 2)), vec!["line 62", "infinite"]),
    ] {
        calibrate(&place.write(name, content)).fails(1, &says);
    }
    assert_eq!(std::fs::read_to_string(place.path("model/model.json")).unwrap(), trained, "the model is as it was");
    assert!(!place.path("runs").exists(), "nothing that fails leaves a folder");
    // Missing cells are filled as in training, and rows without a label left out.
    let gaps = place.write("gaps.csv", format!("{}NaN,low\n0.5,\n", noisy(60, 2)));
    let run = place.run(&format!("calibrate --model model --data {} --splits 2 --out gaps", gaps.display()));
    assert!(run.succeeds().err.contains("1 rows without a target are left out"), "{}", run.err);
}

#[test]
fn a_model_that_is_always_right_stays_as_it_is() {
    let place = Place::new();
    place.run("train --dataset iris --out model").succeeds();
    let easy: String = csv(&embedded("iris").unwrap().into_table().unwrap())
        .lines()
        .enumerate()
        .filter(|(row, line)| *row == 0 || line.ends_with("setosa"))
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    place.write("easy.csv", easy);
    let run = place.run("calibrate --model model --data easy.csv --splits 2 --out report");
    assert!(run.succeeds().out.contains("right on every row"), "{}", run.out);
    assert!(!run.err.contains("saved in"), "{}", run.err);
    let file = std::fs::read_to_string(place.path("model/model.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap()["calibrator"], Value::Null);
}
