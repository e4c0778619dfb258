//! Federated training as a whole.

use super::*;
use crate::data::Matrix;
use crate::data::generate::Dataset;
use crate::model::{DomainNetwork, DomainNetworkConfig};
use burn::tensor::Device;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Two classes, told apart by the first number; the second is moved by `shift`.
fn domain(rows: usize, shift: f32, seed: u64) -> Dataset {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let y: Vec<usize> = (0..rows).map(|row| row % 2).collect();
    let data = y.iter().flat_map(|&label| {
        let side = if label == 1 { 1.0 } else { -1.0 };
        [side + rng.random_range(-0.8..0.8), shift + rng.random_range(-1.0..1.0)]
    });
    Dataset { x: Matrix { rows, cols: 2, data: data.collect() }, y: y.clone(), classes: 2 }
}

fn config() -> FederatedTrainingConfig {
    FederatedTrainingConfig::new().with_rounds(4).with_local_steps(20).with_batch_size(16).with_learning_rate(1e-2)
}

fn train(
    config: &FederatedTrainingConfig,
    clients: &[Dataset],
    batch_norm: bool,
) -> Result<Federated<DomainNetwork>, FederatedError> {
    let (target, test) = (domain(60, 1.5, 8).x, domain(200, 1.5, 9));
    let model = DomainNetworkConfig::new(2, 2).with_width(16).with_features(8).with_batch_norm(batch_norm);
    let training = FederatedTraining { config, clients, target: &target, test: &test, seed: 3 };
    training.run(model.init(&Device::flex().autodiff(), 1))
}

fn clients() -> Vec<Dataset> {
    vec![domain(80, -1.0, 1), domain(40, 0.0, 2), domain(60, 1.0, 3)]
}

#[test]
fn every_switch_trains_and_repeats() {
    let voting = Voting::new().with_from_round(3).with_minimum_votes(2);
    let plain = config();
    let mmd = config().with_mmd(0.1);
    let global = mmd.clone().with_mmd_target(MmdTarget::Global).with_unit_features(false);
    let all = config().with_mmd(0.1).with_adversary(0.1).with_voting(Some(voting));
    for (config, batch_norm) in [(&plain, false), (&mmd, false), (&global, false), (&all, false), (&all, true)] {
        let found = train(config, &clients(), batch_norm).unwrap();
        assert_eq!(found.rounds.len(), 4);
        let last = &found.rounds[3];
        // Classes lie at least .4 apart; chance is .5 with a standard deviation of .035.
        assert!(last.accuracy > 0.9, "{config:?}: {}", last.accuracy);
        assert_eq!(last.client_accuracy.len(), 3);
        let mean = last.client_accuracy.iter().sum::<f64>() / 3.0;
        assert!((last.group_effect() - (last.average_accuracy - mean)).abs() < 1e-15);
        let voted: Vec<usize> = found.rounds.iter().map(|round| round.votes.len()).collect();
        assert_eq!(voted, if config.voting.is_some() { [0, 0, 60, 60] } else { [0; 4] });
        assert_eq!(train(config, &clients(), batch_norm).unwrap().rounds, found.rounds);
    }
}

#[test]
fn a_federation_of_one_is_plain_training() {
    let found = train(&config(), &clients()[..1], false).unwrap();
    assert!(found.rounds.iter().all(|round| round.group_effect() == 0.0 && round.accuracy == round.client_accuracy[0]));
}

#[test]
fn votes_that_nobody_agrees_on_change_nothing() {
    let nobody = Voting::new().with_minimum_votes(4);
    let found = train(&config().with_voting(Some(nobody)), &clients(), false).unwrap();
    assert!(found.rounds.iter().all(|round| round.votes.iter().all(Option::is_none)));
    assert!(found.rounds.iter().all(|round| round.accuracy == round.average_accuracy));
    let plain = train(&config(), &clients(), false).unwrap();
    assert_eq!(plain.rounds[0].accuracy, found.rounds[0].accuracy);
}

#[test]
fn what_cannot_be_trained_is_named() {
    let field = |config: FederatedTrainingConfig| match train(&config, &clients(), false) {
        Err(FederatedError::Parameter(error)) => error.field,
        other => panic!("{:?}", other.map(|found| found.rounds)),
    };
    assert_eq!(field(config().with_rounds(0)), "rounds");
    assert_eq!(field(config().with_mmd(-1.0)), "mmd");
    assert_eq!(field(config().with_learning_rate(f64::NAN)), "learning_rate");
    assert_eq!(field(config().with_voting(Some(Voting::new().with_learning_rate(0.0)))), "voting.learning_rate");
    let fails = |clients: &[Dataset]| train(&config(), clients, false).map(|found| found.rounds).unwrap_err();
    assert_eq!(fails(&[]), FederatedError::NoClients);
    let wide = Dataset { x: Matrix { rows: 2, cols: 3, data: vec![0.0; 6] }, y: vec![0, 1], classes: 2 };
    assert!(fails(&[domain(4, 0.0, 1), wide]).to_string().contains("rows of client 1: 3 columns"));
    assert!(fails(&[Dataset { classes: 3, ..domain(4, 0.0, 1) }]).to_string().contains("3 classes"));
    let none = Dataset { x: Matrix { rows: 0, cols: 2, data: vec![] }, y: vec![], classes: 2 };
    assert!(fails(&[none]).to_string().contains("there are none"));
    let error =
        fails(&[Dataset { x: Matrix { rows: 2, cols: 2, data: vec![f32::NAN; 4] }, y: vec![0, 1], classes: 2 }]);
    assert!(matches!(error, FederatedError::Diverged { client: 0, round: 1, .. }), "{error}");
}
