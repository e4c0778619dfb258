//! Retrieval studies on real text, where the data folder has it: the claims and abstracts of SciFact, as MiniLM encodes them.

use crate::findings::Findings;
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use contrarian::registry::ObjectiveSpec;
use contrarian_lab::compare::{Encoding, RetrievalProblem};
use contrarian_lab::mining::{TemplateGeneratorConfig, TextGenerator, TextRequest};
use contrarian_lab::retrieval::{
    Document, Hit, Judgement, RetrievalBudget, RetrievalData, RetrievalObjective, Texts, load_beir, retrieval_scores,
    search_judged, train_retriever,
};
use contrarian_lab::text::CachedEncoder;
use std::path::PathBuf;

/// How an arm ranks the abstracts.
#[derive(Clone, Copy)]
pub enum RealArm {
    /// By words in common.
    Bm25,
    /// As the encoder comes, or with maps over its vectors that are trained with an objective.
    Encoder(Option<&'static str>),
    /// Trained by multiple negatives ranking with a text that a template has written for each claim.
    Generated,
}

/// Numbers that [`add_real`] measures.
pub const REAL: [&str; 6] = ["nDCG@10", "MRR@10", "Recall@100", "AUROC", "AUROC per query", "calibration gap"];

/// Abstracts and claims with their judgements.
struct SciFact {
    problem: RetrievalProblem,
    train: Vec<Judgement>,
    test: Vec<Judgement>,
    /// The same with generated texts behind the documents, each the only candidate of its claim.
    generated: RetrievalData,
}

/// Trains the arms over seeds of batches on the training claims, and adds a table of how they rank the abstracts for the development
/// claims (descriptive); or a note that says what is missing.
///
/// # Errors
/// When the data or the encoder is there but cannot be used, a fit fails, or the run is stopped.
pub fn add_real(
    findings: &mut Findings,
    context: &Context,
    arms: &[(&str, RealArm)],
    seeds: usize,
) -> Result<(), StudyError> {
    if seeds == 0 {
        return Ok(());
    }
    let Some(data) = load(context)? else {
        findings.notes.push(
            "Real text is left out: it needs scifact in the data folder, and the MiniLM encoder as its folder minilm or in the environment \
             variable CONTRARIAN_MINILM."
                .into(),
        );
        return Ok(());
    };
    let arms: Vec<(String, RealArm)> = arms.iter().map(|(name, arm)| ((*name).to_string(), *arm)).collect();
    let measured = Measurements::collect(context, "scifact", &arms, seeds, |arm, seed| measure(&data, *arm, seed))?;
    let title = "SciFact with MiniLM: 300 claims over 5,183 abstracts (mean ± s.d. over seeds of batches; descriptive)";
    findings.tables.push(measured.table(title, &REAL));
    findings.measurements.extend(measured.lines());
    Ok(())
}

fn load(context: &Context) -> Result<Option<SciFact>, StudyError> {
    let unusable = |reason: String| StudyError::Data { name: "scifact", reason };
    let Some(data) = &context.data else { return Ok(None) };
    let folder = data.join("scifact");
    let encoder = std::env::var_os("CONTRARIAN_MINILM").map_or_else(|| data.join("minilm"), PathBuf::from);
    if !folder.is_dir() || !encoder.is_dir() {
        return Ok(None);
    }
    let collection = load_beir(&folder).map_err(|error| unusable(error.to_string()))?;
    let cache = std::env::temp_dir().join("contrarian-vectors");
    let encoder = CachedEncoder::load(&encoder, &cache).map_err(|error| unusable(error.to_string()))?;
    let encode =
        |texts: &[String]| encoder.encode(texts, &|_, _| (), context.stop).map_err(|error| unusable(error.to_string()));
    let documents: Vec<String> = collection.documents.iter().map(Document::full_text).collect();
    let queries: Vec<String> = collection.queries.iter().map(|query| query.text.clone()).collect();
    let (document_vectors, query_vectors) = (encode(&documents)?, encode(&queries)?);
    let part = |name: &str| {
        collection.parts.get(name).cloned().ok_or_else(|| unusable(format!("there are no qrels of {name}")))
    };
    let (train, test) = (part("train")?, part("dev")?);
    let writer = TemplateGeneratorConfig::new().init(queries.iter().map(String::as_str));
    let written: Vec<String> = train
        .iter()
        .map(|(query, _)| {
            let query = &collection.queries[*query];
            writer.generate(&TextRequest { query_id: query.id.clone(), query: query.text.clone(), positive: None })
        })
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    let written = encode(&written)?;
    let mut with_written = document_vectors.clone();
    with_written.data.extend(&written.data);
    with_written.rows += written.rows;
    let problem = RetrievalProblem::of_sentences(&collection, "MiniLM", document_vectors, query_vectors);
    let mut candidates = vec![Vec::new(); queries.len()];
    for (at, (query, _)) in train.iter().enumerate() {
        candidates[*query] = vec![Hit { document: documents.len() + at, score: 0.0 }];
    }
    let generated = RetrievalData {
        documents: Texts::Vectors(with_written),
        queries: problem.data.queries.clone(),
        bm25: candidates,
    };
    Ok(Some(SciFact { problem, train, test, generated }))
}

fn measure(data: &SciFact, arm: RealArm, seed: u64) -> Result<Measured, String> {
    let problem = &data.problem;
    let Encoding::Sentences { .. } = problem.encoding else { unreachable!("made of sentences") };
    let start = problem.encoding.untrained(seed);
    let fit = |objective: &str, texts: &RetrievalData| {
        let spec: ObjectiveSpec =
            objective.parse().map_err(|error: contrarian::registry::RegistryError| error.to_string())?;
        let objective = RetrievalObjective::of(&spec).map_err(|error| error.to_string())?;
        let budget = RetrievalBudget { steps: 200, batch_size: 32, learning_rate: 1e-3, pool: 30 };
        let parts = (data.train.as_slice(), &[][..]);
        let trained = train_retriever(start.clone(), texts, parts, &objective, &budget, seed, None);
        trained.map(|trained| trained.retriever).map_err(|error| error.to_string())
    };
    let found = match arm {
        RealArm::Bm25 => data.test.iter().map(|(query, _)| problem.data.bm25[*query].clone()).collect(),
        RealArm::Encoder(None) => search_judged(&start, &problem.data, &data.test),
        RealArm::Encoder(Some(objective)) => search_judged(&fit(objective, &problem.data)?, &problem.data, &data.test),
        RealArm::Generated => search_judged(&fit("mnr(negatives=bm25)", &data.generated)?, &problem.data, &data.test),
    };
    let scores = retrieval_scores(&found, &data.test);
    Ok(REAL.into_iter().filter_map(|number| Some((number, *scores.get(number)?))).collect())
}
