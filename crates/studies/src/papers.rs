//! The list of papers as a page of Markdown.

use crate::study::{STUDIES, Study};
use crate::verdicts::{Recorded, recorded};
use contrarian::registry::OBJECTIVES;
use std::fmt::Write;

/// Parts a paper brought besides objectives of the registry: the study's id and paths in the crate `contrarian`.
const PARTS: &[(&str, &[&str])] = &[
    (
        "aem",
        &[
            "multiple_instance::AttentionMil",
            "multiple_instance::GatedAttentionMil",
            "multiple_instance::MultiHeadAttentionMil",
            "multiple_instance::AttentionDropout",
            "multiple_instance::InstanceSubsampling",
            "regularization::AttentionEntropyRegularizer",
        ],
    ),
    ("ar2", &["ranking::Ar2RetrieverLoss", "ranking::RerankListwiseLoss"]),
    (
        "cacr",
        &[
            "contrastive::CacrLoss",
            "contrastive::ContrastiveAttractionLoss",
            "contrastive::ContrastiveRepulsionLoss",
            "contrastive::CacrMomentumLoss",
        ],
    ),
    ("cet", &["ranking::Cet", "ranking::WeightedPairLoss", "ranking::pooling_posterior"]),
    (
        "class-dependent-pruning",
        &["compression::LotteryTicket", "compression::Masks", "compression::MagnitudeFinal", "compression::Snip"],
    ),
    (
        "comp-sum",
        &["classification::HConsistencyTransform", "classification::SmoothAdvCompSumLoss", "adversarial::PgdConfig"],
    ),
    (
        "contrastive-temperature",
        &[
            "contrastive::InfoNceLoss",
            "contrastive::HardContrastiveLoss",
            "contrastive::SimpleContrastiveLoss",
            "contrastive::penalty_distribution",
            "contrastive::penalty_summary",
            "contrastive::UniformityLoss",
            "contrastive::tolerance",
            "contrastive::alignment",
        ],
    ),
    (
        "correctness-calibration",
        &[
            "calibration::CorrectnessAwareLoss",
            "calibration::TemperatureNet",
            "calibration::TransformConsistencyFeatures",
            "calibration::TemperatureScaling",
            "calibration::EnsembleTemperatureScaling",
            "calibration::VectorScaling",
            "calibration::HistogramBinning",
            "calibration::IsotonicCalibration",
        ],
    ),
    (
        "crrelu",
        &[
            "activation::CrRelu",
            "activation::eafo_correction",
            "activation::Wafbc",
            "diagnostics::activation_output_entropy",
        ],
    ),
    (
        "dbpm",
        &[
            "contrastive::DynamicBadPairMining",
            "contrastive::NtXentLoss::forward_by_item",
            "negatives::PairLossMemory",
            "negatives::BadPairMiner",
        ],
    ),
    (
        "dcl",
        &[
            "contrastive::DclLoss",
            "contrastive::DclwLoss",
            "contrastive::NtXentLoss",
            "contrastive::negative_positive_coupling",
        ],
    ),
    ("eeg-transfer", &["classification::CroppedLoss", "diagnostics::linear_cka"]),
    (
        "fedka",
        &[
            "regularization::MkMmd",
            "regularization::adaptation_schedule",
            "adversarial::DomainAdversarialLoss",
            "adversarial::gradient_reversal",
        ],
    ),
    (
        "hyp-oc",
        &[
            "hyperbolic::PoincareBall",
            "hyperbolic::HyperbolicMlr",
            "hyperbolic::FeatureClip",
            "negatives::PseudoNegativeSampler",
        ],
    ),
    (
        "label-noise-cleaning",
        &[
            "contrarian_lab::cleaning::IntrinsicCleaner",
            "contrarian_lab::cleaning::ExtrinsicCleaner",
            "contrarian_lab::cleaning::random_elimination",
            "contrarian_lab::cleaning::cross_fit",
            "contrarian_lab::metrics::relation_micro_f1",
        ],
    ),
    (
        "neural-collapse",
        &[
            "diagnostics::NeuralCollapseMetrics",
            "diagnostics::ImbalancedGeometry",
            "diagnostics::UnconstrainedFeatureObjective",
            "diagnostics::DeepLinearHead",
        ],
    ),
    ("llm-hard-negatives", &["ranking::MnrLoss", "ranking::QueryTripletLoss"]),
    (
        "lol",
        &[
            "ranking::LolRegulariser",
            "ranking::ReformulationLoss",
            "ranking::FeedbackSampler",
            "ranking::vector_rocchio",
        ],
    ),
    ("mw-loss", &["ranking::MwLoss", "ranking::ScoreContrastiveLoss"]),
    (
        "nev-ncd",
        &[
            "negatives::NegativeLearning",
            "regularization::NovelEntropy",
            "regularization::NovelVariance",
            "regularization::NevNcd",
            "regularization::SinkhornAssignment",
        ],
    ),
    (
        "ngame",
        &[
            "ranking::TripletOhnmLoss",
            "ranking::TripletOhnmMultiLoss",
            "ranking::HingeContrastiveLoss",
            "negatives::NgameSampler",
            "negatives::balanced_bisect",
        ],
    ),
    (
        "personal-loss-denoising",
        &[
            "ranking::BprLoss",
            "negatives::PldSampler",
            "negatives::pld_probabilities",
            "negatives::NegativeItemSampler",
            "ranking::TruncatedLoss",
            "ranking::ReweightedLoss",
        ],
    ),
    ("star-adore", &["ranking::StarLoss", "ranking::AdoreLoss"]),
    (
        "susana",
        &[
            "contrastive::prototypes",
            "contrastive::Prototypical",
            "contrastive::ProtoTriplet",
            "contrastive::IcnnLoss",
            "regularization::mean_of_objectives",
        ],
    ),
    (
        "unime-v2",
        &[
            "negatives::JudgedHardNegatives",
            "ranking::SoftScoreAlignment",
            "ranking::RerankPairwiseLoss",
            "ranking::RerankListwiseLoss",
            "ranking::RerankJointLoss",
        ],
    ),
    (
        "unpg",
        &[
            "classification::UnpgLoss",
            "classification::ArcFaceLoss",
            "classification::CosFaceLoss",
            "classification::MagFaceLoss",
            "contrastive::negative_pair_similarities",
            "contrastive::whisker_filter",
            "diagnostics::pair_separation",
        ],
    ),
    ("z-loss", &["classification::FactoredOutput", "classification::TwoLevelSoftmax"]),
];

