use super::*;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

/// An .npy file of version 1, as NumPy writes it.
fn npy(descr: &str, fortran: bool, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Four rows of three: 1 to 12.
fn twelve() -> Vec<f32> {
    (1..=12).map(|i| i as f32).collect()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The embeddings with the labels 0, 1, 0, 1.
    fn load(&self, x: impl AsRef<[u8]>) -> Result<EmbeddingSet, DataError> {
        let labels: Vec<u8> = [0i64, 1, 0, 1].iter().flat_map(|label| label.to_le_bytes()).collect();
        self.pair(x, npy("'<i8'", false, "(4,)", &labels))
    }

    fn pair(&self, x: impl AsRef<[u8]>, y: impl AsRef<[u8]>) -> Result<EmbeddingSet, DataError> {
        let options = EmbeddingOptions { labels: Some(self.put("y.npy", y)), ..EmbeddingOptions::default() };
        load_embeddings(&self.put("x.npy", x), &options)
    }

    fn error(&self, x: impl AsRef<[u8]>) -> String {
        self.load(x).unwrap_err().to_string()
    }
}

#[test]
fn arrays_of_every_type_and_order_give_the_same_rows() {
    let files = Files::new();
    let values = twelve();
    let by_column: Vec<f32> = (0..12).map(|at| values[(at % 4) * 3 + at / 4]).collect();
    let cast = |f: &dyn Fn(f32) -> Vec<u8>| values.iter().flat_map(|&v| f(v)).collect::<Vec<u8>>();
    let cases = [
        npy("'<f4'", false, "(4, 3)", &f32s(&values)),
        npy("'<f4'", true, "(4, 3)", &f32s(&by_column)),
        npy("'>f4'", false, "(4, 3)", &cast(&|v| v.to_be_bytes().to_vec())),
        npy("'<f8'", false, "(4, 3)", &cast(&|v| f64::from(v).to_le_bytes().to_vec())),
        npy("'<f2'", false, "(4, 3)", &cast(&|v| half::f16::from_f32(v).to_le_bytes().to_vec())),
        npy("'<i8'", false, "(4, 3)", &cast(&|v| (v as i64).to_le_bytes().to_vec())),
        npy("'>u2'", false, "(4, 3)", &cast(&|v| (v as u16).to_be_bytes().to_vec())),
        npy("'|i1'", false, "(4, 3)", &cast(&|v| vec![v as u8])),
    ];
    for (case, file) in cases.iter().enumerate() {
        let set = files.load(file).unwrap();
        assert_eq!(set.x, Matrix { rows: 4, cols: 3, data: values.clone() }, "case {case}");
        assert_eq!((&set.labels[..], &set.classes[..]), (&[0, 1, 0, 1][..], &["0".to_string(), "1".into()][..]));
        assert!(set.notes.is_empty(), "{:?}", set.notes);
    }
    // Versions 2 and 3 have a longer length.
    let first = &cases[0];
    let mut third = b"\x93NUMPY\x03\x00".to_vec();
    third.extend(&first[8..10]);
    third.extend([0, 0]);
    third.extend(&first[10..]);
    assert_eq!(files.load(third).unwrap().x.data, values);
}

#[test]
fn damaged_and_unfit_arrays_are_explained() {
    let files = Files::new();
    let good = npy("'<f4'", false, "(4, 3)", &f32s(&twelve()));
    let error = files.error(&good[..good.len() - 5]);
    assert!(
        error.contains("x.npy: it is cut off") && error.contains("(4, 3) has 48 bytes, and there are 43"),
        "{error}"
    );
    assert!(files.error(&good[..40]).contains("header is cut off"));
    assert!(files.error(&good[..8]).contains("header is cut off"));
    assert!(files.error([&good[..], &good[..]].concat()).contains("one array a file"));
    assert!(files.error(b"PK\x03\x04").contains("it is no .npy file"));
    assert!(files.error(npy("'<f4'", false, "(12,)", &f32s(&twelve()))).contains("its shape is (12,), but embeddings"));
    assert!(files.error(npy("'<f4'", false, "(2, 2, 3)", &f32s(&twelve()))).contains("its shape is (2, 2, 3)"));
    assert!(files.error(npy("'<c8'", false, "(4, 3)", &[0; 96])).contains("of type `c8`"));
    assert!(files.error(npy("'<U2'", false, "(4, 3)", &[0; 96])).contains("it holds texts"));
    assert!(files.error(npy("[('a', '<f4')]", false, "(4,)", &[0; 16])).contains("several fields"));
    assert!(files.error(npy("'<f4'", false, "(0, 3)", &[])).contains("it has 0 rows"));
    // A shape whose product overflows is damage, not a reason to ask for memory.
    assert!(files.error(npy("'<f4'", false, "(9223372036854775807, 9)", &[])).contains("damaged"));
    let mut values = twelve();
    values[7] = f32::NAN;
    values[8] = f32::INFINITY;
    let error = files.error(npy("'<f4'", false, "(4, 3)", &f32s(&values)));
    assert!(error.contains("row 2, column 1 (from 0) is NaN") && error.contains("and 1 more"), "{error}");
}

#[test]
fn labels_are_numbers_or_texts_one_a_row() {
    let files = Files::new();
    let x = || npy("'<f4'", false, "(4, 3)", &f32s(&twelve()));
    let pair = |y: Vec<u8>| files.pair(x(), y);
    let error = |y: Vec<u8>| pair(y).unwrap_err().to_string();
    let words: Vec<u8> = ["cat", "ox", "cat", "Äx"]
        .iter()
        .flat_map(|word| {
            let mut codes: Vec<u32> = word.chars().map(u32::from).collect();
            codes.resize(3, 0);
            codes.into_iter().flat_map(u32::to_le_bytes)
        })
        .collect();
    let set = pair(npy("'<U3'", false, "(4,)", &words)).unwrap();
    assert_eq!((&set.classes[..], &set.labels[..]), (&["cat", "ox", "Äx"].map(String::from)[..], &[0, 1, 0, 2][..]));
    assert!(set.notes[0].contains("2 classes have one example (`ox`, ...)"), "{:?}", set.notes);
    assert_eq!(pair(npy("'|S2'", false, "(4,)", b"a\0bba\0bb")).unwrap().classes, ["a", "bb"]);
    // Numbers sort as numbers; a missing one leaves its row out.
    let set = pair(npy("'<f4'", false, "(4, 1)", &f32s(&[10.0, 9.0, f32::NAN, 9.0]))).unwrap();
    assert_eq!((set.x.rows, set.x.row(2)[0], set.labels.len()), (3, 10.0, 3));
    assert!(set.notes[0].contains("1 rows without a label"), "{:?}", set.notes);

    assert!(error(npy("'<i4'", false, "(3,)", &[0; 12])).contains("it has 3 labels for the 4 rows of"));
    assert!(error(npy("'<i4'", false, "(4,)", &[0; 16])).contains("every row is of the class `0`"));
    assert!(error(npy("'<f4'", false, "(4,)", &f32s(&[0.0, 1.0, 0.5, 1.0]))).contains("label 2 is 0.5"));
    assert!(error(npy("'<f4'", false, "(4,)", &f32s(&[f32::NAN; 4]))).contains("no row has a label"));
    assert!(error(npy("'<i4'", false, "(4, 2)", &[0; 32])).contains("take the argmax"));
    assert!(error(npy("'<i4'", false, "()", &[0; 4])).contains("its shape is ()"));
    assert!(error(npy("'|O'", false, "(4,)", &[0; 32])).contains("Python objects"));
}

#[test]
fn rows_of_zeros_are_noted() {
    let mut values = twelve();
    values[3..6].fill(0.0);
    let set = Files::new().load(npy("'<f4'", false, "(4, 3)", &f32s(&values))).unwrap();
    assert!(set.notes[0].contains("1 of 4 rows are all zeros"), "{:?}", set.notes);
}

#[test]
fn csv_files_hold_embeddings_labels_or_both() {
    let files = Files::new();
    let both = files.put("both.csv", "a,b,label\n1,2,x\n3,4,y\n5,6,x\n");
    let set = load_embeddings(&both, &EmbeddingOptions::default()).unwrap();
    assert_eq!((set.x.data, set.labels), (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0, 1, 0]));

    let alone = files.put("x.csv", "0,1\n1,2\n3,4\n5,6\n");
    let labels = files.put("y.csv", "kind\n1\n2\n2\n");
    let options = EmbeddingOptions { labels: Some(labels), ..EmbeddingOptions::default() };
    // Of two classes the rarer comes last, as for tables.
    assert_eq!(load_embeddings(&alone, &options).unwrap().labels, [1, 0, 0]);

    let error = |name: &str, text: &str, target: Option<&str>| {
        let options = EmbeddingOptions { target: target.map(String::from), ..EmbeddingOptions::default() };
        load_embeddings(&files.put(name, text), &options).unwrap_err().to_string()
    };
    assert!(error("a.csv", "a,b\n1,2\n3,4\n", None).contains("which column holds the labels?"));
    assert!(error("b.csv", "a,b\n1,2\n3,4\n", Some("B")).contains("did you mean `b`?"));
    assert!(error("c.csv", "a,b,y\n1,t,0\n3,u,1\n", None).contains("column `b` holds texts"));
    assert!(error("d.csv", "0.5,1.5\n1,2\n3,4\n", None).contains("first line looks like numbers"));
    assert!(error("e.csv", "a,y\n1,0\nnan,1\n", None).contains("row 1, column 0 (from 0) is NaN"));
    assert!(error("f.csv", "a,y\n1,0.5\n2,1\n", None).contains("0.5 is no label"));
    assert!(error("g.npz", "", None).contains(".npz archive"));
    assert!(error("h.npy", "", None).contains("--labels"));
    let short = EmbeddingOptions { labels: Some(files.put("short.csv", "1\n2\n")), ..EmbeddingOptions::default() };
    let error = load_embeddings(&files.put("i.csv", "a\n1\n2\n"), &short).unwrap_err().to_string();
    assert!(error.contains("1 labels (the first line is the header) for the 2 rows"), "{error}");
}

