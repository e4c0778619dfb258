//! SemEval-2010 Task 8, where the data folder has it: sentences as hashed bags of words.

use super::world::{Noisy, flip};
use crate::study::{Context, StudyError};
use contrarian_lab::data::{Dataset, Matrix};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::path::Path;

/// Sentences with the relation of their two marked words.
pub struct Sentences {
    train: Dataset,
    test: Dataset,
}

/// Places a word can have, with the buckets of each.
const BETWEEN: usize = 256;
const ENTITY: usize = 128;
const AROUND: usize = 128;
/// Words before the first and behind the second entity that count.
const WINDOW: usize = 3;

/// The data set; `None` where the data folder has none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn sentences(context: &Context) -> Result<Option<Sentences>, StudyError> {
    let folder = context.data.as_ref().map(|data| data.join("semeval2010_task8")).filter(|folder| folder.exists());
    let Some(folder) = folder else { return Ok(None) };
    read(&folder).map(Some).map_err(|reason| StudyError::Data { name: "semeval2010_task8", reason })
}

fn read(folder: &Path) -> Result<Sentences, String> {
    let mut relations = vec!["Other".to_string()];
    let mut part = |name: &str| -> Result<Dataset, String> {
        let text =
            std::fs::read_to_string(folder.join(name)).map_err(|error| format!("{name} cannot be read ({error})"))?;
        parse(&text, &mut relations).map_err(|reason| format!("{name} {reason}"))
    };
    let (mut train, mut test) = (part("TRAIN_FILE.TXT")?, part("TEST_FILE_FULL.TXT")?);
    (train.classes, test.classes) = (relations.len(), relations.len());
    Ok(Sentences { train, test })
}

/// Blocks of a numbered sentence, its relation and a comment, with an empty line behind each.
fn parse(text: &str, relations: &mut Vec<String>) -> Result<Dataset, String> {
    let (mut data, mut y) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some((_, sentence)) = line.split_once('\t') else { continue };
        let at = |reason: &str| format!("line {}: {reason}", index + 1);
        let features = encode(sentence).ok_or_else(|| at("two entities must be marked"))?;
        let (_, relation) = lines.next().ok_or_else(|| at("its relation is missing"))?;
        let relation = relation.trim();
        let class = relations.iter().position(|known| known == relation).unwrap_or_else(|| {
            relations.push(relation.into());
            relations.len() - 1
        });
        data.extend(features);
        y.push(class);
    }
    let x = Matrix { rows: y.len(), cols: BETWEEN + 2 * ENTITY + 2 * AROUND, data };
    Ok(Dataset { x, y, classes: 0 })
}

/// Counts of hashed words: between the entities, in each of them, before the first and behind the second.
fn encode(sentence: &str) -> Option<Vec<f32>> {
    let (before, rest) = sentence.split_once("<e1>")?;
    let (first, rest) = rest.split_once("</e1>")?;
    let (between, rest) = rest.split_once("<e2>")?;
    let (second, behind) = rest.split_once("</e2>")?;
    let mut before = words(before);
    before.drain(..before.len().saturating_sub(WINDOW));
    let mut behind = words(behind);
    behind.truncate(WINDOW);
    let mut features = Vec::with_capacity(BETWEEN + 2 * ENTITY + 2 * AROUND);
    let places = [
        (words(between), BETWEEN),
        (words(first), ENTITY),
        (words(second), ENTITY),
        (before, AROUND),
        (behind, AROUND),
    ];
    for (words, buckets) in places {
        let start = features.len();
        features.resize(start + buckets, 0.0);
        for word in words {
            features[start + bucket(&word, buckets)] += 1.0;
        }
    }
    Some(features)
}

fn words(text: &str) -> Vec<String> {
    let letters = text.to_lowercase();
    letters.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(String::from).collect()
}

/// FNV-1a: the same on every machine.
fn bucket(word: &str, buckets: usize) -> usize {
    let hash = word
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % buckets as u64) as usize
}

impl Sentences {
    /// A tenth of the training sentences as the clean subset, drawn from `seed`; of the others, positives lose their relation
    /// with probability `noise`.
    pub fn noisy(&self, noise: f64, seed: u64) -> Noisy {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..self.train.y.len()).collect();
        order.shuffle(rng);
        let (clean, rest) = order.split_at(order.len() / 10);
        let mut train = self.train.select(rest);
        let truth = train.y.clone();
        flip(&mut train.y, self.train.classes - 1, [noise, 0.0], rng);
        Noisy { train, truth, clean: self.train.select(clean), test: self.test.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::NEGATIVE;
    use super::*;

    #[test]
    fn sentences_become_counts_by_place() {
        let text = "1\t\"A big <e1>dog</e1> bites the <e2>man</e2> now.\"\nA(e1,e2)\nComment:\n\n\
                    2\t\"<e1>x</e1><e2>y</e2>\"\nOther\nComment: none\n";
        let mut relations = vec!["Other".to_string()];
        let data = parse(text, &mut relations).unwrap();
        assert_eq!((data.y.clone(), relations.len()), (vec![1, NEGATIVE], 2));
        let count = |row: usize, from: usize, to: usize| data.x.row(row)[from..to].iter().sum::<f32>();
        assert_eq!(count(0, 0, BETWEEN), 2.0, "bites the");
        assert_eq!(count(0, BETWEEN, BETWEEN + ENTITY), 1.0);
        assert_eq!(count(0, BETWEEN + 2 * ENTITY, data.x.cols), 3.0, "a big, now");
        assert_eq!(count(1, 0, data.x.cols), 2.0);
        assert!(parse("1\tno entity\nOther\n", &mut relations).unwrap_err().contains("line 1"));
    }
}
