use super::{Augmentation, add_noise, drop_out, scale};
use rand::rngs::Xoshiro256PlusPlus;

/// Views of vectors: numbers left out, then one factor for the whole vector, then normal noise.
///
/// ```text
/// view_j = a * keep_j * x_j + noise * N(0, 1),     keep_j = 0 with probability dropout, else 1;   a uniform in [1 - s, 1 + s]
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorAugmentation {
    /// Probability that a number becomes 0, in `[0, 1]`.
    pub dropout: f64,
    /// How far the factor `a` may be from 1: `s`, in `[0, 1]`.
    pub scale: f64,
    /// Standard deviation of the noise, at least 0.
    pub noise: f64,
}

impl Augmentation for VectorAugmentation {
    fn change(&self, example: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        drop_out(example, self.dropout, rng);
        scale(example, self.scale, rng);
        add_noise(example, self.noise, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Matrix;
    use rand::SeedableRng;

    #[test]
    fn views_differ_keep_the_rows_and_repeat() {
        let x = Matrix { rows: 3, cols: 200, data: (0..600).map(|i| 1.0 + (i / 200) as f32).collect() };
        let views = VectorAugmentation { dropout: 0.25, scale: 0.2, noise: 0.0 };
        let rng = || Xoshiro256PlusPlus::seed_from_u64(3);
        let view = views.view(&x, &[2, 0], &mut rng());
        assert_eq!(view, views.view(&x, &[2, 0], &mut rng()));
        for (row, value) in [(0, 3.0), (1, 1.0)] {
            let kept: Vec<f32> = view.row(row).iter().copied().filter(|&v| v != 0.0).collect();
            // Binomial, 200 draws of .75: five standard deviations are 31.
            assert!((119..=181).contains(&kept.len()), "{}", kept.len());
            assert!(kept.iter().all(|&v| v == kept[0] && (0.8 * value..=1.2 * value).contains(&v)));
        }
        let nothing = VectorAugmentation { dropout: 0.0, scale: 0.0, noise: 0.0 };
        assert_eq!(nothing.view(&x, &[0, 1, 2], &mut rng()), x);
    }
}
