//! Images: from files to a comparison, a model and its predictions, and what is wrong with files.

use crate::support::Place;
use contrarian_lab::data::{ImageOptions, load_images};
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;
use std::path::PathBuf;

/// Grey value of a pixel: a bright bar, upright or lying, at a place and with a background that depend on the image.
fn bar(upright: bool, index: usize, y: usize, x: usize) -> u8 {
    let across = if upright { x } else { y };
    let noise = (index * 31 + y * 17 + x * 7) % 40;
    if across == 1 + index % 6 { 200 + noise as u8 } else { noise as u8 }
}

/// A folder of two class folders with `each` grey PNG files of 8 x 8.
fn png_folder(place: &Place, name: &str, each: usize) -> PathBuf {
    for (class, upright) in [("upright", true), ("lying", false)] {
        let folder = place.path(name).join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for index in 0..each {
            let image = GrayImage::from_fn(8, 8, |x, y| Luma([bar(upright, index, y as usize, x as usize)]));
            image.save(folder.join(format!("{index:03}.png"))).unwrap();
        }
    }
    place.path(name)
}

fn idx(dims: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|&dim| (dim as u32).to_be_bytes()));
    file.extend(bytes);
    file
}

/// An IDX pair in a folder: `count` images of 8 x 8, upright bars being 1 and lying ones 4.
fn idx_folder(place: &Place, name: &str, count: usize) -> PathBuf {
    let folder = place.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    let pixel = |i: usize| bar((i / 64).is_multiple_of(2), i / 128, i / 8 % 8, i % 8);
    let pixels: Vec<u8> = (0..count * 64).map(pixel).collect();
    let labels: Vec<u8> = (0..count).map(|image| if image % 2 == 0 { 1 } else { 4 }).collect();
    std::fs::write(folder.join("train-images-idx3-ubyte"), idx(&[count, 8, 8], &pixels)).unwrap();
    std::fs::write(folder.join("train-labels-idx1-ubyte"), idx(&[count], &labels)).unwrap();
    folder
}

