//! Embeddings and views: from files to a comparison, and what is wrong with files and settings.

use crate::support::Place;
use serde_json::Value;

/// Rows of `classes` classes: a class's own direction, a large disturbance that all share, and a little noise.
fn csv(classes: usize, of_each: usize) -> String {
    let mut text = "a,b,c,d,label\n".to_string();
    for row in 0..classes * of_each {
        let class = row % classes;
        let angle = class as f64 * std::f64::consts::TAU / classes as f64;
        let noise = |k: usize| ((row * row * 31 + row * k * 17 + k) % 101) as f64 / 101.0 - 0.5;
        let shared = 6.0 * noise(1);
        text.push_str(&format!(
            "{},{},{},{},c{class}\n",
            angle.cos() + 0.2 * noise(2),
            angle.sin() + 0.2 * noise(3),
            shared,
            -shared + noise(4)
        ));
    }
    text
}

#[test]
fn embeddings_of_a_csv_file_are_compared_with_every_objective() {
    let place = Place::new();
    place.write("x.csv", csv(6, 20));
    let run = place
        .run("compare --embeddings x.csv --seeds 2 --epochs 60 --batch-size 48 --learning-rate 0.03 --dim 2 --out out");
    run.succeeds();
    for part in
        ["120 rows, 4 columns", "linear 4-2", "held-out rows", "sup-con", "unpg", "cacr", "no training", "vs untrained"]
    {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("out/comparison.json")).unwrap()).unwrap();
    let rows = json["results"].as_array().unwrap();
    assert_eq!(rows.len(), 17, "every registered objective and the control");
    let mean = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}"));
        row["metrics"]["map@r"]["mean"].as_f64().unwrap()
    };
    assert!(mean("sup-con") > mean("no training") + 0.1, "{} {}", mean("sup-con"), mean("no training"));
    let html = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(html.contains("The space") && html.contains("Before training") && html.contains("After "));
}

#[test]
fn images_are_compared_from_two_views_without_labels() {
    let place = Place::new();
    let run = place.run(
        "compare --task contrastive --objectives nt-xent --baseline info-nce --hold-out rows --seeds 1 --epochs 1 --model mlp \
         --dim 8 --out out",
    );
    run.succeeds();
    for part in ["glyphs: 1600 rows", "two views of a row, no labels", "nt-xent", "no training"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
}

#[test]
fn what_cannot_work_is_said_before_training() {
    let place = Place::new();
    place.write("x.csv", csv(6, 20));
    place.write("v.csv", "a,b\n1,2\n3,4\n5,7\n");
    place.write("one.csv", csv(1, 20));
    place.write("y.csv", "label\n1\n2\n");
    place.write("few.csv", csv(30, 2));
    for (arguments, code, says) in [
        ("--embeddings x.csv --objectives focal", 2, "unknown objective `focal`"),
        ("--embeddings x.csv --objectives tripplet", 2, "did you mean `triplet`?"),
        ("--embeddings x.csv --metric f1", 2, "unknown metric of embeddings `f1`"),
        ("--embeddings x.csv --metric uniformity", 2, "describes a space"),
        ("--embeddings x.csv --task contrastive", 2, "views of images"),
        ("--embeddings x.csv --batch-size 1", 2, "at least 4"),
        ("--embeddings x.csv --dim 0", 2, "`dim`"),
        ("--embeddings x.csv --seeds 0", 2, "`seeds`"),
        ("--embeddings x.csv --tune 3", 2, "--tune is for classifiers"),
        ("--embeddings x.csv --model cnn", 2, "needs images"),
        ("--embeddings v.csv --labels y.csv", 1, "2 labels"),
        ("--embeddings x.csv --labels y.csv", 1, "holds texts"),
        ("--embeddings one.csv", 1, "every row is of the class `c0`"),
        ("--embeddings few.csv --hold-out rows", 1, "fewer than two classes"),
        ("--embeddings x.csv --hold-out classes --objectives focal", 2, "unknown objective"),
        ("--embeddings nowhere.npy", 1, "nowhere.npy"),
        ("--task contrastive --objectives arc-face", 2, "class weights"),
        ("--task contrastive --dataset iris", 2, "views of images"),
        ("--task contrastive --width 8", 2, "--model mlp"),
        ("--hold-out rows", 2, "--embeddings"),
        ("--labels y.csv", 2, "--embeddings"),
    ] {
        let mut list = vec!["compare", "--out", "out"];
        list.extend(arguments.split_whitespace());
        let run = place.run_list(&list);
        assert_ne!(run.code, 0, "{arguments}: {}", run.out);
        assert!(run.err.contains(says), "{arguments}: `{says}` is missing in {}", run.err);
        assert_eq!(run.code, code, "{arguments}: {}", run.err);
    }
}
