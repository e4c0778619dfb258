use super::{DataError, Dataset, Matrix};

/// The rows of a training set for one-class learning, after checking that it is one.
///
/// # Errors
/// When there is no row, rows of more than one class, or an entry that is not finite; the text says which.
pub fn one_class_rows(data: &Dataset) -> Result<&Matrix, DataError> {
    let error = |reason: String| Err(DataError::OneClass { reason });
    let Some(&class) = data.y.first() else {
        return error("it has no rows".into());
    };
    if let Some(row) = data.y.iter().position(|&y| y != class) {
        return error(format!(
            "row 0 is of class {class}, but row {row} of class {}; keep the rows of one class for training and the others \
             for the test",
            data.y[row]
        ));
    }
    if let Some(at) = data.x.data.iter().position(|value| !value.is_finite()) {
        let (row, column) = (at / data.x.cols, at % data.x.cols);
        return error(format!("row {row}, column {column} is {}; fill or leave out such rows", data.x.data[at]));
    }
    Ok(&data.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_gaps_and_nothing_are_refused() {
        let data = |values: &[f32], y: &[usize]| Dataset {
            x: Matrix { rows: y.len(), cols: 2, data: values.to_vec() },
            y: y.to_vec(),
            classes: 2,
        };
        let error = |data: Dataset| one_class_rows(&data).unwrap_err().to_string();
        assert!(error(data(&[0.0; 4], &[1, 0])).contains("row 1 of class 0"));
        assert!(error(data(&[0.0, 1.0, 2.0, f32::NAN], &[1, 1])).contains("row 1, column 1 is NaN"));
        assert!(error(data(&[], &[])).contains("no rows"));
        assert_eq!(one_class_rows(&data(&[0.0, 1.0], &[1])).unwrap().rows, 1);
    }
}
