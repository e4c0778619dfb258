//! Encodes texts, one a line, round after round, for `bench/retrieval/encode.py`, which asks for a round with a line on
//! stdin and gets its seconds on stdout: `encode FOLDER TEXTS OUT BATCH`. The embeddings of the first round go to OUT as f32.

use contrarian_lab::text::SentenceEncoder;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, texts, out, batch] = &arguments[..] else {
        return Err("give the folder of the model, a file of texts, a file for embeddings, and the batch size".into());
    };
    let encoder = SentenceEncoder::load(Path::new(folder))?;
    let texts = std::fs::read_to_string(texts)?;
    let texts: Vec<&str> = texts.lines().collect();
    let batch = batch.parse()?;
    for (round, line) in std::io::stdin().lines().enumerate() {
        line?;
        let start = Instant::now();
        let rows = encoder.encode(&texts, batch)?;
        println!("{}", start.elapsed().as_secs_f64());
        if round == 0 {
            let bytes: Vec<u8> = rows.data.iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::write(out, bytes)?;
        }
    }
    Ok(())
}
