use super::{RecommenderObjective, top_items};
use crate::fit::FitError;
use burn::config::Config;
use contrarian::InvalidParameter;
use contrarian::negatives::NegativeItemSampler;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Normal};
use std::sync::atomic::{AtomicBool, Ordering};

/// Sets the draws of training apart from those of data made from the same seed: else factors of the tastes' own size would start at the
/// tastes themselves.
const STREAM: u64 = 0x0066_6163_746f_7273;

const MOST_NUMBERS: usize = 1 << 12;
const MOST_DRAWS: usize = 1 << 20;

/// Configuration of a [matrix factorisation](MatrixFactors).
#[derive(Config, Debug)]
pub struct FactorsConfig {
    /// Numbers of a factor, from 1 to 4096.
    #[config(default = 32)]
    pub dim: usize,
    /// Learning rate of Adam, above 0.
    #[config(default = 0.01)]
    pub learning_rate: f64,
    /// Weight of the squared lengths, at least 0.
    #[config(default = 1e-4)]
    pub weight_decay: f64,
    /// Interactions a step, from 1 to 1048576.
    #[config(default = 1024)]
    pub batch_size: usize,
    /// Epochs, at least 1; an epoch has one step more than whole batches of the interactions.
    #[config(default = 40)]
    pub epochs: usize,
    /// Standard deviation of the first factors, above 0.
    #[config(default = 0.1)]
    pub deviation: f64,
}

impl FactorsConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        // More numbers than anybody means would not be refused by memory, but end the process.
        for (field, value, most) in [("dim", self.dim, MOST_NUMBERS), ("batch_size", self.batch_size, MOST_DRAWS)] {
            if !(1..=most).contains(&value) {
                return Err(InvalidParameter::new(field, value, format!("from 1 to {most}")));
            }
        }
        if self.epochs == 0 {
            return Err(InvalidParameter::new("epochs", 0, "at least 1"));
        }
        for (field, value) in [("learning_rate", self.learning_rate), ("deviation", self.deviation)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(InvalidParameter::new(field, value, "above 0 and finite"));
            }
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(InvalidParameter::new("weight_decay", self.weight_decay, "at least 0 and finite"));
        }
        Ok(())
    }
}

/// Factors of users and items; a score is their inner product.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixFactors {
    dim: usize,
    users: Vec<f32>,
    items: Vec<f32>,
}

impl MatrixFactors {
    /// The score of an item for a user.
    pub fn score(&self, user: usize, item: u32) -> f32 {
        dot(row(&self.users, user, self.dim), row(&self.items, item as usize, self.dim))
    }

    /// The first `k` items of a user that are in none of the lists.
    pub fn top(&self, user: usize, exclude: &[&Vec<u32>], k: usize) -> Vec<u32> {
        let items = (self.items.len() / self.dim) as u32;
        let scores: Vec<f32> = (0..items).map(|item| self.score(user, item)).collect();
        top_items(&scores, exclude, k)
    }
}

fn row(data: &[f32], at: usize, dim: usize) -> &[f32] {
    &data[at * dim..(at + 1) * dim]
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Adam over one matrix, dense: a row that no batch touches still moves by its momentum.
struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    fn new(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count] }
    }

    fn step(&mut self, x: &mut [f32], gradient: &mut [f32], rate: f32, steps: i32) {
        const BETAS: (f32, f32) = (0.9, 0.999);
        let (rate, root) = (rate / (1.0 - BETAS.0.powi(steps)), (1.0 - BETAS.1.powi(steps)).sqrt());
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((x, g), (m, v)) in x.iter_mut().zip(gradient.iter_mut()).zip(moments) {
            *m = BETAS.0 * *m + (1.0 - BETAS.0) * *g;
            *v = BETAS.1 * *v + (1.0 - BETAS.1) * *g * *g;
            *x -= rate * *m / (v.sqrt() / root + 1e-8);
            *g = 0.0;
        }
    }
}

