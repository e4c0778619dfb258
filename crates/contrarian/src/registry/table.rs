use super::ObjectiveConfig;
use crate::classification::{
    AldrKlLossConfig, AnyLossConfig, BinaryDiceLossConfig, BrierLossConfig, ClassDependentLossConfig,
    CompSumLossConfig, CrammerSingerLossConfig, CrossEntropyLossConfig, EnsLossConfig, ExponentialLossConfig,
    FocalLossConfig, GceLossConfig, HingeLossConfig, JensenShannonLossConfig, LdrKlLossConfig, LogisticLossConfig,
    MaeLossConfig, MseOnProbabilitiesConfig, MulticlassDiceLossConfig, NceAgceLossConfig, NceAulLossConfig,
    NceRceLossConfig, PairwiseSquaredHingeConfig, SigmoidFocalLossConfig, SphericalSoftmaxLossConfig,
    SphericalSquaredErrorConfig, SymmetricCeLossConfig, TaylorSoftmaxLossConfig, TverskyLossConfig,
    WestonWatkinsLossConfig, ZLossConfig,
};
use crate::{InvalidParameter, LogitObjective};
use serde_json::Value;

/// How many classes an objective can be trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// Two or more.
    Any,
    /// Exactly two; it sees the score `logit_1 - logit_0`.
    Binary,
}

/// One objective that can be built by name.
#[derive(Debug)]
pub struct ObjectiveEntry {
    /// Name on the command line, `comp-sum`.
    pub name: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    /// The formula, in plain text.
    pub formula: &'static str,
    /// Paper and equation.
    pub source: &'static str,
    /// The paper's slug, when it is one of ours.
    pub paper: Option<&'static str>,
    /// The Rust configuration type, `CompSumLossConfig`.
    pub config: &'static str,
    /// Which tasks it is for.
    pub classes: Classes,
    /// Name and meaning of each parameter; defaults come from [`defaults`](Self::defaults).
    pub parameters: &'static [(&'static str, &'static str)],
    /// Default values by parameter name, as a JSON object.
    pub defaults: fn() -> Value,
    pub(crate) build: fn(Value) -> Result<Box<dyn LogitObjective>, InvalidParameter>,
}

/// The objective with this name.
pub fn find(name: &str) -> Option<&'static ObjectiveEntry> {
    OBJECTIVES.iter().find(|entry| entry.name == name)
}

/// An entry without its text; the parts that follow from the configuration's type are made here.
macro_rules! entry {
    ($name:literal, $config:ident, $classes:ident, $paper:expr, $summary:literal, $formula:literal, $source:literal,
     [$(($parameter:literal, $meaning:literal)),* $(,)?]) => {
        ObjectiveEntry {
            name: $name,
            summary: $summary,
            formula: $formula,
            source: $source,
            paper: $paper,
            config: stringify!($config),
            classes: Classes::$classes,
            parameters: &[$(($parameter, $meaning)),*],
            defaults: || serde_json::to_value($config::new()).expect("configurations are plain data"),
            build: build::<$config>,
        }
    };
}

fn build<C: ObjectiveConfig>(value: Value) -> Result<Box<dyn LogitObjective>, InvalidParameter> {
    let config: C = read_config(&value)?;
    config.check()?;
    Ok(config.boxed())
}

/// Deserialises a configuration; a value of no legal kind is traced to its field by trying the fields one by one.
pub(super) fn read_config<C: burn::config::Config>(value: &Value) -> Result<C, InvalidParameter> {
    serde_json::from_value(value.clone()).map_err(|error| {
        let message = error.to_string();
        // serde names the legal variants of an enum: "unknown variant `f7`, expected one of ..."
        let text = value.as_object().and_then(|fields| {
            fields.iter().find(|(_, v)| v.as_str().is_some_and(|text| message.contains(&format!("`{text}`"))))
        });
        let allowed = message.split_once("expected ").map_or(message.as_str(), |(_, allowed)| allowed);
        match text {
            Some((field, value)) => InvalidParameter::new(field, value, allowed),
            None => InvalidParameter::new("?", value, allowed),
        }
    })
}

