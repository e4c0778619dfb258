use super::update::{DomainModel, Stream, client_loss, decide, labels, rows_of, step};
use super::vote::{Tie, federated_vote};
use super::{FederatedError, federated_average};
use crate::data::{Dataset, Matrix};
use crate::fit::{FitConfig, OptimizerKind};
use burn::config::Config;
use burn::tensor::Device;
use contrarian::InvalidParameter;
use contrarian::classification::CrossEntropyLossConfig;
use contrarian::regularization::adaptation_schedule;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// Whose target features the source features are matched with.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum MmdTarget {
    /// Those of the client's own model: both sides move.
    Client,
    /// Those of the global model of the round, which stand still. The authors' code.
    Global,
}

/// Fine-tuning of the global model on labels that the clients vote for.
#[derive(Config, Debug, PartialEq)]
pub struct Voting {
    /// First round with a vote, from 1.
    #[config(default = 1)]
    pub from_round: usize,
    /// Steps of plain SGD a round.
    #[config(default = 10)]
    pub steps: usize,
    /// Learning rate.
    #[config(default = 0.02)]
    pub learning_rate: f64,
    /// Votes a class needs to become a label.
    #[config(default = 0)]
    pub minimum_votes: usize,
    /// What becomes of ties.
    #[config(default = "Tie::Abstain")]
    pub tie: Tie,
}

/// Settings of [federated training](FederatedTraining); the defaults are plain federated averaging with the budget of the
/// authors' code.
#[derive(Config, Debug)]
pub struct FederatedTrainingConfig {
    /// Rounds of local training and averaging, at least 1.
    #[config(default = 200)]
    pub rounds: usize,
    /// Steps of each client a round, at least 1.
    #[config(default = 32)]
    pub local_steps: usize,
    /// Rows a step, of the client and of the target, at least 1.
    #[config(default = 16)]
    pub batch_size: usize,
    /// Learning rate of the clients' Adam, which starts anew in every round: moments are not exchanged.
    #[config(default = 3e-4)]
    pub learning_rate: f64,
    /// Weight of the domain-adversarial loss, at least 0.
    #[config(default = 0.0)]
    pub adversary: f64,
    /// Weight of the discrepancy of source and target features (times the schedule), at least 0.
    #[config(default = 0.0)]
    pub mmd: f64,
    /// Whose target features.
    #[config(default = "MmdTarget::Client")]
    pub mmd_target: MmdTarget,
    /// Whether features are scaled to length 1 before they are matched, which keeps the discrepancy from shrinking them.
    #[config(default = true)]
    pub unit_features: bool,
    /// Voting, if any.
    pub voting: Option<Voting>,
    /// Steepness of the schedule of the adaptation terms over training.
    #[config(default = 5.0)]
    pub gamma: f64,
}

impl FederatedTrainingConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let require = |holds: bool, field: &str, value: f64, allowed: &str| match holds {
            true => Ok(()),
            false => Err(InvalidParameter::new(field, value, allowed)),
        };
        for (field, value) in
            [("rounds", self.rounds), ("local_steps", self.local_steps), ("batch_size", self.batch_size)]
        {
            require(value >= 1, field, value as f64, "at least 1")?;
        }
        let voting_rate = self.voting.as_ref().map_or(1.0, |voting| voting.learning_rate);
        for (field, value) in [("learning_rate", self.learning_rate), ("voting.learning_rate", voting_rate)] {
            require(value > 0.0 && value.is_finite(), field, value, "finite and above 0")?;
        }
        for (field, value) in [("adversary", self.adversary), ("mmd", self.mmd), ("gamma", self.gamma)] {
            require(value >= 0.0 && value.is_finite(), field, value, "finite and at least 0")?;
        }
        Ok(())
    }
}

