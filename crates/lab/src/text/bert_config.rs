use super::error::{TextError, read_json};
use serde::Deserialize;
use std::path::Path;

/// Sizes of a [BERT model](super::Bert), as its `config.json` gives them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BertConfig {
    /// Rows of the table of word pieces.
    pub vocab_size: usize,
    /// Numbers of a hidden state, a multiple of the number of heads.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Units between the two linear layers of a block.
    pub intermediate_size: usize,
    /// The longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Types of token; only the first is used.
    pub type_vocab_size: usize,
    /// Added to a variance before its root is taken.
    pub layer_norm_eps: f64,
    /// The non-linearity; only `gelu`, the one with the error function, can be used.
    pub hidden_act: String,
    /// How positions come in; only `absolute` can be used.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// The kind of model; only `bert` can be used.
    #[serde(default = "bert")]
    pub model_type: String,
}

fn absolute() -> String {
    "absolute".into()
}

fn bert() -> String {
    "bert".into()
}

impl BertConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a field, or describes a model that is not supported.
    pub fn from_file(path: &Path) -> Result<Self, TextError> {
        let config: Self = read_json(path)?;
        config.check().map_err(|reason| TextError::model(path, reason))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (field, value, supported) in [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ] {
            if value != supported {
                return Err(format!("`{field}` is {value}, and only {supported} is supported"));
            }
        }
        for (field, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ] {
            if value == 0 {
                return Err(format!("`{field}` is 0, but must be at least 1"));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "`hidden_size` is {}, but must be a multiple of `num_attention_heads`, {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(format!("`layer_norm_eps` is {}, but must lie between 0 and 1", self.layer_norm_eps));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_cannot_be_used_are_refused_by_field() {
        let good = r#"{"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 4, "max_position_embeddings": 6, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
            "hidden_act": "gelu", "use_cache": true}"#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let message = |text: &str| {
            std::fs::write(&path, text).unwrap();
            BertConfig::from_file(&path).map_err(|error| error.to_string())
        };
        assert_eq!(message(good).unwrap().hidden_size, 8);
        for (old, new, named) in [
            (r#""gelu""#, r#""relu""#, "`hidden_act` is relu"),
            (r#""num_attention_heads": 2"#, r#""num_attention_heads": 3"#, "multiple of `num_attention_heads`, 3"),
            (r#""vocab_size": 9"#, r#""vocab_size": 0"#, "`vocab_size` is 0"),
            ("1e-12", "0", "`layer_norm_eps` is 0"),
            (r#""use_cache": true"#, r#""model_type": "roberta""#, "`model_type` is roberta"),
            (r#""hidden_size": 8,"#, "", "missing field `hidden_size`"),
        ] {
            let error = message(&good.replace(old, new)).unwrap_err();
            assert!(error.contains(named) && error.contains("config.json"), "{error}");
        }
    }
}
