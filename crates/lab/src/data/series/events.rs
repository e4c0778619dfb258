use super::SeriesShape;
use crate::data::{DataError, Matrix, Table, Values};

/// Which windows of a recording to take.
#[derive(Debug, Clone)]
pub struct EventOptions<'a> {
    /// Columns that are channels.
    pub channels: &'a [&'a str],
    /// Column that is 0 except where an event begins, where it is a whole number above 0.
    pub marker: &'a str,
    /// Rows before an event that belong to its window.
    pub before: usize,
    /// Rows from the event on that belong to its window.
    pub after: usize,
    /// Rows that are averaged to a sample.
    pub every: usize,
    /// Windows in which a channel, its mean aside, is farther from 0 than this are left out: blinks, bad contact.
    pub largest: f32,
}

/// The windows around the events of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct EventWindows {
    /// Size of a window.
    pub shape: SeriesShape,
    /// A window a row, ordered by channel, then time; means of channels are 0.
    pub x: Matrix,
    /// The marker of each window.
    pub markers: Vec<usize>,
    /// Events left out: too near the ends of the recording, or too large.
    pub left_out: usize,
}

/// Cuts a recording into windows around its events.
///
/// # Errors
/// When a column is missing or is not of numbers, a number is missing, a marker is no whole number, or the window has no
/// sample.
pub fn event_windows(table: &Table, options: &EventOptions) -> Result<EventWindows, DataError> {
    let error = |reason: String| DataError::Mismatch { reason };
    let column = |name: &str| -> Result<&[f64], DataError> {
        match &table.columns[table.position(name)?].values {
            Values::Numeric(values) => match values.iter().position(|value| value.is_nan()) {
                None => Ok(values),
                Some(row) => Err(error(format!("row {} of {} has nothing in column `{name}`", row + 1, table.name))),
            },
            Values::Text(_) => Err(error(format!("column `{name}` of {} is no column of numbers", table.name))),
        }
    };
    let channels = options.channels.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
    let markers = column(options.marker)?;
    let rows = options.before + options.after;
    let shape = SeriesShape { channels: channels.len(), samples: rows / options.every.max(1) };
    if shape.numbers() == 0 || options.every == 0 {
        return Err(error(format!("windows of {rows} rows, {} a sample, have no sample", options.every)));
    }
    let x = Matrix { rows: 0, cols: shape.numbers(), data: Vec::new() };
    let mut found = EventWindows { shape, x, markers: Vec::new(), left_out: 0 };
    for (at, &marker) in markers.iter().enumerate().filter(|(_, marker)| **marker != 0.0) {
        if marker < 0.0 || marker.fract() != 0.0 {
            return Err(error(format!("row {} of {} has the marker {marker}, no whole number", at + 1, table.name)));
        }
        let start = at.checked_sub(options.before).filter(|_| at + options.after <= markers.len());
        let window = start.map(|start| window(&channels, start, shape.samples, options.every));
        match window.filter(|window| window.iter().all(|value| value.abs() <= options.largest)) {
            Some(window) => {
                found.x.data.extend(window);
                found.x.rows += 1;
                found.markers.push(marker as usize);
            }
            None => found.left_out += 1,
        }
    }
    Ok(found)
}

fn window(channels: &[&[f64]], start: usize, samples: usize, every: usize) -> Vec<f32> {
    let mut window = Vec::with_capacity(channels.len() * samples);
    for channel in channels {
        let rows = &channel[start..start + samples * every];
        let mean = rows.iter().sum::<f64>() / rows.len() as f64;
        window.extend(rows.chunks(every).map(|rows| (rows.iter().sum::<f64>() / every as f64 - mean) as f32));
    }
    window
}
