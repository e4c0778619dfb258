//! `contrarian bench` at sizes that take no time.

use crate::support::{Place, outcome};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_table_and_the_json_have_both_forms() {
    let place = Place::new();
    let run = place.run("bench --case focal --sizes 64x32 --rounds 3");
    for part in ["focal-64x32", "fused, ms", "composed, ms", "times faster", "extra MB", "median of 3 runs"] {
        assert!(run.succeeds().out.contains(part), "{part}: {}", run.out);
    }
    let run = place.run("bench --case focal --case cross-entropy --sizes 64x32 --rounds 3 --json");
    let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let loss = |form: &str| row[form]["loss"].as_f64().unwrap();
        assert!((loss("fused") - loss("composed")).abs() < 1e-5 * loss("composed").abs());
        for form in ["fused", "composed"] {
            assert_eq!(row[form]["rounds"].as_array().unwrap().len(), 3);
            assert!(row[form]["milliseconds"].as_f64().unwrap() > 0.0);
            let memory = &row[form]["extra_memory"];
            assert!(memory.is_u64() || !cfg!(target_os = "linux"), "{memory}");
        }
    }
    let one = place.run("bench --case focal --sizes 64x32 --form fused --rounds 1 --json");
    let json: Value = serde_json::from_str(&one.succeeds().out).unwrap();
    assert!(json[0]["composed"].is_null() && json[0]["fused"].is_object());
}

#[test]
fn the_forms_of_every_case_agree() {
    let place = Place::new();
    let cases: Value = serde_json::from_str(&place.run("bench --list --json").succeeds().out).unwrap();
    let mut families: Vec<(&str, usize)> = Vec::new();
    for case in cases.as_array().unwrap() {
        families.push((case["family"].as_str().unwrap(), case["sizes"].as_array().unwrap().len()));
    }
    families.dedup();
    for (family, sizes) in families {
        // Neither a multiple of a vector register nor the sizes of the warm-up.
        let sizes = vec!["37"; sizes].join("x");
        let run = place.run(&format!("bench --case {family} --sizes {sizes} --rounds 1 --json"));
        let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
        let loss = |form: &str| json[0][form]["loss"].as_f64().unwrap();
        let (fused, composed) = (loss("fused"), loss("composed"));
        // In f32, the mean of dozens of logarithms.
        assert!((fused - composed).abs() <= 1e-5 * composed.abs().max(1.0), "{family}: {fused} {composed}");
    }
}

#[test]
fn the_list_names_what_can_be_asked_for() {
    let place = Place::new();
    let json: Value = serde_json::from_str(&place.run("bench --list --json").succeeds().out).unwrap();
    for case in json.as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        let listed = place.run(&format!("bench --list --case {name} --json"));
        let listed: Value = serde_json::from_str(&listed.succeeds().out).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{name}");
        assert!(place.run("bench --list").succeeds().out.contains(name));
    }
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    let place = Place::new();
    for (arguments, says) in [
        ("bench --case focla", vec!["no case is called `focla`", "did you mean `focal`?", "bench --list"]),
        ("bench --case focal --sizes 4096", vec!["`focal` has 2 sizes, batchxclasses", "1 are given"]),
        ("bench --case focal --sizes 4096x", vec!["`sizes` is 4096x", "4096x128"]),
        ("bench --case focal --sizes 8x1", vec!["at least 2"]),
        ("bench --sizes 8x8", vec!["--case"]),
        ("bench --case focal --rounds 0", vec!["`rounds` is 0"]),
        ("bench --form fast", vec!["fused", "composed"]),
    ] {
        place.run(arguments).fails(2, &says);
    }
}

#[test]
fn a_case_that_does_not_fit_memory_is_reported_and_the_others_are_kept() {
    let place = Place::new();
    let run = place.run("bench --case focal --sizes 4000000000x4000000000 --rounds 1");
    run.fails(1, &["focal-4000000000x4000000000, fused"]);
}

#[test]
fn ctrl_c_keeps_what_is_measured() {
    let place = Place::new();
    let mut child = place
        .command()
        // The second size takes ten times as long as the first.
        .args(["bench", "--case", "cross-entropy", "--form", "composed", "--rounds", "40"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert!(first.starts_with("cross-entropy-4096x1000, composed: "), "{first}");
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "it ends soon after Ctrl-C");
    let outcome = outcome(&output);
    assert_eq!(outcome.code, 130);
    assert!(outcome.out.contains("cross-entropy-4096x1000"), "{}", outcome.out);
    assert!(!outcome.out.contains("cross-entropy-512x50000"), "{}", outcome.out);
}
