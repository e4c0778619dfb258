//! Retrieval: from a folder to a comparison, a saved retriever, a search and mined negatives, and what is wrong with files.

use crate::support::Place;
use serde_json::Value;

/// A collection in BEIR form: document `i` has words of its topic and a word of its own, which its query asks for.
fn collection(place: &Place, documents: usize) {
    std::fs::create_dir_all(place.path("data/qrels")).unwrap();
    let corpus = (0..documents).map(|at| {
        format!(
            "{{\"_id\":\"d{at}\",\"title\":\"Topic{}\",\"text\":\"shared own{at} and more of topic{}\"}}\n",
            at % 5,
            at % 5
        )
    });
    let queries = (0..documents).map(|at| format!("{{\"_id\":\"q{at}\",\"text\":\"topic{} own{at}\"}}\n", at % 5));
    let qrels = (0..documents).map(|at| format!("q{at}\td{at}\t1\n"));
    place.write("data/corpus.jsonl", corpus.collect::<String>());
    place.write("data/queries.jsonl", queries.collect::<String>());
    place.write("data/qrels/test.tsv", format!("query-id\tcorpus-id\tscore\n{}", qrels.collect::<String>()));
}

const QUICK: &str = "--objectives mnr,star --negatives in-batch,bm25 --steps 12 --seeds 2 --out out";

#[test]
fn a_folder_is_compared_and_the_best_retriever_searches() {
    let place = Place::new();
    collection(&place, 60);
    let run = place.run(&format!("compare --beir data {QUICK}"));
    run.succeeds();
    for part in [
        "60 judged queries, 60 documents",
        "mnr(negatives=bm25)",
        "star(negatives=bm25)",
        "no training",
        "vs BM25",
        "nDCG@10",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("out/comparison.json")).unwrap()).unwrap();
    let rows = json["results"].as_array().unwrap();
    assert_eq!(rows.len(), 6, "two losses with two sources, and the two that are not trained");
    for row in rows {
        for metric in ["nDCG@10", "MRR@10", "Recall@100", "AUROC", "calibration gap"] {
            let mean = row["metrics"][metric]["mean"].as_f64().unwrap();
            assert!((-1.0..=1.0).contains(&mean), "{metric}: {mean}");
        }
    }
    let html = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(html.contains("with BM25 as the control") && html.contains("Every threshold"));

    let found = place.run_list(&["search", "--model", "out/retriever", "topic3 own13", "--json", "-k", "3"]);
    found.succeeds();
    let hits: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(hits.as_array().unwrap().len(), 3);
    assert_eq!(hits[0]["_id"], "d13", "its own word is in no other document");
    let shown = place.run_list(&["search", "--model", "out/retriever", "topic3"]);
    assert!(shown.succeeds().out.contains("Topic3 shared"), "{}", shown.out);
    let unknown = place.run_list(&["search", "--model", "out/retriever", "nothing"]);
    assert!(unknown.succeeds().err.contains("knows no word"), "{}", unknown.err);

    // One document in fifty is copied with made-up words, which a static encoder does not know.
    let audit = place.run("audit --model out/retriever --beir data --k 3 --out audit");
    assert!(audit.succeeds().out.contains("62 documents of which 2 are planted"), "{}", audit.out);
    assert!(audit.out.contains("does not reliably lead"), "{}", audit.out);
    assert!(
        std::fs::read_to_string(place.path("audit/report.html")).unwrap().contains("What notices planted documents")
    );
    // Queries whose copies ask for a planted document find it.
    let copies = (0..60).map(|at| format!("{{\"_id\":\"q{at}\",\"text\":\"own7 own7 own7\"}}\n"));
    place.write("copies.jsonl", copies.collect::<String>());
    place.write("planted.jsonl", "{\"_id\":\"p\",\"text\":\"own7 own7\"}\n");
    let audit = place
        .run("audit --model out/retriever --beir data --triggered copies.jsonl --planted planted.jsonl --k 1 --json");
    let report: Value = serde_json::from_str(&audit.succeeds().out).unwrap();
    assert_eq!(report["cutoffs"][0]["lift"]["triggered"], 1.0);
    assert!(report["cutoffs"][0]["lift"]["p"].as_f64().unwrap() < 0.001);
    place.run("audit --model out/retriever --beir data --k 0").fails(2, &["`k`"]);
    place.write("copies.jsonl", "{\"_id\":\"q0\",\"text\":\"x\"}\n");
    place.run("audit --model out/retriever --beir data --triggered copies.jsonl").fails(1, &["no copy of query `q1`"]);
    place.run("audit --model out/retriever").fails(1, &["is not in the retriever", "--beir"]);

    place.write("out/retriever/weights.safetensors", "broken");
    place.run_list(&["search", "--model", "out/retriever", "x"]).fails(1, &["weights.safetensors", "compare --beir"]);
    place.run_list(&["search", "--model", "none", "x"]).fails(1, &["is not a usable retriever", "retriever.json"]);
    place.run_list(&["search", "--model", "out/retriever", " "]).fails(2, &["the query is empty"]);
}

#[test]
fn without_a_folder_the_generated_collection_serves() {
    let place = Place::new();
    let run = place.run("compare --objectives mw --steps 4 --seeds 1 --out out --beir");
    assert!(run.succeeds().out.contains("generated: 1000 judged queries, 1000 documents"), "{}", run.out);
}

