use burn::tensor::Tensor;

/// The sum of objectives divided by their number, so that adding a part does not raise the whole.
///
/// ```text
/// loss = (1/n) sum_i l_i
/// ```
///
/// # Shapes
/// - terms: each `[1]`
/// - output: `[1]`
///
/// # Panics
/// When there is no objective.
///
/// Source: Mendez-Ruiz et al. 2023, <https://arxiv.org/abs/2305.09062>, in the form of the authors' code.
pub fn mean_of_objectives(terms: impl IntoIterator<Item = Tensor<1>>) -> Tensor<1> {
    let terms: Vec<Tensor<1>> = terms.into_iter().collect();
    assert!(!terms.is_empty(), "a mean of objectives needs at least one");
    Tensor::cat(terms, 0).mean()
}
