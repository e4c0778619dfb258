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

/// The weight of adaptation terms over training: 0 at the start, towards 1 at the end.
///
/// ```text
/// value(p) = 2 / (1 + exp(-gamma p)) - 1 = tanh(gamma p / 2)
/// ```
///
/// with progress `p` in `[0, 1]`; values outside count as the nearer end. `gamma` is 5 in the code of Sun et al. 2022,
/// <https://arxiv.org/abs/2203.11635>, and 10 in its origin, Ganin, Lempitsky 2015, <https://arxiv.org/abs/1409.7495>.
pub fn adaptation_schedule(progress: f64, gamma: f64) -> f64 {
    (0.5 * gamma * progress.clamp(0.0, 1.0)).tanh()
}
