use super::table::read_config;
use super::{ObjectiveSpec, RegistryError, suggest};
use crate::classification::{ArcFaceLossConfig, CosFaceLossConfig, MagFaceLossConfig, UnpgLossConfig};
use crate::contrastive::{
    CacrLossConfig, CircleLossConfig, DclLossConfig, DclwLossConfig, HardContrastiveLossConfig, InfoNceLossConfig,
    MultiSimilarityLossConfig, NtXentLossConfig, PairContrastiveLossConfig, SimpleContrastiveLossConfig,
    SupConLossConfig, TripletLossConfig,
};
use crate::{EmbeddingObjective, InvalidParameter, PairObjective};
use serde_json::Value;

/// An objective over embeddings, by what it sees.
#[derive(Debug)]
pub enum EmbeddingTask {
    /// Embeddings with their labels.
    Labels(Box<dyn EmbeddingObjective>),
    /// Pairs of anchors and positives.
    Pairs(Box<dyn PairObjective>),
}

impl EmbeddingTask {
    /// Whether class weights are learned with the embeddings.
    pub fn needs_class_weights(&self) -> bool {
        matches!(self, Self::Labels(objective) if objective.needs_class_weights())
    }
}

/// One objective over embeddings that can be built by name.
#[derive(Debug)]
pub struct EmbeddingEntry {
    /// Name on the command line, `sup-con`.
    pub name: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    /// The formula, in plain text.
    pub formula: &'static str,
    /// Paper and equation.
    pub source: &'static str,
    /// The paper's slug, when it is one of ours.
    pub paper: Option<&'static str>,
    /// The Rust configuration type, `SupConLossConfig`.
    pub config: &'static str,
    /// Default values of the parameters by name, as a JSON object.
    pub defaults: fn() -> Value,
    build: fn(Value) -> Result<EmbeddingTask, InvalidParameter>,
}

macro_rules! entry {
    ($name:literal, $config:ident, $kind:ident, $paper:expr, $summary:literal, $formula:literal, $source:literal) => {
        EmbeddingEntry {
            name: $name,
            summary: $summary,
            formula: $formula,
            source: $source,
            paper: $paper,
            config: stringify!($config),
            defaults: || serde_json::to_value($config::new()).expect("configurations are plain data"),
            build: |value| {
                let config: $config = read_config(&value)?;
                config.validate()?;
                Ok(EmbeddingTask::$kind(Box::new(config.init())))
            },
        }
    };
}

/// Every objective over embeddings, in the order they are listed.
pub static EMBEDDING_OBJECTIVES: &[EmbeddingEntry] = &[
    entry!(
        "triplet",
        TripletLossConfig,
        Labels,
        Some("unpg"),
        "a positive nearer than any negative, by a margin; mining all, semi-hard or batch-hard",
        "mean over the chosen triplets of max(|x_a - x_p| - |x_a - x_n| + m, 0)",
        "Schroff et al. 2015, arXiv 1503.03832, equations 3 and 4; Hermans et al. 2017, arXiv 1703.07737"
    ),
    entry!(
        "pair-contrastive",
        PairContrastiveLossConfig,
        Labels,
        Some("unpg"),
        "pulls positives together, pushes negatives apart up to a margin",
        "mean of max(d_p - m_p, 0) + mean of max(m_n - d_n, 0), each over the pairs above 0",
        "Hadsell et al. 2006, equation 4, with distances"
    ),
    entry!(
        "circle",
        CircleLossConfig,
        Labels,
        Some("unpg"),
        "every similarity weighted by how far it is from its optimum",
        "softplus(lse_n[g a_n (s_n - m)] + lse_p[-g a_p (s_p - 1 + m)])",
        "Sun et al. 2020, arXiv 2002.10857, equation 6"
    ),
    entry!(
        "multi-similarity",
        MultiSimilarityLossConfig,
        Labels,
        Some("unpg"),
        "soft extremes of the similarities on both sides of a base",
        "log(1 + sum_p exp(-a (s_p - l))) / a + log(1 + sum_n exp(b (s_n - l))) / b",
        "Wang et al. 2019, arXiv 1904.06627, equation 16"
    ),
    entry!(
        "sup-con",
        SupConLossConfig,
        Labels,
        None,
        "supervised contrastive: a softmax over the batch, averaged over the positives",
        "-mean_p log(exp(s_ip / T) / sum_{k != i} exp(s_ik / T))",
        "Khosla et al. 2020, arXiv 2004.11362, equation 2"
    ),
    entry!(
        "arc-face",
        ArcFaceLossConfig,
        Labels,
        Some("unpg"),
        "softmax over cosines with class weights, with a margin on the angle",
        "-log softmax(s z)_y,  z_y = cos(theta_y + m), z_k = cos theta_k",
        "Deng et al. 2019, arXiv 1801.07698, equation 3"
    ),
    entry!(
        "cos-face",
        CosFaceLossConfig,
        Labels,
        Some("unpg"),
        "softmax over cosines with class weights, with a margin on the cosine",
        "-log softmax(s z)_y,  z_y = cos theta_y - m, z_k = cos theta_k",
        "Wang et al. 2018, arXiv 1801.09414, equation 4"
    ),
    entry!(
        "mag-face",
        MagFaceLossConfig,
        Labels,
        Some("unpg"),
        "ArcFace with a margin that grows with the feature's length",
        "-log softmax(s z)_y + g (a / u^2 + 1 / a),  z_y = cos(theta_y + m(a)),  a = |x| within [l, u]",
        "Meng et al. 2021, arXiv 2103.06627, equation 3"
    ),
    entry!(
        "unpg",
        UnpgLossConfig,
        Labels,
        Some("unpg"),
        "a margin head whose softmax also has the batch's own negative pairs",
        "-log(e^{s z_y} / (e^{s z_y} + sum_{k != y} e^{s c_k} + sum_{b in B'} e^{s b}))",
        "Jung et al. 2022, arXiv 2203.11593, equation 6"
    ),
    entry!(
        "info-nce",
        InfoNceLossConfig,
        Pairs,
        Some("contrastive-temperature"),
        "a softmax of each anchor over all positives",
        "-log(exp(s_ii / T) / sum_j exp(s_ij / T))",
        "van den Oord et al. 2018, arXiv 1807.03748, equation 4"
    ),
    entry!(
        "nt-xent",
        NtXentLossConfig,
        Pairs,
        Some("dcl"),
        "InfoNCE over both views, each against all others",
        "-log(exp(s_ij / T) / sum_{k != i} exp(s_ik / T)) over 2 n anchors",
        "Chen et al. 2020, arXiv 2002.05709, equation 1"
    ),
    entry!(
        "dcl",
        DclLossConfig,
        Pairs,
        Some("dcl"),
        "NT-Xent without the positive in the denominator",
        "-s_ii / T + log sum over the other items of exp(s / T)",
        "Yeh et al. 2022, arXiv 2110.06848, equation 6"
    ),
    entry!(
        "dclw",
        DclwLossConfig,
        Pairs,
        Some("dcl"),
        "DCL with a weight on each positive",
        "-w_i s_ii / T + log sum over the other items of exp(s / T),  w_i = 2 - n softmax(s_ii / sigma)_i",
        "Yeh et al. 2022, arXiv 2110.06848, section 3.3"
    ),
    entry!(
        "hard-contrastive",
        HardContrastiveLossConfig,
        Pairs,
        Some("contrastive-temperature"),
        "InfoNCE over the hardest share of the negatives",
        "-log(exp(s_ii / T) / (exp(s_ii / T) + sum over s_ij >= t_i of exp(s_ij / T)))",
        "Wang, Liu 2021, arXiv 2012.09740, equation 6"
    ),
    entry!(
        "simple-contrastive",
        SimpleContrastiveLossConfig,
        Pairs,
        Some("contrastive-temperature"),
        "the limit of InfoNCE for a high temperature",
        "-s_ii + lambda sum_{j != i} s_ij",
        "Wang, Liu 2021, arXiv 2012.09740, equation 9"
    ),
    entry!(
        "cacr",
        CacrLossConfig,
        Pairs,
        Some("cacr"),
        "attraction and repulsion apart, near negatives and far positives weighted up",
        "a sum_k w_k d_k - b sum_j v_j d_j,  w ~ exp(t+ d), v ~ exp(-t- d)",
        "Zheng et al. 2023, arXiv 2105.03746, equation 1"
    ),
];

