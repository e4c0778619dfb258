//! Personal-loss denoising: do positives drawn by a user's own losses keep noise out of a recommender?

use crate::claim::{Claim, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use contrarian::InvalidParameter;
use contrarian::negatives::{NegativeItemSampler, PldSamplerConfig};
use contrarian::ranking::{ReweightedLossConfig, TruncatedLossConfig};
use contrarian_lab::recommend::{
    FactorsConfig, RecommenderObjective, TasteWorld, inject_noise, loss_overlap, ndcg_at_k, recall_at_k, train_factors,
};
use contrarian_lab::stats::Sides;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

const DIFFERS: &str = "generated tastes of 500 users and a matrix factorisation instead of Gowalla, Yelp and MIND with LightGCN and NeuMF";
const REPORTED: &str = "effective and robust on three data sets with varying noise (abstract)";

const fn gain(id: &'static str, statement: &'static str, reported: &'static str) -> Claim {
    Claim {
        id,
        statement,
        reported,
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    }
}

const CLAIMS: &[Claim] = &[
    gain(
        "over-bpr-at-0.3",
        "with .3 of noise added to each user's items, the Recall@20 with personal losses exceeds that of plain BPR",
        REPORTED,
    ),
    gain("over-bpr-at-0.5", "the same with .5 of noise", REPORTED),
    gain(
        "fewer-noisy-draws",
        "at .3 of noise, the noisy part of the drawn positives is smaller with personal losses than with plain BPR",
        REPORTED,
    ),
    gain(
        "personal-losses-tell-noise",
        "after 12 epochs of plain BPR at .3 of noise, losses tell noisy interactions better within users (mean AUC) than over all users (one AUC)",
        "within one user noisy interactions have clearly larger losses (section 3)",
    ),
];

pub const STUDY: Study = Study {
    id: "personal-loss-denoising",
    title: "Personalized Denoising Implicit Feedback for Robust Recommender System",
    authors: "Zhang, Cao, Wu et al. 2025",
    arxiv: "2502.00348",
    summary: "A matrix factorisation learns generated tastes from interactions with 0, .3 and .5 of noise: plain, with positives drawn by a user's own \
              losses, with the largest losses dropped, with surprising interactions weighed less, and with random losses as the control.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    users: usize,
    items: usize,
    dim: usize,
    epochs: usize,
    batch_size: usize,
    learning_rate: f64,
    temperature: f64,
    pool: usize,
    start_epoch: usize,
    overlap_epochs: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            users: 500,
            items: 400,
            dim: 32,
            epochs: 40,
            batch_size: 1024,
            learning_rate: 0.01,
            temperature: 0.1,
            pool: 5,
            start_epoch: 5,
            overlap_epochs: 12,
        };
        match preset {
            Preset::Smoke => {
                Self { seeds: 2, users: 60, items: 80, epochs: 5, start_epoch: 1, overlap_epochs: 3, ..base }
            }
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn factors(&self, epochs: usize) -> FactorsConfig {
        FactorsConfig::new()
            .with_dim(self.dim)
            .with_learning_rate(self.learning_rate)
            .with_batch_size(self.batch_size)
            .with_epochs(epochs)
    }

    fn sampler(&self) -> PldSamplerConfig {
        PldSamplerConfig::new()
            .with_temperature(self.temperature)
            .with_pool(self.pool)
            .with_start_epoch(self.start_epoch)
    }

    fn check(&self) -> Result<(), StudyError> {
        let named = |error: InvalidParameter| StudyError::Settings { study: STUDY.id, reason: error.to_string() };
        // A user chooses 30 items, and noise is drawn from the others.
        if self.items < 50 || self.users == 0 {
            return Err(named(InvalidParameter::new("items", self.items, "at least 50, with a user at least")));
        }
        for epochs in [self.epochs, self.overlap_epochs] {
            self.factors(epochs).validate().map_err(named)?;
        }
        self.sampler().validate().map_err(named)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Bpr,
    Pld,
    Random,
    Truncated,
    Reweighted,
}

const METHODS: [(&str, Method); 5] = [
    ("BPR", Method::Bpr),
    ("personal losses", Method::Pld),
    ("random losses", Method::Random),
    ("truncated", Method::Truncated),
    ("reweighted", Method::Reweighted),
];
const NOISES: [f64; 3] = [0.0, 0.3, 0.5];
const NUMBERS: [&str; 6] = ["Recall@20", "nDCG@20", "noisy draws", "AUC pooled", "AUC within users", "seconds"];
/// Places of a ranking that are looked at.
const TOP: usize = 20;

fn name(noise: f64, method: &str) -> String {
    format!("noise {noise}: {method}")
}

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, (f64, Method))> = NOISES
        .into_iter()
        .flat_map(|noise| METHODS.map(|(method, kind)| (name(noise, method), (noise, kind))))
        .collect();
    let measured = Measurements::collect(context, "tastes", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let between = |number: &str, noise: f64, sign: f64| {
        let arms = [name(noise, "personal losses"), name(noise, "BPR")];
        measured.evidence(number, arms.each_ref().map(String::as_str), |[ours, plain]| sign * (ours - plain))
    };
    let bpr = name(0.3, "BPR");
    let within = measured.values(&bpr, "AUC within users");
    let pooled = measured.values(&bpr, "AUC pooled");
    let evidence = [
        between("Recall@20", 0.3, 1.0),
        between("Recall@20", 0.5, 1.0),
        between("noisy draws", 0.3, -1.0),
        crate::claim::Evidence::paired(&within, &pooled),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Clean held-out items of each user (mean ± s.d. over seeds)", &NUMBERS));
    let recall = |noise: f64, method: &str| measured.mean(&name(noise, method), "Recall@20");
    let cost = recall(0.0, "personal losses") - recall(0.0, "BPR");
    findings.notes.push(format!(
        "On clean interactions personal losses change Recall@20 by {cost:+.3} ({:.3} against {:.3}): {}.",
        recall(0.0, "personal losses"),
        recall(0.0, "BPR"),
        if cost < 0.0 { "they cost something where there is nothing to remove" } else { "they cost nothing here" }
    ));
    findings.notes.push(format!(
        "The oracle is plain BPR on the clean interactions, {:.3}; at .3 of noise plain BPR has {:.3} and personal losses {:.3}. With random \
         losses in their place, the control, it is {:.3}.",
        recall(0.0, "BPR"),
        recall(0.3, "BPR"),
        recall(0.3, "personal losses"),
        recall(0.3, "random losses")
    ));
    Ok(findings)
}

fn measure(s: &Settings, (noise, method): (f64, Method), seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let world = TasteWorld::generate(s.users, s.items, seed);
    let (train, noisy) = inject_noise(&world.train, &world.test, world.items, noise, seed.wrapping_add(1));
    let sampler = s.sampler().init();
    let objective = match method {
        Method::Bpr => RecommenderObjective::Bpr,
        Method::Pld => RecommenderObjective::Pld(sampler),
        Method::Random => RecommenderObjective::RandomLosses(sampler),
        Method::Truncated => RecommenderObjective::Truncated(TruncatedLossConfig::new().init()),
        Method::Reweighted => RecommenderObjective::Reweighted(ReweightedLossConfig::new().init()),
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut draws, mut bad) = (0usize, 0usize);
    let trained = train_factors(&train, world.items, &s.factors(s.epochs), &objective, seed, &stop, |user, place| {
        draws += 1;
        bad += usize::from(noisy[user][place]);
    });
    let (factors, _) = trained.map_err(|error| error.to_string())?;
    let of_user = |user: usize| {
        let top = factors.top(user, &[&train[user]], TOP);
        (recall_at_k(&top, &world.test[user]), ndcg_at_k(&top, &world.test[user], TOP, true))
    };
    let (recalls, gains): (Vec<f64>, Vec<f64>) = (0..s.users).map(of_user).unzip();
    let mut measured = Measured::from([
        ("Recall@20", mean(&recalls)),
        ("nDCG@20", mean(&gains)),
        ("noisy draws", bad as f64 / draws as f64),
    ]);
    if method == Method::Bpr && noise > 0.0 {
        measured.extend(overlap(s, &world, &train, &noisy, seed)?);
    }
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// Losses of all interactions after a few epochs of plain BPR, each the mean against 20 items that the user did not choose.
fn overlap(
    s: &Settings,
    world: &TasteWorld,
    train: &[Vec<u32>],
    noisy: &[Vec<bool>],
    seed: u64,
) -> Result<Measured, String> {
    const AGAINST: usize = 20;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let config = s.factors(s.overlap_epochs);
    let trained = train_factors(train, world.items, &config, &RecommenderObjective::Bpr, seed, &stop, |_, _| ());
    let (factors, _) = trained.map_err(|error| error.to_string())?;
    let negatives = NegativeItemSampler::new(world.items, train).map_err(|error| error.to_string())?;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6f76_6572);
    let of_user = |(user, noisy): (usize, &Vec<bool>)| {
        let against: Vec<f64> =
            (0..AGAINST).map(|_| f64::from(factors.score(user, negatives.draw(user, rng)))).collect();
        let loss = |item: &u32| {
            let own = f64::from(factors.score(user, *item));
            let losses = against.iter().map(|other| (other - own).max(0.0) + (-(other - own).abs()).exp().ln_1p());
            losses.sum::<f64>() / AGAINST as f64
        };
        (train[user].iter().map(loss).collect(), noisy.clone())
    };
    let users: Vec<(Vec<f64>, Vec<bool>)> = noisy.iter().enumerate().map(of_user).collect();
    let found = loss_overlap(&users).map_err(|error| error.to_string())?;
    Ok(Measured::from([("AUC pooled", found.pooled), ("AUC within users", found.per_user)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { items: 30, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("items"));
        let s = Settings { temperature: 0.0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("temperature"));
    }
}
