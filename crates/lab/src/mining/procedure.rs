use super::judge::{Judge, JudgeError, JudgedScores};
use crate::data::Matrix;
use crate::metrics::{Distance, nearest_in};
use burn::config::Config;
use contrarian::InvalidParameter;
use contrarian::negatives::JudgedHardNegativesConfig;

/// The mining of hard negatives for every query: embed, search, judge, filter, sample.
///
/// ```text
/// candidates of q = the `top` documents nearest to q by cosine, its positive left out
/// negatives of q  = the judged hard negatives among them
/// ```
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.2.
#[derive(Config, Debug)]
pub struct HardNegativeMining {
    /// Candidates the judge is asked about, at least 1.
    #[config(default = 50)]
    pub top: usize,
    /// Filter and sampling.
    #[config(default = "JudgedHardNegativesConfig::new()")]
    pub negatives: JudgedHardNegativesConfig,
}

/// The negatives of every query, with what the judge thinks of them.
#[derive(Debug, Clone, PartialEq)]
pub struct MinedNegatives {
    /// Documents chosen for each query; none where no candidate was kept.
    pub negatives: Vec<Vec<usize>>,
    /// The judge's scores of them.
    pub scores: Vec<Vec<f64>>,
    /// The judge's score of each query's positive.
    pub positive_scores: Vec<f64>,
    /// Candidates left out as false negatives, over all queries.
    pub filtered: usize,
    /// Negatives chosen more than once for a query, for want of candidates, over all queries.
    pub repeated: usize,
    /// Queries without a negative.
    pub empty: usize,
}

/// Why nothing was mined.
#[derive(Debug, thiserror::Error)]
pub enum MiningError {
    /// The judge failed; its answers until then are in the [`JudgedScores`].
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// A setting out of range.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    /// Queries, documents and positives do not fit each other.
    #[error("{0}")]
    Data(String),
}