/// The objective over embeddings with this name.
pub fn find_embedding(name: &str) -> Option<&'static EmbeddingEntry> {
    EMBEDDING_OBJECTIVES.iter().find(|entry| entry.name == name)
}

impl ObjectiveSpec {
    /// Builds an objective over embeddings.
    ///
    /// # Errors
    /// An unknown name or parameter, or a value out of range.
    pub fn build_embedding(&self) -> Result<EmbeddingTask, RegistryError> {
        let entry = find_embedding(&self.name).ok_or_else(|| RegistryError::UnknownObjective {
            name: self.name.clone(),
            nearest: suggest(&self.name, EMBEDDING_OBJECTIVES.iter().map(|entry| entry.name)),
        })?;
        let config = self.fill((entry.defaults)(), |name, text, default| self.read(name, text, default))?;
        (entry.build)(config).map_err(|error| self.parameter(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmbeddingBatch;
    use burn::tensor::{Device, Distribution, Int, Tensor};

    #[test]
    fn every_objective_can_be_built_and_has_a_finite_gradient_on_hard_batches() {
        let device = Device::flex().autodiff();
        for entry in EMBEDDING_OBJECTIVES {
            let task = ObjectiveSpec { name: entry.name.into(), parameters: Vec::new() }.build_embedding().unwrap();
            let random = Tensor::<2>::random([8, 4], Distribution::Normal(0.0, 1.0), &device);
            let copies = Tensor::<2>::ones([8, 4], &device);
            for (x, classes) in
                [(random.clone(), 2), (random.clone(), 1), (random * 1e4, 8), (copies.clone(), 2), (copies * 0.0, 3)]
            {
                let x = x.require_grad();
                let loss = match &task {
                    EmbeddingTask::Pairs(pairs) => {
                        pairs.loss(x.clone().slice([0..4, 0..4]), x.clone().slice([4..8, 0..4]))
                    }
                    EmbeddingTask::Labels(labels) => labels.loss(EmbeddingBatch {
                        embeddings: x.clone(),
                        labels: Tensor::<1, Int>::arange(0..8, &device).remainder_scalar(classes),
                        class_weights: task
                            .needs_class_weights()
                            .then(|| Tensor::random([8, 4], Distribution::Default, &device)),
                    }),
                };
                let gradient = x.grad(&loss.backward()).map_or(0.0, |g| g.abs().sum().into_scalar::<f32>());
                assert!(
                    loss.into_scalar::<f32>().is_finite() && gradient.is_finite(),
                    "{} with {classes} classes",
                    entry.name
                );
            }
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, says) in [
            ("triplett", "did you mean `triplet`?"),
            ("triplet(mining=hardest)", "batch-hard"),
            ("sup-con(temperature=0)", "finite and above 0"),
            ("sup-con(temprature=1)", "did you mean `temperature`?"),
        ] {
            let error = text.parse::<ObjectiveSpec>().unwrap().build_embedding().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!("unpg(whisker=1e9)".parse::<ObjectiveSpec>().unwrap().build_embedding().is_ok());
    }
}
