use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::softplus;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Tensor};
use rand::{Rng, RngExt};

/// The probabilities by which personal-loss denoising picks a positive from each row's pool of a user's items.
///
/// ```text
/// l_bc = softplus(neg_b - pos_bc);   p_bc = e^(-l_bc / temperature) / sum_c' e^(-l_bc' / temperature)
/// ```
///
/// The negative is shared by the pool, so the order of a pool is that of its scores. No gradient goes through.
///
/// # Shapes
/// - positives: `[B, k]`
/// - negative: `[B]`
/// - mask: `[B, k]`, true where there is an item; `None` is everywhere
/// - output: `[B, k]`, 0 where there is none
///
/// # Errors
/// When the temperature is not above 0, there is no item, shapes differ, or a row is masked entirely.
///
/// Source: Zhang, Cao, Wu et al. 2025, <https://arxiv.org/abs/2502.00348>, and its code.
pub fn pld_probabilities(
    positives: Tensor<2>,
    negative: Tensor<1>,
    temperature: f64,
    mask: Option<Tensor<2, Bool>>,
) -> Result<Tensor<2>, InvalidParameter> {
    let [rows, items] = positives.dims();
    let negatives = negative.dims()[0];
    require(negatives == rows, "negative", format!("of {negatives} rows"), &format!("of {rows} rows, as the pools"))?;
    require(rows > 0 && items > 0, "positives", format!("[{rows}, {items}]"), "at least one row of at least one item")?;
    pld_probabilities_from_losses(softplus(negative.reshape([rows, 1]) - positives), temperature, mask)
}

/// The same from the losses of the pools.
///
/// # Errors
/// As [`pld_probabilities`].
pub fn pld_probabilities_from_losses(
    losses: Tensor<2>,
    temperature: f64,
    mask: Option<Tensor<2, Bool>>,
) -> Result<Tensor<2>, InvalidParameter> {
    check_temperature(temperature)?;
    let [rows, items] = losses.dims();
    require(rows > 0 && items > 0, "losses", format!("[{rows}, {items}]"), "at least one row of at least one item")?;
    let losses = losses.detach();
    let Some(mask) = mask else {
        let smallest = losses.clone().min_dim(1);
        let odds = (smallest - losses).mul_scalar(1.0 / temperature).exp();
        return Ok(odds.clone() / odds.sum_dim(1));
    };
    require(mask.dims() == [rows, items], "mask", format!("{:?}", mask.dims()), &format!("[{rows}, {items}]"))?;
    let there: Vec<bool> = mask.clone().into_data().try_to_vec().expect("a mask holds booleans");
    if let Some(row) = there.chunks(items).position(|row| !row.contains(&true)) {
        return Err(InvalidParameter::new(&format!("mask[{row}]"), "false throughout", "true for at least one item"));
    }
    let absent = mask.bool_not();
    let largest = losses.clone().max_dim(1).expand([rows, items]);
    let smallest = losses.clone().mask_where(absent.clone(), largest).min_dim(1);
    let odds = (smallest - losses).mul_scalar(1.0 / temperature).mask_fill(absent, f32::NEG_INFINITY).exp();
    Ok(odds.clone() / odds.sum_dim(1))
}

fn check_temperature(temperature: f64) -> Result<(), InvalidParameter> {
    require(temperature > 0.0 && temperature.is_finite(), "temperature", temperature, "above 0 and finite")
}

/// No user means more, and the pool is drawn for every positive.
const MOST_POOLED: usize = 1 << 16;

/// Configuration of the [personal-loss sampler](PldSampler).
#[derive(Config, Debug)]
pub struct PldSamplerConfig {
    /// Items of the user a positive is picked from, from 1 to 65536.
    #[config(default = 5)]
    pub pool: usize,
    /// Temperature of the losses, above 0.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// First epoch, from 0, that picks by loss: losses say little before.
    #[config(default = 5)]
    pub start_epoch: usize,
}

impl PldSamplerConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((1..=MOST_POOLED).contains(&self.pool), "pool", self.pool, "from 1 to 65536")?;
        check_temperature(self.temperature)
    }

    fn build(&self) -> PldSampler {
        PldSampler { pool: self.pool, temperature: self.temperature, start_epoch: self.start_epoch }
    }
}

init!(PldSamplerConfig => PldSampler);

/// Personal-loss denoising: the positive of a training step is picked from a small pool of the user's own items, those of small
/// loss with a larger probability. Nothing is deleted.
///
/// ```text
/// pool   = `pool` of the user's items, without replacement (with it where there are fewer)
/// picked = c with probability softmax(-l_c / temperature)
/// ```
///
/// with `l_c` of [`pld_probabilities`], one negative for the pool. A user of unusual taste has large losses everywhere and keeps
/// all of its items; a noisy one stands out among the user's own. If noisy items have losses larger by `g` and are a part `r` of
/// the pool, a noisy pick has the probability `r e^(-g/T) / (1 - r + r e^(-g/T))` instead of `r`.
///
/// Source: Zhang, Cao, Wu et al. 2025, <https://arxiv.org/abs/2502.00348>, and its code.
#[derive(Module, Debug)]
pub struct PldSampler {
    /// Items a positive is picked from.
    pub pool: usize,
    /// Temperature of the losses.
    pub temperature: f64,
    /// First epoch that picks by loss.
    pub start_epoch: usize,
}

impl PldSampler {
    /// Whether positives are picked by loss in this epoch, from 0.
    pub fn is_active(&self, epoch: usize) -> bool {
        epoch >= self.start_epoch
    }

    /// Places of a pool among a user's `count` items, into `places`.
    ///
    /// # Panics
    /// When the user has no item.
    pub fn draw_pool(&self, count: usize, places: &mut Vec<usize>, rng: &mut impl Rng) {
        assert!(count > 0, "a user without items has no pool");
        places.clear();
        if count < self.pool {
            places.extend((0..self.pool).map(|_| rng.random_range(0..count)));
            return;
        }
        // Floyd's algorithm: as many numbers as items.
        for last in count - self.pool..count {
            let place = rng.random_range(0..=last);
            places.push(if places.contains(&place) { last } else { place });
        }
    }

    /// Picks a place of a pool by the scores of its items and of the shared negative.
    ///
    /// # Panics
    /// When the pool is empty.
    pub fn pick(&self, scores: &[f32], negative: f32, rng: &mut impl Rng) -> usize {
        let loss = |&score: &f32| {
            let x = f64::from(negative) - f64::from(score);
            x.max(0.0) + (-x.abs()).exp().ln_1p()
        };
        self.pick_by(scores.iter().map(loss), rng)
    }

    /// Picks a place of a pool by given losses.
    ///
    /// # Panics
    /// When the pool is empty.
    pub fn pick_by_losses(&self, losses: &[f64], rng: &mut impl Rng) -> usize {
        self.pick_by(losses.iter().copied(), rng)
    }

    fn pick_by(&self, losses: impl ExactSizeIterator<Item = f64> + Clone, rng: &mut impl Rng) -> usize {
        let last = losses.len().checked_sub(1).expect("a pool needs at least one item");
        let smallest = losses.clone().fold(f64::INFINITY, f64::min);
        let odds = losses.map(|loss| ((smallest - loss) / self.temperature).exp());
        let mut rest = rng.random::<f64>() * odds.clone().sum::<f64>();
        // Rounding may leave a rest behind the last item.
        odds.take(last)
            .position(|odds| {
                rest -= odds;
                rest < 0.0
            })
            .unwrap_or(last)
    }
}
