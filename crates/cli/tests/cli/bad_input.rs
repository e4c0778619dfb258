//! Bad input: exit status, a message that says what, where and what to do, and nothing lost.

use crate::support::{BINARY, Outcome, Place, outcome, quick, table};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn files_that_are_no_tables() {
    let place = Place::new();
    place.run("compare --data nowhere.csv").fails(1, &["cannot read nowhere.csv"]);
    place.run("compare --data .").fails(1, &["it is a folder"]);
    let mut not_utf8 = table(30).into_bytes();
    not_utf8.extend(b"1,\xff\xfe,,rare\n");
    for (content, says) in [
        (b"".to_vec(), vec!["bad.csv", "empty"]),
        (b"a,b,c\n".to_vec(), vec!["bad.csv", "no row below it"]),
        (b"a,b\n1,x\n2\n".to_vec(), vec!["bad.csv line 3", "1 fields", "header has 2"]),
        (b"a,b,a\n1,2,3\n".to_vec(), vec!["line 1", "both called `a`"]),
        (not_utf8, vec!["line 32", "not UTF-8"]),
        (b"y\na\nb\na\nb\na\nb\na\nb\na\nb\n".to_vec(), vec!["target `y`", "no other column"]),
    ] {
        let path = place.write("bad.csv", content);
        place.run(&quick(&path)).fails(1, &says);
    }
}

#[test]
fn targets_that_cannot_be_predicted() {
    let place = Place::new();
    let path = place.write("t.csv", table(60));
    place.run(&format!("{} --target knid", quick(&path))).fails(1, &["no column `knid`", "did you mean `kind`?"]);
    place.run(&format!("{} --positive rar", quick(&path))).fails(1, &["no class `rar`", "did you mean `rare`?"]);
    let one: String = (0..20).map(|i| format!("{i},a\n")).collect();
    let path = place.write("one.csv", format!("x,y\n{one}"));
    place.run(&quick(&path)).fails(1, &["every row is of the class `a`"]);
    let path = place.write("rare.csv", format!("x,y\n{one}1,b\n2,b\n"));
    place.run(&quick(&path)).fails(1, &["`b` has 2", "5 rows that splits need"]);
    let quantity: String = (0..60).map(|i| format!("{i},{}\n", f64::from(i) / 7.0)).collect();
    let path = place.write("quantity.csv", format!("x,y\n{quantity}"));
    place.run(&quick(&path)).fails(1, &["looks like a quantity"]);
}

#[test]
fn cells_that_are_no_numbers() {
    let place = Place::new();
    let with = |cell: &str| place.write("t.csv", format!("{}{cell},red,,rare\n", table(60)));
    place.run(&quick(&with("inf"))).fails(1, &["line 62", "column `size`", "`inf` is infinite", "--missing inf"]);
    place.run(&quick(&with("tall"))).fails(1, &["line 62", "`tall` is not a number", "--categorical size"]);
    place.run(&quick(&with("NaN"))).succeeds();
    place.run(&format!("{} --missing tall", quick(&with("tall")))).succeeds();
    place.run(&format!("{} --categorical size", quick(&with("tall")))).succeeds();
}

#[test]
fn names_and_values_that_cannot_be_meant() {
    let place = Place::new();
    for (arguments, says) in [
        ("compare --objectives focl", vec!["unknown objective `focl`", "did you mean `focal`?", "list objectives"]),
        ("compare --objectives focal(gama=1)", vec!["no parameter `gama`", "did you mean `gamma`?"]),
        ("compare --objectives focal(gamma=-1)", vec!["`gamma` is -1", "at least 0"]),
        ("compare --objectives focal(gamma=1", vec!["not closed"]),
        ("compare --objectives focal,focal", vec!["listed twice"]),
        ("compare --dataset iris --objectives dice", vec!["for two classes", "multiclass-dice"]),
        ("compare --metric f1score", vec!["unknown metric `f1score`", "did you mean `f1`?"]),
        ("compare --dataset wine", vec!["no embedded data set `wine`", "did you mean `winequality`?"]),
        ("compare --seeds 0", vec!["`seeds` is 0"]),
        ("compare --learning-rate 0", vec!["`learning_rate` is 0"]),
        ("compare --dropout 1", vec!["`dropout` is 1"]),
        ("compare --batch-size 0", vec!["`batch_size` is 0"]),
        ("compare --balanced --objectives aldr", vec!["`balanced`", "aldr"]),
        ("compare --target y", vec!["--data"]),
        ("train --dataset iris --objective dice --out m", vec!["for two classes", "multiclass-dice"]),
        ("train --objective focal(gamma=x) --out m", vec!["must be a number"]),
        ("run comp-sun", vec!["no paper is called `comp-sun`", "did you mean `comp-sum`?"]),
        ("run dice --preset tiny", vec!["`tiny` is no preset"]),
        ("run dice --set sedes=1", vec!["no setting `sedes`", "seeds"]),
        ("show focla", vec!["did you mean `focal`?"]),
        ("compair", vec!["compare"]),
    ] {
        place.run(arguments).fails(2, &says);
    }
    assert!(!place.path("runs").join("compare").exists(), "wrong usage leaves no folder");
}

