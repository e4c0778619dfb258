use super::*;
use crate::data::{Column, Matrix, Problem, Table, Values};
use crate::fit::{FitConfig, FitError, softmax};
use crate::metrics::{Metric, Predictions};
use crate::model::Architecture;
use crate::saved::{SavedModel, SavedModelError, TrainConfig, train};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::AtomicBool;

/// Outputs twice as sure as they should be: labels are drawn at half of the logits, copies are logits with noise.
fn overconfident(rows: usize, classes: usize) -> (Outputs, Vec<usize>) {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let logits: Vec<f32> = (0..rows * classes).map(|_| rng.random_range(-6.0..6.0)).collect();
    let halved = Matrix { rows, cols: classes, data: logits.iter().map(|l| l / 2.0).collect() };
    let mut draw = |p: &[f64]| {
        let mut left: f64 = rng.random();
        p.iter().position(|p| {
            left -= p;
            left < 0.0
        })
    };
    let labels = softmax(&halved).chunks(classes).map(|p| draw(p).unwrap_or(0)).collect();
    let copy = |rng: &mut Xoshiro256PlusPlus| {
        let data = logits.iter().map(|l| l + rng.random_range(-1.0f32..1.0)).collect();
        Matrix { rows, cols: classes, data }
    };
    let copies = vec![copy(rng), copy(rng)];
    (Outputs { logits: Matrix { rows, cols: classes, data: logits }, copies }, labels)
}

fn measured(probabilities: Vec<f64>, classes: usize, labels: &[usize]) -> CalibrationScore {
    score(&Predictions { probabilities, classes, labels: labels.to_vec() }).unwrap()
}

#[test]
fn every_method_mends_overconfident_outputs_and_comes_back_from_a_file() {
    for classes in [2, 3] {
        let (outputs, labels) = overconfident(3000, classes);
        let rows: Vec<usize> = (0..3000).collect();
        let (fit, test) = rows.split_at(1500);
        let (fitted_on, judged_on) = (outputs.gather(fit), outputs.gather(test));
        let before = measured(softmax(&judged_on.logits), classes, &labels[1500..]);
        for method in Method::ALL {
            let calibrator = Calibrator::fit(method, &fitted_on, &labels[..1500], 1, None).unwrap();
            assert_eq!(calibrator.method(), method);
            assert_eq!(method.to_string().parse(), Ok(method));
            let p = calibrator.apply(&judged_on).unwrap();
            assert!(p.chunks(classes).all(|p| (p.iter().sum::<f64>() - 1.0).abs() < 1e-6), "{method}");
            let back: Calibrator = serde_json::from_str(&serde_json::to_string(&calibrator).unwrap()).unwrap();
            let again = back.apply(&judged_on).unwrap();
            assert!(back.suits(classes), "{method}");
            let of_each_class = matches!(method, Method::Vector | Method::Histogram | Method::Isotonic);
            assert_eq!(back.suits(classes + 1), !of_each_class, "{method}");
            assert!(p.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-6), "{method}");
            let after = measured(p, classes, &labels[1500..]);
            if method == Method::CorrectnessAware {
                // It asks for another thing than right probabilities, but never changes a decision.
                assert_eq!(after.accuracy, before.accuracy);
            } else {
                // Twice too sure is an error of about .1; 1500 rows show .02 to .04 of none.
                let (after, before) = (after.errors.ece, before.errors.ece);
                assert!(after < 0.6 * before, "{method}, {classes} classes: {after} against {before}");
            }
        }
    }
}

