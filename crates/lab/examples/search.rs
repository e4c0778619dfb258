//! Search over files of vectors, for `bench/retrieval`: `search exact|quantized DOCUMENTS QUERIES K OUT` prints the seconds of each line it reads
//! and writes the document numbers once, as little-endian u32.

use contrarian_lab::data::Matrix;
use contrarian_lab::parallel;
use contrarian_lab::retrieval::{ExactIndex, Hit, QuantizedIndex, Vectors};
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

type Search = Box<dyn Fn(&Matrix) -> Vec<Vec<Hit>> + Sync>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, documents, queries, k, out] = &arguments[..] else {
        return Err("search exact|quantized DOCUMENTS QUERIES K OUT".into());
    };
    let k: usize = k.parse()?;
    let documents = Vectors::map(Path::new(documents))?;
    let search: Search = if way == "exact" {
        let index = ExactIndex::new(documents);
        Box::new(move |queries| index.search(queries, k))
    } else {
        let index = QuantizedIndex::new(documents);
        Box::new(move |queries| index.search(queries, k))
    };
    let queries = Vectors::map(Path::new(queries))?;
    let queries = Matrix { rows: queries.rows(), cols: queries.cols(), data: queries.data().to_vec() };
    let pool = parallel::pool(parallel::available_threads());
    for round in 0.. {
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            break;
        }
        let started = Instant::now();
        let found = pool.install(|| search(&queries));
        println!("{}", started.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
        if round == 0 {
            let ids = found.iter().flatten().flat_map(|hit| (hit.document as u32).to_le_bytes());
            std::fs::write(out, ids.collect::<Vec<u8>>())?;
        }
    }
    Ok(())
}
