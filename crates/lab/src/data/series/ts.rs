use super::{SeriesSet, SeriesShape};
use crate::data::{DataError, Matrix};
use std::path::Path;

/// Reads a `.ts` file of the UCR and UEA archives: `#` comments, `@` header lines, then after `@data` a series a line, its
/// channels separated by `:`, values by `,`, the last field its class. Classes are in the order of `@classLabel`.
///
/// # Errors
/// When the file cannot be read, has no `@data` or no `@classLabel` with names, or no series; when a value is no finite number,
/// a class is not named in the header, or a series or channel has another size than the first. Each names the line.
pub fn load_ts(path: &Path) -> Result<SeriesSet, DataError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| DataError::Unreadable { path: path.into(), reason: error.to_string() })?;
    let no_series = |reason: &str| DataError::Series { path: path.into(), reason: reason.into() };
    let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut set = SeriesSet {
        name,
        shape: SeriesShape { channels: 0, samples: 0 },
        x: Matrix { rows: 0, cols: 0, data: Vec::new() },
        labels: Vec::new(),
        classes: Vec::new(),
    };
    let mut in_data = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let error = |reason: String| DataError::Line { path: path.into(), line: at as u64 + 1, reason };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !in_data {
            let mut words = line.split_whitespace();
            match words.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "@data" => in_data = true,
                "@classlabel" if words.next().is_some_and(|word| word.eq_ignore_ascii_case("true")) => {
                    set.classes = words.map(String::from).collect();
                }
                _ => {}
            }
            continue;
        }
        if set.classes.is_empty() {
            return Err(no_series("there is no line `@classLabel true` with the names of the classes before `@data`"));
        }
        add(&mut set, line).map_err(error)?;
    }
    match (in_data, set.labels.is_empty()) {
        (false, _) => Err(no_series("there is no line `@data`; it is no `.ts` file")),
        (true, true) => Err(no_series("there is no series below `@data`")),
        (true, false) => Ok(set),
    }
}

/// Adds the series of a line.
fn add(set: &mut SeriesSet, line: &str) -> Result<(), String> {
    let (channels, class) = line.rsplit_once(':').ok_or("it has no `:` before a class")?;
    let class = class.trim();
    let label = set.classes.iter().position(|name| name == class).ok_or_else(|| {
        format!("class `{class}` is not named by `@classLabel`, which has {}", set.classes.join(", "))
    })?;
    let before = set.x.data.len();
    let mut lengths = Vec::new();
    for channel in channels.split(':') {
        let start = set.x.data.len();
        for value in channel.split(',') {
            let number = value.trim().parse::<f32>().ok().filter(|number| number.is_finite());
            let number = number.ok_or_else(|| format!("`{}` is no finite number; fill gaps first", value.trim()))?;
            set.x.data.push(number);
        }
        lengths.push(set.x.data.len() - start);
    }
    let shape = SeriesShape { channels: lengths.len(), samples: lengths[0] };
    if let Some(channel) = lengths.iter().position(|length| *length != shape.samples) {
        let reason = "channels of one series must be of one length";
        return Err(format!(
            "channel {} has {} samples, channel 1 has {}; {reason}",
            channel + 1,
            lengths[channel],
            lengths[0]
        ));
    }
    if before == 0 {
        set.shape = shape;
        set.x.cols = shape.numbers();
    }
    if shape != set.shape {
        return Err(format!(
            "it has {} channels of {} samples, the first series {} of {}; cut or pad the series to one length",
            shape.channels, shape.samples, set.shape.channels, set.shape.samples
        ));
    }
    set.labels.push(label);
    set.x.rows += 1;
    Ok(())
}