/// Lines of a CSV as cells.
fn cells(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn a_folder_of_pngs_is_compared_trained_on_and_predicted() {
    let place = Place::new();
    png_folder(&place, "bars", 60);
    let run = place.run("compare --images bars --objectives focal --seeds 2 --epochs 2 --out out");
    run.succeeds();
    for part in ["bars: 120 rows, grey images of 8 x 8 pixels, `class` in 2 classes", "CNN 1x8x8", "focal"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(std::fs::read_to_string(place.path("out/report.html")).unwrap().contains("grey images of 8 x 8"));

    let trained = place.run("train --images bars --objective focal --learning-rate 0.01 --epochs 15 --out model");
    assert!(trained.succeeds().out.contains("CNN 1x8x8"), "{}", trained.out);
    let manifest: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("model/model.json")).unwrap()).unwrap();
    assert_eq!((&manifest["model"]["kind"], &manifest["preprocessor"]["kind"]), (&"cnn".into(), &"images".into()));
    assert_eq!(manifest["preprocessor"]["shape"], serde_json::json!({"channels": 1, "height": 8, "width": 8}));
    assert_eq!(manifest["preprocessor"]["mean"].as_array().unwrap().len(), 1);

    // Class folders: the names say what is right.
    let predicted = place.run("predict --model model --images bars");
    let lines = cells(&predicted.succeeds().out);
    assert_eq!(lines[0], ["image", "class", "p(lying)", "p(upright)"]);
    assert_eq!((lines.len(), lines[1][0]), (121, "lying/000.png"));
    let right = lines[1..].iter().filter(|line| line[0].starts_with(line[1])).count();
    assert!(right >= 110, "{right} of 120 images are right");
    for line in &lines[1..] {
        let sum: f64 = line[2..].iter().map(|p| p.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{line:?}");
    }
    // A folder without class folders, and one file, give the same numbers.
    let flat = place.run("predict --model model --images bars/lying --out flat.csv");
    flat.succeeds();
    let flat = std::fs::read_to_string(place.path("flat.csv")).unwrap();
    let one = place.run("predict --model model --images bars/lying/000.png");
    let one = cells(&one.succeeds().out);
    assert_eq!(cells(&flat)[1][0], "000.png");
    let close = |a: &str, b: &str| (a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()).abs() < 1e-5;
    assert!(close(cells(&flat)[1][2], lines[1][2]) && close(one[1][2], lines[1][2]), "{one:?} {:?}", lines[1]);
}

#[test]
fn idx_files_are_trained_on_with_either_model_and_predicted_by_index() {
    let place = Place::new();
    idx_folder(&place, "digits", 120);
    for (model, says) in [("cnn", "CNN 1x8x8"), ("mlp --depth 1 --width 32", "MLP 64-32-2")] {
        let train = format!("train --images digits --model {model} --learning-rate 0.01 --epochs 15 --out model");
        assert!(place.run(&train).succeeds().out.contains(says));
        let predicted = place.run("predict --model model --images digits/train-images-idx3-ubyte");
        let lines = cells(&predicted.succeeds().out);
        assert_eq!((lines[0].clone(), lines.len()), (vec!["image", "class", "p(1)", "p(4)"], 121));
        let truth = |line: &Vec<&str>| if line[0].parse::<usize>().unwrap() % 2 == 0 { "1" } else { "4" };
        let right = lines[1..].iter().filter(|line| line[1] == truth(line)).count();
        assert!(right >= 105, "{model}: {right} of 120 images are right");
    }
    let limited = place.run("compare --images digits --limit 40 --objectives brier --seeds 2 --epochs 1 --out out");
    limited.succeeds();
    assert!(limited.out.contains("40 rows") && limited.err.contains("40 of 120 images are used"), "{}", limited.err);
    let two = place.run(
        "compare --images digits --images digits/train-images-idx3-ubyte --model mlp --positive 1 --objectives brier \
         --seeds 2 --epochs 1 --out two",
    );
    assert!(two.succeeds().out.contains("ranks averaged over 2 data sets") && two.out.contains("positive: 1"));
}

#[test]
fn colours_are_kept_on_request_and_sizes_made_equal() {
    let place = Place::new();
    for (class, colour) in [("green", [0, 90, 0]), ("red", [90, 0, 0])] {
        let folder = place.path("colours").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for index in 0..30u32 {
            let side = if index % 3 == 0 { 10 } else { 8 };
            let [r, g, b] = colour.map(|c: u8| c + index as u8);
            RgbImage::from_pixel(side, side + 1, Rgb([r, g, b])).save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
    // The first image, 0.png, is of 11 x 10 pixels.
    let run = place.run("train --images colours --rgb --learning-rate 0.01 --epochs 15 --out model");
    assert!(run.succeeds().out.contains("CNN 3x11x10"), "{}", run.out);
    assert!(run.err.contains("note: 40 images are resized to 11 x 10 pixels"), "{}", run.err);
    let predicted = place.run("predict --model model --images colours");
    let lines = cells(&predicted.succeeds().out);
    // Colours that differ by 90 in two channels are no matter of luck.
    assert!(lines[1..].iter().all(|line| line[0].starts_with(line[1])), "{}", predicted.out);
    // Other sizes and grey files are brought to what the model knows.
    idx_folder(&place, "digits", 6);
    let grey = place.run("predict --model model --images digits");
    assert!(grey.succeeds().err.contains("6 images are resized to 11 x 10"), "{}", grey.err);
    assert!(place.run("train --images colours --size 6x7 --epochs 1 --out small").succeeds().out.contains("CNN 1x6x7"));
    place.run("train --images digits --rgb --out m").fails(1, &["`1` has 3 images", "two classes are needed"]);
}

#[test]
fn real_digits_are_learned() {
    let Some(data) = std::env::var_os("CONTRARIAN_DATA") else {
        println!("skipped: CONTRARIAN_DATA names no folder of real data");
        return;
    };
    let mnist = PathBuf::from(data).join("mnist");
    let place = Place::new();
    let images = mnist.to_str().unwrap();
    let train = ["train", "--images", images, "--limit", "2000", "--epochs", "4", "--out", "model"];
    let trained = place.run_list(&train);
    trained.succeeds();
    assert!(trained.err.contains("2000 of 60000") && trained.err.contains("train-images"), "{}", trained.err);
    let test = mnist.join("t10k-images-idx3-ubyte.gz");
    let predicted = place.run_list(&["predict", "--model", "model", "--images", test.to_str().unwrap()]);
    let lines = cells(&predicted.succeeds().out);
    assert_eq!((lines.len(), lines[1].len()), (10_001, 12));
    let digits = load_images(&test, &ImageOptions::default()).unwrap();
    let truth = digits.labels.iter().map(|&label| &digits.classes[label]);
    let right = lines[1..].iter().zip(truth).filter(|(line, digit)| line[1] == **digit).count();
    // Deciding for the nearest class mean of all 60000 training images is right for 82% of the test images.
    assert!(right > 8200, "{right} of 10000");
}

#[test]
fn files_that_are_no_images() {
    let place = Place::new();
    let quick = |path: &str| place.run(&format!("compare --images {path} --objectives focal --seeds 2 --epochs 1"));
    quick("nowhere").fails(1, &["cannot read nowhere"]);
    std::fs::create_dir(place.path("void")).unwrap();
    quick("void").fails(1, &["void", "neither IDX files nor a folder for each class"]);
    let bars = png_folder(&place, "bars", 6);
    quick("bars/lying/000.png").fails(1, &["000.png", "one image", "a folder for each class"]);
    std::fs::write(bars.join("lying/003.png"), "text").unwrap();
    quick("bars").fails(1, &["003.png", "cannot be read as an image", "mend or remove it"]);
    // The signature and header of a PNG, then nothing.
    let whole = std::fs::read(bars.join("lying/002.png")).unwrap();
    std::fs::write(bars.join("lying/003.png"), &whole[..40]).unwrap();
    quick("bars").fails(1, &["003.png", "cannot be read as an image"]);
    std::fs::remove_dir_all(bars.join("lying")).unwrap();
    quick("bars").fails(1, &["every image is of the class `upright`", "two classes"]);
    std::fs::create_dir(bars.join("lying")).unwrap();
    quick("bars").fails(1, &["class `lying` has 0 images", "two classes"]);
    std::fs::remove_dir_all(bars.join("upright")).unwrap();
    quick("bars").fails(1, &["no image in it"]);

    let digits = idx_folder(&place, "digits", 20);
    let images = digits.join("train-images-idx3-ubyte");
    let whole = std::fs::read(&images).unwrap();
    std::fs::write(&images, &whole[..500]).unwrap();
    quick("digits").fails(1, &["train-images-idx3-ubyte", "cut off", "1280 bytes"]);
    std::fs::write(&images, &whole[..9]).unwrap();
    quick("digits").fails(1, &["no IDX file"]);
    std::fs::write(&images, &whole).unwrap();
    std::fs::write(digits.join("train-labels-idx1-ubyte"), idx(&[20], &[3; 20])).unwrap();
    quick("digits").fails(1, &["every image is of the class `3`"]);
    std::fs::write(digits.join("train-labels-idx1-ubyte"), idx(&[19], &[3; 19])).unwrap();
    quick("digits").fails(1, &["19 labels for 20 images"]);
    std::fs::remove_file(digits.join("train-labels-idx1-ubyte")).unwrap();
    quick("digits").fails(1, &["labels file `train-labels-idx1-ubyte`", "not beside it"]);
}

#[test]
fn options_and_models_that_do_not_fit_images() {
    let place = Place::new();
    png_folder(&place, "bars", 20);
    for (arguments, says) in [
        ("compare --model cnn", vec!["`model` is cnn", "needs images"]),
        ("train --dataset iris --model cnn --out m", vec!["`model` is cnn", "needs images"]),
        ("train --images bars --size 1x1 --out m", vec!["`height` is 1", "4 pixels", "MLP"]),
        ("train --images bars --size 8by8 --out m", vec!["8by8", "32x32"]),
        ("train --images bars --limit 0 --out m", vec!["`limit` is 0"]),
        ("train --images bars --width 8 --out m", vec!["--width", "--model mlp"]),
        ("train --images bars --data t.csv --out m", vec!["--data", "cannot be used with"]),
        ("train --images bars --dataset iris --out m", vec!["--dataset", "cannot be used with"]),
        ("train --rgb --out m", vec!["--images"]),
        ("predict --model m", vec!["--data"]),
    ] {
        place.run(arguments).fails(2, &says);
    }
    place.run("train --images bars --size 5000x8 --out m").fails(1, &["5000 x 8", "1024 x 1024"]);
    place.run("train --images bars --positive uprigt --out m").fails(1, &["no class `uprigt`", "`upright`?"]);
    assert!(!place.path("m").exists(), "wrong usage leaves no folder");
    // A pixel is enough for the perceptron.
    place.run("train --images bars --size 1x1 --model mlp --epochs 1 --out dot").succeeds();

    place.run("train --images bars --epochs 1 --out images").succeeds();
    place.run("train --dataset iris --epochs 1 --out table").succeeds();
    let csv = place.write("t.csv", "a,b\n1,2\n");
    place
        .run(&format!("predict --model images --data {}", csv.display()))
        .fails(1, &["trained on grey images of 8 x 8 pixels", "--images"]);
    place.run("predict --model table --images bars").fails(1, &["trained on a table", "--data"]);
    std::fs::create_dir(place.path("void")).unwrap();
    place.run("predict --model images --images void").fails(1, &["void", "no image in it"]);
    place.run("predict --model images --images t.csv").fails(1, &["t.csv", "no IDX file"]);
    // A damaged manifest: a network of another size than its preprocessing.
    let manifest = place.path("images/model.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("\"height\": 8", "\"height\": 4", 1)).unwrap();
    place.run("predict --model images --images bars").fails(1, &["does not fit", "train it again"]);
}
