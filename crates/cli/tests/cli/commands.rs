//! The commands on real and embedded data.

use crate::support::{Place, quick, table};
use contrarian_lab::data::{CsvOptions, load_csv};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn compare_writes_a_table_a_report_and_its_numbers() {
    let place = Place::new();
    let data = place.write("t.csv", table(150));
    let run = place.run(&quick(&data));
    run.succeeds();
    for part in ["cross-entropy, threshold tuned", "focal", "vs cross-entropy", "positive: rare"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(run.err.contains("no --target was given") && run.err.contains("`empty` is always missing"), "{}", run.err);
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("out/comparison.json")).unwrap()).unwrap();
    assert_eq!(json["results"].as_array().unwrap().len(), 3);
    let csv = std::fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert!(csv.lines().count() > 3 * 3 * 12);
    assert!(std::fs::read_to_string(place.path("out/report.html")).unwrap().contains("<svg"));
}

#[test]
fn the_same_seed_gives_the_same_numbers_on_any_number_of_threads() {
    let place = Place::new();
    let values = |threads: usize| {
        let run = place.run(&format!(
            "compare --dataset iris --objectives ldr,aldr --seeds 2 --epochs 4 --json --threads {threads} --out o{threads}"
        ));
        let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
        let metrics = |result: &Value| (result["name"].clone(), result["metrics"].clone());
        json["results"].as_array().unwrap().iter().map(metrics).collect::<Vec<_>>()
    };
    assert_eq!(values(1), values(2));
}

#[test]
fn several_data_sets_are_compared_in_turn_and_ranked_together() {
    let place = Place::new();
    let (a, b) = (place.write("a.csv", table(80)), place.write("b.csv", table(90)));
    let run = place.run(&format!("{} --data {}", quick(&a), b.display()));
    assert!(run.succeeds().out.contains("ranks averaged over 2 data sets"), "{}", run.out);
    assert!(place.path("out/1-a.csv/report.html").exists() && place.path("out/2-b.csv/report.html").exists());
    place.run("train --dataset iris --dataset winequality --out model").fails(2, &["one data set"]);
}

#[test]
fn the_search_is_the_same_for_every_objective_and_is_reported() {
    let place = Place::new();
    let run = place.run("compare --objectives focal --seeds 2 --epochs 2 --tune 3 --json --out out");
    let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
    assert_eq!(json["settings"]["tune"], 3);
    assert!(json["results"].as_array().unwrap().iter().all(|r| r["chosen"].as_array().unwrap().len() == 2));
}

#[test]
fn a_trained_model_predicts_what_it_learned() {
    let place = Place::new();
    let data = place.write("t.csv", table(300));
    let trained =
        place.run(&format!("train --data {} --objective any-loss(metric=f1,scale=10) --out model", data.display()));
    trained.succeeds();
    assert!(trained.out.contains("f1"));
    place.run(&format!("predict --model model --data {} --out p.csv", data.display())).succeeds();
    let predictions = std::fs::read_to_string(place.path("p.csv")).unwrap();
    let mut lines = predictions.lines();
    assert_eq!(lines.next(), Some("kind,p(common),p(rare)"));
    let truth = table(300);
    let right = lines.zip(truth.lines().skip(1)).filter(|(p, t)| p.split(',').next() == t.rsplit(',').next()).count();
    assert!(right > 260, "{right} of 300 rows are right");
}

#[test]
fn lists_and_pages_know_everything() {
    let place = Place::new();
    for what in ["objectives", "papers", "datasets"] {
        place.run(&format!("list {what}")).succeeds();
        let json: Value = serde_json::from_str(&place.run(&format!("list {what} --json")).succeeds().out).unwrap();
        for entry in json.as_array().unwrap() {
            let name = entry["name"].as_str().or(entry["id"].as_str()).unwrap();
            if what != "datasets" {
                assert!(place.run_list(&["show", name]).succeeds().out.contains(name));
            }
        }
    }
    assert!(place.run("list objectives").succeeds().out.contains("objectives over embeddings"));
    let page = place.run("show info-nce").succeeds().out.clone();
    for part in ["temperature = 0.1", "InfoNceLossConfig", "1807.03748", "log("] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&format!("completions {shell}")).succeeds().out.contains("contrarian"));
    }
}