impl HardNegativeMining {
    /// Mines negatives for every query; `positives` names each query's own document. Judged scores go into `known`, and those
    /// already there are not asked for.
    ///
    /// # Errors
    /// When a setting is out of range, sets do not fit each other, there are fewer than two documents, or the judge fails.
    pub fn run(
        &self,
        queries: &Matrix,
        documents: &Matrix,
        positives: &[usize],
        judge: &dyn Judge,
        known: &mut JudgedScores,
    ) -> Result<MinedNegatives, MiningError> {
        self.negatives.validate()?;
        if self.top == 0 {
            return Err(InvalidParameter::new("top", self.top, "at least 1").into());
        }
        if positives.len() != queries.rows || queries.cols != documents.cols || documents.rows < 2 {
            let sizes = format!(
                "{} positives for queries [{}, {}] among documents [{}, {}]",
                positives.len(),
                queries.rows,
                queries.cols,
                documents.rows,
                documents.cols
            );
            return Err(MiningError::Data(format!(
                "{sizes}; needed are a positive a query, one length, two documents"
            )));
        }
        if let Some((query, &positive)) = positives.iter().enumerate().find(|(_, at)| **at >= documents.rows) {
            let reason = format!("the positive {positive} of query {query} is none of {} documents", documents.rows);
            return Err(MiningError::Data(reason));
        }
        let miner = self.negatives.init();
        let mut mined = MinedNegatives {
            negatives: Vec::with_capacity(queries.rows),
            scores: Vec::with_capacity(queries.rows),
            positive_scores: Vec::with_capacity(queries.rows),
            filtered: 0,
            repeated: 0,
            empty: 0,
        };
        let found = nearest_in(queries, documents, self.top + 1, Distance::Cosine);
        for (query, (found, &positive)) in found.into_iter().zip(positives).enumerate() {
            let mut candidates = found;
            candidates.retain(|&document| document != positive);
            candidates.truncate(self.top);
            let asked: Vec<usize> = std::iter::once(positive).chain(candidates.iter().copied()).collect();
            let scores = known.scores(judge, query, &asked)?;
            let chosen = miner.mine(&scores[1..], scores[0])?;
            mined.filtered += chosen.filtered;
            mined.repeated += chosen.repeated;
            mined.empty += usize::from(chosen.indices.is_empty());
            mined.negatives.push(chosen.indices.iter().map(|&at| candidates[at]).collect());
            mined.scores.push(chosen.indices.iter().map(|&at| scores[at + 1]).collect());
            mined.positive_scores.push(scores[0]);
        }
        Ok(mined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mining::{ModelJudge, ScriptedJudge};
    use crate::model::{MlpConfig, Mode};
    use burn::tensor::{Device, Tensor, TensorData};

    /// Documents on a quarter circle, in order of their angle; the query lies at angle 0.
    fn circle(angles: &[f32]) -> Matrix {
        let data = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        Matrix { rows: angles.len(), cols: 2, data }
    }

    fn mining(top: usize, count: usize) -> HardNegativeMining {
        let negatives = JudgedHardNegativesConfig::new().with_count(count).with_stride(2);
        HardNegativeMining::new().with_top(top).with_negatives(negatives)
    }

    #[test]
    fn candidates_are_searched_judged_filtered_and_sampled() {
        let (query, documents) = (circle(&[0.0, 0.0]), circle(&[0.3, 0.1, 0.2, 0.4, 0.5, 0.6]));
        // Query 0, positive 2 at .8: candidates by angle are 1, 0, 3, 4; 1 is as good as the positive. Query 1, positive 1 at .2:
        // all candidates are better.
        let first = [(2, 0.8), (1, 0.9), (0, 0.79), (3, 0.5), (4, 0.1)].map(|(document, score)| ((0, document), score));
        let second = [(1, 0.2), (2, 0.9), (0, 0.8), (3, 0.7), (4, 0.6)].map(|(document, score)| ((1, document), score));
        let judge = ScriptedJudge::new(first.into_iter().chain(second));
        let mut known = JudgedScores::default();
        let mined = mining(4, 4).run(&query, &documents, &[2, 1], &judge, &mut known).unwrap();
        assert_eq!(mined.negatives, [vec![0, 4, 3, 0], vec![]]);
        assert_eq!(mined.scores, [vec![0.79, 0.1, 0.5, 0.79], vec![]]);
        assert_eq!((mined.filtered, mined.repeated, mined.empty), (5, 1, 1));
        assert_eq!((mined.positive_scores.clone(), known.len()), (vec![0.8, 0.2], 10));
        // All is known now: a judge that knows nothing will do.
        let again = mining(4, 4).run(&query, &documents, &[2, 1], &ScriptedJudge::default(), &mut known).unwrap();
        assert_eq!(again, mined);
    }

    #[test]
    fn a_trained_model_can_be_the_judge() {
        let (queries, documents) = (circle(&[0.0, 1.0]), circle(&[0.1, 0.9, 0.2, 0.8, 0.3]));
        let model = MlpConfig::new(4, 2).with_width(6).init(&Device::flex(), 1);
        let logits = |pairs: &[(usize, usize)]| {
            let row = |&(query, document): &(usize, usize)| [queries.row(query), documents.row(document)].concat();
            let data: Vec<f32> = pairs.iter().flat_map(row).collect();
            let x = Tensor::<2>::from_data(TensorData::new(data, [pairs.len(), 4]), &Device::flex());
            model.logits(x, &mut Mode::Inference)
        };
        let judge = ModelJudge::new(logits);
        let mut known = JudgedScores::default();
        let mining = mining(4, 2).with_negatives(JudgedHardNegativesConfig::new().with_count(2).with_margin(0.0));
        let mined = mining.run(&queries, &documents, &[0, 1], &judge, &mut known).unwrap();
        assert_eq!(known.len(), 10);
        for (query, (negatives, scores)) in mined.negatives.iter().zip(&mined.scores).enumerate() {
            for (&document, &score) in negatives.iter().zip(scores) {
                let answer: Vec<f64> = logits(&[(query, document)]).into_data().iter::<f64>().collect();
                let expected = 1.0 / (1.0 + (answer[1] - answer[0]).exp());
                assert!((score - expected).abs() < 1e-6 && score <= mined.positive_scores[query]);
            }
        }
    }

    #[test]
    fn more_candidates_than_documents_and_bad_sets_are_defined() {
        let (query, documents) = (circle(&[0.0]), circle(&[0.1, 0.2]));
        let judge = ScriptedJudge::new([((0, 0), 0.9), ((0, 1), 0.1)]);
        let run = |mining: &HardNegativeMining, positives: &[usize], documents: &Matrix| {
            mining.run(&query, documents, positives, &judge, &mut JudgedScores::default())
        };
        assert_eq!(run(&mining(50, 1), &[0], &documents).unwrap().negatives, [vec![1]]);
        assert!(matches!(run(&mining(50, 1), &[2], &documents), Err(MiningError::Data(_))));
        assert!(matches!(run(&mining(50, 1), &[], &documents), Err(MiningError::Data(_))));
        assert!(matches!(run(&mining(50, 1), &[0], &circle(&[0.1])), Err(MiningError::Data(_))));
        assert!(matches!(run(&mining(0, 1), &[0], &documents), Err(MiningError::Parameter(_))));
        assert!(matches!(run(&mining(50, 0), &[0], &documents), Err(MiningError::Parameter(_))));
        let third = circle(&[0.1, 0.2, 0.3]);
        let error = run(&mining(50, 1), &[0], &third).unwrap_err();
        assert!(error.to_string().contains("query 0, candidate 2"), "{error}");
    }
}
