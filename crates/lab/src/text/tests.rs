//! A tiny model of random weights, written as a sentence-transformers folder: no download is needed.

use super::*;
use burn::tensor::Device;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

const CONFIG: &str = r#"{"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 20, "max_position_embeddings": 9, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu"}"#;

const TOKENIZER: &str = r###"{"version": "1.0", "truncation": null, "added_tokens": [], "decoder": null,
    "padding": {"strategy": {"Fixed": 6}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "[PAD]"},
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
        "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "cat": 4, "dog": 5, "##s": 6, "run": 7, "bark": 8}}}"###;

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors() -> Tensors {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![12, 8]),
        ("embeddings.position_embeddings.weight".into(), vec![9, 8]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, 8]),
    ];
    let mut pair = |name: String, weight: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![weight[0]]));
        shapes.push((format!("{name}.weight"), weight));
    };
    pair("embeddings.LayerNorm".into(), vec![8]);
    for layer in 0..2 {
        for (name, weight) in [
            ("attention.self.query", vec![8, 8]),
            ("attention.self.key", vec![8, 8]),
            ("attention.self.value", vec![8, 8]),
            ("attention.output.dense", vec![8, 8]),
            ("attention.output.LayerNorm", vec![8]),
            ("intermediate.dense", vec![20, 8]),
            ("output.dense", vec![8, 20]),
            ("output.LayerNorm", vec![8]),
        ] {
            pair(format!("encoder.layer.{layer}.{name}"), weight);
        }
    }
    let mut state = 1u32;
    let mut number = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut filled = |(name, shape): (String, Vec<usize>)| {
        let bytes = (0..shape.iter().product()).flat_map(|_| number().to_le_bytes()).collect();
        (name, (Dtype::F32, shape, bytes))
    };
    shapes.into_iter().map(&mut filled).collect()
}

fn write(folder: &Path, tensors: &Tensors) {
    std::fs::write(folder.join("config.json"), CONFIG).unwrap();
    std::fs::write(folder.join("tokenizer.json"), TOKENIZER).unwrap();
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes fit the shape"))
    });
    std::fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn fast_form_agrees_with_the_module_and_order_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &tensors());
    let device = Device::flex();
    let (tokenizer, bert) = SentenceEncoder::load_parts(folder.path(), &device).unwrap();
    let texts = ["cats run", "dog", "", "the dogs bark and the cats run and run and run", "unheard-of"];
    let batch = tokenizer.batch(&texts).unwrap();
    // Nine positions are all that the model has; padding is to the longest, not to the file's six.
    assert_eq!((batch.texts, batch.length, &batch.ids[..6]), (5, 9, &[2, 4, 6, 7, 3, 0][..]));
    let module = bert.embed(batch.ids(&device), batch.mask(&device)).into_data().try_to_vec::<f32>().unwrap();
    let encoder = SentenceEncoder::new(tokenizer, &bert).unwrap();
    for batch in [0, 2, 32] {
        let rows = encoder.encode(&texts, batch).unwrap();
        assert_eq!((rows.rows, rows.cols), (5, 8));
        for (found, expected) in rows.data.iter().zip(&module) {
            assert!((found - expected).abs() < 2e-6, "{found} against {expected}");
        }
    }
    let none: [&str; 0] = [];
    assert_eq!(encoder.encode(&none, 32).unwrap().rows, 0);
}

#[test]
fn a_stream_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &tensors());
    let encoder = SentenceEncoder::load(folder.path()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut sizes = Vec::new();
    let done = encoder.encode_each(std::iter::repeat_n("cat", 10), 3, &stop, |rows| {
        sizes.push(rows.rows);
        stop.store(sizes.len() == 2, std::sync::atomic::Ordering::Relaxed);
        Ok::<(), TextError>(())
    });
    assert_eq!((done.unwrap(), sizes), (6, vec![3, 3]));
}

#[test]
fn a_prefix_is_accepted_and_what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |tensors: &Tensors| {
        write(folder.path(), tensors);
        SentenceEncoder::load(folder.path()).map(|_| ()).map_err(|error| error.to_string())
    };
    let good = tensors();
    let prefixed = good.iter().map(|(name, tensor)| (format!("bert.{name}"), tensor.clone())).collect();
    assert_eq!(load(&prefixed), Ok(()));

    let name = "encoder.layer.1.output.dense.weight";
    let mut missing = good.clone();
    missing.remove(name);
    let error = load(&missing).unwrap_err();
    assert!(error.contains("model.safetensors") && error.contains(&format!("no tensor `{name}`")), "{error}");
    let mut turned = good.clone();
    turned.get_mut(name).unwrap().1.reverse();
    let error = load(&turned).unwrap_err();
    assert!(error.contains(name) && error.contains("[20, 8]") && error.contains("[8, 20]"), "{error}");
    let mut integers = good.clone();
    integers.get_mut(name).unwrap().0 = Dtype::I32;
    let error = load(&integers).unwrap_err();
    assert!(error.contains(name) && error.contains("I32"), "{error}");

    let error_with = |file: &str, text: &str| {
        write(folder.path(), &good);
        std::fs::write(folder.path().join(file), text).unwrap();
        SentenceEncoder::load(folder.path()).unwrap_err().to_string()
    };
    let error = error_with("tokenizer.json", &TOKENIZER.replace("\"bark\": 8", "\"bark\": 12"));
    assert!(error.contains("token `bark` has the number 12") && error.contains("12 rows"), "{error}");
    assert!(error_with("tokenizer.json", "{}").contains("it is no tokenizer"));
    assert!(error_with("model.safetensors", "broken").contains("no whole .safetensors file"));
    assert!(TextTokenizer::from_folder(folder.path(), 2).unwrap_err().to_string().contains("a length of 2"));
    write(folder.path(), &good);
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(SentenceEncoder::load(folder.path()).unwrap_err().to_string().starts_with("cannot read"));
}
