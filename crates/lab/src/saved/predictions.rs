/// Predictions for the rows of a table or for images, in their order.
#[derive(Debug, Clone)]
pub struct RowPredictions {
    /// Names of the images; a table's rows have none.
    pub names: Option<Vec<String>>,
    /// What is predicted.
    pub target: String,
    /// Class names by label.
    pub classes: Vec<String>,
    /// The decided class of each row: with two classes by the threshold on the model's own probabilities, else the most
    /// probable.
    pub decisions: Vec<usize>,
    /// Class probabilities, row-major; calibrated where the model is.
    pub probabilities: Vec<f64>,
    /// What was done to the data that a person should know.
    pub notes: Vec<String>,
}

impl RowPredictions {
    /// A CSV: for images their name, then the predicted class, then the probability of each class.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let first = self.names.is_some().then(|| "image".to_string());
        let header =
            first.into_iter().chain([self.target.clone()]).chain(self.classes.iter().map(|c| format!("p({c})")));
        let rows =
            self.probabilities.chunks(self.classes.len()).zip(&self.decisions).enumerate().map(|(row, (p, &class))| {
                let name = self.names.as_ref().map(|names| names[row].clone());
                let cells = name.into_iter().chain([self.classes[class].clone()]);
                cells.chain(p.iter().map(f64::to_string)).collect::<Vec<_>>()
            });
        let records = std::iter::once(header.collect::<Vec<_>>()).chain(rows);
        for record in records {
            writer.write_record(record).expect("writing to memory does not fail");
        }
        String::from_utf8(writer.into_inner().expect("writing to memory does not fail")).expect("CSV of UTF-8 is UTF-8")
    }
}
