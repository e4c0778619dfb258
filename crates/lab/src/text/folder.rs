use super::error::{TextError, read_json};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Where the parts of a sentence-transformers model lie.
pub(super) struct SentenceFolder {
    /// The folder of the BERT model and its tokenizer.
    pub model: PathBuf,
    /// Tokens to which texts are cut, where the folder says so.
    pub max_length: Option<usize>,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Lengths {
    max_seq_length: Option<usize>,
}

impl SentenceFolder {
    /// Reads `modules.json`, where there is one, and what it points to.
    ///
    /// # Errors
    /// When a module is none of transformer, pooling by mean and normalisation.
    pub fn read(folder: &Path) -> Result<Self, TextError> {
        let modules = folder.join("modules.json");
        let mut model = folder.to_path_buf();
        if modules.is_file() {
            for Module { path, kind } in read_json::<Vec<Module>>(&modules)? {
                match kind.rsplit('.').next() {
                    Some("Transformer") => model = folder.join(path),
                    Some("Pooling") => check_pooling(&folder.join(path).join("config.json"))?,
                    Some("Normalize") => {}
                    _ => {
                        let reason = format!(
                            "module `{kind}` is not supported; only Transformer, Pooling (mean) and Normalize are"
                        );
                        return Err(TextError::model(&modules, reason));
                    }
                }
            }
        }
        let lengths = model.join("sentence_bert_config.json");
        let max_length = if lengths.is_file() { read_json::<Lengths>(&lengths)?.max_seq_length } else { None };
        Ok(Self { model, max_length })
    }
}

/// Refuses every pooling but the mean: as a name in `pooling_mode`, or, in older files, as flags.
fn check_pooling(path: &Path) -> Result<(), TextError> {
    let settings: Map<String, Value> = read_json(path)?;
    let modes: Vec<&str> = match settings.get("pooling_mode") {
        Some(mode) => vec![mode.as_str().unwrap_or("of several kinds")],
        None => settings
            .iter()
            .filter(|(_, on)| **on == Value::Bool(true))
            .filter_map(|(name, _)| name.strip_prefix("pooling_mode_"))
            .collect(),
    };
    if matches!(modes[..], ["mean" | "mean_tokens"]) {
        return Ok(());
    }
    let found = if modes.is_empty() { "none".into() } else { modes.join(", ") };
    Err(TextError::model(path, format!("pooling is {found}, and only the mean of the tokens is supported")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transformer_with_the_mean_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let read = || SentenceFolder::read(folder.path()).map_err(|error| error.to_string());
        let plain = read().unwrap();
        assert_eq!((plain.model.as_path(), plain.max_length), (folder.path(), None));

        let modules = r#"[{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
        write("modules.json", modules);
        write("0_Transformer/sentence_bert_config.json", r#"{"max_seq_length": 64, "do_lower_case": false}"#);
        write("1_Pooling/config.json", r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#);
        let found = read().unwrap();
        assert_eq!((found.model, found.max_length), (folder.path().join("0_Transformer"), Some(64)));
        write("1_Pooling/config.json", r#"{"embedding_dimension": 3, "pooling_mode": "mean"}"#);
        assert!(read().is_ok());

        write("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#);
        assert!(read().err().unwrap().contains("pooling is cls_token"));
        write("modules.json", &modules.replace("models.Pooling", "models.Dense"));
        assert!(read().err().unwrap().contains("module `sentence_transformers.models.Dense` is not supported"));
        write("modules.json", "[1]");
        assert!(read().err().unwrap().contains("modules.json"));
    }
}
