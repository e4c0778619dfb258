use super::*;
use crate::augment::VectorAugmentation;
use crate::data::generate::identities;

fn objectives(list: &str) -> Vec<ObjectiveSpec> {
    contrarian::registry::parse_list(list).unwrap()
}

fn config(list: &str, hold_out: HoldOut) -> EmbeddingCompareConfig<'static> {
    EmbeddingCompareConfig {
        objectives: objectives(list),
        baseline: "triplet".parse().unwrap(),
        metric: EmbeddingMetric::MapAtR,
        splits: 2,
        fractions: (0.6, 0.2, 0.2),
        hold_out,
        seed: 1,
        model: Architecture::Mlp { depth: 0, width: 1, dropout: 0.0 },
        dim: 8,
        fit: FitConfig::new().with_batch_size(80).with_epochs(80).with_learning_rate(1e-2),
        views: None,
        threads: 2,
    }
}

fn problem() -> EmbeddingProblem {
    let data = identities(60, 10, 3);
    EmbeddingProblem {
        name: "identities".into(),
        x: data.x,
        labels: data.y,
        classes: (0..60).map(|class| class.to_string()).collect(),
        images: None,
        notes: Vec::new(),
    }
}

fn run(problem: &EmbeddingProblem, config: &EmbeddingCompareConfig) -> Result<Comparison, CompareError> {
    compare_embeddings(problem, config, &|_, _| {}, &AtomicBool::new(false))
}

#[test]
fn training_beats_the_vectors_as_they_came_on_rows_and_on_classes() {
    for hold_out in [HoldOut::Rows, HoldOut::Classes] {
        let comparison = run(&problem(), &config("triplet, sup-con, arc-face(scale=16), info-nce", hold_out)).unwrap();
        assert_eq!((comparison.results.len(), comparison.failures.len()), (5, 0));
        let mean = |name: &str| {
            let row = comparison.results.iter().find(|row| row.objective == name).unwrap();
            row.metrics["map@r"].mean
        };
        // Enough classes that a projection learned from some holds for others. What tells identities apart lies in a subspace that a projection can find; noise does not tell.
        for name in ["triplet", "sup-con", "info-nce"] {
            assert!(mean(name) > mean(NO_TRAINING) + 0.05, "{hold_out:?} {name}: {} {}", mean(name), mean(NO_TRAINING));
        }
        let titles: Vec<&str> = comparison.spaces.iter().map(|space| space.title.as_str()).collect();
        assert_eq!((titles.len(), titles[0]), (4, "Before training"));
        let html = crate::report::comparison_html(&comparison);
        for part in ["The space", "Before training", "An objective beats no training", "no training"] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("threshold"), "nothing here has a threshold");
        // The same seeds give the same numbers.
        let again = run(&problem(), &config("triplet, sup-con, arc-face(scale=16), info-nce", hold_out)).unwrap();
        let values = |comparison: &Comparison| -> Vec<Vec<f64>> {
            comparison.results.iter().map(|row| row.metrics["map@r"].values.clone()).collect()
        };
        assert_eq!(values(&comparison), values(&again));
    }
}

#[test]
fn two_views_need_no_labels_and_refuse_class_weights() {
    let views = VectorAugmentation { dropout: 0.1, scale: 0.1, noise: 0.3 };
    let with_views = |list: &str| {
        let config = EmbeddingCompareConfig { views: Some(&views), ..config(list, HoldOut::Rows) };
        run(&problem(), &config)
    };
    assert_eq!(with_views("nt-xent, multi-similarity").unwrap().results.len(), 4);
    let error = with_views("cos-face").unwrap_err().to_string();
    assert!(error.contains("cos-face") && error.contains("without class weights"), "{error}");
}

#[test]
fn settings_and_data_that_cannot_work_are_refused_before_training() {
    let refused = |change: &dyn Fn(&mut EmbeddingCompareConfig, &mut EmbeddingProblem), says: &str| {
        let (mut config, mut problem) = (config("sup-con", HoldOut::Rows), problem());
        change(&mut config, &mut problem);
        let error = run(&problem, &config).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    };
    refused(&|config, _| config.dim = 0, "`dim`");
    refused(&|config, _| config.metric = EmbeddingMetric::Uniformity, "describes a space");
    refused(&|config, _| config.fit.batch_size = 2, "two pairs");
    refused(&|config, _| config.objectives = objectives("focal"), "unknown objective `focal`");
    refused(&|config, _| config.model = Architecture::Cnn, "needs images");
    refused(
        &|config, problem| {
            config.hold_out = HoldOut::Classes;
            problem.labels.iter_mut().for_each(|label| *label %= 4);
        },
        "hold rows out instead",
    );
    refused(
        &|_, problem| {
            let rows = problem.labels.len();
            problem.labels = (0..rows).map(|row| usize::from(row > 3)).collect();
            problem.classes.truncate(2);
        },
        "fewer than two classes are left",
    );
}
