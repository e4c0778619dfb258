use std::f64::consts::TAU;

/// The Fourier transform of a real series, by the definition.
///
/// ```text
/// X_f = sum_t x_t e^(-2 pi i f t / T),    f = 0..=T/2
/// ```
///
/// Time `O(T^2)`: meant for windows of some hundred samples, for which it takes less than a training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Real and imaginary part, by frequency in cycles a window.
    pub parts: Vec<(f64, f64)>,
    samples: usize,
}

/// Cosine and sine of every multiple of `2 pi / samples`.
fn circle(samples: usize) -> Vec<(f64, f64)> {
    (0..samples).map(|k| (TAU * k as f64 / samples as f64).sin_cos()).map(|(sin, cos)| (cos, sin)).collect()
}

impl Spectrum {
    /// The spectrum of a series.
    pub fn of(series: &[f32]) -> Self {
        let samples = series.len();
        let circle = circle(samples);
        let part = |frequency: usize| {
            let terms = series.iter().enumerate().map(|(t, &x)| {
                let (cos, sin) = circle[frequency * t % samples];
                (f64::from(x) * cos, -f64::from(x) * sin)
            });
            terms.fold((0.0, 0.0), |(re, im), (a, b)| (re + a, im + b))
        };
        Self { parts: (0..=samples / 2).map(part).collect(), samples }
    }

    /// A spectrum of a series of `samples`, made frequency by frequency.
    pub fn from_fn(samples: usize, part: impl FnMut(usize) -> (f64, f64)) -> Self {
        Self { parts: (0..=samples / 2).map(part).collect(), samples }
    }

    /// Whether a frequency has no phase to choose: the mean, and the highest of an even number of samples.
    pub fn is_real(&self, frequency: usize) -> bool {
        frequency == 0 || 2 * frequency == self.samples
    }

    /// The series of this spectrum.
    pub fn series(&self) -> Vec<f32> {
        let circle = circle(self.samples);
        let sample = |t: usize| {
            let terms = self.parts.iter().enumerate().map(|(frequency, (re, im))| {
                let (cos, sin) = circle[frequency * t % self.samples];
                let twice = if self.is_real(frequency) { 1.0 } else { 2.0 };
                twice * (re * cos - im * sin)
            });
            (terms.sum::<f64>() / self.samples as f64) as f32
        };
        (0..self.samples).map(sample).collect()
    }
}

/// Mean power of a series in each band of frequencies, `low <= f < high` in Hertz; 0 for a band without a frequency.
pub fn band_powers(series: &[f32], sampling_rate: f64, bands: &[(f64, f64)]) -> Vec<f64> {
    let spectrum = Spectrum::of(series);
    let resolution = sampling_rate / series.len() as f64;
    let power = |&(low, high): &(f64, f64)| {
        let inside = spectrum.parts.iter().enumerate().filter(|(frequency, _)| {
            let hertz = *frequency as f64 * resolution;
            low <= hertz && hertz < high
        });
        let powers: Vec<f64> = inside.map(|(_, (re, im))| (re * re + im * im) / series.len() as f64).collect();
        powers.iter().sum::<f64>() / powers.len().max(1) as f64
    };
    bands.iter().map(power).collect()
}
