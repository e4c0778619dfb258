use super::Matrix;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// A random change of a row that leaves its class alone, for scaled inputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Adds `deviation N(0, I)`.
    Noise(f64),
    /// Sets each input to 0 with this probability.
    Dropout(f64),
    /// Multiplies the row by `1 + deviation N(0, 1)`.
    Scale(f64),
}

impl Transform {
    /// The three transforms of the correctness-aware calibrator for rows of numbers.
    pub const TABULAR: [Self; 3] = [Self::Noise(0.5), Self::Dropout(0.15), Self::Scale(0.3)];

    /// A transformed copy of every row. The draws depend on `seed` and the row's own numbers, so that a row's copy does not
    /// depend on its neighbours or its place.
    pub fn apply(self, x: &Matrix, seed: u64) -> Matrix {
        let mut copy = x.clone();
        if x.cols == 0 {
            return copy;
        }
        for row in copy.data.chunks_mut(x.cols) {
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(row.iter().fold(seed, |hash, value| {
                // Multiplying by a large odd number and rotating spreads each value's bits over the whole seed.
                (hash ^ u64::from(value.to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
            }));
            match self {
                Self::Noise(deviation) => {
                    for value in &mut *row {
                        *value += (deviation * rng.sample::<f64, _>(StandardNormal)) as f32;
                    }
                }
                Self::Dropout(rate) => {
                    for value in &mut *row {
                        *value = if rng.random_bool(rate) { 0.0 } else { *value };
                    }
                }
                Self::Scale(deviation) => {
                    let factor = (1.0 + deviation * rng.sample::<f64, _>(StandardNormal)) as f32;
                    for value in &mut *row {
                        *value *= factor;
                    }
                }
            }
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_depends_on_its_row_and_seed_alone() {
        let x = Matrix { rows: 3, cols: 4, data: (0..12).map(|v| v as f32 / 3.0 + 1.0).collect() };
        for transform in Transform::TABULAR {
            let copy = transform.apply(&x, 1);
            assert_eq!(transform.apply(&x.gather(&[2]), 1).data, copy.row(2));
            let many = Matrix { rows: 1, cols: 400, data: (0..400).map(|v| v as f32 + 1.0).collect() };
            assert_ne!(transform.apply(&many, 1), transform.apply(&many, 2));
            if transform == Transform::Dropout(0.15) {
                let dropped = transform.apply(&many, 1).data.iter().filter(|v| **v == 0.0).count();
                // Binomial: mean 60, standard deviation 7.
                assert!((30..90).contains(&dropped), "{dropped}");
            }
        }
    }
}