#[test]
fn a_study_prints_its_claims_and_can_be_run_again() {
    let place = Place::new();
    let run = place.run("run dice --preset smoke --set epochs=2 --json --out out");
    let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
    for claim in json["claims"].as_array().unwrap() {
        for field in ["id", "statement", "reported", "effect", "interval", "p", "verdict"] {
            assert!(claim.get(field).is_some(), "{field}");
        }
    }
    assert_eq!(json["settings"]["epochs"], 2);
    let again = place.run("run --config out/config.toml --json --out again");
    let again: Value = serde_json::from_str(&again.succeeds().out).unwrap();
    assert_eq!(again["claims"], json["claims"]);
    place.run("run dice --preset smoke --out out --record kept.json").succeeds();
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(place.path("kept.json")).unwrap()).unwrap();
    assert_eq!(kept["dice"]["preset"], "smoke");
    assert_eq!(kept["dice"]["claims"].as_array().unwrap().len(), json["claims"].as_array().unwrap().len());
    let file = place.write("notes", "mine");
    place
        .run(&format!("run dice --preset smoke --out out --record {}", file.display()))
        .fails(1, &["notes", "recorded"]);
    assert!(place.run("run any-loss --preset smoke --out any").succeeds().out.contains("f1-linear"));
}

#[test]
fn probe_measures_an_objective_and_draws_it() {
    let place = Place::new();
    let run = place.run("probe mae --trials 20 --json --out out");
    let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
    assert_eq!((json["objective"].as_str(), json["minimisers"].as_array().unwrap().len()), (Some("mae"), 6));
    assert!(std::fs::read_to_string(place.path("out/report.html")).unwrap().contains("<svg"));
    let run = place.run("probe logistic --trials 20 --out out");
    assert!(run.succeeds().out.contains("noise-symmetric"), "{}", run.out);
    let run = place.run("probe nt-xent(temperature=0.2) --json --out pairs");
    let json: Value = serde_json::from_str(&run.succeeds().out).unwrap();
    assert_eq!((json["labels"].as_bool(), json["by_temperature"].as_array().unwrap().len()), (Some(false), 5));
    assert!(json["batches"][0]["coupling"].as_f64().unwrap() < 1.0);
    assert!(std::fs::read_to_string(place.path("pairs/report.html")).unwrap().contains("<svg"));
    assert!(place.run("probe triplet --out labels").succeeds().out.contains("one class"));
    place.run("probe tripet").fails(2, &["did you mean `triplet`?"]);
    place.run("show tripet").fails(2, &["did you mean `triplet`?"]);
    place.run("probe nt-xent(temperature=0)").fails(2, &["`temperature` is 0"]);
    place.run("probe focl").fails(2, &["unknown objective `focl`", "did you mean `focal`?"]);
    place.run("probe focal --classes 1").fails(2, &["`classes` is 1"]);
    assert!(!place.path("runs").exists(), "wrong usage leaves no folder");
}

#[test]
fn every_imbalanced_table_works_without_further_flags() {
    let Some(data) = std::env::var_os("CONTRARIAN_DATA") else {
        println!("skipped: CONTRARIAN_DATA names no folder of real data");
        return;
    };
    let folder = PathBuf::from(data).join("imbalanced_tabular");
    let place = Place::new();
    let mut tables = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(".csv") {
            continue;
        }
        tables += 1;
        // The target is the last column everywhere; its name is in the header.
        let header = load_csv(&path, &CsvOptions::default()).unwrap();
        let target = header.columns.last().unwrap().name.clone();
        let run = place.run_list(&[
            "compare",
            "--data",
            path.to_str().unwrap(),
            "--target",
            &target,
            "--out",
            &name,
            // A small budget: what is tested is that every table is read and compared.
            "--objectives",
            "cross-entropy, focal",
            "--seeds",
            "2",
            "--epochs",
            "2",
        ]);
        assert_eq!(run.code, 0, "{name}: {}\n{}", run.out, run.err);
    }
    assert!(tables >= 16, "{tables} tables in {}", folder.display());
}