const PREFACE: &str = "# Papers

Every paper with a study: what it brought, its registered claims, and the verdicts of the last recorded run. A verdict is
computed from a run by one function for all studies; none is written by hand. An effect is the mean difference in the unit
of the claim with its 95% interval over seeds, or the smallest slack where a claim is about every case.

This page is generated. After a change of a study, or to measure again:

    contrarian run <paper> --record crates/studies/verdicts.json
    contrarian list papers --markdown > docs/papers.md

The second command reads the file that the first wrote when it is built, so build in between. `.ci/run` checks that the page
is current, and a test that every recorded run used the default settings and claims of today.
";

/// Objectives of the registry and other parts that a study's paper brought.
pub fn parts_of(study: &Study) -> (Vec<&'static str>, &'static [&'static str]) {
    let objectives = OBJECTIVES.iter().filter(|o| o.paper == Some(study.id)).map(|o| o.name).collect();
    let parts = PARTS.iter().find(|(id, _)| *id == study.id).map_or(&[][..], |(_, parts)| *parts);
    (objectives, parts)
}

/// The page `docs/papers.md`.
pub fn papers_markdown() -> String {
    let mut page = String::from(PREFACE);
    page.push_str("\n| paper | authors | last verdict |\n|---|---|---|\n");
    for study in STUDIES {
        let verdict = recorded(study.id).map_or("not recorded yet".into(), Recorded::summary);
        let _ = writeln!(page, "| [{id}](#{id}) | {} | {verdict} |", study.authors, id = study.id);
    }
    for study in STUDIES {
        page.push_str(&section(study));
    }
    page
}

fn section(study: &Study) -> String {
    let mut text = format!(
        "\n## {}\n\n[{}](https://arxiv.org/abs/{}), {}.\n\n{}\n\n",
        study.id, study.title, study.arxiv, study.authors, study.summary
    );
    let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (objectives, parts) = parts_of(study);
    if !objectives.is_empty() {
        let _ = writeln!(text, "- objectives: {}", code(&objectives));
    }
    if !parts.is_empty() {
        let _ = writeln!(text, "- parts: {}", code(parts));
    }
    let run = recorded(study.id);
    let how = run.map_or("not recorded yet".into(), |run| format!("{} ({:.0} s)", run.describe(), run.seconds));
    let _ = writeln!(text, "- `contrarian run {}`, last recorded: {how}\n", study.id);
    text.push_str("| claim | what it says | the paper reports | verdict | effect |\n|---|---|---|---|---|\n");
    for claim in study.claims {
        let answer = run.and_then(|run| run.claim(claim.id));
        let (verdict, numbers) = answer.map_or(("-", String::new()), |a| (a.verdict.words(), a.numbers()));
        let cells = [claim.id, claim.statement, claim.reported, verdict, &numbers].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_study_and_claim_is_on_the_page() {
        let page = papers_markdown();
        for study in STUDIES {
            assert!(page.contains(&format!("\n## {}\n", study.id)), "{}", study.id);
            assert!(page.contains(&format!("https://arxiv.org/abs/{}", study.arxiv)));
            for claim in study.claims {
                assert!(page.contains(&format!("| {} | ", claim.id)), "{}: {}", study.id, claim.id);
            }
        }
        assert!(STUDIES.is_sorted_by(|a, b| a.id < b.id), "alphabetical, and each once");
        assert!(PARTS.iter().all(|(id, _)| STUDIES.iter().any(|study| study.id == *id)));
    }
}
