use crate::InvalidParameter;
use crate::contrastive::safe_squared_distances;
use crate::error::require;
use crate::fused::{OneSetKernel, apply, available};
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

/// Configuration of the [multi-kernel maximum mean discrepancy](MkMmd).
#[derive(Config, Debug)]
pub struct MkMmdConfig {
    /// Gaussian kernels that are summed, at least 1.
    #[config(default = 5)]
    pub kernels: usize,
    /// Factor between the widths of neighbouring kernels, above 0.
    #[config(default = 2.0)]
    pub multiplier: f64,
    /// Width of the middle kernel (a squared distance), above 0; without it the mean squared distance of all pairs.
    pub bandwidth: Option<f64>,
    /// Whether a width taken from the rows counts as a constant. If not, the value does not change with the scale of the rows,
    /// so that the loss cannot be met by shrinking them.
    #[config(default = true)]
    pub detach_bandwidth: bool,
}

impl MkMmdConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.kernels >= 1, "kernels", self.kernels, "at least 1")?;
        let range = self.multiplier.powf(self.kernels as f64);
        let allowed = "above 0, and multiplier^kernels between 1e-30 and 1e30";
        require(self.multiplier > 0.0 && (1e-30..=1e30).contains(&range), "multiplier", self.multiplier, allowed)?;
        let Some(bandwidth) = self.bandwidth else { return Ok(()) };
        require(bandwidth > 0.0 && bandwidth.is_finite(), "bandwidth", bandwidth, "finite and above 0")
    }

    fn build(&self) -> MkMmd {
        MkMmd {
            kernels: self.kernels,
            multiplier: self.multiplier,
            bandwidth: self.bandwidth,
            detach_bandwidth: self.detach_bandwidth,
        }
    }
}

init!(MkMmdConfig => MkMmd);

/// Multi-kernel maximum mean discrepancy: how far two sets of features are apart as distributions.
///
/// ```text
/// L      = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)        over all pairs, a row with itself included
/// k(a,b) = sum_{i < K} exp(-|a - b|^2 / (b0 M^i)),    b0 = B / M^floor(K/2)
/// B      = sum over all pairs of the N = n + m rows of |.|^2 / (N^2 - N) = 2 sum_a |z_a - mean z|^2 / (N - 1)
/// ```
///
/// with source rows `x`, target rows `y`, `K` kernels, multiplier `M`, and `B` replaced by `bandwidth` where that is given. It
/// is 0 (up to rounding) for equal sets and where all rows are equal, else above 0; as a row meets itself, two samples of one distribution have
/// a positive value that falls with their sizes.
///
/// With the width detached (the default, as in the authors' code) an optimiser can lower the loss by shrinking all features.
/// Use a small weight, rows of length 1, or `detach_bandwidth = false`.
///
/// Time `O(N^2 dim)`. With multiplier 2, on the CPU, one exponential a pair serves all kernels and memory grows with `N`, not with
/// its square.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use contrarian::regularization::MkMmdConfig;
///
/// let device = Device::flex();
/// let sample = |mean| Tensor::<2>::random([40, 3], Distribution::Normal(mean, 1.0), &device);
/// let distance = |mean| MkMmdConfig::new().init().forward(sample(0.0), sample(mean)).into_scalar::<f32>();
/// assert!(distance(3.0) > distance(0.0));
/// ```
///
/// Source: Sun et al. 2022, <https://arxiv.org/abs/2203.11635>, section 4.2, with the kernels of the authors' code; after
/// Gretton et al. 2012, "A Kernel Two-Sample Test", equation 5.
#[derive(Module, Debug)]
pub struct MkMmd {
    /// Kernels that are summed.
    pub kernels: usize,
    /// Factor between the widths of neighbouring kernels.
    pub multiplier: f64,
    /// Width of the middle kernel, if it is fixed.
    #[module(skip)]
    pub bandwidth: Option<f64>,
    /// Whether a width taken from the rows counts as a constant.
    pub detach_bandwidth: bool,
}

/// The least width: where all rows are equal there is none.
const NARROWEST: f64 = 1e-30;

impl MkMmd {
    /// The discrepancy of two sets.
    ///
    /// # Shapes
    /// - source: `[n, dim]`
    /// - target: `[m, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When a set is empty, or their rows differ in length.
    pub fn forward(&self, source: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let ([n, dim], [m, other]) = (source.dims(), target.dims());
        assert!(n > 0 && m > 0 && dim > 0, "a discrepancy needs two sets of rows, got [{n}, {dim}] and [{m}, {other}]");
        assert_eq!(dim, other, "rows of source and target need one length");
        // Distances do not change when everything is moved, and have most digits around the mean. The move by a row comes first
        // because it makes equal rows zeros, to the bit.
        let first = source.clone().detach().narrow(0, 0, 1);
        let rows = Tensor::cat(vec![source, target], 0) - first;
        let rows = rows.clone() - rows.detach().mean_dim(0);
        let rows = rows.clone() / self.narrowest(&rows).sqrt();
        if self.multiplier == 2.0 && self.kernels <= 64 && available(&rows) {
            let kernel = OneSetKernel::Discrepancy { dim, sources: n, kernels: self.kernels };
            return apply([rows.into_dispatch()], kernel);
        }
        // The three means are one quadratic form, with 1/n at the source's rows and -1/m at the target's.
        let shares: Vec<f64> = std::iter::repeat_n(1.0 / n as f64, n).chain(vec![-1.0 / m as f64; m]).collect();
        let shares = TensorData::new(shares, [1, n + m]).convert_dtype(rows.dtype());
        let shares = Tensor::<2>::from_data(shares, (&rows.device(), rows.dtype()));
        shares.clone().matmul(self.kernels(rows)).matmul(shares.transpose()).reshape([1])
    }

    /// The width `b0` of the first kernel, `[1, 1]`, from centred rows.
    fn narrowest(&self, rows: &Tensor<2>) -> Tensor<2> {
        let others = (rows.dims()[0] - 1) as f64;
        let spread = rows.clone().square().sum();
        let mean = match self.bandwidth {
            Some(bandwidth) => spread.detach().zeros_like().add_scalar(bandwidth),
            None if self.detach_bandwidth => spread.detach().mul_scalar(2.0 / others),
            None => spread.mul_scalar(2.0 / others),
        };
        let share = self.multiplier.powf((self.kernels / 2) as f64);
        mean.clamp_min(NARROWEST).mul_scalar(1.0 / share).reshape([1, 1])
    }

    /// The sum of the kernels for every pair of rows, which are scaled so that the narrowest has width 1.
    fn kernels(&self, rows: Tensor<2>) -> Tensor<2> {
        let distances = safe_squared_distances(rows.clone(), rows).neg();
        let kernel = |i: usize| distances.clone().mul_scalar(1.0 / self.multiplier.powf(i as f64)).exp();
        (1..self.kernels).fold(kernel(0), |sum, i| sum + kernel(i))
    }
}
