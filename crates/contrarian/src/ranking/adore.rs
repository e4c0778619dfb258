use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::softplus;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{DType, Int, Tensor, TensorData};
use contrarian_kernels::top_products;

/// Configuration of the [ADORE loss](AdoreLoss).
#[derive(Config, Debug)]
pub struct AdoreLossConfig {
    /// Documents retrieved for each query, at least 1.
    #[config(default = 200)]
    pub topk: usize,
    /// Last rank that counts in the metric, at least 1; `None` for no cut.
    #[config(default = "Some(200)")]
    pub metric_cut: Option<usize>,
    /// Whether pairs weigh what swapping them changes in the metric; otherwise all weigh the same.
    #[config(default = true)]
    pub weighted: bool,
}

impl AdoreLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.topk >= 1, "topk", self.topk, "at least 1")?;
        let cut = self.metric_cut.unwrap_or(1);
        require(cut >= 1, "metric_cut", cut, "at least 1, or none")
    }

    fn build(&self) -> AdoreLoss {
        AdoreLoss { topk: self.topk, metric_cut: self.metric_cut, weighted: self.weighted }
    }
}

init!(AdoreLossConfig => AdoreLoss);

/// ADORE: the query encoder alone is trained, on what it retrieves right now, with pairs weighted by the ranking metric.
///
/// ```text
/// R_q  = the topk documents by <e_q, e_d>; where none is relevant, all relevant ones are appended
/// l_q  = 1/(n+ n-) sum_{a relevant} sum_{b not} |c(rank a) - c(rank b)| softplus(s_b - s_a),     loss = mean_q l_q
/// c(r) = 1/r for r <= metric_cut, else 0; 0 for what was appended
/// ```
///
/// `|c(a) - c(b)|` is the change of the reciprocal rank when the two trade places. A query with nothing but relevant documents in its
/// list counts 0. Documents are constants: no gradient reaches them, and their index stays as it is.
///
/// Source: Zhan et al. 2021, <https://arxiv.org/abs/2104.08051>, section 4.2. (In the authors' code no cut means that every weight
/// is 0; here it means no cut.)
#[derive(Module, Debug)]
pub struct AdoreLoss {
    /// Documents retrieved for each query.
    pub topk: usize,
    /// Last rank that counts in the metric.
    #[module(skip)]
    pub metric_cut: Option<usize>,
    /// Whether pairs are weighted.
    pub weighted: bool,
}

/// What a query was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoreList {
    /// Documents by rank, those appended last.
    pub documents: Vec<usize>,
    /// Whether each is relevant.
    pub relevant: Vec<bool>,
    /// The discount `c` of each.
    pub discounts: Vec<f64>,
}

impl AdoreList {
    /// One over the rank of the first relevant document that was retrieved among the first `k`, else 0.
    pub fn reciprocal_rank(&self, k: usize, topk: usize) -> f64 {
        self.relevant.iter().take(k.min(topk)).position(|relevant| *relevant).map_or(0.0, |at| 1.0 / (at as f64 + 1.0))
    }
}

impl AdoreLoss {
    /// The loss, over the documents with the largest inner products at this moment (equal ones by the lower number), and the
    /// lists it was made from.
    ///
    /// # Shapes
    /// - queries: `[B, D]`
    /// - documents: `[N, D]`
    /// - relevant: the relevant documents of each query
    /// - output: `[1]`
    ///
    /// # Panics
    /// When shapes do not fit each other, a query has no relevant document, or one that does not exist.
    pub fn forward(
        &self,
        queries: Tensor<2>,
        documents: Tensor<2>,
        relevant: &[Vec<usize>],
    ) -> (Tensor<1>, Vec<AdoreList>) {
        assert_eq!(queries.dims()[1], documents.dims()[1], "queries and documents need the same number of columns");
        let found = top_k(queries.clone(), documents.clone(), self.topk);
        self.forward_retrieved(queries, documents, &found, relevant)
    }

