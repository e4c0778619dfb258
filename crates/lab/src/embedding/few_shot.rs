use crate::data::{Episode, EpisodeSampler, Matrix};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// Accuracy over episodes, see [`few_shot`].
#[derive(Debug, Clone, PartialEq)]
pub struct FewShot {
    /// Accuracy of each episode.
    pub accuracies: Vec<f64>,
    /// Their mean.
    pub accuracy: f64,
    /// Half the width of its 95% interval, `1.96 s / sqrt(episodes)`; 0 for one episode.
    pub half_width: f64,
}

/// Few-shot evaluation of embeddings: in every episode, queries are given to the class whose mean support embedding is nearest
/// (Euclidean; of equally near ones the first).
///
/// Rows are embedded once by the caller, for inference: an encoder that treats rows alone gives the same in every episode.
///
/// # Panics
/// When there is no episode, or the sampler's rows are not those of `x`.
///
/// Source: Snell, Swersky, Zemel 2017, <https://arxiv.org/abs/1703.05175>, section 3.
pub fn few_shot(x: &Matrix, sampler: &EpisodeSampler, episodes: usize, seed: u64) -> FewShot {
    assert!(episodes > 0, "a mean over episodes needs at least one");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let accuracies: Vec<f64> = (0..episodes).map(|_| accuracy(x, &sampler.episode(rng))).collect();
    let n = episodes as f64;
    let mean = accuracies.iter().sum::<f64>() / n;
    let squares: f64 = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum();
    let half_width = if episodes > 1 { 1.96 * (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
    FewShot { accuracies, accuracy: mean, half_width }
}

fn accuracy(x: &Matrix, episode: &Episode) -> f64 {
    let ways = episode.classes.len();
    let mut means = vec![0.0; ways * x.cols];
    let shots = (episode.support.len() / ways) as f64;
    for (&row, &class) in episode.support.iter().zip(&episode.support_labels) {
        for (mean, value) in means[class * x.cols..][..x.cols].iter_mut().zip(x.row(row)) {
            *mean += f64::from(*value) / shots;
        }
    }
    let distance = |row: usize, class: usize| -> f64 {
        let mean = &means[class * x.cols..][..x.cols];
        x.row(row).iter().zip(mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
    };
    let right = episode.queries.iter().zip(&episode.query_labels).filter(|(row, class)| {
        let distances: Vec<f64> = (0..ways).map(|class| distance(**row, class)).collect();
        let nearest = (1..ways).fold(0, |best, class| if distances[class] < distances[best] { class } else { best });
        nearest == **class
    });
    right.count() as f64 / episode.queries.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::gaussian_classes;

    #[test]
    fn classes_apart_are_told_and_noise_is_chance() {
        let apart = gaussian_classes(400, 8, 16, 4.0, 0.2, 1);
        let sampler = EpisodeSampler::new(&apart.y, 5, 1, 5).unwrap();
        let found = few_shot(&apart.x, &sampler, 50, 2);
        assert!(found.accuracy > 0.99, "{found:?}");
        assert_eq!(found, few_shot(&apart.x, &sampler, 50, 2));
        let noise = gaussian_classes(400, 1, 16, 0.0, 1.0, 2);
        let found = few_shot(&noise.x, &sampler, 200, 2);
        // A fifth by chance; the interval holds it in 95% of the seeds, and its double in nearly all.
        assert!((found.accuracy - 0.2).abs() < 2.0 * found.half_width, "{} {}", found.accuracy, found.half_width);
        assert_eq!(few_shot(&noise.x, &sampler, 1, 2).half_width, 0.0);
    }
}
