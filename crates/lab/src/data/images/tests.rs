use super::*;
use image::RgbImage;
use std::path::PathBuf;
use tempfile::TempDir;

fn idx(dims: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|&dim| (dim as u32).to_be_bytes()));
    file.extend(bytes);
    file
}

/// Twelve images of 3 x 2; image i has the pixels i, i + 1, ...; labels alternate between 3 and 7.
fn idx_files(folder: &TempDir) -> PathBuf {
    let pixels: Vec<u8> = (0..12).flat_map(|i| i..i + 6).collect();
    let labels: Vec<u8> = (0..12).map(|i| if i % 2 == 0 { 3 } else { 7 }).collect();
    let images = folder.path().join("train-images-idx3-ubyte");
    std::fs::write(&images, idx(&[12, 3, 2], &pixels)).unwrap();
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), idx(&[12], &labels)).unwrap();
    images
}

fn gzip(path: &Path) {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&std::fs::read(path).unwrap()).unwrap();
    std::fs::write(path.with_extension("gz"), encoder.finish().unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn idx_files_are_read_from_the_file_its_folder_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let images = idx_files(&folder);
    let set = load_images(&images, &ImageOptions::default()).unwrap();
    assert_eq!((set.images.shape, set.labels.len()), (ImageShape { channels: 1, height: 3, width: 2 }, 12));
    assert_eq!((&set.classes[..], &set.labels[..3]), (&["3".to_string(), "7".into()][..], &[0, 1, 0][..]));
    assert_eq!(set.images.pixels.row(2)[5], 7.0 / 255.0);
    assert_eq!(load_images(folder.path(), &ImageOptions::default()).unwrap().images.pixels, set.images.pixels);
    gzip(&images);
    gzip(&folder.path().join("train-labels-idx1-ubyte"));
    assert_eq!(load_images(folder.path(), &ImageOptions::default()).unwrap().images.pixels, set.images.pixels);
    let options =
        ImageOptions { size: Some((6, 4)), limit: Some(11), positive: Some("3".into()), ..Default::default() };
    let set = load_images(folder.path(), &options).unwrap();
    assert_eq!((set.images.pixels.rows, set.images.pixels.cols, &set.classes[1][..]), (11, 24, "3"));
}

#[test]
fn bad_idx_files_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let images = idx_files(&folder);
    let labels = folder.path().join("train-labels-idx1-ubyte");
    let fails = |says: &str| {
        let error = load_images(&images, &ImageOptions::default()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("idx"), "{says}: {error}");
    };
    std::fs::write(&labels, idx(&[11], &[1; 11])).unwrap();
    fails("11 labels for 12 images");
    std::fs::write(&labels, idx(&[12], &[1; 12])).unwrap();
    fails("every image is of the class `1`");
    std::fs::write(&labels, idx(&[12], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])).unwrap();
    fails("only the class `1` has the 5 images");
    fails("class `2` has 1 images");
    std::fs::remove_file(&labels).unwrap();
    fails("labels file");
    std::fs::write(&images, &idx(&[12, 3, 2], &[0; 72])[..50]).unwrap();
    fails("cut off");
    std::fs::write(&images, "not an IDX file").unwrap();
    fails("no IDX file");
    let unknown = ImageOptions { positive: Some("8".into()), ..Default::default() };
    let images = idx_files(&folder);
    assert!(load_images(&images, &unknown).unwrap_err().to_string().contains("no class `8`"));
    assert!(load_images(Path::new("nowhere"), &unknown).unwrap_err().to_string().contains("cannot read nowhere"));
}

fn png_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, base) in [("ant", 10), ("bee", 200)] {
        let class = folder.path().join(class);
        std::fs::create_dir(&class).unwrap();
        for i in 0..6u8 {
            // The last is larger, and a JPEG.
            let size = if i == 5 { 8 } else { 4 };
            let image = RgbImage::from_fn(size, size, |_, _| image::Rgb([base + i, 0, 0]));
            image.save(class.join(format!("{i}.{}", if i == 5 { "jpg" } else { "PNG" }))).unwrap();
        }
    }
    std::fs::write(folder.path().join("README.md"), "about").unwrap();
    folder
}

#[test]
fn folders_of_classes_are_read_in_grey_and_colour() {
    let folder = png_folder();
    let grey = load_images(folder.path(), &ImageOptions::default()).unwrap();
    assert_eq!(
        (grey.images.shape, &grey.classes[..]),
        (ImageShape { channels: 1, height: 4, width: 4 }, &["ant".to_string(), "bee".into()][..])
    );
    assert_eq!(grey.labels, [[0; 6], [1; 6]].concat());
    let rgb =
        load_images(folder.path(), &ImageOptions { rgb: true, size: Some((2, 2)), ..Default::default() }).unwrap();
    assert_eq!(rgb.images.shape, ImageShape { channels: 3, height: 2, width: 2 });
    // Red first, all four pixels of it; then green and blue.
    let bee = rgb.images.pixels.row(6);
    assert!(bee[..4].iter().all(|v| (v - 200.0 / 255.0).abs() < 0.01) && bee[4..].iter().all(|&v| v == 0.0), "{bee:?}");
}

#[test]
fn bad_folders_are_explained() {
    let folder = png_folder();
    let fails = |says: &str| {
        let error = load_images(folder.path(), &ImageOptions::default()).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    };
    std::fs::write(folder.path().join("ant/3.PNG"), "text").unwrap();
    fails("3.PNG");
    std::fs::remove_dir_all(folder.path().join("ant")).unwrap();
    fails("every image is of the class `bee`");
    std::fs::remove_dir_all(folder.path().join("bee")).unwrap();
    fails("a folder for each class");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    fails("no image");
}

#[test]
fn real_digits_have_their_known_mean() {
    let Some(data) = std::env::var_os("CONTRARIAN_DATA") else {
        println!("skipped: CONTRARIAN_DATA names no folder of real data");
        return;
    };
    let set = load_images(&PathBuf::from(data).join("mnist"), &ImageOptions::default()).unwrap();
    assert_eq!((set.labels.len(), set.classes.len(), set.images.pixels.cols), (60_000, 10, 784));
    let mean = set.images.pixels.data.iter().map(|&v| f64::from(v)).sum::<f64>() / set.images.pixels.data.len() as f64;
    // The mean and count of the data folder's README.
    assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
    assert_eq!(set.labels.iter().filter(|&&label| label == 4).count(), 5842);
    assert_eq!(set.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "labels are digits");
}
