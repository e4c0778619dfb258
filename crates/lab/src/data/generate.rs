//! The studies' generators: synthetic data with a known structure, from a seed.

use super::Matrix;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Labelled rows for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Inputs.
    pub x: Matrix,
    /// Class of each row.
    pub y: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

impl Dataset {
    /// The rows with these indices, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { x: self.x.gather(rows), y: rows.iter().map(|&row| self.y[row]).collect(), classes: self.classes }
    }

    /// Cuts consecutive parts of the given sizes off the front.
    ///
    /// # Panics
    /// When the sizes add up to more than there is.
    pub fn parts<const N: usize>(&self, sizes: [usize; N]) -> [Self; N] {
        let mut start = 0;
        sizes.map(|size| {
            start += size;
            self.select(&(start - size..start).collect::<Vec<_>>())
        })
    }
}

fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    StandardNormal.sample(rng)
}

fn normals(n: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    (0..n).map(|_| normal(rng)).collect()
}

/// Builds rows one by one.
fn dataset(
    rows: usize,
    cols: usize,
    classes: usize,
    rng: &mut Xoshiro256PlusPlus,
    mut row: impl FnMut(&mut Xoshiro256PlusPlus) -> (Vec<f64>, usize),
) -> Dataset {
    let mut data = Vec::with_capacity(rows * cols);
    let mut y = Vec::with_capacity(rows);
    for _ in 0..rows {
        let (x, label) = row(rng);
        data.extend(x.into_iter().map(|v| v as f32));
        y.push(label);
    }
    Dataset { x: Matrix { rows, cols, data }, y, classes }
}

/// Gaussian classes around random centres: centre `spread N(0, I)`, point `centre + noise N(0, I)`, classes equally
/// likely (comp-sum, parts 2 and 3; ldr).
pub fn gaussian_classes(rows: usize, classes: usize, cols: usize, spread: f64, noise: f64, seed: u64) -> Dataset {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let centres: Vec<Vec<f64>> = (0..classes).map(|_| normals(cols, rng)).collect();
    dataset(rows, cols, classes, rng, |rng| {
        let label = rng.random_range(0..classes);
        (centres[label].iter().map(|c| spread * c + noise * normal(rng)).collect(), label)
    })
}

/// Rare positives: `y ~ Bernoulli(rate)`, `x ~ N(0, I)` with the first `shifted` coordinates of positives moved by `shift`
/// (dice, any-loss).
pub fn rare_positives(rows: usize, cols: usize, rate: f64, shifted: usize, shift: f64, seed: u64) -> Dataset {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    dataset(rows, cols, 2, rng, |rng| {
        let label = usize::from(rng.random_bool(rate));
        let mut x = normals(cols, rng);
        if label == 1 {
            x[..shifted].iter_mut().for_each(|v| *v += shift);
        }
        (x, label)
    })
}

/// Rare positives of two kinds: `y ~ Bernoulli(rate)`, `x ~ N(0, I)`; positives have `x_0` moved by 1.3 and, with a fair
/// coin, either `x_1` by 1.5 or `x_2` by -1.5 (class-dependent pruning).
///
/// # Panics
/// With fewer than three columns.
pub fn rare_positives_of_two_kinds(rows: usize, cols: usize, rate: f64, seed: u64) -> Dataset {
    assert!(cols >= 3, "positives differ in three columns");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    dataset(rows, cols, 2, rng, |rng| {
        let label = usize::from(rng.random_bool(rate));
        let mut x = normals(cols, rng);
        if label == 1 {
            x[0] += 1.3;
            if rng.random_bool(0.5) { x[1] += 1.5 } else { x[2] -= 1.5 }
        }
        (x, label)
    })
}

/// EnsLoss's synthetic A: `x ~ N(0, I)`, score `sum_j relu(x_j)` standardised to standard deviation 2 and clipped to
/// `[-5, 5]`, `y ~ Bernoulli(sigmoid(score))`.
pub fn relu_sum(rows: usize, cols: usize, seed: u64) -> Dataset {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    // Mean and variance of relu(N(0, 1)) are 1/sqrt(2 pi) and 1/2 - 1/(2 pi).
    let pi = std::f64::consts::PI;
    let mean = cols as f64 / (2.0 * pi).sqrt();
    let deviation = (cols as f64 * (0.5 - 0.5 / pi)).sqrt();
    dataset(rows, cols, 2, rng, |rng| {
        let x = normals(cols, rng);
        let sum: f64 = x.iter().map(|v| v.max(0.0)).sum();
        let score = (2.0 * (sum - mean) / deviation).clamp(-5.0, 5.0);
        (x, usize::from(rng.random_bool(1.0 / (1.0 + (-score).exp()))))
    })
}