#[test]
fn what_cannot_be_fitted_or_applied_is_named() {
    let (outputs, mut labels) = overconfident(60, 3);
    let fit = |method, outputs: &Outputs, labels: &[usize]| Calibrator::fit(method, outputs, labels, 0, None);
    let mut broken = outputs.clone();
    broken.logits.data[7] = f32::NAN;
    for method in Method::ALL {
        let error = fit(method, &broken, &labels).unwrap_err().to_string();
        assert!(error.contains("row 2 has a logit that is not finite"), "{error}");
        let error = fit(method, &outputs.gather(&[0]), &labels[..1]).unwrap_err().to_string();
        assert!(error.contains("at least 2 rows"), "{method}: {error}");
        let calibrator = fit(method, &outputs, &labels).unwrap();
        assert!(calibrator.apply(&broken).is_err(), "{method}");
    }
    let without = Outputs { copies: Vec::new(), ..outputs.clone() };
    assert!(fit(Method::CorrectnessAware, &without, &labels).is_err(), "it reads copies");
    let aware = fit(Method::CorrectnessAware, &outputs, &labels).unwrap();
    assert!(aware.apply(&without).unwrap_err().to_string().contains("copies"));
    let stopped = Calibrator::fit(Method::Vector, &outputs, &labels, 0, Some(&AtomicBool::new(true))).unwrap_err();
    assert!(matches!(stopped, CalibrateError::Fit(FitError::Stopped)));

    for label in &mut labels {
        *label = (*label).min(1);
    }
    for method in Method::ALL {
        match (fit(method, &outputs, &labels), method) {
            (Err(error), Method::Vector | Method::Histogram | Method::Isotonic) => {
                let names = ["a", "b", "rare"].map(String::from);
                let error = error.with_class_names(&names).to_string();
                assert!(error.contains("no row of class `rare`"), "{error}");
            }
            (found, _) => assert!(found.is_ok(), "{method}: a temperature needs no class"),
        }
    }
}

/// One number tells three classes, and a fifth of the labels are wrong.
fn noisy(rows: usize, seed: u64) -> Table {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let x: Vec<f64> = (0..rows).map(|_| rng.random_range(-1.5..1.5)).collect();
    let kinds = ["low", "middle", "high"];
    let kind = x.iter().map(|x| {
        let right = if *x < -0.5 { 0 } else { usize::from(*x > 0.5) + 1 };
        Some(kinds[if rng.random_bool(0.2) { rng.random_range(0..3) } else { right }].to_string())
    });
    let kind = Values::Text(kind.collect());
    let columns =
        vec![Column { name: "x".into(), values: Values::Numeric(x) }, Column { name: "kind".into(), values: kind }];
    Table { name: format!("noisy {seed}"), columns }
}

/// Trained with an objective whose minimiser is sure of the likeliest class, however often it is wrong.
fn sure_model() -> SavedModel {
    let config = TrainConfig {
        objective: "mae".parse().unwrap(),
        metric: Metric::Accuracy,
        validation: 0.2,
        seed: 1,
        model: Architecture::Mlp { depth: 1, width: 16, dropout: 0.0 },
        fit: FitConfig::new().with_learning_rate(0.02).with_epochs(30),
        missing: Vec::new(),
    };
    let problem = Problem::from_table(noisy(600, 1), "kind", None).unwrap();
    train(&problem, &config, &|_, _| {}, &AtomicBool::new(false)).unwrap()
}

fn all(splits: usize) -> CalibrateConfig {
    CalibrateConfig { method: None, splits, seed: 0 }
}

fn rows(table: &Table, keep: impl Fn(usize, &str) -> bool) -> Table {
    let text = |row: usize| table.columns[1].values.text(row).unwrap();
    let kept: Vec<usize> = (0..table.rows()).filter(|&row| keep(row, &text(row))).collect();
    let columns = table.columns.iter().map(|column| {
        let values = match &column.values {
            Values::Numeric(values) => Values::Numeric(kept.iter().map(|&row| values[row]).collect()),
            Values::Text(values) => Values::Text(kept.iter().map(|&row| values[row].clone()).collect()),
        };
        Column { name: column.name.clone(), values }
    });
    Table { name: table.name.clone(), columns: columns.collect() }
}

