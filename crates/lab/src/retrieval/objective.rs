use burn::tensor::{Bool, Tensor};
use contrarian::InvalidParameter;
use contrarian::ranking::{AdoreLossConfig, MwLossConfig, ScoreContrastiveLossConfig, StarLossConfig};
use contrarian::registry::{ObjectiveSpec, RegistryError};
use std::str::FromStr;

/// Where the negatives of a query come from, besides the other documents of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NegativeStrategy {
    /// Nowhere: the batch's documents alone.
    InBatch,
    /// Any documents.
    Random,
    /// The best of BM25.
    Bm25,
    /// The nearest to the retriever, found once, at half of the steps.
    Dense,
    /// The nearest to the retriever, found again at every quarter of the steps.
    Refreshed,
    /// As dense, without those nearly as near as the positive: likely relevant ones without a label.
    Filtered,
    /// The batch's documents alone, in batches of queries that are near each other (NGAME).
    Clustered,
}

impl NegativeStrategy {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::InBatch, Self::Random, Self::Bm25, Self::Dense, Self::Refreshed, Self::Filtered, Self::Clustered];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::InBatch => "in-batch",
            Self::Random => "random",
            Self::Bm25 => "bm25",
            Self::Dense => "dense",
            Self::Refreshed => "refreshed",
            Self::Filtered => "filtered",
            Self::Clustered => "clustered",
        }
    }
}

impl FromStr for NegativeStrategy {
    type Err = InvalidParameter;

    fn from_str(text: &str) -> Result<Self, InvalidParameter> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|strategy| strategy.name() == text.trim());
        found.ok_or_else(|| InvalidParameter::new("negatives", format!("`{text}`"), format!("one of {}", known())))
    }
}

/// What a dense retriever is trained with: an objective over cosines and a source of negatives.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalObjective {
    /// The loss.
    pub loss: RetrievalLoss,
    /// Where hard negatives come from.
    pub negatives: NegativeStrategy,
}

/// Losses over cosines, all of them divided by a temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RetrievalLoss {
    /// Softmax over the batch's documents and all hard ones (multiple negatives ranking, InfoNCE).
    Mnr {
        /// Temperature of the cosines.
        temperature: f64,
    },
    /// Mann-Whitney: positives of the batch against negatives of all queries.
    MannWhitney {
        /// Temperature of the cosines.
        temperature: f64,
    },
    /// STAR: logistic pairs of a query.
    Star {
        /// Temperature of the cosines.
        temperature: f64,
        /// Weight of the pairs within the batch.
        alpha: f64,
    },
    /// ADORE: logistic pairs with what is retrieved now, the documents fixed.
    Adore {
        /// Temperature of the cosines.
        temperature: f64,
        /// Documents retrieved.
        topk: usize,
    },
}

/// Names of the losses with the parameters they take.
const LOSSES: [(&str, &[&str]); 4] = [
    ("mnr", &["temperature", "negatives"]),
    ("mw", &["temperature", "negatives"]),
    ("star", &["temperature", "alpha", "negatives"]),
    ("adore", &["temperature", "topk"]),
];

impl RetrievalObjective {
    /// Reads an objective as a person writes it: `mnr`, `mw(temperature=0.05, negatives=bm25)`.
    ///
    /// # Errors
    /// An unknown name or parameter, or a value out of range.
    pub fn of(spec: &ObjectiveSpec) -> Result<Self, RegistryError> {
        let Some((_, known)) = LOSSES.iter().find(|(name, _)| *name == spec.name) else {
            let names = LOSSES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let reason = format!("this is no objective of retrieval; there are {names}");
            return Err(RegistryError::Syntax { text: spec.to_string(), reason });
        };
        let (mut temperature, mut alpha, mut topk) = (0.05, 1.0, 50);
        let mut negatives = NegativeStrategy::InBatch;
        for (name, value) in &spec.parameters {
            let failed = |error: InvalidParameter| RegistryError::Parameter { objective: spec.name.clone(), error };
            if !known.contains(&name.as_str()) {
                return Err(RegistryError::UnknownParameter {
                    objective: spec.name.clone(),
                    name: name.clone(),
                    nearest: None,
                    known: known.iter().map(|name| (*name).to_string()).collect(),
                });
            }
            let number = || {
                value.parse::<f64>().map_err(|_| failed(InvalidParameter::new(name, format!("`{value}`"), "a number")))
            };
            match name.as_str() {
                "temperature" => temperature = number()?,
                "alpha" => alpha = number()?,
                "topk" => {
                    let whole = |_| failed(InvalidParameter::new(name, format!("`{value}`"), "a whole number"));
                    topk = value.parse().map_err(whole)?;
                }
                _ => negatives = value.parse().map_err(failed)?,
            }
        }
        let loss = match spec.name.as_str() {
            "mnr" => RetrievalLoss::Mnr { temperature },
            "mw" => RetrievalLoss::MannWhitney { temperature },
            "star" => RetrievalLoss::Star { temperature, alpha },
            _ => RetrievalLoss::Adore { temperature, topk },
        };
        loss.validate().map_err(|error| RegistryError::Parameter { objective: spec.name.clone(), error })?;
        Ok(Self { loss, negatives })
    }
}

