use burn::tensor::Tensor;
use contrarian::negatives::judge_score;
use std::collections::HashMap;

/// A source of scores for pairs: how well a candidate answers a query, in `[0, 1]`.
pub trait Judge {
    /// The score of every pair (query, candidate), in their order. `None` where there is no answer, which is an error for who
    /// asked: a score is never made up.
    fn judge(&self, pairs: &[(usize, usize)]) -> Vec<Option<f64>>;
}

/// Why a judge's answer cannot be used; what was answered before is kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JudgeError {
    /// No answer.
    #[error("the judge gave no score for query {query}, candidate {candidate}")]
    NoAnswer {
        /// The query.
        query: usize,
        /// The candidate.
        candidate: usize,
    },
    /// An answer that is no score.
    #[error("the judge scored query {query}, candidate {candidate} as {score}; a score is in [0, 1]")]
    OutOfRange {
        /// The query.
        query: usize,
        /// The candidate.
        candidate: usize,
        /// The answer.
        score: f64,
    },
}

/// A judge whose scores were given beforehand: human grades, a file of another program's answers.
#[derive(Debug, Clone, Default)]
pub struct ScriptedJudge {
    scores: HashMap<(usize, usize), f64>,
}

impl ScriptedJudge {
    /// From scores by (query, candidate); of a pair given twice the last counts.
    pub fn new(scores: impl IntoIterator<Item = ((usize, usize), f64)>) -> Self {
        Self { scores: scores.into_iter().collect() }
    }
}

impl Judge for ScriptedJudge {
    fn judge(&self, pairs: &[(usize, usize)]) -> Vec<Option<f64>> {
        pairs.iter().map(|pair| self.scores.get(pair).copied()).collect()
    }
}

/// A judge that is a model: a function from pairs to its logits of yes and no.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use contrarian_lab::mining::{Judge, ModelJudge};
///
/// // In place of a trained model: yes where the numbers are equal.
/// let judge = ModelJudge::new(|pairs: &[(usize, usize)]| {
///     let yes: Vec<f32> = pairs.iter().map(|(query, candidate)| if query == candidate { 4.0 } else { -4.0 }).collect();
///     let yes = Tensor::<1>::from_floats(yes.as_slice(), &Device::flex()).reshape([pairs.len(), 1]);
///     Tensor::cat(vec![yes.clone(), yes.zeros_like()], 1)
/// });
/// let scores = judge.judge(&[(1, 1), (1, 2)]);
/// assert!(scores[0] > Some(0.9) && scores[1] < Some(0.1));
/// ```
#[derive(Debug, Clone)]
pub struct ModelJudge<F> {
    logits: F,
}

impl<F: Fn(&[(usize, usize)]) -> Tensor<2>> ModelJudge<F> {
    /// From the model: pairs (query, candidate) to logits `[pairs, 2]`, columns yes and no.
    pub fn new(logits: F) -> Self {
        Self { logits }
    }
}

impl<F: Fn(&[(usize, usize)]) -> Tensor<2>> Judge for ModelJudge<F> {
    /// Rows that the model does not give are no answers.
    ///
    /// # Panics
    /// When the model gives other than two columns.
    fn judge(&self, pairs: &[(usize, usize)]) -> Vec<Option<f64>> {
        let logits = (self.logits)(pairs);
        assert_eq!(logits.dims()[1], 2, "a judging model gives logits of yes and no");
        let columns = logits.split(1, 1);
        let scores = judge_score(columns[0].clone(), columns[1].clone());
        let scores: Vec<f64> = scores.into_data().iter::<f64>().collect();
        (0..pairs.len()).map(|at| scores.get(at).copied()).collect()
    }
}

/// Scores that have been judged, by (query, candidate).
#[derive(Debug, Clone, Default)]
pub struct JudgedScores {
    scores: HashMap<(usize, usize), f64>,
}

impl JudgedScores {
    /// Pairs that have been judged.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether no pair has been judged yet.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The score of a pair, if it has been judged.
    pub fn get(&self, query: usize, candidate: usize) -> Option<f64> {
        self.scores.get(&(query, candidate)).copied()
    }

    /// The scores of a query's candidates; the judge is asked about those not judged before, once each.
    ///
    /// # Errors
    /// When the judge does not answer or answers with no score. Its other answers are kept.
    pub fn scores(&mut self, judge: &dyn Judge, query: usize, candidates: &[usize]) -> Result<Vec<f64>, JudgeError> {
        let mut missing: Vec<(usize, usize)> = Vec::new();
        for &candidate in candidates {
            let pair = (query, candidate);
            if !self.scores.contains_key(&pair) && !missing.contains(&pair) {
                missing.push(pair);
            }
        }
        let mut first_error = None;
        if !missing.is_empty() {
            let mut answers = judge.judge(&missing).into_iter();
            for (query, candidate) in missing {
                let error = match answers.next().flatten() {
                    Some(score) if (0.0..=1.0).contains(&score) => {
                        self.scores.insert((query, candidate), score);
                        continue;
                    }
                    Some(score) => JudgeError::OutOfRange { query, candidate, score },
                    None => JudgeError::NoAnswer { query, candidate },
                };
                first_error.get_or_insert(error);
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(candidates.iter().map(|&candidate| self.scores[&(query, candidate)]).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Counts what it is asked.
    struct Counting {
        scripted: ScriptedJudge,
        asked: RefCell<Vec<(usize, usize)>>,
    }

    impl Judge for Counting {
        fn judge(&self, pairs: &[(usize, usize)]) -> Vec<Option<f64>> {
            self.asked.borrow_mut().extend(pairs);
            self.scripted.judge(pairs)
        }
    }

    #[test]
    fn nothing_is_asked_twice_and_an_error_costs_no_answer() {
        let scripted = ScriptedJudge::new([((0, 1), 0.5), ((0, 2), 1.5), ((0, 3), 0.25)]);
        let judge = Counting { scripted, asked: RefCell::default() };
        let mut known = JudgedScores::default();
        assert_eq!(known.scores(&judge, 0, &[1, 1]).unwrap(), [0.5, 0.5]);
        let error = known.scores(&judge, 0, &[1, 2, 3]).unwrap_err();
        assert_eq!(error, JudgeError::OutOfRange { query: 0, candidate: 2, score: 1.5 });
        assert!(error.to_string().contains("query 0, candidate 2"));
        assert_eq!((known.len(), known.get(0, 3), known.get(0, 2)), (2, Some(0.25), None));
        assert_eq!(known.scores(&judge, 0, &[3, 1]).unwrap(), [0.25, 0.5]);
        assert_eq!(*judge.asked.borrow(), [(0, 1), (0, 2), (0, 3)]);
        let error = known.scores(&judge, 7, &[1]).unwrap_err();
        assert_eq!(error, JudgeError::NoAnswer { query: 7, candidate: 1 });
        assert!(JudgedScores::default().scores(&ScriptedJudge::new([((0, 0), f64::NAN)]), 0, &[0]).is_err());
    }

    #[test]
    fn a_model_that_answers_too_little_is_no_judge_of_the_rest() {
        let short = ModelJudge::new(|_: &[(usize, usize)]| {
            Tensor::<2>::from_floats([[3.0, 3.0]], &burn::tensor::Device::flex())
        });
        assert_eq!(short.judge(&[(0, 0), (0, 1)]), [Some(0.5), None]);
        let error = JudgedScores::default().scores(&short, 4, &[8, 9]).unwrap_err();
        assert_eq!(error, JudgeError::NoAnswer { query: 4, candidate: 9 });
    }
}
