use crate::data::Matrix;
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Rows of numbers, in memory or mapped from a file, so that a corpus need not fit the memory.
#[derive(Debug)]
pub struct Vectors {
    rows: usize,
    cols: usize,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Held(Vec<f32>),
    Mapped(Mmap),
}

impl From<Matrix> for Vectors {
    fn from(matrix: Matrix) -> Self {
        Self { rows: matrix.rows, cols: matrix.cols, data: Data::Held(matrix.data) }
    }
}

/// First bytes of a file of vectors: a mark with the version of the format.
const MARK: [u8; 8] = *b"CTRVEC01";
/// Mark, rows and columns, as little-endian u64; then the numbers, as little-endian f32.
const HEADER: usize = 24;

impl Vectors {
    /// Maps a file that [`VectorsWriter`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read, is none of vectors, or has not the length its header says.
    pub fn map(path: &Path) -> io::Result<Self> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        if cfg!(target_endian = "big") {
            return Err(bad("files of vectors are little-endian, and this machine is not"));
        }
        let file =
            File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        // SAFETY: the map is only read. Another process that shortens the file under it would end this one, as with every mapped
        // file; ours are written under another name and renamed.
        let map = unsafe { Mmap::map(&file)? };
        let number = |at: usize| usize::try_from(u64::from_le_bytes(map[at..at + 8].try_into().expect("eight bytes")));
        if map.len() < HEADER || map[..8] != MARK {
            return Err(bad("this is no file of vectors"));
        }
        let (Ok(rows), Ok(cols)) = (number(8), number(16)) else { return Err(bad("the header is broken")) };
        let bytes =
            rows.checked_mul(cols).and_then(|count| count.checked_mul(4)).and_then(|bytes| bytes.checked_add(HEADER));
        if bytes != Some(map.len()) || cols == 0 {
            return Err(bad(&format!("{rows} rows of {cols} numbers do not make {} bytes", map.len())));
        }
        Ok(Self { rows, cols, data: Data::Mapped(map) })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All numbers, row by row.
    pub fn data(&self) -> &[f32] {
        match &self.data {
            Data::Held(data) => data,
            Data::Mapped(map) => {
                let bytes = &map[HEADER..];
                // SAFETY: every bit pattern is an f32; a map begins at a page, so at a multiple of 4, and so does its 25th byte.
                let (before, numbers, after) = unsafe { bytes.align_to::<f32>() };
                assert!(before.is_empty() && after.is_empty(), "checked when the file was mapped");
                numbers
            }
        }
    }

    /// One row.
    ///
    /// # Panics
    /// When the index is out of range.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data()[row * self.cols..(row + 1) * self.cols]
    }
}

/// Writes a file of [`Vectors`] piece by piece; the file appears under its name when it is whole.
#[derive(Debug)]
pub struct VectorsWriter {
    path: PathBuf,
    unfinished: PathBuf,
    file: io::BufWriter<File>,
    rows: usize,
    cols: usize,
}

impl VectorsWriter {
    /// Begins a file of rows of `cols` numbers.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, cols: usize) -> io::Result<Self> {
        let unfinished = path.with_extension("unfinished");
        let mut file = io::BufWriter::new(File::create(&unfinished)?);
        file.write_all(&[0; HEADER])?;
        Ok(Self { path: path.to_path_buf(), unfinished, file, rows: 0, cols })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they cannot be written.
    ///
    /// # Panics
    /// When they have another number of columns.
    pub fn add(&mut self, rows: &Matrix) -> io::Result<()> {
        assert_eq!(rows.cols, self.cols, "all rows of a file have the same number of columns");
        for number in &rows.data {
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.rows += rows.rows;
        Ok(())
    }

    /// Completes the file and maps it.
    ///
    /// # Errors
    /// When it cannot be written or mapped.
    pub fn finish(self) -> io::Result<Vectors> {
        use std::io::{Seek, SeekFrom};
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&MARK)?;
        file.write_all(&(self.rows as u64).to_le_bytes())?;
        file.write_all(&(self.cols as u64).to_le_bytes())?;
        file.sync_all()?;
        std::fs::rename(&self.unfinished, &self.path)?;
        Vectors::map(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("documents.vectors");
        let mut writer = VectorsWriter::create(&path, 3).unwrap();
        writer.add(&Matrix { rows: 2, cols: 3, data: vec![1.0, 2.0, 3.0, -1.5, 0.0, 1e-30] }).unwrap();
        assert!(!path.exists());
        writer.add(&Matrix { rows: 1, cols: 3, data: vec![7.0; 3] }).unwrap();
        let vectors = writer.finish().unwrap();
        assert_eq!(
            (vectors.rows(), vectors.cols(), vectors.row(1), vectors.row(2)),
            (3, 3, &[-1.5, 0.0, 1e-30][..], &[7.0; 3][..])
        );
        assert_eq!(Vectors::map(&path).unwrap().data(), vectors.data());
    }

    #[test]
    fn broken_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.vectors");
        let message = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Vectors::map(&path).unwrap_err().to_string()
        };
        assert!(message(b"no vectors").contains("no file of vectors"));
        let mut short = MARK.to_vec();
        short.extend([2u64, 3].iter().flat_map(|number| number.to_le_bytes()));
        short.extend([0; 4]);
        assert!(message(&short).contains("2 rows of 3 numbers"));
        assert!(Vectors::map(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
