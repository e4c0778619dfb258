use contrarian::InvalidParameter;
use contrarian::negatives::{PldSampler, PldSamplerConfig};
use contrarian::ranking::{ReweightedLoss, ReweightedLossConfig, TruncatedLoss, TruncatedLossConfig};
use contrarian::registry::{ObjectiveSpec, RegistryError};

/// How factors are trained from interactions that may be noisy. All minimise Bayesian personalised ranking.
#[derive(Debug, Clone)]
pub enum RecommenderObjective {
    /// As it is.
    Bpr,
    /// Positives drawn by the user's own losses.
    Pld(PldSampler),
    /// The same with random losses: the control of the drawing.
    RandomLosses(PldSampler),
    /// The largest losses of a batch dropped.
    Truncated(TruncatedLoss),
    /// Surprising interactions weigh less.
    Reweighted(ReweightedLoss),
}

impl RecommenderObjective {
    /// Names on the command line.
    pub const NAMES: [&'static str; 4] = ["bpr", "pld", "truncated", "reweighted"];

    /// Reads an objective as a person writes it: `bpr`, `pld(temperature=0.1, pool=5, start_epoch=5)`, `truncated(max_rate=0.2)`,
    /// `reweighted(beta=0.2)`.
    ///
    /// # Errors
    /// An unknown name or parameter, or a value out of range.
    pub fn of(spec: &ObjectiveSpec) -> Result<Self, RegistryError> {
        let number = |name: &str, default: f64| -> Result<f64, RegistryError> {
            match spec.parameters.iter().find(|(given, _)| given == name) {
                None => Ok(default),
                Some((_, text)) => {
                    text.parse().map_err(|_| failed(spec, InvalidParameter::new(name, format!("`{text}`"), "a number")))
                }
            }
        };
        let known: &[&str] = match spec.name.as_str() {
            "bpr" => &[],
            "pld" => &["temperature", "pool", "start_epoch"],
            "truncated" => &["growth", "max_rate"],
            "reweighted" => &["beta"],
            _ => {
                let reason = format!("this is no objective of recommendation; there are {}", Self::NAMES.join(", "));
                return Err(RegistryError::Syntax { text: spec.to_string(), reason });
            }
        };
        if let Some((name, _)) = spec.parameters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let known = known.iter().map(|name| (*name).to_string()).collect();
            return Err(RegistryError::UnknownParameter {
                objective: spec.name.clone(),
                name: name.clone(),
                nearest: None,
                known,
            });
        }
        let whole = |name: &str, default: usize| -> Result<usize, RegistryError> {
            let value = number(name, default as f64)?;
            let holds = value >= 0.0 && value.fract() == 0.0;
            if holds {
                Ok(value as usize)
            } else {
                Err(failed(spec, InvalidParameter::new(name, value, "a whole number, at least 0")))
            }
        };
        Ok(match spec.name.as_str() {
            "pld" => {
                let defaults = PldSamplerConfig::new();
                let config = PldSamplerConfig::new()
                    .with_temperature(number("temperature", defaults.temperature)?)
                    .with_pool(whole("pool", defaults.pool)?)
                    .with_start_epoch(whole("start_epoch", defaults.start_epoch)?);
                config.validate().map_err(|error| failed(spec, error))?;
                Self::Pld(config.init())
            }
            "truncated" => {
                let defaults = TruncatedLossConfig::new();
                let config = TruncatedLossConfig::new()
                    .with_growth(number("growth", defaults.growth)?)
                    .with_max_rate(number("max_rate", defaults.max_rate)?);
                config.validate().map_err(|error| failed(spec, error))?;
                Self::Truncated(config.init())
            }
            "reweighted" => {
                let config = ReweightedLossConfig::new().with_beta(number("beta", ReweightedLossConfig::new().beta)?);
                config.validate().map_err(|error| failed(spec, error))?;
                Self::Reweighted(config.init())
            }
            _ => Self::Bpr,
        })
    }
}

fn failed(spec: &ObjectiveSpec, error: InvalidParameter) -> RegistryError {
    RegistryError::Parameter { objective: spec.name.clone(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_as_written() {
        let message = |text: &str| RecommenderObjective::of(&text.parse().unwrap()).unwrap_err().to_string();
        assert!(message("bpl").contains("bpr, pld, truncated, reweighted"));
        assert!(message("bpr(beta=1)").contains("no parameter `beta`"));
        assert!(message("pld(pool=1.5)").contains("whole number"));
        assert!(message("pld(temperature=0)").contains("temperature"));
        assert!(message("pld(pool=1e12)").contains("pool"));
    }
}