impl RetrievalLoss {
    fn temperature(self) -> f64 {
        match self {
            Self::Mnr { temperature }
            | Self::MannWhitney { temperature }
            | Self::Star { temperature, .. }
            | Self::Adore { temperature, .. } => temperature,
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(self) -> Result<(), InvalidParameter> {
        MwLossConfig::new().with_temperature(self.temperature()).validate()?;
        match self {
            Self::Star { alpha, .. } => StarLossConfig::new().with_alpha(alpha).validate(),
            Self::Adore { topk, .. } => AdoreLossConfig::new().with_topk(topk).validate(),
            _ => Ok(()),
        }
    }

    /// The loss of a batch of cosines: queries with each other's documents `[B, B]`, and with hard ones `[B, N]`. Masks are true
    /// where a document is no negative of the query.
    ///
    /// # Panics
    /// Of [`Adore`](Self::Adore), which retrieves its documents itself; when no negative is left.
    pub fn forward(
        self,
        scores: Tensor<2>,
        hard: Option<Tensor<2>>,
        relevant: Tensor<2, Bool>,
        hard_relevant: Option<Tensor<2, Bool>>,
    ) -> Tensor<1> {
        match self {
            Self::Star { temperature, alpha } => {
                let scaled = |scores: Tensor<2>| scores.mul_scalar(1.0 / temperature);
                StarLossConfig::new().with_alpha(alpha).init().forward_scores(
                    scaled(scores),
                    hard.map(scaled),
                    Some(relevant.bool_not()),
                    hard_relevant.map(Tensor::bool_not),
                )
            }
            Self::Adore { .. } => panic!("ADORE retrieves its documents itself"),
            Self::Mnr { temperature } | Self::MannWhitney { temperature } => {
                let (scores, ignore) = match (hard, hard_relevant) {
                    (Some(hard), Some(mask)) => {
                        (Tensor::cat(vec![scores, hard], 1), Tensor::cat(vec![relevant, mask], 1))
                    }
                    _ => (scores, relevant),
                };
                match self {
                    Self::Mnr { .. } => ScoreContrastiveLossConfig::new()
                        .with_temperature(temperature)
                        .init()
                        .forward(scores, Some(ignore)),
                    _ => MwLossConfig::new().with_temperature(temperature).init().forward_scores(scores, Some(ignore)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_as_written() {
        let of = |text: &str| RetrievalObjective::of(&text.parse::<ObjectiveSpec>().unwrap());
        let found = of("mw(temperature=0.1, negatives=bm25)").unwrap();
        assert_eq!(found.loss, RetrievalLoss::MannWhitney { temperature: 0.1 });
        assert_eq!(found.negatives, NegativeStrategy::Bm25);
        assert_eq!(of("adore(topk=7)").unwrap().loss, RetrievalLoss::Adore { temperature: 0.05, topk: 7 });
        let message = |text: &str| of(text).unwrap_err().to_string();
        assert!(message("mrn").contains("mnr, mw, star, adore"));
        assert!(message("mnr(alpha=1)").contains("no parameter `alpha`"));
        assert!(message("mnr(negatives=easy)").contains("one of in-batch"));
        assert!(message("star(alpha=-1)").contains("alpha"));
        assert!(message("mw(temperature=0)").contains("temperature"));
    }
}
