/// Half a cosine from the first weight of a term down to 0.
///
/// ```text
/// weight(t) = initial (1 + cos(pi t / T)) / 2,        T = total_steps; 0 from T on
/// ```
///
/// A schedule of no steps is over at once: its weight is 0.
///
/// Source: the schedule named by Zhang et al. 2024, <https://arxiv.org/abs/2406.15303>, third version.
pub fn cosine_weight_annealing(initial: f64, total_steps: usize, step: usize) -> f64 {
    if step >= total_steps {
        return 0.0;
    }
    initial * f64::midpoint(1.0, (std::f64::consts::PI * step as f64 / total_steps as f64).cos())
}
