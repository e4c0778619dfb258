use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// A numeric axis of a chart.
#[derive(Debug, Clone, Default)]
pub struct Axis {
    label: String,
    log: bool,
    whole: bool,
    range: Option<(f64, f64)>,
}

impl Axis {
    /// An axis with this label, its range taken from the data.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// Logarithmic: values of zero and below are left out.
    pub fn log(mut self) -> Self {
        self.log = true;
        self
    }

    /// Only whole numbers get a tick.
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// A fixed range; values beyond it are drawn at its edge.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Where a value lies on the axis, or `None` where it cannot be drawn.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        // Far beyond any metric, and differences of such values would overflow.
        let drawable = value.is_finite() && value.abs() < 1e100;
        if self.log { (drawable && value > 1e-100).then(|| value.log10()) } else { drawable.then_some(value) }
    }

    /// The scale that shows these values with about `ticks` ticks.
    pub(super) fn scale(&self, values: impl IntoIterator<Item = f64>, ticks: usize) -> Scale {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for place in values.into_iter().filter_map(|value| self.place(value)) {
            low = low.min(place);
            high = high.max(place);
        }
        if let Some((from, to)) = self.range
            && let (Some(from), Some(to)) = (self.place(from), self.place(to))
            && from < to
        {
            return self.ticked(from, to, ticks);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = high - low;
        if span <= low.abs().max(high.abs()) * 1e-9 || span < 1e-100 {
            let pad = if self.log { 0.5 } else { (low.abs() * 0.1).max(if low == 0.0 { 1.0 } else { 1e-99 }) };
            return self.ticked(low - pad, high + pad, ticks);
        }
        let pad = if self.whole { 0.0 } else { span * 0.04 };
        self.ticked(low - pad, high + pad, ticks)
    }

    fn ticked(&self, low: f64, high: f64, count: usize) -> Scale {
        let ticks = if self.log { log_ticks(low, high, count) } else { linear_ticks(low, high, count, self.whole) };
        Scale { low, high, ticks }
    }
}

/// An axis with its range and ticks settled.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<(f64, String)>,
}

impl Scale {
    pub(super) fn longest_label(&self) -> usize {
        self.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0)
    }

    pub(super) fn clamp(&self, position: f64) -> f64 {
        position.clamp(self.low, self.high)
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light points are the places of finer grid lines, and there are none.
        let ticks = self.ticks.iter().map(|(position, _)| *position);
        if hint.weight().allow_light_points() { Vec::new() } else { ticks.collect() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(tick, _)| tick == value).map_or_else(String::new, |(_, label)| label.clone())
    }
}

fn linear_ticks(low: f64, high: f64, count: usize, whole: bool) -> Vec<(f64, String)> {
    let raw = (high - low) / count.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let mut step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|nice| nice * power).find(|step| *step >= raw * 0.75);
    if whole {
        step = step.map(|step| step.max(1.0).round());
    }
    let Some(step) = step.filter(|step| step.is_finite() && *step > 0.0) else {
        return Vec::new();
    };
    let first = (low / step - 1e-9).ceil();
    let steps = ((high / step + 1e-9).floor() - first).clamp(0.0, 50.0) as usize;
    (0..=steps)
        .map(|index| (first + index as f64) * step)
        .filter(|tick| *tick >= low - step * 1e-6 && *tick <= high + step * 1e-6)
        .map(|tick| (tick, tick_text(tick, step)))
        .collect()
}

fn log_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let candidates = |parts: &[f64]| -> Vec<(f64, String)> {
        (low.floor() as i32..=high.ceil() as i32)
            .flat_map(|decade| parts.iter().map(move |part| part * 10f64.powi(decade)))
            .map(|value| (value.log10(), tick_text(value, value)))
            .filter(|(place, _)| (low..=high).contains(place))
            .collect()
    };
    // The finest division that does not crowd the axis.
    for parts in [&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0][..], &[1.0, 2.0, 5.0], &[1.0, 3.0]] {
        let ticks = candidates(parts);
        if ticks.len() <= count.max(2) {
            if ticks.len() > 2 {
                return ticks;
            }
            break;
        }
    }
    let decades = candidates(&[1.0]);
    if decades.len() < 3 {
        // Within a decade or two, even steps read better than powers of ten.
        let even = linear_ticks(10f64.powf(low), 10f64.powf(high), count.saturating_sub(2), false);
        return even.into_iter().filter(|(value, _)| *value > 0.0).map(|(value, text)| (value.log10(), text)).collect();
    }
    let every = decades.len().div_ceil(count.max(1)).max(1);
    decades.into_iter().step_by(every).collect()
}

/// A tick's text, with the decimals that tell it from the next one.
fn tick_text(tick: f64, step: f64) -> String {
    let tick = if tick.abs() < step * 1e-6 { 0.0 } else { tick };
    if tick != 0.0 && (tick.abs() >= 1e6 || step < 1e-5) {
        return format!("{tick:.1e}").replace('-', "\u{2212}");
    }
    let decimals = (0..6).find(|digits| {
        let scaled = step * 10f64.powi(*digits);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
    });
    format!("{tick:.*}", decimals.unwrap_or(5) as usize).replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(&Axis::new("").range(0.0, 1.0).scale([], 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::new("").whole().scale([1.0, 3.0], 5)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::new("").log().scale([0.5, 2000.0], 5)), ["1", "10", "100", "1000"]);
    }

    #[test]
    fn odd_values_still_give_a_scale() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![0.0],
            vec![0.5; 4],
            vec![-1e300, 1e300],
            vec![f64::INFINITY, 1.0],
            vec![0.0, 1e-320],
            vec![1e90, 1e90 + 1.0],
            vec![-3.0, -3.0],
        ] {
            for axis in [Axis::new(""), Axis::new("").log(), Axis::new("").whole(), Axis::new("").range(2.0, 1.0)] {
                let scale = axis.scale(values.iter().copied(), 5);
                assert!(scale.low < scale.high, "{values:?} {axis:?} {scale:?}");
                assert!(scale.ticks.len() <= 60);
            }
        }
    }
}
