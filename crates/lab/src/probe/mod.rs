//! The property card of an objective, measured numerically: [`probe`] takes any objective of the registry.
//!
//! What is measured is evidence over random logits, not proof: one violated inequality disproves convexity, none in
//! hundreds makes it likely. Shapes are measured in f64, extremes and times in f32, as in training.

mod card;
mod cost;
mod embedding;
mod embedding_card;
mod evaluate;
mod proper;
mod shape;

pub use card::{Property, property_card_html};
pub use cost::{Extreme, Growth};
pub use embedding::{BatchSize, Coverage, Hardness, PairCard, probe_embedding};
pub use embedding_card::pair_card_html;
pub use proper::{Minimiser, PROPER_WITHIN};
pub use shape::{Convexity, GradientBound, Invariance, NoiseSymmetry};

use burn::tensor::DType;
use contrarian::registry::{Classes, ObjectiveSpec, RegistryError, TaskContext, find};
use contrarian::{InvalidParameter, LogitObjective};
use evaluate::Evaluator;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde::Serialize;

/// How much to measure.
#[derive(Debug, Clone)]
pub struct ProbeConfig {
    /// Classes of the measurements of shape, at least 2 (binary objectives always get two).
    pub classes: usize,
    /// Random draws a measurement, at least 1.
    pub trials: usize,
    /// Steps of each search for a minimiser, at least 1; fewer than the default find it less exactly.
    pub search_steps: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Rows and classes of the timings, four sizes each.
    pub sizes: [usize; 4],
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { classes: 4, trials: 300, search_steps: 300, seed: 0, sizes: [64, 256, 1024, 4096] }
    }
}

impl ProbeConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        match (self.classes, self.trials) {
            (..2 | 101.., _) => Err(InvalidParameter::new("classes", self.classes, "between 2 and 100")),
            (_, 0) => Err(InvalidParameter::new("trials", self.trials, "at least 1")),
            _ if self.search_steps == 0 => Err(InvalidParameter::new("search_steps", 0, "at least 1")),
            _ => Ok(()),
        }
    }
}

/// What was measured of one objective.
#[derive(Debug, Clone, Serialize)]
pub struct PropertyCard {
    /// The objective with its parameters.
    pub objective: String,
    /// Classes of the measurements of shape.
    pub classes: usize,
    /// Convexity in the logits.
    pub convexity: Convexity,
    /// Invariance in the logits.
    pub invariance: Invariance,
    /// Gradients.
    pub gradient: GradientBound,
    /// Symmetry under label noise.
    pub noise: NoiseSymmetry,
    /// Minimisers of the expected loss, two classes and (unless the objective is binary) three.
    pub minimisers: Vec<Minimiser>,
    /// Extreme logits.
    pub extremes: Vec<Extreme>,
    /// Time over rows at ten classes (two for a binary objective).
    pub rows: Growth,
    /// Time over classes at 64 rows; `None` for a binary objective.
    pub over_classes: Option<Growth>,
}

fn at(objective: &dyn LogitObjective, classes: usize, dtype: DType) -> Evaluator<'_> {
    Evaluator { objective, classes, dtype }
}