    /// As [`forward`](Self::forward), from lists that an index has found: the documents of each query, best first.
    ///
    /// # Panics
    /// As `forward`, and when there is no list for each query.
    pub fn forward_retrieved(
        &self,
        queries: Tensor<2>,
        documents: Tensor<2>,
        retrieved: &[Vec<usize>],
        relevant: &[Vec<usize>],
    ) -> (Tensor<1>, Vec<AdoreList>) {
        let [batch, _] = queries.dims();
        assert!(batch > 0, "a loss needs at least one query");
        assert_eq!(retrieved.len(), batch, "there must be a retrieved list for each query");
        assert_eq!(relevant.len(), batch, "there must be a list of relevant documents for each query");
        let lists: Vec<AdoreList> = (0..batch)
            .map(|query| self.list(query, &retrieved[query], &relevant[query], documents.dims()[0]))
            .collect();
        // Candidates of all queries in one row, and the pairs as places in it.
        let (mut owners, mut candidates) = (Vec::new(), Vec::new());
        let (mut positives, mut negatives, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (query, list) in lists.iter().enumerate() {
            let first = candidates.len();
            candidates.extend(list.documents.iter().map(|document| *document as i64));
            owners.extend(list.documents.iter().map(|_| query as i64));
            let hits = list.relevant.iter().filter(|relevant| **relevant).count();
            let pairs = (hits * (list.documents.len() - hits)) as f64;
            for (a, _) in list.relevant.iter().enumerate().filter(|(_, relevant)| **relevant) {
                for (b, _) in list.relevant.iter().enumerate().filter(|(_, relevant)| !**relevant) {
                    let weight = if self.weighted { (list.discounts[a] - list.discounts[b]).abs() } else { 1.0 };
                    positives.push((first + a) as i64);
                    negatives.push((first + b) as i64);
                    weights.push(weight / pairs / batch as f64);
                }
            }
        }
        if weights.is_empty() {
            return (queries.sum().mul_scalar(0.0), lists);
        }
        let device = queries.device();
        let dtype = queries.dtype();
        let places = |places: Vec<i64>| {
            let count = places.len();
            Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device)
        };
        let rows = documents.detach().select(0, places(candidates)) * queries.select(0, places(owners));
        let count = rows.dims()[0];
        let scores = rows.sum_dim(1).reshape([count]);
        let margins = scores.clone().select(0, places(negatives)) - scores.select(0, places(positives));
        let weights = TensorData::new(weights, margins.dims()).convert_dtype(dtype);
        let weights = Tensor::<1>::from_data(weights, (&device, dtype));
        ((softplus(margins) * weights).sum(), lists)
    }

    fn list(&self, query: usize, retrieved: &[usize], relevant: &[usize], documents: usize) -> AdoreList {
        assert!(!relevant.is_empty(), "query {query} has no relevant document");
        if let Some(unknown) = relevant.iter().find(|document| **document >= documents) {
            panic!("document {unknown}, relevant to query {query}, is none of {documents}");
        }
        let mut ids: Vec<usize> = retrieved.iter().copied().take(self.topk).collect();
        let cut = self.metric_cut.unwrap_or(usize::MAX);
        let mut discounts: Vec<f64> =
            (1..=ids.len()).map(|rank| if rank <= cut { 1.0 / rank as f64 } else { 0.0 }).collect();
        if !ids.iter().any(|document| relevant.contains(document)) {
            ids.extend(relevant);
            discounts.resize(ids.len(), 0.0);
        }
        let relevant = ids.iter().map(|document| relevant.contains(document)).collect();
        AdoreList { documents: ids, relevant, discounts }
    }
}

/// The documents with the largest inner products, by query.
fn top_k(queries: Tensor<2>, documents: Tensor<2>, k: usize) -> Vec<Vec<usize>> {
    fn ids<T>(found: Vec<Vec<(usize, T)>>) -> Vec<Vec<usize>> {
        found.into_iter().map(|row| row.into_iter().map(|hit| hit.0).collect()).collect()
    }
    let [_, dim] = queries.dims();
    // Ranks and losses must come from the same scores: the search keeps the precision of the tensors.
    let (queries, documents) = (queries.into_data(), documents.into_data());
    if queries.dtype() == DType::F64 {
        let numbers = |data: TensorData| data.convert_dtype(DType::F64).try_to_vec::<f64>().expect("just converted");
        ids(top_products(&numbers(queries), &numbers(documents), dim, k).expect("both are whole rows"))
    } else {
        let numbers = |data: TensorData| data.convert_dtype(DType::F32).try_to_vec::<f32>().expect("just converted");
        ids(top_products(&numbers(queries), &numbers(documents), dim, k).expect("both are whole rows"))
    }
}