/// Federated training for a new domain: clients with labelled rows, a server with unlabelled rows of the target.
///
/// ```text
/// each client, each step:  CE(c(f(x)), y) + adversary D(f(x), f(t)) + alpha(p) mmd MMD(f(x), f(t))
/// each round:              average of the clients' parameters, weighted by their rows
/// with voting, then:       steps of alpha(p) CE(c(f(t)), vote) on the average, over target rows with a label
/// ```
///
/// where `D` sees the features through a gradient reversal of strength `alpha(p)` (the
/// [schedule](contrarian::regularization::adaptation_schedule) over the progress `p` of training). All switches off, it is
/// federated averaging; with one client, training on one source.
///
/// Source: Sun et al. 2022, <https://arxiv.org/abs/2203.11635>, algorithm 1. The discrepancy is added to the task's loss in one
/// step (the authors' code gives it steps of Adam of its own, in which a weight has no effect).
pub struct FederatedTraining<'a> {
    /// Settings.
    pub config: &'a FederatedTrainingConfig,
    /// Each client's labelled rows.
    pub clients: &'a [Dataset],
    /// Unlabelled rows of the target, to train with.
    pub target: &'a Matrix,
    /// Labelled rows of the target, to measure on.
    pub test: &'a Dataset,
    /// Seed of the order of rows.
    pub seed: u64,
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// Accuracy on the target of each client's model before averaging.
    pub client_accuracy: Vec<f64>,
    /// That of their average.
    pub average_accuracy: f64,
    /// That of the global model at the end of the round: after voting, where there is any.
    pub accuracy: f64,
    /// The labels voted for the target's training rows; empty in rounds without a vote.
    pub votes: Vec<Option<usize>>,
}

impl Round {
    /// The [group effect](group_effect) of the round.
    pub fn group_effect(&self) -> f64 {
        group_effect(&self.client_accuracy, self.average_accuracy)
    }
}

/// A trained global model, for inference, and its rounds.
#[derive(Debug, Clone)]
pub struct Federated<M> {
    /// The model after the last round.
    pub model: M,
    /// The rounds in order.
    pub rounds: Vec<Round>,
}

/// What averaging itself gains: the accuracy of the average less the mean accuracy of what was averaged; 0 without clients.
///
/// Source: Sun et al. 2022, <https://arxiv.org/abs/2203.11635>, section 5 (sign and averaging as we understand them).
pub fn group_effect(client_accuracy: &[f64], global_accuracy: f64) -> f64 {
    if client_accuracy.is_empty() {
        return 0.0;
    }
    global_accuracy - client_accuracy.iter().sum::<f64>() / client_accuracy.len() as f64
}