#[test]
fn a_model_that_is_too_sure_is_mended_and_its_predictions_change() {
    let mut model = sure_model();
    let fresh = noisy(400, 3);
    let own = model.predict(&fresh).unwrap();
    let stop = AtomicBool::new(false);
    let found = calibrate(&mut model, &noisy(600, 2), &all(4), &stop).unwrap();
    assert_eq!((found.rows, found.splits, found.of_training, found.all_right), (600, 4, false, false));
    assert_eq!((found.results.len(), found.results[0].name.as_str()), (1 + Method::ALL.len(), UNCALIBRATED));
    let before = &found.results[0];
    let best = found.chosen().expect("a fifth of sure predictions is wrong");
    assert!(found.results.iter().all(|result| result.mean_log_loss() >= best.mean_log_loss()));
    let change = best.ece.as_ref().unwrap();
    assert!(change.high < -0.03 && best.log_loss.as_ref().unwrap().p_holm < 0.05, "{change:?}");
    let ece = |result: &MethodResult| result.mean(|score| Some(score.errors.ece)).unwrap();
    assert!((ece(best) - ece(before) - change.difference).abs() < 1e-12);
    // Of a model that is sure of everything, right confidences would show no error.
    assert!(before.ece_if_right < ece(before) && best.ece_if_right > 0.0);
    let counted: usize = before.reliability.iter().map(|bin| bin.count).sum();
    assert_eq!(counted, 4 * 300);
    let page = calibration_html(&found, "m");
    assert!(page.contains("<svg") && page.contains("chosen") && page.contains("taken as rows"), "{page}");

    // On rows that neither training nor calibration has seen.
    let calibrated = model.predict(&fresh).unwrap();
    let problem = Problem::from_table(fresh, "kind", None).unwrap();
    let names = |label: usize| own.classes.iter().position(|class| *class == problem.classes[label]).unwrap();
    let labels: Vec<usize> = problem.labels.iter().map(|&label| names(label)).collect();
    let ece = |p: &[f64]| measured(p.to_vec(), 3, &labels).errors.ece;
    assert!(ece(&calibrated.probabilities) < 0.5 * ece(&own.probabilities));
    assert!(calibrated.probabilities.chunks(3).all(|p| (p.iter().sum::<f64>() - 1.0).abs() < 1e-6));
}

#[test]
fn of_its_training_rows_only_the_validation_part_is_used() {
    let mut model = sure_model();
    let found = calibrate(&mut model, &noisy(600, 1), &all(1), &AtomicBool::new(false)).unwrap();
    // A fifth of every class, rounded.
    assert!(found.of_training && found.rows.abs_diff(120) <= 3, "{}", found.rows);
    assert!(found.sentences().iter().any(|sentence| sentence.contains("flatter")));
    assert!(found.results[1].log_loss.is_none(), "one split has no interval");
}

#[test]
fn missing_classes_and_few_rows_are_told() {
    let mut model = sure_model();
    let stop = AtomicBool::new(false);
    let without = rows(&noisy(300, 2), |_, kind| kind != "high");
    let found = calibrate(&mut model, &without, &all(2), &stop).unwrap();
    let left_out = |name: &str| found.notes.iter().any(|note| note.starts_with(name) && note.contains("class `high`"));
    assert!(["vector", "histogram", "isotonic"].into_iter().all(left_out), "{:?}", found.notes);
    assert!(found.notes.iter().any(|note| note.contains("no row is of class `high`")), "{:?}", found.notes);
    assert_eq!(found.results.len(), 4);

    let isotonic = CalibrateConfig { method: Some(Method::Isotonic), ..all(2) };
    let error = calibrate(&mut model, &without, &isotonic, &stop).unwrap_err().to_string();
    assert!(error.contains("isotonic") && error.contains("class `high`"), "{error}");
    let few = rows(&noisy(300, 2), |row, _| row < 19);
    let error = calibrate(&mut model, &few, &all(2), &stop).unwrap_err().to_string();
    assert!(error.contains("at least 20 rows, and there are 19"), "{error}");
    let stopped = calibrate(&mut model, &without, &all(2), &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(&stopped, SavedModelError::Calibration(CalibrateError::Fit(FitError::Stopped))), "{stopped}");
}

#[test]
fn a_model_that_is_always_right_is_left_alone_unless_a_method_is_named() {
    let mut model = sure_model();
    let table = noisy(300, 2);
    let decided = model.predict(&table).unwrap();
    let right = |row: usize, kind: &str| decided.classes[decided.decisions[row]] == kind;
    let easy = rows(&table, right);
    let stop = AtomicBool::new(false);
    let found = calibrate(&mut model, &easy, &all(2), &stop).unwrap();
    assert!(found.all_right && found.chosen.is_none() && model.manifest.calibrator.is_none());
    let temperature = CalibrateConfig { method: Some(Method::Temperature), ..all(2) };
    let found = calibrate(&mut model, &easy, &temperature, &stop).unwrap();
    assert_eq!(found.chosen.as_deref(), Some("temperature"));
    assert!(found.sentences()[0].contains("surer than these rows can show"));
    assert!(model.manifest.calibrator.is_some());
}
