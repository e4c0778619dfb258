use contrarian::registry::{did_you_mean, suggest};
use std::fmt;
use std::str::FromStr;

/// A measure of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingMetric {
    /// Accuracy of the [kNN probe](super::knn_accuracy).
    Knn,
    /// Accuracy of the [linear probe](super::linear_probe).
    LinearProbe,
    /// [Recall@k](crate::metrics::retrieval()).
    RecallAt(usize),
    /// [R-precision](crate::metrics::retrieval()).
    RPrecision,
    /// [MAP@R](crate::metrics::retrieval()).
    MapAtR,
    /// [Normalised mutual information](crate::metrics::normalized_mutual_information) of the classes and as many clusters.
    Nmi,
    /// [Clustering accuracy](crate::metrics::clustering_accuracy) of as many clusters as classes.
    ClusteringAccuracy,
    /// [Uniformity](contrarian::contrastive::UniformityLoss) of the directions: lower is more uniform.
    Uniformity,
    /// [Tolerance](contrarian::contrastive::tolerance): mean cosine similarity within classes.
    Tolerance,
}

impl EmbeddingMetric {
    /// The metrics that are reported.
    pub const REPORTED: [Self; 11] = [
        Self::MapAtR,
        Self::RPrecision,
        Self::RecallAt(1),
        Self::RecallAt(5),
        Self::RecallAt(10),
        Self::Knn,
        Self::LinearProbe,
        Self::Nmi,
        Self::ClusteringAccuracy,
        Self::Uniformity,
        Self::Tolerance,
    ];

    /// Which way is better; `None` for uniformity and tolerance, which describe a space: each is had at the other's cost.
    pub fn higher_is_better(self) -> Option<bool> {
        (!matches!(self, Self::Uniformity | Self::Tolerance)).then_some(true)
    }
}

impl fmt::Display for EmbeddingMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Knn => "knn",
            Self::LinearProbe => "linear-probe",
            Self::RecallAt(k) => return write!(f, "recall@{k}"),
            Self::RPrecision => "r-precision",
            Self::MapAtR => "map@r",
            Self::Nmi => "nmi",
            Self::ClusteringAccuracy => "clustering-accuracy",
            Self::Uniformity => "uniformity",
            Self::Tolerance => "tolerance",
        };
        f.write_str(name)
    }
}

/// A name that is no metric of embeddings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric of embeddings `{name}`{}; there are {}, and recall@2, ... for other k",
    did_you_mean(nearest.as_deref()),
    EmbeddingMetric::REPORTED.map(|m| m.to_string()).join(", "))]
pub struct UnknownEmbeddingMetric {
    name: String,
    nearest: Option<String>,
}

impl FromStr for EmbeddingMetric {
    type Err = UnknownEmbeddingMetric;

    fn from_str(text: &str) -> Result<Self, UnknownEmbeddingMetric> {
        let name = text.trim().to_lowercase().replace('_', "-");
        if let Some(metric) = Self::REPORTED.into_iter().find(|metric| metric.to_string() == name) {
            return Ok(metric);
        }
        if let Some(k) = name.strip_prefix("recall@").and_then(|k| k.parse::<usize>().ok())
            && k > 0
        {
            return Ok(Self::RecallAt(k));
        }
        let names = Self::REPORTED.map(|metric| metric.to_string());
        Err(UnknownEmbeddingMetric { nearest: suggest(&name, names.iter().map(String::as_str)), name: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for metric in EmbeddingMetric::REPORTED.into_iter().chain([EmbeddingMetric::RecallAt(100)]) {
            assert_eq!(metric.to_string().parse::<EmbeddingMetric>().unwrap(), metric);
        }
        assert_eq!("Linear_Probe".parse::<EmbeddingMetric>().unwrap(), EmbeddingMetric::LinearProbe);
        for wrong in ["recall@0", "recall@", "map", ""] {
            let error = wrong.parse::<EmbeddingMetric>().unwrap_err().to_string();
            assert!(error.contains("map@r"), "{error}");
        }
    }
}