/// Trains factors by Bayesian personalised ranking: a step draws users, an item of each and one that is none, in closed form and without a
/// graph of gradients.
///
/// `drawn` is told of every positive by user and place in its list. Users are drawn alike, however many items they have.
///
/// # Errors
/// When the loss stops being finite, or on `stop`.
///
/// # Panics
/// When the configuration is not valid, no user has an item, an item is outside `items`, or a user has all items.
pub fn train_factors(
    observed: &[Vec<u32>],
    items: usize,
    config: &FactorsConfig,
    objective: &RecommenderObjective,
    seed: u64,
    stop: &AtomicBool,
    mut drawn: impl FnMut(usize, usize),
) -> Result<(MatrixFactors, Vec<f64>), FitError> {
    config.validate().unwrap_or_else(|error| panic!("{error}"));
    let users: Vec<usize> = (0..observed.len()).filter(|user| !observed[*user].is_empty()).collect();
    assert!(!users.is_empty(), "there must be a user with an item");
    let negatives = NegativeItemSampler::new(items, observed).unwrap_or_else(|error| panic!("{error}"));
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ STREAM);
    let normal = Normal::new(0.0, config.deviation).expect("the deviation is above 0");
    let mut draw =
        |count: usize| -> Vec<f32> { (0..count * config.dim).map(|_| normal.sample(&mut *rng) as f32).collect() };
    let dim = config.dim;
    let mut factors = MatrixFactors { dim, users: draw(observed.len()), items: draw(items) };
    let mut gradients = (vec![0.0; factors.users.len()], vec![0.0; factors.items.len()]);
    let mut adam = (Adam::new(factors.users.len()), Adam::new(factors.items.len()));
    let interactions: usize = observed.iter().map(Vec::len).sum();
    let steps = interactions / config.batch_size + 1;
    let (mut places, mut scores) = (Vec::new(), Vec::new());
    let mut batch: Vec<(usize, u32, u32)> = Vec::with_capacity(config.batch_size);
    let mut losses = vec![0.0f32; config.batch_size];
    let mut means = Vec::new();
    let mut step = 0;
    for epoch in 0..config.epochs {
        let mut sum = 0.0;
        for _ in 0..steps {
            if stop.load(Ordering::Relaxed) {
                return Err(FitError::Stopped);
            }
            step += 1;
            batch.clear();
            for _ in 0..config.batch_size {
                let user = users[rng.random_range(0..users.len())];
                let negative = negatives.draw(user, rng);
                let own = &observed[user];
                let place = match objective {
                    RecommenderObjective::Pld(sampler) | RecommenderObjective::RandomLosses(sampler)
                        if sampler.is_active(epoch) =>
                    {
                        sampler.draw_pool(own.len(), &mut places, rng);
                        scores.clear();
                        let random = matches!(objective, RecommenderObjective::RandomLosses(_));
                        for &place in &places {
                            let score =
                                if random { rng.random_range(-1.0..1.0) } else { factors.score(user, own[place]) };
                            scores.push(score);
                        }
                        let against = if random { 0.0 } else { factors.score(user, negative) };
                        places[sampler.pick(&scores, against, rng)]
                    }
                    _ => rng.random_range(0..own.len()),
                };
                drawn(user, place);
                batch.push((user, own[place], negative));
            }
            for (loss, &(user, positive, negative)) in losses.iter_mut().zip(&batch) {
                let margin = factors.score(user, negative) - factors.score(user, positive);
                *loss = margin.max(0.0) + (-margin.abs()).exp().ln_1p();
            }
            let count = batch.len() as f32;
            let weights = match objective {
                RecommenderObjective::Truncated(loss) => loss.weights(&losses, step),
                RecommenderObjective::Reweighted(loss) => loss.weights(&losses),
                _ => vec![1.0 / count; batch.len()],
            };
            let decay = 2.0 * config.weight_decay as f32 / count;
            for (&(user, positive, negative), (weight, loss)) in batch.iter().zip(weights.iter().zip(&losses)) {
                // The slope of softplus is 1 - e^-softplus.
                let slope = weight * (1.0 - (-loss).exp());
                let (u, p, n) = (user * dim, positive as usize * dim, negative as usize * dim);
                for at in 0..dim {
                    let (x, y, z) = (factors.users[u + at], factors.items[p + at], factors.items[n + at]);
                    gradients.0[u + at] += slope * (z - y) + decay * x;
                    gradients.1[p + at] += decay * y - slope * x;
                    gradients.1[n + at] += decay * z + slope * x;
                }
            }
            adam.0.step(&mut factors.users, &mut gradients.0, config.learning_rate as f32, step as i32);
            adam.1.step(&mut factors.items, &mut gradients.1, config.learning_rate as f32, step as i32);
            sum += f64::from(losses.iter().sum::<f32>() / count);
        }
        let mean = sum / steps as f64;
        if !mean.is_finite() {
            return Err(FitError::Diverged { epoch: epoch + 1, value: mean });
        }
        means.push(mean);
    }
    Ok((factors, means))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::{TasteWorld, recall_at_k};

    #[test]
    fn every_objective_learns_tastes() {
        let world = TasteWorld::generate(80, 60, 0);
        let config = FactorsConfig::new().with_dim(8).with_epochs(30).with_batch_size(256).with_learning_rate(0.02);
        for text in ["bpr", "pld(start_epoch=3)", "truncated", "reweighted(beta=0.1)"] {
            let objective = RecommenderObjective::of(&text.parse().unwrap()).unwrap();
            let stop = AtomicBool::new(false);
            let mut count = 0;
            let trained = train_factors(&world.train, world.items, &config, &objective, 1, &stop, |_, _| count += 1);
            let (factors, losses) = trained.unwrap();
            assert_eq!((losses.len(), count), (30, 30 * (80 * 21 / 256 + 1) * 256));
            let recall =
                (0..80).map(|user| recall_at_k(&factors.top(user, &[&world.train[user]], 10), &world.test[user]));
            let recall = recall.sum::<f64>() / 80.0;
            // Chance is 10 of 39.
            assert!(recall > 0.32, "{text}: {recall}");
        }
    }

    #[test]
    fn factors_know_nothing_of_tastes_drawn_from_their_seed() {
        let world = TasteWorld::generate(80, 60, 3);
        // Factors of the tastes' size, as they start.
        let config = FactorsConfig::new().with_dim(8).with_epochs(1).with_learning_rate(1e-30);
        let stop = AtomicBool::new(false);
        let trained = train_factors(&world.train, 60, &config, &RecommenderObjective::Bpr, 3, &stop, |_, _| ());
        let (factors, _) = trained.unwrap();
        let recall = (0..80).map(|user| recall_at_k(&factors.top(user, &[&world.train[user]], 10), &world.test[user]));
        let recall = recall.sum::<f64>() / 80.0;
        // Chance is 10 of 39.
        assert!(recall < 0.35, "{recall}");
    }

    #[test]
    fn the_step_is_that_of_the_loss_with_gradients() {
        use burn::tensor::{Device, Int, Tensor, TensorData};
        use contrarian::ranking::BprLossConfig;
        // One user, one item, one other: every batch is the same.
        let config = FactorsConfig::new().with_dim(3).with_epochs(1).with_batch_size(4).with_weight_decay(0.1);
        let stop = AtomicBool::new(false);
        let run = |rate: f64| {
            let config = config.clone().with_learning_rate(rate);
            train_factors(&[vec![0]], 2, &config, &RecommenderObjective::Bpr, 5, &stop, |_, _| ()).unwrap()
        };
        let (start, _) = run(1e-30);
        let (after, losses) = run(1e-3);
        let device = Device::flex().autodiff();
        let leaf = |data: &[f32]| {
            Tensor::<2>::from_data(TensorData::new(data.to_vec(), [data.len() / 3, 3]), &device).require_grad()
        };
        let (users, items) = (leaf(&start.users), leaf(&start.items));
        let rows = |x: &Tensor<2>, at: i64| x.clone().select(0, Tensor::<1, Int>::from_ints([at; 4], &device));
        let loss = BprLossConfig::new().with_weight_decay(0.1).init();
        let (u, p, n) = (rows(&users, 0), rows(&items, 0), rows(&items, 1));
        let ranking: f32 = loss.ranking(u.clone(), p.clone(), n.clone()).mean().into_scalar();
        assert!((f64::from(ranking) - losses[0]).abs() < 1e-6);
        let gradients = loss.forward(u, p, n).backward();
        for (leaf, before, after) in [(&users, &start.users, &after.users), (&items, &start.items, &after.items)] {
            let gradient: Vec<f32> = leaf.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
            for ((gradient, before), after) in gradient.iter().zip(before).zip(after) {
                // Adam's first step is the sign of the gradient times the rate.
                assert!((before - after - 1e-3 * gradient.signum()).abs() < 1e-5, "{gradient} {before} {after}");
            }
        }
    }

    #[test]
    fn sizes_out_of_range_are_named() {
        assert_eq!(FactorsConfig::new().with_dim(1 << 40).validate().unwrap_err().field, "dim");
        assert_eq!(FactorsConfig::new().with_dim(0).validate().unwrap_err().field, "dim");
    }
}