#[test]
fn tensors_are_found_by_shape_or_name() {
    let files = Files::new();
    let x = f32s(&twelve());
    let doubled: Vec<u8> = twelve().iter().flat_map(|v| half::bf16::from_f32(2.0 * v).to_le_bytes()).collect();
    let y: Vec<u8> = [5i32, 7, 5, 7].iter().flat_map(|label| label.to_le_bytes()).collect();
    let write = |name: &str, parts: &[(&str, Dtype, Vec<usize>, &Vec<u8>)]| {
        let views = parts.iter().map(|(name, dtype, shape, bytes)| {
            ((*name).to_string(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        files.put(name, safetensors::serialize(views, None).unwrap())
    };
    let pair = write("pair.safetensors", &[("x", Dtype::F32, vec![4, 3], &x), ("y", Dtype::I32, vec![4], &y)]);
    let set = load_embeddings(&pair, &EmbeddingOptions::default()).unwrap();
    assert_eq!((set.x.data, set.labels), (twelve(), vec![0, 1, 0, 1]));
    assert_eq!(set.classes, ["5", "7"]);

    let parts = [
        ("x", Dtype::F32, vec![4, 3], &x),
        ("twice", Dtype::BF16, vec![4, 3], &doubled),
        ("y", Dtype::I32, vec![4], &y),
    ];
    let three = write("three.safetensors", &parts);
    let options =
        |tensor: Option<&str>| EmbeddingOptions { tensor: tensor.map(String::from), ..EmbeddingOptions::default() };
    let error = |tensor| load_embeddings(&three, &options(tensor)).unwrap_err().to_string();
    assert!(
        error(None).contains("several tensors that could be embeddings: twice (4, 3), x (4, 3), y (4,)"),
        "{}",
        error(None)
    );
    assert!(error(Some("twin")).contains("there is no tensor `twin`"));
    assert!(error(Some("y")).contains("embeddings have two dimensions"));
    assert_eq!(load_embeddings(&three, &options(Some("twice"))).unwrap().x.row(0), [2.0, 4.0, 6.0]);

    let bytes = std::fs::read(&pair).unwrap();
    let cut = files.put("cut.safetensors", &bytes[..bytes.len() - 3]);
    let error = load_embeddings(&cut, &EmbeddingOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no whole .safetensors file"), "{error}");
}
