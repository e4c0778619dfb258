//! Training steps of maps over given vectors with in-batch negatives, for `bench/retrieval/train_step.py`:
//! `train_step QUERIES DOCUMENTS WEIGHTS BATCH` trains one step for each line it reads, prints its seconds and loss, and at the end the
//! process's peak memory in bytes.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::ranking::{MnrLossConfig, Similarity};
use contrarian_lab::data::Matrix;
use contrarian_lab::fit::FitConfig;
use contrarian_lab::retrieval::{Adapter, Retriever, Side, Texts, Vectors};
use contrarian_lab::{memory, parallel};
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [queries, documents, weights, batch] = &arguments[..] else {
        return Err("train_step QUERIES DOCUMENTS WEIGHTS BATCH".into());
    };
    let read = |path: &String| -> std::io::Result<Matrix> {
        let vectors = Vectors::map(Path::new(path))?;
        Ok(Matrix { rows: vectors.rows(), cols: vectors.cols(), data: vectors.data().to_vec() })
    };
    let weights = read(weights)?;
    let map = || {
        let data = TensorData::new(weights.data.clone(), [weights.rows, weights.cols]);
        Param::from_data(data, &Device::flex().autodiff())
    };
    let mut retriever = Retriever::Adapter(Adapter { queries: map(), documents: map() });
    let (queries, documents) = (Texts::Vectors(read(queries)?), Texts::Vectors(read(documents)?));
    let batch: usize = batch.parse()?;
    let loss = MnrLossConfig::new().with_scale(20.0).with_similarity(Similarity::Dot).init();
    let config = FitConfig::new().with_learning_rate(1e-3);
    let mut optimizer = config.optimizer();
    let pool = parallel::pool(parallel::available_threads());
    let mut first = 0;
    for line in std::io::stdin().lock().lines() {
        line?;
        let rows: Vec<usize> = (first..first + batch).map(|row| row % queries.len()).collect();
        first += batch;
        let started = Instant::now();
        let value: f32;
        (retriever, value) = pool.install(|| {
            let asked = retriever.forward(Side::Query, &queries, &rows);
            let value: Tensor<1> = loss.forward(asked, retriever.forward(Side::Document, &documents, &rows), None);
            let number = value.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(value.backward(), &retriever);
            (optimizer.step(1e-3, retriever, gradients), number)
        });
        println!("{} {value}", started.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    println!("{}", memory::peak().unwrap_or(0));
    Ok(())
}
