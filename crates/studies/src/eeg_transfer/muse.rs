//! Real recordings of a consumer headband: from telling rare targets (P300) to telling faces from houses (N170).

use super::training::{budget, fine_tune, fit, score};
use super::{SHALLOW, Settings, TCN};
use crate::findings::Findings;
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use burn::tensor::Device;
use contrarian_lab::data::series::{EventOptions, EventWindows, Recordings, event_windows, normalise_windows};
use contrarian_lab::data::{CsvOptions, DataError, Matrix, load_csv};
use contrarian_lab::fit::FineTuning;
use contrarian_lab::model::{SeriesNetwork, ShallowNetConfig, TcnConfig};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::path::{Path, PathBuf};

const CHANNELS: [&str; 4] = ["TP9", "AF7", "AF8", "TP10"];
/// The subject the target is learned from; the others are the test.
const TRAIN_SUBJECT: &str = "subject1";
/// Windows of the target that are learned from.
const TARGET_WINDOWS: usize = 64;
const SOURCE_EPOCHS: usize = 3;
const TARGET_EPOCHS: usize = 30;

/// Both networks from P300 to N170, as a table; nothing but a note where the recordings are not there.
///
/// # Errors
/// When a recording cannot be used, a fit fails, or the run is stopped.
pub fn on_real_recordings(s: &Settings, context: &Context, findings: &mut Findings) -> Result<(), StudyError> {
    let folders = context.data.as_ref().map(|data| ["eeg_muse_p300", "eeg_muse_n170"].map(|name| data.join(name)));
    let Some([p300, n170]) = folders.filter(|folders| folders.iter().all(|folder| folder.exists())) else {
        let missing =
            "Real recordings were left out: there are no folders `eeg_muse_p300` and `eeg_muse_n170` of real data.";
        findings.notes.push(missing.into());
        return Ok(());
    };
    let unusable = |error: DataError| StudyError::Data { name: "eeg_muse", reason: error.to_string() };
    let source = windows(&p300, &|_| true).map_err(unusable)?;
    let train = windows(&n170, &|subject| subject == TRAIN_SUBJECT).map_err(unusable)?;
    let test = windows(&n170, &|subject| subject != TRAIN_SUBJECT).map_err(unusable)?;
    let arms = [(TCN.to_string(), true), (SHALLOW.to_string(), false)];
    let measured = Measurements::collect(context, "Muse", &arms, s.real_seeds, |&tcn, seed| {
        let few = some(&train, TARGET_WINDOWS, seed);
        let device = Device::flex().autodiff();
        let (channels, samples) = (source.shape.channels, source.shape.samples);
        if tcn {
            let config = TcnConfig::new(channels, samples, 2).with_filters(16).with_kernel(3).with_dropout(0.05);
            transfer(s, [&source, &few, &test], 6e-3, seed, |seed| config.init(&device, seed))
        } else {
            let config = ShallowNetConfig::new(channels, samples, 2)
                .with_filters_time(8)
                .with_filter_length(13)
                .with_filters_space(8)
                .with_pool(16)
                .with_stride(4)
                .with_dropout(0.3);
            transfer(s, [&source, &few, &test], 2e-3, seed, |seed| config.init(&device, seed))
        }
    })?;
    let title = format!(
        "Real recordings: from P300 ({} windows) to N170, {TARGET_WINDOWS} windows of one subject, balanced accuracy on {} \
         windows of the others (descriptive)",
        source.x.rows, test.x.rows
    );
    findings.tables.push(measured.table(&title, &["scratch", "fine-tuned", "head only", "source, seen", "seconds"]));
    findings.measurements.extend(measured.lines());
    Ok(())
}

fn transfer<N: SeriesNetwork>(
    s: &Settings,
    [source, few, test]: [&Recordings; 3],
    rate: f64,
    seed: u64,
    init: impl Fn(u64) -> N,
) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    // Targets are rare.
    let pre_trained = fit(init(seed), source, &budget(s, rate, SOURCE_EPOCHS).with_balanced(true), seed, None)?;
    let half = budget(s, rate / 2.0, TARGET_EPOCHS);
    let tuned = |strategy| score(&fine_tune(&pre_trained, strategy, few, &half, seed)?, test);
    let scratch = fit(init(seed), few, &budget(s, rate, TARGET_EPOCHS), seed, None)?;
    Ok(Measured::from([
        ("source, seen", score(&pre_trained, source)?),
        ("scratch", score(&scratch, test)?),
        ("fine-tuned", tuned(FineTuning::AllLayers)?),
        ("head only", tuned(FineTuning::HeadOnly)?),
        ("seconds", started.elapsed().as_secs_f64()),
    ]))
}

/// The windows around the events of some subjects, each a recording of its own: one second at 64 Hz.
fn windows(folder: &Path, of: &dyn Fn(&str) -> bool) -> Result<Recordings, DataError> {
    let mut all: Option<EventWindows> = None;
    for file in files(folder)?.into_iter().filter(|file| {
        let below = file.strip_prefix(folder).unwrap_or(file);
        below.components().next().is_some_and(|subject| of(&subject.as_os_str().to_string_lossy()))
    }) {
        let table = load_csv(&file, &CsvOptions::default())?;
        let marker = table.columns.last().map_or_else(String::new, |column| column.name.clone());
        let options =
            EventOptions { channels: &CHANNELS, marker: &marker, before: 32, after: 224, every: 4, largest: 100.0 };
        let found = event_windows(&table, &options)?;
        match &mut all {
            None => all = Some(found),
            Some(all) => {
                all.x.data.extend(found.x.data);
                all.x.rows += found.x.rows;
                all.markers.extend(found.markers);
            }
        }
    }
    let reason = format!("{} has no recordings of the subjects that are needed", folder.display());
    let EventWindows { shape, mut x, markers, .. } = all.ok_or(DataError::Mismatch { reason })?;
    normalise_windows(&mut x, shape, 20.0);
    let labels = markers.iter().map(|marker| usize::from(*marker == 2)).collect();
    Ok(Recordings { shape, recordings: (0..x.rows).collect(), x, labels })
}

/// All `.csv.gz` files below a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |error: std::io::Error| DataError::Unreadable { path: folder.into(), reason: error.to_string() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.to_string_lossy().ends_with(".csv.gz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// As many windows of each class, at random.
fn some(set: &Recordings, count: usize, seed: u64) -> Recordings {
    let mut order: Vec<usize> = (0..set.x.rows).collect();
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    let of = |class: usize| order.iter().copied().filter(move |&row| set.labels[row] == class).take(count / 2);
    let rows: Vec<usize> = of(0).chain(of(1)).collect();
    let x: Matrix = set.x.gather(&rows);
    let labels = rows.iter().map(|&row| set.labels[row]).collect();
    Recordings { shape: set.shape, x, recordings: (0..rows.len()).collect(), labels }
}