#[test]
fn folders_that_cannot_be_written() {
    let place = Place::new();
    let data = place.write("t.csv", table(60));
    place.write("file", "in the way");
    let blocked = quick(&data).replace("--out out", "--out file/below");
    place.run(&blocked).fails(1, &["cannot write to the folder", "--out"]);
    place.run(&format!("train --data {} --epochs 1 --out file/below", data.display())).fails(1, &["file/below"]);
}

#[test]
fn a_full_disk_does_not_cost_the_results() {
    let place = Place::new();
    let data = place.write("t.csv", table(60));
    // Files may grow to 4 blocks only; the signal that would end the process is ignored, so writing fails as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f 4; exec {BINARY} {}", quick(&data));
    let output = Command::new("sh").args(["-c", &script]).current_dir(place.path("")).output().unwrap();
    let outcome = outcome(&output);
    outcome.fails(1, &["cannot write", "report.html"]);
    assert!(outcome.out.contains("cross-entropy"), "the table was printed: {}", outcome.out);
    assert!(!place.path("out/report.html").exists(), "nothing half-written is left");
    assert!(place.path("out/results.csv").exists() || outcome.err.contains("results.csv"));

    place.run(&format!("train --data {} --epochs 2 --out model", data.display())).succeeds();
    let full = place.run(&format!("predict --model model --data {} --out /dev/full", data.display()));
    full.fails(1, &["/dev/full"]);
}

#[test]
fn models_that_are_damaged_or_of_another_version() {
    let place = Place::new();
    let data = place.write("t.csv", table(60));
    let train = || {
        place.run(&format!("train --data {} --epochs 2 --out model", data.display())).succeeds();
    };
    let predict = || place.run(&format!("predict --model model --data {}", data.display()));
    place.run(&format!("predict --model nowhere --data {}", data.display())).fails(1, &["nowhere", "model.json"]);
    train();
    predict().succeeds();
    let weights = place.path("model/weights.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    predict().fails(1, &["checksum", "train it again"]);
    std::fs::remove_file(&weights).unwrap();
    predict().fails(1, &["weights.safetensors"]);
    train();
    let manifest = place.path("model/model.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("\"format\": 2", "\"format\": 99", 1)).unwrap();
    predict().fails(1, &["format 99", "reads format 2"]);
    std::fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    predict().fails(1, &["no valid JSON"]);
}

#[test]
fn columns_that_differ_from_training() {
    let place = Place::new();
    let data = place.write("t.csv", table(60));
    place.run(&format!("train --data {} --epochs 2 --out model", data.display())).succeeds();
    let lacking = place.write("lacking.csv", "colour,kind\nred,rare\n");
    place.run(&format!("predict --model model --data {}", lacking.display())).fails(1, &["lacks the columns size"]);
    let text = place.write("text.csv", "size,colour\nbig,red\nsmall,red\n");
    place
        .run(&format!("predict --model model --data {}", text.display()))
        .fails(1, &["`size` was numeric", "row 1: `big`"]);
    let more = place.write("more.csv", "new,colour,size\n1,purple,\n2,red,1.5\n");
    let predicted = place.run(&format!("predict --model model --data {}", more.display()));
    predicted.succeeds();
    assert!(predicted.err.contains("new"), "{}", predicted.err);
    assert_eq!(predicted.out.lines().count(), 3);
}

/// Runs the command, sends Ctrl-C two seconds after it made its folder, and waits for its end.
fn interrupted(place: &Place, arguments: &str) -> Outcome {
    let child = Command::new(BINARY)
        .args(arguments.split_whitespace())
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !place.path("out").exists() && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let outcome = outcome(&child.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(20), "it ends soon after Ctrl-C");
    assert_eq!(outcome.code, 130, "{}", outcome.err);
    outcome
}

#[test]
fn ctrl_c_keeps_finished_fits() {
    let place = Place::new();
    let data = place.write("t.csv", table(200));
    let long = quick(&data).replace("--seeds 3 --epochs 3", "--seeds 2000 --epochs 100");
    let outcome = interrupted(&place, &long);
    assert!(outcome.out.contains("focal"), "the table of finished fits: {}", outcome.out);
    let report = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(report.contains("stopped") || report.contains("interrupted"), "the report says so");
}

#[test]
fn ctrl_c_keeps_the_measurements_of_a_study() {
    let place = Place::new();
    let outcome = interrupted(&place, "run dice --preset smoke --set seeds=20000 --out out");
    assert!(outcome.err.contains("metrics.jsonl"), "{}", outcome.err);
    let lines = std::fs::read_to_string(place.path("out/metrics.jsonl")).unwrap();
    assert!(lines.lines().count() > 2, "{lines}");
}
