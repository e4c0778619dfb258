use super::*;
use crate::data::{Column, DataError, Table, Values};
use std::path::Path;

fn written(text: &str) -> Result<SeriesSet, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Steps_TRAIN.ts");
    std::fs::write(&path, text).unwrap();
    load_ts(&path)
}

const HEAD: &str = "# from a watch\n@problemName Steps\n@classLabel true Walking Resting\n@data\n";

#[test]
fn a_file_gives_series_by_channel_then_time() {
    let set = written(&format!("{HEAD}1,2,3:4,5,6:Resting\n\n0,0,0:1,1,1e1: Walking\n")).unwrap();
    assert_eq!((set.shape.channels, set.shape.samples, set.name.as_str()), (2, 3, "Steps_TRAIN"));
    assert_eq!(set.labels, [1, 0]);
    assert_eq!(set.classes, ["Walking", "Resting"]);
    assert_eq!(set.x.data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 1.0, 1.0, 10.0]);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let fails = |text: &str| written(text).unwrap_err().to_string();
    let unequal = fails(&format!("{HEAD}1,2,3:4,5,6:Resting\n1,2:4,5:Resting\n"));
    assert!(unequal.contains("line 6") && unequal.contains("cut or pad the series to one length"), "{unequal}");
    let ragged = fails(&format!("{HEAD}1,2,3:4,5:Resting\n"));
    assert!(ragged.contains("line 5") && ragged.contains("channel 2 has 2 samples, channel 1 has 3"), "{ragged}");
    let word = fails(&format!("{HEAD}1,?,3:Resting\n"));
    assert!(word.contains("line 5: `?` is no finite number"), "{word}");
    let class = fails(&format!("{HEAD}1,2,3:Running\n"));
    assert!(class.contains("class `Running` is not named") && class.contains("Walking, Resting"), "{class}");
    assert!(fails(&format!("{HEAD}1 2 3\n")).contains("no `:` before a class"));
    assert!(fails("1,2:3\n").contains("no line `@data`"));
    assert!(fails(HEAD).contains("no series below"));
    assert!(fails("@data\n1,2:3\n").contains("@classLabel true"));
    assert!(load_ts(Path::new("nowhere.ts")).unwrap_err().to_string().contains("cannot read nowhere.ts"));
}

#[test]
fn a_spectrum_knows_a_wave_and_gives_it_back() {
    for samples in [1, 2, 7, 12] {
        let series: Vec<f32> = (0..samples).map(|t| ((t * 37) % 11) as f32 - 4.0).collect();
        let again = Spectrum::of(&series).series();
        assert!(series.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-5), "{series:?} {again:?}");
    }
    // Three cycles of amplitude 2 in 32 samples at 64 Hz are 6 Hz: |X|^2 / T = (2 T / 2)^2 / T.
    let wave: Vec<f32> = (0..32).map(|t| 2.0 * (std::f32::consts::TAU * 3.0 * t as f32 / 32.0).cos()).collect();
    let powers = band_powers(&wave, 64.0, &[(0.0, 6.0), (6.0, 7.0), (7.0, 32.0), (6.5, 7.0)]);
    for (power, expected) in powers.into_iter().zip([0.0, 32.0, 0.0, 0.0]) {
        // Rounding of the samples to f32.
        assert!((power - expected).abs() < 1e-4, "{power}, expected {expected}");
    }
}

