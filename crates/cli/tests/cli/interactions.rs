//! Recommendation: from interactions to a comparison, and what is wrong with files.

use crate::support::Place;
use serde_json::Value;

/// Users of two tastes: each likes most items of its half.
fn table(users: usize) -> String {
    let mut text = "user_id,item_id,when\n".to_string();
    for user in 0..users {
        for item in 0..12 {
            let half = (user % 2) * 20;
            text += &format!("u{user},i{},{item}\n", half + (user * 7 + item * 3) % 20);
        }
    }
    text
}

#[test]
fn interactions_are_compared_beside_what_is_popular() {
    let place = Place::new();
    place.write("x.csv", table(40));
    let run = place.run(
        "compare --interactions x.csv --objectives bpr,pld(start_epoch=2) --seeds 3 --epochs 30 --dim 8 --out out",
    );
    run.succeeds();
    for part in ["40 users, 40 items", "most popular", "pld(start_epoch=2)", "Recall@20", "vs most popular"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("out/comparison.json")).unwrap()).unwrap();
    let mean = |name: &str| {
        let rows = json["results"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}"));
        row["metrics"]["Recall@20"]["mean"].as_f64().unwrap()
    };
    assert!(mean("bpr") > mean("most popular") + 0.1, "{} {}", mean("bpr"), mean("most popular"));
    assert!(std::fs::read_to_string(place.path("out/report.html")).unwrap().contains("what most users chose"));
}

#[test]
fn without_a_file_generated_tastes_serve() {
    let place = Place::new();
    let run = place.run("compare --objectives bpr --seeds 1 --epochs 1 --noise 0.3 --out out --interactions");
    assert!(run.succeeds().out.contains("generated: 300 users, 300 items"), "{}", run.out);
}

#[test]
fn what_is_wrong_is_said_with_place_and_way_out() {
    let place = Place::new();
    place.run("compare --interactions none.csv").fails(1, &["none.csv"]);
    let bad = |text: &[u8], says: &[&str]| {
        place.write("x.csv", text);
        place.run("compare --interactions x.csv").fails(1, says);
    };
    bad(b"", &["empty"]);
    bad(b"user,thing\n1,2\n", &["line 1", "`item`"]);
    bad(b"user,item\n1,2\n3\n", &["line 3"]);
    bad(b"user,item\n\xff,1\n", &["line 2", "UTF-8"]);
    bad(b"user,item\n1,2\n1,3\n", &["0 users have 5 items", "10 are needed"]);
    place.write("x.csv", table(40));
    let usage = |arguments: &str, says: &[&str]| {
        place.run(&format!("compare --interactions x.csv {arguments}")).fails(2, says);
    };
    usage("--objectives focal", &["no objective of recommendation"]);
    usage("--metric f1", &["Recall@20"]);
    usage("--seeds 0", &["seeds"]);
    usage("--dim 0", &["dim"]);
    usage("--noise -1", &["noise"]);
    usage("--tune 3", &["--tune"]);
}
