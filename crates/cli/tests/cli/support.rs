//! A private folder a test, and the command run in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The command under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_contrarian");

pub struct Place {
    folder: TempDir,
}

pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs `contrarian` with arguments split at spaces; a panic anywhere fails the test.
    pub fn run(&self, arguments: &str) -> Outcome {
        self.run_list(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_list(&self, arguments: &[&str]) -> Outcome {
        let output = self.command().args(arguments).output().unwrap();
        outcome(&output)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.current_dir(self.folder.path()).env_remove("CONTRARIAN_DATA");
        command
    }
}

pub fn outcome(output: &std::process::Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let err = text(&output.stderr);
    assert!(!err.contains("panicked"), "{err}");
    Outcome { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err }
}

impl Outcome {
    /// The exit status, and texts that the message must have.
    pub fn fails(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        for part in says {
            assert!(self.err.contains(part), "`{part}` is missing in: {}", self.err);
        }
    }

    pub fn succeeds(&self) -> &Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }
}

/// A learnable table of two classes: `rows` lines, a fifth of them positive, with a text column and a gap.
pub fn table(rows: usize) -> String {
    let mut text = String::from("size,colour,empty,kind\n");
    for row in 0..rows {
        let positive = row % 5 == 0;
        let size = (row * 37 % 100) as f64 / 50.0 + if positive { 1.5 } else { 0.0 };
        let size = if row % 17 == 3 { "?".to_string() } else { size.to_string() };
        let colour = ["red", "green", "blue"][row * 7 % 3];
        text += &format!("{size},{colour},,{}\n", if positive { "rare" } else { "common" });
    }
    text
}

/// A fast comparison of a file.
pub fn quick(path: &Path) -> String {
    format!("compare --data {} --objectives cross-entropy,focal --seeds 3 --epochs 3 --out out", path.display())
}
