use super::distances::squared_distances_from_center;
use super::require_temperature;
use crate::InvalidParameter;
use crate::classification::TargetScores;
use crate::error::require;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

/// The mean embedding of every class.
///
/// ```text
/// p_c = mean { x_i : y_i = c },        c in 0..classes
/// ```
///
/// # Shapes
/// - embeddings: `[n, dim]`
/// - labels: `[n]`, each in `0..classes`
/// - output: `[classes, dim]`
///
/// # Errors
/// When there is no class, not one label an embedding, a label is out of range, or a class has no embedding (its number is
/// named).
///
/// Source: Snell, Swersky, Zemel 2017, <https://arxiv.org/abs/1703.05175>, equation 1.
pub fn prototypes(
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
    classes: usize,
) -> Result<Tensor<2>, InvalidParameter> {
    let [n, _] = embeddings.dims();
    // Read back: a class without an embedding has no mean, and has to be named.
    let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
    require(classes > 0, "classes", classes, "at least 1")?;
    require(labels.len() == n, "labels", labels.len(), "as many as embeddings")?;
    let mut counts = vec![0usize; classes];
    for &label in &labels {
        let class = usize::try_from(label).ok().filter(|class| *class < classes);
        let Some(class) = class else {
            return Err(InvalidParameter::new("labels", label, format!("in 0..{classes}")));
        };
        counts[class] += 1;
    }
    if let Some(class) = counts.iter().position(|count| *count == 0) {
        let allowed = format!("such that every class of 0..{classes} has an embedding");
        return Err(InvalidParameter::new("labels", format!("without class {class}"), allowed));
    }
    let mut shares = vec![0.0; classes * n];
    for (row, &label) in labels.iter().enumerate() {
        shares[label as usize * n + row] = 1.0 / counts[label as usize] as f64;
    }
    let shares = TensorData::new(shares, [classes, n]).convert_dtype(embeddings.dtype());
    let shares = Tensor::<2>::from_data(shares, (&embeddings.device(), embeddings.dtype()));
    Ok(shares.matmul(embeddings))
}

/// Configuration of the [prototypical loss](Prototypical).
#[derive(Config, Debug)]
pub struct PrototypicalConfig {
    /// Classes (ways) of an episode, at least 2; labels are in `0..classes`.
    pub classes: usize,
    /// Temperature, above 0.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl PrototypicalConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.classes >= 2, "classes", self.classes, "at least 2")?;
        require_temperature(self.temperature)
    }

    fn build(&self) -> Prototypical {
        Prototypical { classes: self.classes, temperature: self.temperature }
    }
}

init!(PrototypicalConfig => Prototypical);

/// Prototypical loss: cross-entropy of queries over their distances to the class means of a support set.
///
/// ```text
/// z_ic = -|q_i - p_c|^2 / T,        p_c = mean of the support embeddings of class c
/// l_i  = -log softmax(z_i)_{y_i}
/// ```
///
/// Exact however small. Distances come from inner products of vectors from which the mean prototype is taken first.
///
/// Source: Snell, Swersky, Zemel 2017, <https://arxiv.org/abs/1703.05175>, equations 1 and 2; with a temperature as in
/// Mendez-Ruiz et al. 2023, <https://arxiv.org/abs/2305.09062>.
#[derive(Module, Debug)]
pub struct Prototypical {
    /// Classes of an episode.
    pub classes: usize,
    /// Temperature.
    pub temperature: f64,
}

impl Prototypical {
    /// The mean over the queries.
    ///
    /// # Shapes
    /// - support: `[s, dim]`, support_labels: `[s]`
    /// - queries: `[n, dim]`, labels: `[n]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// Where [`prototypes`] gives an error, with its message; when there is no query, or not one label a query.
    pub fn forward(
        &self,
        support: Tensor<2>,
        support_labels: Tensor<1, Int>,
        queries: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.forward_no_reduction(support, support_labels, queries, labels).mean()
    }

    /// The loss of every query, `[n]`.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), with output `[n]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(
        &self,
        support: Tensor<2>,
        support_labels: Tensor<1, Int>,
        queries: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        let prototypes = prototypes(support, support_labels, self.classes).unwrap_or_else(|error| panic!("{error}"));
        TargetScores::from_logits(self.logits(queries, prototypes), labels).losses()
    }

    /// `-|q_i - p_c|^2 / T`.
    ///
    /// # Shapes
    /// - queries: `[n, dim]`
    /// - prototypes: `[classes, dim]`
    /// - output: `[n, classes]`
    pub fn logits(&self, queries: Tensor<2>, prototypes: Tensor<2>) -> Tensor<2> {
        squared_distances_from_center(queries, prototypes).mul_scalar(-1.0 / self.temperature)
    }
}