/// Every objective, in the order they are listed.
pub static OBJECTIVES: &[ObjectiveEntry] = &[
    entry!(
        "cross-entropy",
        CrossEntropyLossConfig,
        Any,
        None,
        "the baseline, with class weights and label smoothing",
        "loss = sum_i w_y (-log p_iy) / sum_i w_y,  p = softmax(h), labels smoothed by e",
        "the textbook loss; weights and smoothing as in PyTorch",
        [
            ("class_weights", "a weight for every class, or `balanced` for n / (k count)"),
            ("label_smoothing", "part of the label's mass spread over all classes, in [0, 1]")
        ]
    ),
    entry!(
        "focal",
        FocalLossConfig,
        Any,
        None,
        "cross-entropy, weighed down where the model is already right",
        "loss_i = -(1 - p_y)^gamma a_y log p_y,  p = softmax(h)",
        "Lin et al. 2017, arXiv 1708.02002",
        [
            ("gamma", "focus on hard examples, at least 0; 0 is cross-entropy"),
            ("class_weights", "a weight for every class, or `balanced` for n / (k count)")
        ]
    ),
    entry!(
        "brier",
        BrierLossConfig,
        Any,
        None,
        "squared error of the class probabilities: bounded and proper",
        "loss_i = sum_k (1[k == y] - p_k)^2,  p = softmax(h)",
        "Brier 1950",
        []
    ),
    entry!(
        "crammer-singer",
        CrammerSingerLossConfig,
        Any,
        None,
        "hinge loss of the strongest rival class",
        "loss_i = max_k (margin 1[k != y] + h_k - h_y)_+",
        "Crammer, Singer 2001",
        [("margin", "at least 0")]
    ),
    entry!(
        "weston-watkins",
        WestonWatkinsLossConfig,
        Any,
        None,
        "hinge loss over all rival classes",
        "loss_i = mean_k (margin 1[k != y] + h_k - h_y)_+",
        "Weston, Watkins 1999",
        [("margin", "at least 0")]
    ),
    entry!(
        "gce",
        GceLossConfig,
        Any,
        None,
        "generalised cross-entropy, between cross-entropy and mean absolute error",
        "loss_i = min((1 - p_y^q)/q, (1 - k^q)/q),  p = softmax(h)",
        "Zhang, Sabuncu 2018, arXiv 1805.07836, equations 6 and 9",
        [("q", "robustness, in (0, 1]"), ("k", "examples with p_y below it stop contributing; 0 truncates nothing")]
    ),
    entry!(
        "mae",
        MaeLossConfig,
        Any,
        None,
        "mean absolute error of the probabilities: symmetric, slow to train",
        "loss_i = 1 - p_y,  p = softmax(h)",
        "Ghosh, Kumar, Sastry 2017, arXiv 1712.09482",
        []
    ),
    entry!(
        "symmetric-ce",
        SymmetricCeLossConfig,
        Any,
        None,
        "cross-entropy plus its reverse, for noisy labels",
        "loss_i = (1 - w)(-log p_y) + w A (1 - p_y),  w = balance, A = a",
        "Wang et al. 2019, arXiv 1908.06112, equation 7",
        [("balance", "weight of the reverse term, in [0, 1]"), ("a", "minus the logarithm that stands for log 0")]
    ),
    entry!(
        "nce-rce",
        NceRceLossConfig,
        Any,
        None,
        "normalised plus reverse cross-entropy, for noisy labels",
        "loss_i = alpha log p_y / sum_k log p_k + beta (1 - p_y)(-log_zero)",
        "Ma et al. 2020, arXiv 2006.13554, section 3.3",
        [
            ("alpha", "weight of the normalised cross-entropy"),
            ("beta", "weight of the reverse cross-entropy"),
            ("log_zero", "the logarithm that stands for log 0, at most 0")
        ]
    ),
    entry!(
        "nce-aul",
        NceAulLossConfig,
        Any,
        None,
        "normalised cross-entropy plus the asymmetric unhinged loss, for noisy labels",
        "loss_i = alpha log p_y / sum_k log p_k + beta ((a - p_y)^q - (a - 1)^q)/q",
        "Zhou et al. 2021, arXiv 2106.03110",
        [
            ("alpha", "weight of the normalised cross-entropy"),
            ("beta", "weight of the asymmetric loss"),
            ("a", "offset, above 1"),
            ("q", "power, above 0")
        ]
    ),
    entry!(
        "nce-agce",
        NceAgceLossConfig,
        Any,
        None,
        "normalised cross-entropy plus the asymmetric generalised cross-entropy, for noisy labels",
        "loss_i = alpha log p_y / sum_k log p_k + beta ((a + 1)^q - (a + p_y)^q)/q",
        "Zhou et al. 2021, arXiv 2106.03110",
        [
            ("alpha", "weight of the normalised cross-entropy"),
            ("beta", "weight of the asymmetric loss"),
            ("a", "offset, above 0"),
            ("q", "power, above 0")
        ]
    ),
    entry!(
        "jensen-shannon",
        JensenShannonLossConfig,
        Any,
        None,
        "scaled Jensen-Shannon divergence between label and prediction, for noisy labels",
        "loss_i = [w KL(e_y||m) + (1-w) KL(p||m)] * -1/((1-w) log(1-w)),  m = w e_y + (1-w) p, w = pi",
        "Englesson, Azizpour 2021, arXiv 2105.04522, equation 5",
        [("pi", "weight of the label in the mixture, in (0, 1)")]
    ),
    entry!(
        "comp-sum",
        CompSumLossConfig,
        Any,
        Some("comp-sum"),
        "one parameter from sum-exponential through cross-entropy to mean absolute error",
        "loss_i = expm1((1 - tau) A_i)/(1 - tau),  A_i = -log softmax(h_i)_y  (tau = 1: A_i)",
        "Mao, Mohri, Zhong 2023, arXiv 2304.07288, section 2",
        [("tau", "shape, at least 0: 0 sum-exponential, 1 cross-entropy, 2 mean absolute error")]
    ),
    entry!(
        "multiclass-dice",
        MulticlassDiceLossConfig,
        Any,
        Some("dice"),
        "self-adjusting dice of every class against the rest",
        "loss = sum_c dice(p_c, 1[y == c]),  p = softmax(h)",
        "Li et al. 2019, arXiv 1911.02855",
        [
            ("smooth", "added to numerator and denominator"),
            ("alpha", "how strongly decided examples are weighed down"),
            ("squared", "squares in the denominator"),
            ("level", "batch or example"),
            ("ohem_ratio", "hardest negatives kept for every positive; 0 keeps all")
        ]
    ),
    entry!(
        "ldr",
        LdrKlLossConfig,
        Any,
        Some("ldr"),
        "worst case over class distributions: a temperature between SVM, cross-entropy and a symmetric loss",
        "loss_i = lambda log mean_k exp(d_k/lambda),  d_k = f_k - f_y + margin 1[k != y]",
        "Zhu, Ying, Yang 2023, arXiv 2112.14869, equation 4",
        [
            ("lambda", "temperature, above 0"),
            ("margin", "at least 0"),
            ("normalization", "softplus_mean, l1_mean or none")
        ]
    ),
    entry!(
        "aldr",
        AldrKlLossConfig,
        Any,
        Some("ldr"),
        "ldr with a temperature for every training example, lowered when the model is confident",
        "loss_i = ldr at lambda_i,  lambda_i = lambda0 - lambda0 KL(p_i || uniform)/(alpha log K)",
        "Zhu, Ying, Yang 2023, arXiv 2112.14869, section 5",
        [
            ("lambda0", "temperature of an undecided example, above 0"),
            ("alpha", "how little a confident example lowers its temperature, above 1"),
            ("margin", "at least 0"),
            ("normalization", "softplus_mean, l1_mean or none")
        ]
    ),
    entry!(
        "z-loss",
        ZLossConfig,
        Any,
        Some("z-loss"),
        "softplus of the standardised score: invariant to shift and scale, for three classes or more",
        "loss_i = log(1 + exp(a (b - z_y)))/a,  z = (o - mean o)/sqrt(var o + eps)",
        "de Brebisson, Vincent 2016, arXiv 1604.08859",
        [
            ("a", "sharpness, above 0"),
            ("b", "location: larger cares about the very top of the ranking"),
            ("eps", "added to the variance, at least 0; with 0 two classes give no gradient")
        ]
    ),
    entry!(
        "taylor-softmax",
        TaylorSoftmaxLossConfig,
        Any,
        Some("z-loss"),
        "softmax with a second-order polynomial for the exponential; it grows with the score above -1 only",
        "loss_i = log(sum_k t(o_k)) - log t(o_y),  t(o) = 1 + o + o^2/2",
        "de Brebisson, Vincent 2016, arXiv 1604.08859",
        []
    ),
    entry!(
        "spherical-softmax",
        SphericalSoftmaxLossConfig,
        Any,
        Some("z-loss"),
        "softmax with squares for the exponential: forgets signs, so that the largest score need not be the likeliest class",
        "loss_i = log(sum_k (o_k^2 + epsilon)) - log(o_y^2 + epsilon)",
        "de Brebisson, Vincent 2016, arXiv 1604.08859",
        [("epsilon", "keeps the logarithms finite, above 0")]
    ),
    entry!(
        "spherical-squared-error",
        SphericalSquaredErrorConfig,
        Any,
        Some("z-loss"),
        "squared error of the raw scores against the one-hot label",
        "loss_i = sum_k (o_k - 1[k == y])^2",
        "Vincent, de Brebisson, Bouthillier 2015, arXiv 1412.7091",
        []
    ),
    entry!(
        "dice",
        BinaryDiceLossConfig,
        Binary,
        Some("dice"),
        "self-adjusting dice: a soft F1 in which decided examples weigh less",
        "loss = 1 - (2 sum w y + s)/(sum w^2 + sum y^2 + s),  w = (1 - p)^alpha p, p = sigmoid(x)",
        "Li et al. 2019, arXiv 1911.02855, equations 7 to 12",
        [
            ("smooth", "added to numerator and denominator"),
            ("alpha", "how strongly decided examples are weighed down"),
            ("squared", "squares in the denominator"),
            ("level", "batch or example"),
            ("ohem_ratio", "hardest negatives kept for every positive; 0 keeps all")
        ]
    ),
    entry!(
        "tversky",
        TverskyLossConfig,
        Binary,
        Some("dice"),
        "soft overlap with false positives and false negatives priced apart",
        "loss = 1 - (TP + s)/(TP + alpha FP + beta FN + s), soft counts of p = sigmoid(x)",
        "Li et al. 2019, arXiv 1911.02855, equation 9",
        [
            ("alpha", "weight of false positives"),
            ("beta", "weight of false negatives"),
            ("smooth", "added to numerator and denominator"),
            ("level", "batch or example")
        ]
    ),
    entry!(
        "any-loss",
        AnyLossConfig,
        Binary,
        Some("any-loss"),
        "any metric of the confusion matrix as a loss",
        "loss = 1 - metric(soft counts of 1/(1 + exp(-L (p - 1/2)))),  p = sigmoid(x), L = scale",
        "Han, Moniz, Chawla 2024, arXiv 2405.14745, equations 1 to 8",
        [
            (
                "metric",
                "accuracy, f_beta (f1), balanced_accuracy, g_mean, precision, recall, specificity, jaccard or mcc"
            ),
            ("beta", "weight of recall in f_beta, above 0"),
            ("scale", "steepness of the amplifier, above 0"),
            ("input", "logits or probabilities")
        ]
    ),
    entry!(
        "ens-loss",
        EnsLossConfig,
        Binary,
        Some("ens-loss"),
        "a fresh random convex calibrated loss at every step",
        "surrogate = mean (g_i - floor) z_i, g = sorted random derivatives, z = (2 y - 1) x",
        "Dai 2024, arXiv 2409.00908, algorithm 1",
        [
            ("box_cox_lambda", "shape of the draws; 0 is the exponential"),
            ("cap", "largest size of a derivative, above 0"),
            ("tail", "divide derivatives beyond margin 1 by the margin"),
            ("floor", "subtracted from every derivative")
        ]
    ),
    entry!(
        "class-dependent",
        ClassDependentLossConfig,
        Binary,
        Some("class-dependent-pruning"),
        "weighted cross-entropy plus a ranking term, for a class whose examples must not be missed",
        "loss = mean g_y (-log softmax(h)_y) + lam R,  R = mean over pairs (m - (s_i - s_j))_+^2, s = h_1 - h_0",
        "Entezari, Saukh 2019, arXiv 1909.10364, equations 2 to 4",
        [
            ("class_weights", "a weight for every class, or `balanced` for n / (k count)"),
            ("ranking_weight", "weight of the ranking term, at least 0"),
            ("ranking", "pairwise, or hardest_negative for the authors' code"),
            ("margin", "margin of the pairwise term, above 0"),
            ("important_class", "the class whose examples must not be missed")
        ]
    ),
    entry!(
        "pairwise-squared-hinge",
        PairwiseSquaredHingeConfig,
        Binary,
        Some("class-dependent-pruning"),
        "squared hinge over all pairs of a positive and a negative: ranks, and leaves the threshold to you",
        "loss = mean over pairs (m - (s_i - s_j))_+^2,  i positive, j negative",
        "Entezari, Saukh 2019, arXiv 1909.10364, section 3",
        [("margin", "how far a positive should score above a negative, above 0")]
    ),
    entry!(
        "hinge",
        HingeLossConfig,
        Binary,
        None,
        "hinge loss of one score",
        "loss_i = max(0, 1 - z),  z = (2 y - 1) x",
        "Cortes, Vapnik 1995",
        []
    ),
    entry!(
        "logistic",
        LogisticLossConfig,
        Binary,
        None,
        "binary cross-entropy of one score",
        "loss_i = log(1 + exp(-z)),  z = (2 y - 1) x",
        "the textbook loss",
        []
    ),
    entry!(
        "exponential",
        ExponentialLossConfig,
        Binary,
        None,
        "exponential loss of one score; train it with clipping",
        "loss_i = exp(-z),  z = (2 y - 1) x",
        "Freund, Schapire 1997",
        []
    ),
    entry!(
        "sigmoid-focal",
        SigmoidFocalLossConfig,
        Binary,
        None,
        "focal loss of one score",
        "loss_i = -sigmoid(-z)^gamma log sigmoid(z),  z = (2 y - 1) x",
        "Lin et al. 2017, arXiv 1708.02002, equation 4",
        [("gamma", "focus on hard examples, at least 0")]
    ),
    entry!(
        "mse",
        MseOnProbabilitiesConfig,
        Binary,
        None,
        "squared error of the probability of the positive class",
        "loss_i = (sigmoid(x) - y)^2",
        "baseline of arXiv 2405.14745",
        []
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogitBatch;
    use crate::registry::{ObjectiveSpec, TaskContext};
    use burn::tensor::{Device, Int, Tensor};

    #[test]
    fn documented_parameters_are_the_configurations_own() {
        for entry in OBJECTIVES {
            let defaults = (entry.defaults)();
            let mut fields: Vec<&str> = defaults.as_object().unwrap().keys().map(String::as_str).collect();
            let mut documented: Vec<&str> = entry.parameters.iter().map(|(name, _)| *name).collect();
            fields.sort_unstable();
            documented.sort_unstable();
            assert_eq!(fields, documented, "{}", entry.name);
            assert_eq!(OBJECTIVES.iter().filter(|other| other.name == entry.name).count(), 1, "{}", entry.name);
        }
    }

    /// Value and gradient of every objective with its defaults.
    fn value_and_gradient(entry: &ObjectiveEntry, rows: [[f32; 2]; 4]) -> (f32, Vec<f32>) {
        let device = Device::flex().autodiff();
        let spec: ObjectiveSpec = entry.name.parse().unwrap();
        let objective = spec.build(&TaskContext { class_counts: vec![3, 1] }).unwrap();
        let logits = Tensor::<2>::from_floats(rows, &device).require_grad();
        let ids = Some(Tensor::<1, Int>::arange(0..4, &device));
        let batch = LogitBatch { logits: logits.clone(), labels: Tensor::from_ints([0, 1, 0, 0], &device), ids };
        let loss = objective.loss(batch, &mut objective.initial_state(4, 1));
        let gradient = logits.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap();
        (loss.into_scalar(), gradient)
    }

    #[test]
    fn every_objective_pulls_the_right_way_on_a_small_batch() {
        for entry in OBJECTIVES {
            let (loss, gradient) = value_and_gradient(entry, [[0.3, -0.2], [0.1, 0.0], [-0.4, 0.2], [0.5, 0.1]]);
            assert!(loss.is_finite(), "{}", entry.name);
            if entry.name == "z-loss" {
                // Standardised, two scores are 1 and -1 whatever their distance: flat up to rounding.
                assert!(gradient.iter().all(|g| g.abs() < 1e-5), "{gradient:?}");
                continue;
            }
            // Example 1 is the only positive: minimising must raise its score for class 1.
            assert!(gradient[3] - gradient[2] < 0.0, "{}: {gradient:?}", entry.name);
        }
    }

    #[test]
    fn every_objective_is_finite_at_extreme_logits_and_ties() {
        for entry in OBJECTIVES {
            for rows in [
                [[1e4, -1e4], [-1e4, 1e4], [1e4, -1e4], [1e4, -1e4]],
                [[-1e4, 1e4], [1e4, -1e4], [-1e4, 1e4], [-1e4, 1e4]],
                [[1e4, 1e4], [-1e4, -1e4], [0.0, 0.0], [0.0, 0.0]],
            ] {
                let (loss, gradient) = value_and_gradient(entry, rows);
                // The exponential of a margin of -2e4 is infinite, and says so.
                if entry.name == "exponential" && rows[0][1] > rows[0][0] {
                    assert!(loss.is_infinite());
                    continue;
                }
                assert!(loss.is_finite(), "{} {rows:?}: {loss}", entry.name);
                assert!(gradient.iter().all(|g| g.is_finite()), "{} {rows:?}: {gradient:?}", entry.name);
            }
        }
    }
}