/// EnsLoss's synthetic B: correlated columns of a few factors, `x = Z A + noise N(0, I)` with `A ~ N(0, 1/factors)`, and
/// `y = 1[Z_1 + Z_2 Z_3 > 0]` flipped with probability `flips`.
///
/// # Panics
/// With fewer than three factors.
pub fn factor_model(rows: usize, cols: usize, factors: usize, noise: f64, flips: f64, seed: u64) -> Dataset {
    assert!(factors >= 3, "the label needs three factors");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let scale = 1.0 / (factors as f64).sqrt();
    let loadings: Vec<Vec<f64>> =
        (0..factors).map(|_| normals(cols, rng).into_iter().map(|v| v * scale).collect()).collect();
    dataset(rows, cols, 2, rng, |rng| {
        let z = normals(factors, rng);
        let mut x: Vec<f64> = normals(cols, rng).into_iter().map(|v| v * noise).collect();
        for (factor, loading) in z.iter().zip(&loadings) {
            x.iter_mut().zip(loading).for_each(|(v, a)| *v += factor * a);
        }
        let label = z[0] + z[1] * z[2] > 0.0;
        (x, usize::from(label != rng.random_bool(flips)))
    })
}

/// Labels of a random network: `x ~ N(0, I)`, `h = tanh(x W1)` with `W1 ~ N(0, 1/4)`, label `argmax(h W2 + noise N(0, I))`
/// with `W2 ~ N(0, 1)` (crrelu).
pub fn teacher_network(rows: usize, cols: usize, hidden: usize, classes: usize, noise: f64, seed: u64) -> Dataset {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let first: Vec<Vec<f64>> = (0..cols).map(|_| normals(hidden, rng).into_iter().map(|w| 0.5 * w).collect()).collect();
    let second: Vec<Vec<f64>> = (0..hidden).map(|_| normals(classes, rng)).collect();
    dataset(rows, cols, classes, rng, |rng| {
        let x = normals(cols, rng);
        let mut scores: Vec<f64> = normals(classes, rng).into_iter().map(|v| noise * v).collect();
        for unit in 0..hidden {
            let h = x.iter().zip(&first).map(|(x, w)| x * w[unit]).sum::<f64>().tanh();
            scores.iter_mut().zip(&second[unit]).for_each(|(score, w)| *score += h * w);
        }
        let label = (0..classes).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
        (x, label)
    })
}

/// Two half circles of radius 1 that interlock, with normal noise on both coordinates (neural-collapse).
pub fn two_moons(rows: usize, noise: f64, seed: u64) -> Dataset {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    dataset(rows, 2, 2, rng, |rng| {
        let label = rng.random_range(0..2usize);
        let angle = rng.random_range(0.0..std::f64::consts::PI);
        let point = match label {
            0 => [angle.cos(), angle.sin()],
            _ => [1.0 - angle.cos(), 0.5 - angle.sin()],
        };
        (point.map(|v| v + noise * normal(rng)).to_vec(), label)
    })
}

/// People and attacks: row = identity + `.5 N(0, I)`, one of eight identities `N(0, I)` in 32 dimensions whose first eight
/// coordinates are scaled by .2. Attacks (labels 1 and 2, of four kinds each) add a vector `.8 N(0, I)` in those
/// coordinates. Rows stand class by class, `rows[label]` of each (hyp-oc).
pub fn attacked_identities(rows: [usize; 3], seed: u64) -> Dataset {
    const QUIET: usize = 8;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let draw = |cols: usize, rng: &mut Xoshiro256PlusPlus| (0..8).map(|_| normals(cols, rng)).collect::<Vec<_>>();
    let (mut identities, attacks) = (draw(32, rng), draw(QUIET, rng));
    for quiet in identities.iter_mut().flat_map(|identity| &mut identity[..QUIET]) {
        *quiet *= 0.2;
    }
    let mut labels = rows.into_iter().enumerate().flat_map(|(label, rows)| std::iter::repeat_n(label, rows));
    dataset(rows.iter().sum(), 32, 3, rng, |rng| {
        let label = labels.next().expect("there is a label for every row");
        let identity = &identities[rng.random_range(0..8)];
        let mut x: Vec<f64> = identity.iter().map(|v| v + 0.5 * normal(rng)).collect();
        if label > 0 {
            let attack = &attacks[4 * (label - 1) + rng.random_range(0..4)];
            x.iter_mut().zip(attack).for_each(|(v, a)| *v += 0.8 * a);
        }
        (x, label)
    })
}

