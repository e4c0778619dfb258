//! Every study runs end to end at its smallest size, repeats exactly, and leaves files it can be run again from.

use contrarian_studies::{Context, Preset, STUDIES, Study, StudyError, StudyRun, Verdict, read_config, write_run};
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

fn smoke(study: &Study, threads: usize) -> StudyRun {
    let stop = AtomicBool::new(false);
    let context = Context { threads, data: None, stop: &stop, progress: &|_, _| {}, record: &|_| {} };
    StudyRun::new(study, Preset::Smoke, (study.settings)(Preset::Smoke), &context).unwrap()
}

/// Everything but what depends on the clock.
fn timeless(run: &StudyRun) -> (Vec<String>, Vec<serde_json::Value>) {
    let claims = run.findings.claims.iter().map(|claim| format!("{claim:?}")).collect();
    let mut lines = run.findings.measurements.clone();
    for line in &mut lines {
        line.as_object_mut().unwrap().retain(|name, _| !name.ends_with("seconds"));
    }
    (claims, lines)
}

#[test]
fn every_registered_claim_is_answered_and_numbers_do_not_depend_on_threads() {
    for study in STUDIES {
        let run = smoke(study, 1);
        let answered: Vec<&str> = run.findings.claims.iter().map(|claim| claim.id.as_str()).collect();
        let registered: Vec<&str> = study.claims.iter().map(|claim| claim.id).collect();
        assert_eq!(answered, registered, "{}", study.id);
        assert_eq!(registered.iter().collect::<HashSet<_>>().len(), registered.len(), "{}: ids are unique", study.id);
        assert!(!run.findings.measurements.is_empty(), "{}", study.id);
        // One seed cannot support a comparison: only exact statements may be decided here.
        for claim in run.findings.claims.iter().filter(|claim| claim.p.is_none() && claim.interval.is_none()) {
            assert!(claim.verdict == Verdict::Inconclusive || claim.reason.contains("violations"), "{claim:?}");
        }
        assert_eq!(timeless(&run), timeless(&smoke(study, 2)), "{}", study.id);
    }
}

#[test]
fn a_run_leaves_files_that_run_it_again() {
    let study = contrarian_studies::find("any-loss").unwrap();
    let run = smoke(study, 2);
    let folder = tempfile::tempdir().unwrap();
    let report = write_run(folder.path(), &run).unwrap();
    assert!(std::fs::read_to_string(report).unwrap().contains("f1-linear"));
    let lines = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), run.findings.measurements.len());
    let found: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("findings.json")).unwrap()).unwrap();
    assert_eq!(found["claims"].as_array().unwrap().len(), study.claims.len());
    let (again, preset, settings) = read_config(&folder.path().join("config.toml")).unwrap();
    assert_eq!((again.id, preset, settings), (study.id, Preset::Smoke, run.settings));
}

#[test]
fn settings_are_checked_by_name_and_type() {
    let study = contrarian_studies::find("dice").unwrap();
    let mut settings = (study.settings)(Preset::Smoke);
    study.set(&mut settings, "seeds = 2").unwrap();
    assert_eq!(settings["seeds"].as_integer(), Some(2));
    assert!(study.set(&mut settings, "seds=2").unwrap_err().to_string().contains("there are"));
    assert!(study.set(&mut settings, "seeds").unwrap_err().to_string().contains("name=value"));
    study.set(&mut settings, "seeds=many").unwrap();
    let stop = AtomicBool::new(false);
    let context = Context { threads: 1, data: None, stop: &stop, progress: &|_, _| {}, record: &|_| {} };
    let error = StudyRun::new(study, Preset::Smoke, settings, &context).unwrap_err();
    assert!(matches!(error, StudyError::Settings { .. }), "{error}");
}

#[test]
fn a_stopped_study_gives_no_verdicts() {
    let stop = AtomicBool::new(true);
    let context = Context { threads: 2, data: None, stop: &stop, progress: &|_, _| {}, record: &|_| {} };
    for study in STUDIES {
        let stopped = StudyRun::new(study, Preset::Smoke, (study.settings)(Preset::Smoke), &context);
        assert!(matches!(stopped, Err(StudyError::Stopped)), "{}", study.id);
    }
}

#[test]
fn no_study_runs_without_a_seed() {
    let stop = AtomicBool::new(false);
    let context = Context { threads: 1, data: None, stop: &stop, progress: &|_, _| {}, record: &|_| {} };
    for study in STUDIES {
        let mut settings = (study.settings)(Preset::Smoke);
        study.set(&mut settings, "seeds=0").unwrap();
        let error = StudyRun::new(study, Preset::Smoke, settings, &context).unwrap_err();
        assert!(matches!(error, StudyError::Settings { .. }) && error.to_string().contains("seeds"), "{}", study.id);
    }
}