impl FederatedTraining<'_> {
    /// Trains `model`, made on an autodiff device.
    ///
    /// # Errors
    /// When a setting is out of range, a set is empty or of other columns or classes, or a loss is no number any more.
    pub fn run<M: DomainModel>(&self, model: M) -> Result<Federated<M>, FederatedError> {
        self.check()?;
        let config = self.config;
        let weights: Vec<f64> = self.clients.iter().map(|client| client.y.len() as f64).collect();
        // Every order of rows has a generator of its own: what is switched on does not change the others.
        let mut seeds = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut sources: Vec<Stream> = self.clients.iter().map(|own| Stream::new(own.y.len(), &mut seeds)).collect();
        let mut targets: Vec<Stream> = self.clients.iter().map(|_| Stream::new(self.target.rows, &mut seeds)).collect();
        let mut global = model.valid();
        let mut rounds = Vec::with_capacity(config.rounds);
        for round in 0..config.rounds {
            let mut locals = Vec::with_capacity(self.clients.len());
            for client in 0..self.clients.len() {
                let batches = (&mut sources[client], &mut targets[client]);
                locals.push(self.local(&global, client, round, batches)?.valid());
            }
            global = federated_average(&locals, &weights)?;
            let average_accuracy = self.accuracy(&global);
            let mut votes = Vec::new();
            if let Some(voting) = config.voting.as_ref().filter(|voting| round + 1 >= voting.from_round) {
                let each: Vec<Vec<usize>> = locals.iter().map(|local| decide(local, self.target)).collect();
                votes = federated_vote(&each, self.test.classes, voting.tie, voting.minimum_votes)?;
                global = self.fine_tune(global, &votes, voting, round, &mut seeds);
            }
            let accuracy = if votes.is_empty() { average_accuracy } else { self.accuracy(&global) };
            let client_accuracy = locals.iter().map(|local| self.accuracy(local)).collect();
            rounds.push(Round { client_accuracy, average_accuracy, accuracy, votes });
        }
        Ok(Federated { model: global, rounds })
    }

    /// A client's steps of a round, from the global model.
    fn local<M: DomainModel>(
        &self,
        global: &M,
        client: usize,
        round: usize,
        (source, target): (&mut Stream, &mut Stream),
    ) -> Result<M, FederatedError> {
        let config = self.config;
        // `valid` before `train`: a clone would have its running statistics in common with the other clients.
        let mut model = global.valid().train();
        let mut optimizer = FitConfig::new().with_optimizer(OptimizerKind::Adam).optimizer();
        for at in 0..config.local_steps {
            let progress = (round * config.local_steps + at) as f64 / (config.rounds * config.local_steps) as f64;
            let (rows, target_rows) = (source.next(config.batch_size), target.next(config.batch_size));
            let (own, of_target) = ((&self.clients[client], &rows[..]), (self.target, &target_rows[..]));
            let loss = client_loss(config, progress, (&model, global), own, of_target);
            let (next, value) = step(model, &mut optimizer, config.learning_rate, loss);
            if !value.is_finite() {
                return Err(FederatedError::Diverged { client, round: round + 1, value });
            }
            model = next;
        }
        Ok(model)
    }

    /// The global model after its steps on the rows with a label.
    fn fine_tune<M: DomainModel>(
        &self,
        global: M,
        votes: &[Option<usize>],
        voting: &Voting,
        round: usize,
        seeds: &mut Xoshiro256PlusPlus,
    ) -> M {
        let labelled: Vec<(usize, usize)> =
            votes.iter().enumerate().filter_map(|(row, label)| Some((row, (*label)?))).collect();
        if labelled.is_empty() {
            return global;
        }
        let device = Device::flex().autodiff();
        let alpha = adaptation_schedule((round + 1) as f64 / self.config.rounds as f64, self.config.gamma);
        let mut stream = Stream::new(labelled.len(), seeds);
        let mut optimizer =
            FitConfig::new().with_optimizer(OptimizerKind::Sgd { momentum: 0.0, nesterov: false }).optimizer();
        let mut model = global.train();
        for _ in 0..voting.steps {
            let batch = stream.next(self.config.batch_size);
            let rows: Vec<usize> = batch.iter().map(|&at| labelled[at].0).collect();
            let labels = labels(batch.iter().map(|&at| labelled[at].1), &device);
            let logits = model.classify(model.features(rows_of(self.target, &rows, &device)));
            let loss = CrossEntropyLossConfig::new().init().forward(logits, labels).mul_scalar(alpha);
            model = step(model, &mut optimizer, voting.learning_rate, loss).0;
        }
        model.valid()
    }

    fn accuracy<M: DomainModel>(&self, model: &M) -> f64 {
        let decided = decide(model, &self.test.x);
        decided.iter().zip(&self.test.y).filter(|(a, b)| a == b).count() as f64 / self.test.y.len() as f64
    }

    fn check(&self) -> Result<(), FederatedError> {
        self.config.validate()?;
        if self.clients.is_empty() {
            return Err(FederatedError::NoClients);
        }
        let (columns, classes) = (self.target.cols, self.test.classes);
        let sets = self.clients.iter().enumerate().map(|(k, set)| (format!("rows of client {k}"), &set.x, set.classes));
        let others =
            [("target rows".to_string(), self.target, classes), ("test rows".to_string(), &self.test.x, classes)];
        for (what, x, found) in sets.chain(others) {
            let reason = match () {
                () if x.rows == 0 => "there are none".to_string(),
                () if x.cols != columns => format!("{} columns, but the target has {columns}", x.cols),
                () if found != classes => format!("{found} classes, but the target has {classes}"),
                () => continue,
            };
            return Err(FederatedError::Data { what, reason });
        }
        Ok(())
    }
}
