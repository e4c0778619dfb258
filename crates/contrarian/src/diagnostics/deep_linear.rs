use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// Configuration of a [deep linear head](DeepLinearHead).
#[derive(Config, Debug)]
pub struct DeepLinearHeadConfig {
    /// Widths from the features to the classes, two or more, each at least 1: `[64, 64, 10]` is two layers.
    pub dims: Vec<usize>,
    /// Whether the last layer has a bias.
    #[config(default = false)]
    pub bias: bool,
}

impl DeepLinearHeadConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When there are fewer than two widths or one is 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let fits = self.dims.len() >= 2 && !self.dims.contains(&0);
        require(fits, "dims", format!("{:?}", self.dims), "two widths or more, each at least 1")
    }

    /// Builds the head in f32, with orthogonal weights drawn from `seed` alone and a bias of 0.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> DeepLinearHead {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let weights = self.dims.windows(2).map(|pair| {
            let weight = orthogonal(pair[1], pair[0], &mut rng);
            // nalgebra stores columns; the transpose's columns are our rows.
            let data = TensorData::new(weight.transpose().as_slice().to_vec(), [pair[1], pair[0]]);
            Param::from_data(data.convert_dtype(DType::F32), device)
        });
        let weights = weights.collect();
        let classes = *self.dims.last().expect("validated");
        let bias = self.bias.then(|| Param::from_tensor(Tensor::zeros([classes], device)));
        DeepLinearHead { weights, bias }
    }
}

/// A random matrix with orthonormal rows, or columns where it is tall; uniform over all of them.
fn orthogonal(rows: usize, columns: usize, rng: &mut Xoshiro256PlusPlus) -> DMatrix<f64> {
    let (tall, wide) = (rows.max(columns), rows.min(columns));
    let (q, r) = DMatrix::from_fn(tall, wide, |_, _| StandardNormal.sample(rng)).qr().unpack();
    // The factorisation fixes the signs of R's diagonal; taking them into Q makes Q uniform.
    let signs = DMatrix::from_diagonal(&r.diagonal().map(|x: f64| if x < 0.0 { -1.0 } else { 1.0 }));
    let q = q * signs;
    if rows >= columns { q } else { q.transpose() }
}

/// A classifier of several linear layers with nothing between them, `z = W_M ... W_1 h + b`.
///
/// It can represent no more than one layer, but weight decay on the layers acts on their product as on a power of its
/// singular values, which is what makes deep heads collapse harder.
///
/// Source: Dang, Tran, Osher et al. 2023, <https://arxiv.org/abs/2301.00437>.
#[derive(Module, Debug)]
pub struct DeepLinearHead {
    /// The weights, from `[d_1, d]`, nearest the features, to `[classes, d_{M-1}]`.
    pub weights: Vec<Param<Tensor<2>>>,
    /// The bias of the last layer, `[classes]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl DeepLinearHead {
    /// Logits of features.
    ///
    /// # Shapes
    /// - features: `[n, d]`
    /// - output: `[n, classes]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let logits = self.weights.iter().fold(features, |h, weight| h.matmul(weight.val().transpose()));
        match &self.bias {
            Some(bias) => logits + bias.val().unsqueeze(),
            None => logits,
        }
    }

    /// The product of the layers, `P = W_M ... W_1`, `[classes, d]`: the weight for
    /// [`NeuralCollapseMetrics`](super::NeuralCollapseMetrics).
    ///
    /// # Panics
    /// When there is no layer.
    pub fn product(&self) -> Tensor<2> {
        let mut weights = self.weights.iter().map(Param::val);
        let first = weights.next().expect("a head has a layer");
        weights.fold(first, |product, weight| weight.matmul(product))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::linear_algebra::matrix;

    #[test]
    fn weights_are_orthogonal_and_of_the_seed() {
        let device = Device::flex();
        let config = DeepLinearHeadConfig::new(vec![5, 8, 3]).with_bias(true);
        let head = config.init(&device, 4);
        let weights: Vec<DMatrix<f64>> = head.weights.iter().map(|weight| matrix(weight.val())).collect();
        for gram in [weights[0].transpose() * &weights[0], &weights[1] * weights[1].transpose()] {
            let unit = DMatrix::identity(gram.nrows(), gram.ncols());
            // f32 weights.
            assert!((gram - unit).amax() < 1e-6);
        }
        let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5, 3.0, 0.0]], &device);
        let (by_layers, by_product) = (matrix(head.forward(x.clone())), matrix(x.matmul(head.product().transpose())));
        assert!((by_layers - by_product).amax() < 1e-5);
        let again = matrix(config.init(&device, 4).product());
        assert_eq!(matrix(head.product()), again);
        assert_ne!(matrix(config.init(&device, 5).product()), again);
    }

    #[test]
    fn bad_widths_are_named() {
        for dims in [vec![], vec![3], vec![3, 0, 2]] {
            assert_eq!(DeepLinearHeadConfig::new(dims).validate().unwrap_err().field, "dims");
        }
    }
}