/// Many identities, few samples of each: identity code `C ~ N(0, I)` of 12 numbers, sample `tanh((C + .5 e) A + n B) + .1 u`
/// with normal `e`, `n` (8 numbers) and `u`, and matrices `A ~ N(0, 1/12)`, `B ~ N(0, 1/8)` that all samples share. Rows of 48
/// numbers, identity by identity, each a class (unpg).
pub fn identities(identities: usize, per_identity: usize, seed: u64) -> Dataset {
    const CODE: usize = 12;
    const NUISANCE: usize = 8;
    const COLS: usize = 48;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut mixing = |rows: usize| -> Vec<Vec<f64>> {
        let scale = 1.0 / (rows as f64).sqrt();
        (0..rows).map(|_| normals(COLS, rng).into_iter().map(|v| scale * v).collect()).collect()
    };
    let (of_code, of_nuisance) = (mixing(CODE), mixing(NUISANCE));
    let codes: Vec<Vec<f64>> = (0..identities).map(|_| normals(CODE, rng)).collect();
    let mut labels = (0..identities).flat_map(|label| std::iter::repeat_n(label, per_identity));
    dataset(identities * per_identity, COLS, identities, rng, |rng| {
        let label = labels.next().expect("there is a label for every row");
        let code: Vec<f64> = codes[label].iter().map(|c| c + 0.5 * normal(rng)).collect();
        let mut x = vec![0.0; COLS];
        for (factor, loading) in code.iter().zip(&of_code).chain(normals(NUISANCE, rng).iter().zip(&of_nuisance)) {
            x.iter_mut().zip(loading).for_each(|(v, a)| *v += factor * a);
        }
        (x.into_iter().map(|v| v.tanh() + 0.1 * normal(rng)).collect(), label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_data() {
        assert_eq!(relu_sum(20, 5, 1), relu_sum(20, 5, 1));
        assert_ne!(relu_sum(20, 5, 1), relu_sum(20, 5, 2));
        assert_eq!(gaussian_classes(9, 3, 4, 1.0, 0.5, 7).parts([4, 5])[1].y.len(), 5);
    }

    #[test]
    fn a_teacher_uses_all_classes_and_moons_are_two_half_circles() {
        let data = teacher_network(2000, 16, 32, 10, 0.3, 1);
        assert!((0..10).all(|class| data.y.contains(&class)));
        let moons = two_moons(500, 0.0, 1);
        for (row, &label) in moons.y.iter().enumerate() {
            let (x, y) = (moons.x.row(row)[0], moons.x.row(row)[1]);
            let (dx, dy) = if label == 0 { (x, y) } else { (x - 1.0, y - 0.5) };
            assert!((dx * dx + dy * dy - 1.0).abs() < 1e-5 && (label == 0) == (dy > 0.0));
        }
    }

    #[test]
    fn rates_and_shifts_are_what_is_asked_for() {
        let data = rare_positives(20_000, 6, 0.05, 2, 1.0, 3);
        let positives: Vec<usize> = (0..20_000).filter(|&row| data.y[row] == 1).collect();
        // Binomial: standard deviation 31.
        assert!(positives.len().abs_diff(1000) < 150, "{}", positives.len());
        let mean = |col: usize| {
            positives.iter().map(|&row| f64::from(data.x.row(row)[col])).sum::<f64>() / positives.len() as f64
        };
        assert!((mean(0) - 1.0).abs() < 0.15 && mean(5).abs() < 0.15, "{} {}", mean(0), mean(5));
    }

    #[test]
    fn attacks_show_in_the_quiet_coordinates_only() {
        let data = attacked_identities([500, 500, 500], 1);
        assert_eq!((data.y[499], data.y[500], data.y[1499]), (0, 1, 2));
        let spread = |label: usize, columns: std::ops::Range<usize>| {
            let rows = (0..1500).filter(|&row| data.y[row] == label);
            let values = rows.flat_map(|row| data.x.row(row)[columns.clone()].to_vec()).map(f64::from);
            let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v * v, count + 1.0));
            sum / count
        };
        // .5^2 + .2^2 = .29 in the quiet coordinates, and .8^2 more of an attack; four vectors of eight numbers vary.
        assert!((spread(0, 0..8) - 0.29).abs() < 0.06, "{}", spread(0, 0..8));
        assert!(spread(1, 0..8) > 0.5 && spread(2, 0..8) > 0.5);
        assert!((spread(1, 8..32) / spread(0, 8..32) - 1.0).abs() < 0.1);
    }

    #[test]
    fn the_binary_generators_are_balanced_and_learnable() {
        for data in [relu_sum(4000, 50, 1), factor_model(4000, 30, 10, 0.7, 0.1, 1)] {
            let positives = data.y.iter().sum::<usize>();
            assert!(positives.abs_diff(2000) < 200, "{positives}");
        }
    }

    #[test]
    fn samples_of_an_identity_are_nearer_than_those_of_others() {
        let data = identities(40, 6, 2);
        assert_eq!((data.x.rows, data.x.cols, data.y[5], data.y[6], data.classes), (240, 48, 0, 1, 40));
        let distance = |a: usize, b: usize| -> f64 {
            data.x.row(a).iter().zip(data.x.row(b)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        let mean = |same: bool| {
            let pairs = (0..240).flat_map(|a| (a + 1..240).map(move |b| (a, b)));
            let of = pairs.filter(|&(a, b)| (data.y[a] == data.y[b]) == same).map(|(a, b)| distance(a, b));
            let (sum, count) = of.fold((0.0, 0.0), |(sum, count), d| (sum + d, count + 1.0));
            sum / count
        };
        // Before tanh the codes of two identities add 2 to a variance of 2 (.25 + 1) between two samples of one: 4.5 to 2.5.
        // tanh takes away some of it.
        assert!(mean(false) > 1.2 * mean(true), "{} {}", mean(false), mean(true));
    }
}
