use contrarian::InvalidParameter;

/// The decision about recordings that were classified window by window.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingAverage {
    /// Mean log-probability of each class over the windows of a recording, recording by recording.
    pub log_probabilities: Vec<f64>,
    /// The class with the largest mean, the first of equals.
    pub predictions: Vec<usize>,
}

/// The mean log-probability of each recording over its windows, and its most probable class.
///
/// `log_probabilities` are those of the windows, row by row with a column a class; `recordings` says which recording each
/// window is of, in `0..count`.
///
/// # Errors
/// When there are no classes, the numbers do not make a row a window, or a recording has no window or does not exist.
pub fn recording_average(
    log_probabilities: &[f64],
    classes: usize,
    recordings: &[usize],
    count: usize,
) -> Result<RecordingAverage, InvalidParameter> {
    if classes == 0 || log_probabilities.len() != classes * recordings.len() {
        let allowed = format!("{classes} numbers for each of {} windows", recordings.len());
        return Err(InvalidParameter::new("log_probabilities", log_probabilities.len(), allowed));
    }
    let mut windows = vec![0.0; count];
    let mut means = vec![0.0; count * classes];
    for (row, &recording) in log_probabilities.chunks(classes).zip(recordings) {
        if recording >= count {
            return Err(InvalidParameter::new("recordings", recording, format!("below {count}")));
        }
        windows[recording] += 1.0;
        means[recording * classes..][..classes].iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
    }
    if let Some(empty) = windows.iter().position(|windows| *windows == 0.0) {
        return Err(InvalidParameter::new("recordings", empty, "the recording of at least one window"));
    }
    let mut predictions = Vec::with_capacity(count);
    for (mean, windows) in means.chunks_mut(classes).zip(&windows) {
        for value in mean.iter_mut() {
            *value /= windows;
        }
        predictions.push((1..classes).fold(0, |best, class| if mean[class] > mean[best] { class } else { best }));
    }
    Ok(RecordingAverage { log_probabilities: means, predictions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_averaged_and_ties_go_to_the_first() {
        let found = recording_average(&[-1.0, -3.0, -2.0, -1.0, -5.0, -1.0], 2, &[1, 0, 1], 2).unwrap();
        assert_eq!(found.log_probabilities, [-2.0, -1.0, -3.0, -2.0]);
        assert_eq!(found.predictions, [1, 1]);
        assert_eq!(recording_average(&[-1.0, -1.0], 2, &[0], 1).unwrap().predictions, [0]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let fails = |numbers: &[f64], recordings: &[usize], count| {
            recording_average(numbers, 2, recordings, count).unwrap_err().to_string()
        };
        assert!(fails(&[0.0; 3], &[0, 0], 1).contains("2 numbers for each of 2 windows"));
        assert!(fails(&[0.0; 4], &[0, 2], 2).contains("`recordings` is 2, but must be below 2"));
        assert!(fails(&[0.0; 4], &[0, 0], 2).contains("`recordings` is 1, but must be the recording of at least one"));
    }
}
