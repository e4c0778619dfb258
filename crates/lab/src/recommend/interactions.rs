use crate::data::{DataError, Records, read};
use contrarian::negatives::NegativeItemSampler;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::collections::HashMap;
use std::path::Path;

/// Which users chose which items.
#[derive(Debug, Clone)]
pub struct Interactions {
    /// Name for people.
    pub name: String,
    /// Items there are.
    pub items: usize,
    /// The items of each user, in ascending order, once each.
    pub of_user: Vec<Vec<u32>>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Set the draws of splits and of noise apart from others of the same seed.
const SPLIT: u64 = 0x0073_706c_6974;
const NOISE: u64 = 0x006e_6f69_7365;

/// Names of columns, in lower case without signs.
const USER: [&str; 5] = ["user", "userid", "uid", "customer", "customerid"];
const ITEM: [&str; 6] = ["item", "itemid", "iid", "movieid", "product", "productid"];

/// Loads interactions from a file, gzipped or not: a table with a header that has a column `user` (or `user_id`, `userId`, ...) and one
/// `item`, separated by commas, tabs or semicolons; or adjacency lists as of LightGCN, each line a user and then its items.
///
/// Repeated interactions count once.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or a line is broken; the line is named.
pub fn load_interactions(path: &Path) -> Result<Interactions, DataError> {
    let bytes = read(path)?;
    let first = bytes.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let Some(first) = first else {
        let reason = "the file is empty; a line is a user and an item".into();
        return Err(DataError::Unreadable { path: path.into(), reason });
    };
    if first.iter().any(|byte| b"\t,;".contains(byte)) {
        return Ok(numbered(path, from_table(path, &bytes)?, Vec::new()));
    }
    let note = "read as lists: each line a user and the numbers of its items";
    Ok(numbered(path, from_lists(path, &bytes)?, vec![note.into()]))
}

type Pairs = Vec<(String, String)>;

fn from_table(path: &Path, bytes: &[u8]) -> Result<Pairs, DataError> {
    let mut records = Records::open(path, bytes, None)?;
    let plain = |cell: &String| -> String { cell.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect() };
    let columns: Vec<String> = records.names.iter().map(plain).collect();
    let find = |names: &[&str], what: &str| {
        let found = columns.iter().position(|column| names.contains(&column.as_str()));
        let reason = format!("there is no column `{what}`; the header must name a user and an item");
        found.ok_or(DataError::Line { path: path.into(), line: 1, reason })
    };
    let (user, item) = (find(&USER, "user")?, find(&ITEM, "item")?);
    let mut pairs = Vec::new();
    while let Some((line, mut cells)) = records.next()? {
        let pair = (std::mem::take(&mut cells[user]), std::mem::take(&mut cells[item]));
        if pair.0.is_empty() || pair.1.is_empty() {
            return Err(DataError::Line { path: path.into(), line, reason: "a user or an item is missing".into() });
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

fn from_lists(path: &Path, bytes: &[u8]) -> Result<Pairs, DataError> {
    let mut pairs = Vec::new();
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let error = |reason: String| DataError::Line { path: path.into(), line: at as u64 + 1, reason };
        let line = str::from_utf8(line).map_err(|_| error("this is not UTF-8; save the file as UTF-8".into()))?;
        let mut cells = line.trim_start_matches('\u{feff}').split_whitespace();
        let user = cells.next().unwrap_or_default();
        for item in cells {
            if item.parse::<u64>().is_err() {
                return Err(error(format!(
                    "`{item}` is no item number; without commas or tabs a line is a user and the numbers of its items"
                )));
            }
            pairs.push((user.into(), item.into()));
        }
    }
    Ok(pairs)
}

fn numbered(path: &Path, pairs: Pairs, mut notes: Vec<String>) -> Interactions {
    let (mut users, mut items): (HashMap<String, usize>, HashMap<String, u32>) = (HashMap::new(), HashMap::new());
    let mut of_user: Vec<Vec<u32>> = Vec::new();
    let all = pairs.len();
    for (user, item) in pairs {
        let next = users.len();
        let user = *users.entry(user).or_insert(next);
        let next = items.len() as u32;
        let item = *items.entry(item).or_insert(next);
        if user == of_user.len() {
            of_user.push(Vec::new());
        }
        of_user[user].push(item);
    }
    for list in &mut of_user {
        list.sort_unstable();
        list.dedup();
    }
    let once: usize = of_user.iter().map(Vec::len).sum();
    if once < all {
        notes.push(format!("{} interactions occur again; each counts once", all - once));
    }
    let name = path.file_name().map_or_else(|| "interactions".into(), |name| name.to_string_lossy().into_owned());
    Interactions { name, items: items.len(), of_user, notes }
}

/// Items of users for training, validation and test.
#[derive(Debug, Clone, PartialEq)]
pub struct UserSplit {
    /// For training.
    pub train: Vec<Vec<u32>>,
    /// For validation.
    pub validation: Vec<Vec<u32>>,
    /// Held out.
    pub test: Vec<Vec<u32>>,
}

/// Splits each user's items at random; users with fewer than `least` keep all of theirs for training.
pub fn split_users(of_user: &[Vec<u32>], (_, validation, test): (f64, f64, f64), least: usize, seed: u64) -> UserSplit {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ SPLIT);
    let mut split = UserSplit { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
    for items in of_user {
        let mut items = items.clone();
        items.shuffle(rng);
        let count = |part: f64| if items.len() < least { 0 } else { (items.len() as f64 * part).floor() as usize };
        let (held_out, validated) = (count(test), count(validation));
        let train = items.split_off(held_out + validated);
        split.validation.push(items.split_off(held_out));
        split.test.push(items);
        split.train.push(train);
    }
    split
}

/// Training items with `floor(ratio |items|)` more for each user, drawn from those that are in none of its lists, and the flags of which
/// are such noise.
///
/// A user who has nearly all items gets fewer: at least one item stays out of each training list.
///
/// # Panics
/// When an item is outside `items`, or the ratio is negative.
pub fn inject_noise(
    train: &[Vec<u32>],
    other: &[Vec<u32>],
    items: usize,
    ratio: f64,
    seed: u64,
) -> (Vec<Vec<u32>>, Vec<Vec<bool>>) {
    assert!(ratio >= 0.0, "noise is a part of the items, got {ratio}");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ NOISE);
    let noisy = |(train, other): (&Vec<u32>, &Vec<u32>)| {
        let mut known: Vec<u32> = train.iter().chain(other).copied().collect();
        let mut items_now = train.clone();
        let wanted = (ratio * train.len() as f64).floor() as usize;
        for _ in 0..wanted {
            // Training draws an item that the user has not.
            if items_now.len() + 1 >= items {
                break;
            }
            let Ok(sampler) = NegativeItemSampler::new(items, std::slice::from_ref(&known)) else { break };
            let item = sampler.draw(0, rng);
            known.push(item);
            items_now.push(item);
        }
        let flags = (0..items_now.len()).map(|at| at >= train.len()).collect::<Vec<bool>>();
        (items_now, flags)
    };
    train.iter().zip(other).map(noisy).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, text: impl AsRef<[u8]>) -> Result<Interactions, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        load_interactions(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_and_lists_are_read() {
        let table = load("x.csv", "when,UserID,item_id\n1,anna,x\n2,ben,y\n3,anna,y\n4,anna,x\n").unwrap();
        assert_eq!((table.items, table.of_user.clone(), table.name.as_str()), (2, vec![vec![0, 1], vec![1]], "x.csv"));
        assert!(table.notes[0].contains("1 interactions occur again"));
        let quoted =
            load("x.csv", "title,Customer ID,product_id\n\"Alien, 1979\",a,x\n\n\"Say \"\"hi\"\"\",b,\"y, z\"\n")
                .unwrap();
        assert_eq!((quoted.items, quoted.of_user), (2, vec![vec![0], vec![1]]));
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut zipped, b"user\titem\n1\t5\n").unwrap();
        let zipped = zipped.finish().unwrap();
        assert_eq!(load("x.tsv.gz", &zipped).unwrap().of_user, [[0]]);
        assert!(load("x.tsv.gz", &zipped[..20]).unwrap_err().contains("x.tsv.gz"), "cut short");
        let lists = load("train.txt", "0 5 7\n\n1 5\n2\n").unwrap();
        assert_eq!((lists.items, lists.of_user), (2, vec![vec![0, 1], vec![0]]));
    }

    #[test]
    fn what_is_broken_is_named() {
        let message = |text: &[u8]| load("x.tsv", text).unwrap_err();
        assert!(message(b"user\tthing\n1\t2\n").contains("line 1: there is no column `item`"));
        assert!(message(b"user\titem\n1\t2\n3\n").contains("line 3: it has 1 fields"));
        assert!(message(b"user\titem\n1\t\n").contains("line 2: a user or an item is missing"));
        assert!(message(b"").contains("the file is empty"));
        assert!(message(b"user\titem\n\xff\t1\n").contains("line 2: the text is not UTF-8"));
        assert!(message(b"0 1 two\n").contains("line 1: `two` is no item number"));
    }

    #[test]
    fn splits_part_and_noise_is_new() {
        let users: Vec<Vec<u32>> = vec![(0..10).collect(), vec![3, 4]];
        let split = split_users(&users, (0.7, 0.1, 0.2), 10, 0);
        assert_eq!([&split.train, &split.validation, &split.test].map(|part| part[0].len()), [7, 1, 2]);
        assert_eq!((split.train[1].len(), split.test[1].len()), (2, 0));
        let (noisy, flags) = inject_noise(&split.train, &split.test, 12, 0.5, 1);
        assert_eq!((noisy[0].len(), flags[0].iter().filter(|flag| **flag).count()), (10, 3));
        assert!(noisy[0][7..].iter().all(|item| !split.train[0].contains(item) && !split.test[0].contains(item)));
        let (most, _) = inject_noise(&[vec![0, 1]], &[vec![]], 6, 20.0, 1);
        assert_eq!(most[0].len(), 5, "one item is left that the user has not");
        let (all, _) = inject_noise(&users, &[vec![], vec![]], 10, 1.0, 1);
        assert_eq!(all[0].len(), 10, "there is nothing left to add");
    }
}