/// Measures an objective.
///
/// # Errors
/// An unknown objective or parameter.
pub fn probe(spec: &ObjectiveSpec, config: &ProbeConfig) -> Result<PropertyCard, RegistryError> {
    let binary = find(&spec.name).is_some_and(|entry| entry.classes == Classes::Binary);
    let classes = if binary { 2 } else { config.classes };
    let build = |classes: usize| spec.build(&TaskContext { class_counts: vec![100; classes] });
    let (objective, two) = (build(classes)?, build(2)?);
    let evaluator = at(objective.as_ref(), classes, DType::F64);
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(config.seed);

    let two = at(two.as_ref(), 2, DType::F64);
    let mut minimisers: Vec<Minimiser> =
        [0.6, 0.8, 0.95].into_iter().map(|p| proper::minimiser(&two, &[1.0 - p, p], config.search_steps)).collect();
    if !binary {
        let three = build(3)?;
        let three = at(three.as_ref(), 3, DType::F64);
        let distributions = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]];
        minimisers.extend(distributions.iter().map(|p| proper::minimiser(&three, p, config.search_steps)));
    }
    let timed = build(if binary { 2 } else { 10 })?;
    let timed_classes = if binary { 2 } else { 10 };
    let rows = cost::growth(&config.sizes, |size| (at(timed.as_ref(), timed_classes, DType::F32), size), rng);
    let over_classes = if binary {
        None
    } else {
        let built = config.sizes.iter().map(|&size| build(size)).collect::<Result<Vec<_>, _>>()?;
        let place = |size: usize| config.sizes.iter().position(|&other| other == size).unwrap_or(0);
        let evaluator = |size: usize| (at(built[place(size)].as_ref(), size, DType::F32), 64);
        Some(cost::growth(&config.sizes, evaluator, rng))
    };
    Ok(PropertyCard {
        objective: spec.to_string(),
        classes,
        convexity: shape::convexity(&evaluator, config.trials, rng),
        invariance: shape::invariance(&evaluator, config.trials.div_ceil(7), rng),
        gradient: shape::gradient_bound(&evaluator, config.trials.div_ceil(9), rng),
        noise: shape::noise_symmetry(&evaluator, config.trials, rng),
        minimisers,
        extremes: cost::extremes(&at(objective.as_ref(), classes, DType::F32)),
        rows,
        over_classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(text: &str) -> PropertyCard {
        let config = ProbeConfig { trials: 60, sizes: [8, 16, 32, 64], ..ProbeConfig::default() };
        probe(&text.parse().unwrap(), &config).unwrap()
    }

    fn answer(card: &PropertyCard, name: &str) -> bool {
        let properties = card.properties();
        let property = properties.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no property {name}"));
        property.holds.unwrap_or_else(|| panic!("{name} has no answer"))
    }

    /// What the textbooks say of these losses; every row has both a yes and a no.
    #[test]
    fn known_losses_have_their_known_properties() {
        let names = ["convex", "shift-invariant", "scale-invariant", "bounded gradient", "noise-symmetric", "proper"];
        for (objective, expected) in [
            ("cross-entropy", [true, true, false, true, false, true]),
            ("mae", [false, true, false, true, true, false]),
            ("brier", [false, true, false, true, false, true]),
            ("logistic", [true, true, false, true, false, true]),
            ("hinge", [true, true, false, true, false, false]),
            ("exponential", [true, true, false, false, false, false]),
        ] {
            let card = card(objective);
            for (name, expected) in names.into_iter().zip(expected) {
                assert_eq!(answer(&card, name), expected, "{objective}: {name}\n{card:#?}");
            }
        }
    }

    #[test]
    fn the_numbers_behind_the_answers_are_the_known_ones() {
        // The exponential loss is least at half the log odds: p = .8 gives a prediction of 2/3.
        let exponential = card("exponential");
        assert!((exponential.minimisers[1].prediction[1] - 2.0 / 3.0).abs() < 1e-3);
        assert!(exponential.extremes.iter().any(|extreme| !extreme.finite), "exp(2e4) is infinite");
        // softmax - one-hot is at most sqrt(2) long.
        let cross_entropy = card("cross-entropy");
        assert!(cross_entropy.gradient.largest <= 2f64.sqrt() + 1e-9 && cross_entropy.gradient.largest > 1.4);
        assert!(cross_entropy.extremes.iter().all(|extreme| extreme.finite));
        // The mean absolute error of a one-hot label is c (1 - p_y): its sum over labels is the same for all logits.
        let mae = card("mae");
        assert!(mae.noise.highest - mae.noise.lowest < 1e-9);
        assert!(mae.minimisers.iter().all(Minimiser::same_decision), "it decides right all the same");
    }

    #[test]
    fn every_objective_has_a_card() {
        let config = ProbeConfig { trials: 3, search_steps: 10, sizes: [8, 16, 32, 64], ..ProbeConfig::default() };
        for entry in contrarian::registry::OBJECTIVES {
            let card = probe(&entry.name.parse().unwrap(), &config).unwrap();
            assert_eq!(card.minimisers.len(), if entry.classes == Classes::Binary { 3 } else { 6 }, "{}", entry.name);
            assert!(property_card_html(&card).contains("<svg"), "{}", entry.name);
        }
    }
}
