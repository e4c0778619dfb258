//! Finding wrong labels in a person's table.

use crate::support::{BINARY, Place, outcome};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A number in [0, 1) from two others, the same everywhere (the mixing steps of SplitMix64).
fn hash(row: usize, salt: usize) -> f64 {
    let mut mixed = ((row * 1000 + salt) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 40) as f64 / (1_u64 << 24) as f64
}

const CLASSES: [&str; 3] = ["none", "left", "right"];

/// Rows of three groups in the plane, and which labels (numbers from 1) are wrong: `flip` gives a wrong class.
fn groups(rows: usize, salt: usize, flip: impl Fn(usize, usize) -> Option<usize>) -> (String, BTreeSet<usize>) {
    let mut wrong = BTreeSet::new();
    let mut text = String::from("along,up,group\n");
    for row in 0..rows {
        // The first group is as large as the others together.
        let truth = [0, 0, 1, 2][row % 4];
        let (x, y) = [(0.0, 0.0), (3.0, 0.0), (0.0, 3.0)][truth];
        let label = flip(row, truth).unwrap_or(truth);
        if label != truth {
            wrong.insert(row + 1);
        }
        text += &format!("{},{},{}\n", x + 2.0 * hash(row, salt), y + 2.0 * hash(row, salt + 1), CLASSES[label]);
    }
    (text, wrong)
}

/// One label in ten is wrong.
fn anywhere(row: usize, truth: usize) -> Option<usize> {
    (hash(row, 9) < 0.1).then(|| (truth + 1 + usize::from(hash(row, 10) < 0.5)) % 3)
}

/// Row numbers of the suspects in the file.
fn suspects(place: &Place) -> Vec<usize> {
    let text = std::fs::read_to_string(place.path("out/suspects.csv")).unwrap();
    assert!(text.starts_with("row,given,suggested,evidence,"), "{text}");
    text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

fn hits(found: &[usize], wrong: &BTreeSet<usize>) -> f64 {
    found.iter().filter(|row| wrong.contains(row)).count() as f64
}

#[test]
fn planted_wrong_labels_are_found() {
    let place = Place::new();
    let (text, wrong) = groups(600, 1, anywhere);
    place.write("t.csv", text);
    let run = place.run("clean --data t.csv --target group --splits 4 --out out");
    run.succeeds();
    let found = suspects(&place);
    // One row in ten is wrong, so chance finds a tenth; the groups do not overlap.
    assert!(hits(&found, &wrong) / found.len() as f64 > 0.8, "{found:?}\n{wrong:?}");
    assert!(hits(&found, &wrong) / wrong.len() as f64 > 0.8, "{found:?}\n{wrong:?}");
    for says in ["not rows to delete blindly", "Does training without them help here?", "as many random rows"] {
        assert!(run.out.contains(says), "{says}: {}", run.out);
    }
    let report = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    for says in ["<svg", "Suspects", "suspects against random rows", "corrected resampled t-test"] {
        assert!(report.contains(says), "{says}");
    }
}

#[test]
fn a_negative_class_alone_is_suspected() {
    let place = Place::new();
    let lost = |row: usize, truth: usize| (truth != 0 && hash(row, 5) < 0.45).then_some(0);
    let (text, wrong) = groups(600, 2, lost);
    place.write("t.csv", text);
    let flags = "--negative-class none --splits 2 --out out --json";
    let run = place.run(&format!("clean --data t.csv {flags}"));
    let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
    assert_eq!((&json["strategy"], &json["negative_class"]), (&"intrinsic".into(), &"none".into()));
    let found = json["suspects"].as_array().unwrap();
    assert!(found.iter().all(|suspect| suspect["given"] == "none" && suspect["suggested"] != "none"));
    assert_eq!(json["effect"]["splits"].as_array().unwrap().len(), 2);
    // Three in ten of the rows labelled none are wrong.
    let rows = suspects(&place);
    assert!(rows.len() > 20 && hits(&rows, &wrong) / rows.len() as f64 > 0.6, "{rows:?}");
}

#[test]
fn trusted_rows_are_the_measure_where_there_are_some() {
    let place = Place::new();
    let (text, wrong) = groups(400, 3, anywhere);
    // A row without a label keeps its number.
    let text = text.replacen('\n', "\n1,1,\n", 1);
    let wrong: BTreeSet<usize> = wrong.into_iter().map(|row| row + 1).collect();
    place.write("t.csv", text);
    place.write("clean.csv", groups(80, 4, |_, _| None).0);
    let run = place.run("clean --data t.csv --clean clean.csv --splits 0 --out out");
    run.succeeds();
    let found = suspects(&place);
    assert!(hits(&found, &wrong) / found.len() as f64 > 0.8, "{found:?}\n{wrong:?}");
    assert!(hits(&found, &wrong) / wrong.len() as f64 > 0.8, "{found:?}\n{wrong:?}");
    assert!(run.out.contains("trusted rows") && !run.out.contains("help here"), "{}", run.out);
}

#[test]
fn bad_input_is_explained() {
    let place = Place::new();
    place.write("t.csv", groups(60, 1, |_, _| None).0);
    place.write("other.csv", "along,group\n1,none\n");
    place.write("class.csv", "along,up,group\n1,1,none\n1,1,over\n");
    place.write("empty.csv", "along,up,group\n1,1,\n");
    let clean = |flags: &str| place.run(&format!("clean --data t.csv --out out {flags}"));
    clean("--negative-class non").fails(1, &["no class `non`", "did you mean `none`?", "left, none, right"]);
    clean("--k 0").fails(2, &["`k` is 0", "at least 1"]);
    clean("--target grup").fails(1, &["no column `grup`", "did you mean `group`?"]);
    clean("--clean nowhere.csv").fails(1, &["cannot read nowhere.csv"]);
    clean("--clean other.csv").fails(1, &["other.csv", "lacks the columns up"]);
    clean("--clean class.csv").fails(1, &["class.csv, row 2", "no class `over`", "correct or leave out"]);
    clean("--clean empty.csv").fails(1, &["empty.csv", "no row has a `group`"]);
    assert!(!place.path("out").exists(), "mistakes are found before a folder is made");
    place.run("clean --dataset glyphs").fails(2, &["`glyphs` has images"]);
    place.run("clean --images .").fails(2, &["sought in tables", "--data"]);
    place.run("clean --clean t.csv").fails(2, &["--data"]);
}

#[test]
fn ctrl_c_keeps_the_suspects() {
    let place = Place::new();
    let (text, wrong) = groups(300, 1, anywhere);
    place.write("t.csv", text);
    let child = Command::new(BINARY)
        .args("clean --data t.csv --splits 100000 --out out".split(' '))
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !place.path("out").exists() && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(6));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let outcome = outcome(&child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 130, "{}", outcome.err);
    assert!(outcome.out.contains("The work was stopped"), "{}", outcome.out);
    let found = suspects(&place);
    assert!(hits(&found, &wrong) > 0.5 * found.len() as f64 && !found.is_empty(), "{found:?}");
}
