//! Candidates as a judge scores them: the miner, the alignment, the rerankers.

use super::{Outputs, Tensors, config, gradient, numbers, read, slope};
use contrarian::negatives::{JudgedHardNegativesConfig, judge_score};
use contrarian::ranking::*;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "judge-score" => score(params, inputs)?,
        "judged-hard-negatives" => mine(params, inputs)?,
        "soft-score-alignment" => align(params, inputs)?,
        "rerank-pairwise" | "rerank-listwise" | "rerank-joint" => rerank(function, params, inputs)?,
        _ => return Ok(None),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn score(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Nothing {} = read(params)?;
    let flat = |name: &str| inputs.get(name).map(|(_, data)| inputs.make::<1>(&[data.len()], data));
    Ok(Outputs::from([("score", numbers(judge_score(flat("yes")?, flat("no")?)))]))
}

fn mine(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let miner = config(&JudgedHardNegativesConfig::new(), params)?.init();
    let ((shape, scores), (_, positives)) = (inputs.get("scores")?, inputs.get("positive_score")?);
    let rows: Vec<Vec<f64>> = scores.chunks(*shape.last().ok_or("scores need an axis")?).map(Vec::from).collect();
    let mined = miner.mine_batch(&rows, positives).map_err(|error| error.to_string())?;
    let indices = mined.iter().flat_map(|query| {
        let places = query.indices.iter().map(|&at| at as f64);
        // The vectors mark a query without negatives by -1 in every place.
        places.chain(std::iter::repeat(-1.0)).take(miner.count)
    });
    Ok(Outputs::from([("indices", indices.collect())]))
}

fn align(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&SoftScoreAlignmentConfig::new(), params)?.init();
    let scores = inputs.float::<2>("scores")?.detach();
    if inputs.has("queries") {
        let (queries, candidates) = (inputs.float::<2>("queries")?, inputs.float::<3>("candidates")?);
        let loss = objective.forward_embeddings(queries.clone(), candidates.clone(), scores);
        let gradients = loss.backward();
        return Ok(Outputs::from([
            ("grad_queries", slope(&gradients, &queries)),
            ("grad_candidates", slope(&gradients, &candidates)),
            ("loss", numbers(loss)),
        ]));
    }
    let similarities = inputs.float::<2>("similarities")?;
    let loss = objective.forward(similarities.clone(), scores);
    Ok(Outputs::from([("grad_similarities", gradient(&loss, &similarities)), ("loss", numbers(loss))]))
}

fn rerank(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let pairs = || Ok::<_, String>((inputs.float::<2>("positive")?, inputs.float::<2>("negative")?));
    let list = || Ok::<_, String>((inputs.float::<2>("logits")?, inputs.int("target")?));
    let mut outputs = Outputs::new();
    let loss = match function {
        "rerank-pairwise" => {
            let (positive, negative) = pairs()?;
            let objective = config(&RerankPairwiseLossConfig::new(), params)?.init();
            let loss = objective.forward(positive.clone(), negative.clone());
            let gradients = loss.backward();
            outputs.insert("grad_positive", slope(&gradients, &positive));
            outputs.insert("grad_negative", slope(&gradients, &negative));
            loss
        }
        "rerank-listwise" => {
            let (logits, target) = list()?;
            let loss = config(&RerankListwiseLossConfig::new(), params)?.init().forward(logits.clone(), target);
            outputs.insert("grad_logits", gradient(&loss, &logits));
            loss
        }
        _ => {
            let ((positive, negative), (logits, target)) = (pairs()?, list()?);
            let objective = config(&RerankJointLossConfig::new(), params)?.init();
            let loss = objective.forward(positive.clone(), negative.clone(), logits.clone(), target);
            let gradients = loss.backward();
            outputs.insert("grad_positive", slope(&gradients, &positive));
            outputs.insert("grad_negative", slope(&gradients, &negative));
            outputs.insert("grad_logits", slope(&gradients, &logits));
            loss
        }
    };
    outputs.insert("loss", numbers(loss));
    Ok(outputs)
}