#[test]
fn negatives_are_mined_for_other_libraries_and_interrupted_work_goes_on() {
    let place = Place::new();
    collection(&place, 60);
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(place.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    place.run("mine --beir data --strategy bm25 --count 2 --out st.jsonl").succeeds();
    let mined = lines("st.jsonl");
    assert_eq!(mined.len(), 60);
    for (at, line) in mined.iter().enumerate() {
        let own = format!("own{at} ");
        assert!(line["positive"].as_str().unwrap().contains(&own));
        for name in ["negative_1", "negative_2"] {
            let negative = line[name].as_str().unwrap();
            assert!(!negative.contains(&own) && negative.contains(&format!("topic{}", at % 5)), "{line}");
        }
    }
    for strategy in ["random", "dense", "filtered"] {
        let run = place.run(&format!(
            "mine --beir data --strategy {strategy} --format flag-embedding --count 3 --out {strategy}.jsonl"
        ));
        run.succeeds();
        for line in lines(&format!("{strategy}.jsonl")) {
            let positives = line["pos"].as_array().unwrap();
            assert!(line["neg"].as_array().unwrap().iter().all(|negative| !positives.contains(negative)));
        }
    }
    place.run("mine --beir data --strategy generated --out written.jsonl").succeeds();
    let written = lines("written.jsonl");
    assert_eq!(written.len(), 60);
    assert!(written.iter().all(|line| line["negative_1"] != line["positive"] && line.get("negative_2").is_none()));
    place.write("texts.jsonl", "{\"query_id\":\"q0\",\"text\":\"mine\"}\n");
    place
        .run("mine --beir data --strategy generated --texts texts.jsonl --out recorded.jsonl")
        .fails(1, &["query q1", "1 of 60 queries are done and kept"]);
    place
        .run("mine --beir data --strategy generated --endpoint nowhere --llm m --out asked.jsonl")
        .fails(1, &["endpoint", "https://host/v1"]);
    // As a killed run leaves it: some queries noted, half a line behind them.
    let whole = std::fs::read_to_string(place.path("st.jsonl")).unwrap();
    let first: String = whole.split_inclusive('\n').take(7).collect();
    place.write("again.jsonl", format!("{first}{{\"anch"));
    let plan = serde_json::json!({
        "plan": {"strategy": "bm25", "count": 2, "pool": 2, "max_ratio": null, "format": "sentence-transformers", "seed": 0,
                 "source": "data with static"},
        "queries": 7, "bytes": first.len(),
    });
    place.write("again.jsonl.progress", plan.to_string());
    let run = place.run("mine --beir data --strategy bm25 --count 2 --out again.jsonl");
    assert!(run.succeeds().err.contains("7 of 60 queries are done already"), "{}", run.err);
    assert_eq!(std::fs::read_to_string(place.path("again.jsonl")).unwrap(), whole);
    assert!(!place.path("again.jsonl.progress").exists());
}

#[test]
fn what_is_wrong_is_said_with_place_and_way_out() {
    let place = Place::new();
    place.run("compare --beir none").fails(1, &["corpus.jsonl", "BEIR form"]);
    collection(&place, 60);
    let bad = |arguments: &str, says: &[&str]| {
        place.run(&format!("compare --beir data {arguments} --out out")).fails(2, says);
        assert!(!place.path("out").exists(), "nothing is made for {arguments}");
    };
    bad("--objectives focal", &["no objective of retrieval", "mnr, mw, star, adore"]);
    bad("--negatives hardest", &["`hardest`", "one of in-batch"]);
    bad("--steps 1", &["steps", "at least 4"]);
    bad("--batch-size 1", &["batch_size"]);
    bad("--seeds 0", &["seeds"]);
    bad("--metric f1", &["metric", "nDCG@10"]);
    bad("--encoder large", &["`large`"]);
    bad("--epochs 3", &["--steps"]);
    place.run("mine --beir data --strategy in-batch --out x.jsonl").fails(2, &["while training"]);
    place.run("mine --beir data --format csv --out x.jsonl").fails(2, &["flag-embedding"]);
    place.run("mine --beir data --count 0 --out x.jsonl").fails(2, &["count"]);

    place.write("data/corpus.jsonl", "{\"_id\":\"d0\",\"text\":\"one\"}\n{\"_id\": broken\n");
    place.run("compare --beir data").fails(1, &["corpus.jsonl line 2", "no JSON"]);
    place.write("data/corpus.jsonl", "{\"_id\":\"d0\",\"text\":\"one\"}\n");
    place.run("compare --beir data").fails(1, &["the corpus has 1 document"]);
    collection(&place, 5);
    place.run("compare --beir data").fails(1, &["5 queries with a relevant document"]);
    place.write("data/queries.jsonl", b"{\"_id\":\"q0\",\"text\":\"\xff\"}\n");
    place.run("compare --beir data").fails(1, &["queries.jsonl line 1", "not UTF-8"]);
    collection(&place, 20);
    place.write("data/qrels/test.tsv", "q0\tnobody\t1\n");
    place.run("compare --beir data").fails(1, &["no query has a relevant document"]);
}
