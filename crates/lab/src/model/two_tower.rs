use super::{Mlp, MlpConfig, Mode};
use crate::data::Matrix;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::InvalidParameter;
use contrarian::contrastive::normalize_rows;

/// Configuration of [two towers](TwoTower).
#[derive(Config, Debug)]
pub struct TwoTowerConfig {
    /// Numbers of a query, at least 1.
    pub query_inputs: usize,
    /// Numbers of a document, at least 1.
    pub document_inputs: usize,
    /// Units of the hidden layer of each tower, at least 1.
    #[config(default = 96)]
    pub width: usize,
    /// Length of an embedding, at least 2.
    #[config(default = 24)]
    pub dim: usize,
}

impl TwoTowerConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        if self.dim < 2 {
            return Err(InvalidParameter::new("dim", self.dim, "at least 2"));
        }
        self.tower(self.query_inputs).validate()?;
        self.tower(self.document_inputs).validate()
    }

    fn tower(&self, inputs: usize) -> MlpConfig {
        MlpConfig::new(inputs, self.dim).with_width(self.width).with_depth(1)
    }

    /// Builds the model, its weights drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> TwoTower {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        TwoTower {
            queries: self.tower(self.query_inputs).init(device, seed),
            documents: self.tower(self.document_inputs).init(device, seed.wrapping_add(0x9e37_79b9_7f4a_7c15)),
        }
    }
}

/// Two towers: queries and documents of different kinds into one space, on its unit sphere.
#[derive(Module, Debug)]
pub struct TwoTower {
    queries: Mlp,
    documents: Mlp,
}

impl TwoTower {
    /// Embeddings of queries, `[batch, query_inputs]` to `[batch, dim]`.
    pub fn queries(&self, x: Tensor<2>) -> Tensor<2> {
        normalize_rows(self.queries.logits(x, &mut Mode::Inference))
    }

    /// Embeddings of documents, `[batch, document_inputs]` to `[batch, dim]`.
    pub fn documents(&self, x: Tensor<2>) -> Tensor<2> {
        normalize_rows(self.documents.logits(x, &mut Mode::Inference))
    }

    /// Embeddings of all rows of both kinds, for search.
    pub fn embed(&self, queries: &Matrix, documents: &Matrix) -> (Matrix, Matrix) {
        let model = self.valid();
        let input = |x: &Matrix| Tensor::from_data(TensorData::new(x.data.clone(), [x.rows, x.cols]), &Device::flex());
        (matrix(model.queries(input(queries))), matrix(model.documents(input(documents))))
    }
}

fn matrix(x: Tensor<2>) -> Matrix {
    let [rows, cols] = x.dims();
    Matrix { rows, cols, data: x.into_data().iter::<f32>().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towers_differ_and_end_on_the_sphere() {
        let model = TwoTowerConfig::new(3, 3).with_width(8).with_dim(4).init(&Device::flex(), 1);
        let x = Matrix { rows: 2, cols: 3, data: vec![1.0, -2.0, 0.5, 0.0, 1.0, 2.0] };
        let (queries, documents) = model.embed(&x, &x);
        assert_ne!(queries, documents);
        for row in 0..2 {
            for embedded in [&queries, &documents] {
                let length: f32 = embedded.row(row).iter().map(|value| value * value).sum();
                assert!((length - 1.0).abs() < 1e-6, "{length}");
            }
        }
        assert_eq!(
            model.embed(&x, &x),
            TwoTowerConfig::new(3, 3).with_width(8).with_dim(4).init(&Device::flex(), 1).embed(&x, &x)
        );
    }

    #[test]
    fn sizes_out_of_range_are_named() {
        let field = |config: TwoTowerConfig| config.validate().map_err(|error| error.field);
        assert_eq!(field(TwoTowerConfig::new(3, 3)), Ok(()));
        assert_eq!(field(TwoTowerConfig::new(3, 3).with_dim(1)), Err("dim".into()));
        assert_eq!(field(TwoTowerConfig::new(3, 0)), Err("inputs".into()));
    }
}