#[test]
fn windows_and_channels_are_scaled() {
    let shape = SeriesShape { channels: 2, samples: 2 };
    let mut x = Matrix { rows: 2, cols: 4, data: vec![1.0, 3.0, 10.0, 10.0, 5.0, 5.0, 5.0, 5.0] };
    let mut windows = x.clone();
    normalise_windows(&mut windows, shape, 1.2);
    // Deviation of (-1, 1, 0, 0) is sqrt(1/2): sqrt(2) is cut at the limit. The second window has no spread.
    assert_eq!(windows.data, [-1.2, 1.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    ChannelScaler::fit(&x, shape).apply(&mut x);
    for channel in [[0, 1, 4, 5], [2, 3, 6, 7]] {
        let values = channel.map(|at| x.data[at]);
        assert!(values.iter().sum::<f32>().abs() < 1e-6, "{values:?}");
        assert!((values.iter().map(|v| v * v).sum::<f32>() / 4.0 - 1.0).abs() < 1e-6, "{values:?}");
    }
}

#[test]
fn windows_are_cut_around_events() {
    let column = |name: &str, values: Vec<f64>| Column { name: name.into(), values: Values::Numeric(values) };
    let mut marker = vec![0.0; 12];
    (marker[1], marker[4], marker[7], marker[10]) = (1.0, 2.0, 1.0, 2.0);
    let mut signal: Vec<f64> = (0..12).map(f64::from).collect();
    signal[9] = 1e3;
    let table = Table { name: "run".into(), columns: vec![column("left", signal), column("event", marker)] };
    let options = EventOptions { channels: &["left"], marker: "event", before: 2, after: 4, every: 2, largest: 100.0 };
    let found = event_windows(&table, &options).unwrap();
    // The first is too near the start, the third holds a leap, the last is too near the end.
    assert_eq!((found.markers.as_slice(), found.left_out), (&[2][..], 3));
    assert_eq!(found.x.data, [-2.0, 0.0, 2.0]);
    let wrong = |options: &EventOptions| event_windows(&table, options).unwrap_err().to_string();
    assert!(wrong(&EventOptions { channels: &["lft"], ..options.clone() }).contains("did you mean"));
    assert!(wrong(&EventOptions { every: 0, ..options.clone() }).contains("have no sample"));
    let half = Table { name: "run".into(), columns: vec![table.columns[0].clone(), column("event", vec![0.5; 12])] };
    assert!(event_windows(&half, &options).unwrap_err().to_string().contains("no whole number"));
}

#[test]
fn generated_series_have_their_shape_and_repeat() {
    let set = waves(60, 1);
    assert_eq!((set.x.rows, set.x.cols, set.classes.len()), (60, 128, 6));
    assert_eq!(set, waves(60, 1));
    // A wave of class k has most of its power at k + 2 cycles a window: noise of variance .49 has .49 at each frequency, the
    // wave about 64 / 4 at one.
    let largest = |row: usize| {
        let parts = Spectrum::of(&set.x.row(row)[..64]).parts;
        let power = |f: &usize| (parts[*f].0.powi(2) + parts[*f].1.powi(2)) as u64;
        (1..parts.len()).max_by_key(power).unwrap()
    };
    let right = (0..60).filter(|&row| largest(row) == set.labels[row] + 2).count();
    assert!(right >= 58, "{right}");

    let domain = RecordingDomain::new(1, 1.0, 0.0);
    let set = domain.recordings(40, 3);
    assert_eq!((set.x.rows, set.x.cols, set.labels.len()), (80, 8 * 192, 40));
    assert_eq!(set, domain.recordings(40, 3));
    assert_eq!(set.window_labels()[..4], [0, 0, 1, 1]);
    // Pathological recordings have more slow power.
    let slow = |class: usize| {
        let rows = (0..80).filter(|row| set.window_labels()[*row] == class);
        rows.map(|row| set.x.row(row).chunks(192).map(|c| band_powers(c, 64.0, &[(1.5, 4.0)])[0]).sum::<f64>())
            .sum::<f64>()
    };
    assert!(slow(1) > 1.3 * slow(0), "{} {}", slow(1), slow(0));
    let both = set.clone().with(&RecordingDomain::new(2, 1.6, 0.5).recordings(2, 4));
    assert_eq!((both.x.rows, both.labels.len(), both.recordings[80..].to_vec()), (84, 42, vec![40, 40, 41, 41]));
}

/// The real sets, where the data folder is there.
#[test]
fn real_files_load() {
    let Some(folder) = std::env::var_os("CONTRARIAN_DATA") else {
        println!("skipped: CONTRARIAN_DATA names no folder");
        return;
    };
    let folder = Path::new(&folder).join("ucr_uea_timeseries");
    if !folder.exists() {
        println!("skipped: no {}", folder.display());
        return;
    }
    let set = load_ts(&folder.join("BasicMotions_TRAIN.ts")).unwrap();
    assert_eq!((set.x.rows, set.shape.channels, set.shape.samples, set.classes.len()), (40, 6, 100, 4));
    let unequal = load_ts(&folder.join("JapaneseVowels_TRAIN.ts")).unwrap_err().to_string();
    assert!(unequal.contains("JapaneseVowels_TRAIN.ts line") && unequal.contains("one length"), "{unequal}");
}
