use super::split::MIN_CLASS_ROWS;
use super::{Column, DataError, Features, Table, Values};
use contrarian::registry::{did_you_mean, suggest};
use std::collections::BTreeMap;

/// A classification problem: features and a label for every row.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Name of the data.
    pub name: String,
    /// Name of the target column.
    pub target: String,
    /// Feature columns, or images.
    pub features: Features,
    /// Class of each row, an index into [`classes`](Self::classes).
    pub labels: Vec<usize>,
    /// Class names.
    pub classes: Vec<String>,
    /// With two classes: the one that counts as positive, always label 1.
    pub positive: Option<usize>,
    /// What was done to the data that a person should know.
    pub notes: Vec<String>,
}

/// Most classes of a target with whole numbers or text, and most distinct values of a target with fractions.
const MAX_CLASSES: usize = 100;
const MAX_FRACTIONS: usize = 20;

/// Names a target column usually has, most telling first.
const USUAL_TARGETS: [&str; 5] = ["target", "label", "class", "y", "outcome"];

/// The column to predict when nobody says: one of the usual names, else the last column.
pub fn guess_target(table: &Table) -> &str {
    let column = usual_target(table).map(|position| &table.columns[position]).or(table.columns.last());
    column.map_or("", |column| column.name.as_str())
}

/// Position of the column with a usual name, if there is one.
pub(super) fn usual_target(table: &Table) -> Option<usize> {
    let named = |usual: &&str| table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(usual));
    USUAL_TARGETS.iter().find_map(named)
}

impl Problem {
    /// Takes one column of a table as the target and the others as features.
    ///
    /// Two classes: label 1, the positive, is `positive` or else the rarer one. More: labels in sorted order. Rows without
    /// a target, rows of classes too rare to split, and columns without information are left out and noted.
    ///
    /// # Errors
    /// When the target does not exist, has one class or looks like a quantity, `positive` is not one of two classes, or
    /// no feature column is left.
    pub fn from_table(mut table: Table, target: &str, positive: Option<&str>) -> Result<Self, DataError> {
        let error = |reason: String| DataError::Target { target: target.into(), reason };
        let column = table.columns.remove(table.position(target)?);
        let cells: Vec<Option<String>> = (0..column.values.len()).map(|row| column.values.text(row)).collect();
        let mut notes = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for text in cells.iter().flatten() {
            *counts.entry(text).or_default() += 1;
        }
        if let Values::Numeric(values) = &column.values
            && counts.len() > MAX_FRACTIONS
            && values.iter().any(|v| v.fract() != 0.0)
        {
            let reason = "it has many values with fractions, so it looks like a quantity; this tool predicts classes: \
                          group the values into classes first";
            return Err(error(reason.into()));
        }
        if counts.len() > MAX_CLASSES {
            let reason = format!(
                "it has {} different values, more than the {MAX_CLASSES} classes allowed; group them",
                counts.len()
            );
            return Err(error(reason));
        }
        let missing = cells.iter().filter(|cell| cell.is_none()).count();
        if missing > 0 {
            notes.push(format!("{missing} rows without a target are left out"));
        }
        if let [only] = counts.keys().collect::<Vec<_>>()[..] {
            return Err(error(format!("every row is of the class `{only}`; two classes are needed")));
        }
        for (class, rows) in counts.iter().filter(|(_, rows)| **rows < MIN_CLASS_ROWS) {
            notes.push(format!(
                "class `{class}` has {rows} rows, fewer than the {MIN_CLASS_ROWS} that splits need: left out"
            ));
        }
        let rare = counts
            .iter()
            .find(|(_, rows)| **rows < MIN_CLASS_ROWS)
            .map(|(class, rows)| format!("`{class}` has {rows}"));
        counts.retain(|_, rows| *rows >= MIN_CLASS_ROWS);
        let classes = ordered(&counts, positive).map_err(error)?;
        if classes.len() < 2 {
            let rare = rare.map(|rare| format!(" (class {rare})")).unwrap_or_default();
            return Err(error(format!("fewer than two classes have the {MIN_CLASS_ROWS} rows that splits need{rare}")));
        }
        let label = |text: &Option<String>| classes.iter().position(|class| Some(class) == text.as_ref());
        let (rows, labels): (Vec<usize>, Vec<usize>) =
            cells.iter().enumerate().filter_map(|(row, text)| Some((row, label(text)?))).unzip();
        let features = informative(table.columns, &rows, &mut notes);
        if features.is_empty() {
            return Err(error("there is no other column with information to predict it from".into()));
        }
        let positive = (classes.len() == 2).then_some(1);
        let features = Features::Columns(features);
        Ok(Self { name: table.name, target: target.into(), features, labels, classes, positive, notes })
    }

    /// The features with the target as a last column of class names; `None` for images.
    pub fn into_table(self) -> Option<Table> {
        let Features::Columns(mut columns) = self.features else { return None };
        let target = self.labels.iter().map(|&label| Some(self.classes[label].clone())).collect();
        columns.push(Column { name: self.target, values: Values::Text(target) });
        Some(Table { name: self.name, columns })
    }
}

/// Class names by label.
pub(super) fn ordered(counts: &BTreeMap<&str, usize>, positive: Option<&str>) -> Result<Vec<String>, String> {
    let mut classes: Vec<&str> = counts.keys().copied().collect();
    if classes.iter().all(|class| class.parse::<f64>().is_ok()) {
        let number = |class: &str| class.parse::<f64>().unwrap_or(f64::NAN);
        classes.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    let last = match (positive, &classes[..]) {
        (None, &[first, second]) => Some(if counts[first] < counts[second] { first } else { second }),
        (None, _) => None,
        (Some(name), _) => {
            let found = classes.iter().copied().find(|class| *class == name).ok_or_else(|| {
                let hint = did_you_mean(suggest(name, classes.iter().copied()).as_deref());
                format!("there is no class `{name}`{hint}; the classes are {}", classes.join(", "))
            })?;
            if classes.len() != 2 {
                return Err(format!("a positive class is for two classes, and there are {}", classes.len()));
            }
            Some(found)
        }
    };
    classes.sort_by_key(|class| Some(*class) == last);
    Ok(classes.into_iter().map(String::from).collect())
}

/// The columns restricted to `rows`, without those that are always missing or always the same.
fn informative(columns: Vec<Column>, rows: &[usize], notes: &mut Vec<String>) -> Vec<Column> {
    let mut kept = Vec::new();
    for column in columns {
        let values = column.values.gather(rows);
        // A cell that is sometimes missing carries information even when its other values are all the same.
        let constant = match &values {
            Values::Numeric(values) => values.windows(2).all(|w| w[0].to_bits() == w[1].to_bits()),
            Values::Text(values) => values.windows(2).all(|w| w[0] == w[1]),
        };
        if constant {
            let what = if values.text(0).is_none() { "always missing" } else { "always the same" };
            notes.push(format!("column `{}` is {what}: left out", column.name));
        } else {
            kept.push(Column { name: column.name, values });
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cells: &[&str]) -> Values {
        Values::Text(cells.iter().map(|c| Some((*c).to_string()).filter(|c| !c.is_empty())).collect())
    }

    fn table(target: Values) -> Table {
        let rows = target.len();
        let column = |name: &str, values| Column { name: name.into(), values };
        let x = (0..rows).map(|i| i as f64).collect();
        let columns = vec![
            column("x", Values::Numeric(x)),
            column("same", Values::Numeric(vec![1.0; rows])),
            column("gone", Values::Numeric(vec![f64::NAN; rows])),
            column("y", target),
        ];
        Table { name: "t".into(), columns }
    }

    fn many(counts: &[(&str, usize)]) -> Values {
        text(&counts.iter().flat_map(|&(class, n)| std::iter::repeat_n(class, n)).collect::<Vec<_>>())
    }

    #[test]
    fn the_rarer_class_is_positive_and_useless_columns_go() {
        let problem = Problem::from_table(table(many(&[("yes", 6), ("no", 9), ("", 2)])), "y", None).unwrap();
        assert_eq!(problem.classes, ["no", "yes"]);
        assert_eq!((problem.labels.len(), problem.features.columns(), problem.positive), (15, 1, Some(1)));
        assert_eq!(problem.notes.len(), 3, "{:?}", problem.notes);
        let problem = Problem::from_table(table(many(&[("yes", 6), ("no", 9)])), "y", Some("no")).unwrap();
        assert_eq!(problem.classes, ["yes", "no"]);
    }

    #[test]
    fn more_classes_sort_by_number_and_rare_ones_are_left_out() {
        let problem = Problem::from_table(table(many(&[("10", 6), ("9", 5), ("2", 7), ("1", 2)])), "y", None).unwrap();
        assert_eq!(problem.classes, ["2", "9", "10"]);
        assert!(problem.notes.iter().any(|note| note.contains("class `1` has 2 rows")));
    }

    #[test]
    fn impossible_targets_are_explained() {
        let error = |values: Values, target: &str, positive| {
            Problem::from_table(table(values), target, positive).unwrap_err().to_string()
        };
        assert!(error(many(&[("a", 9)]), "y", None).contains("every row is of the class `a`"));
        assert!(error(many(&[("a", 9), ("b", 2)]), "y", None).contains("`b` has 2"));
        assert!(error(many(&[("a", 9), ("b", 9)]), "Y", None).contains("did you mean `y`?"));
        assert!(error(many(&[("a", 9), ("b", 9)]), "y", Some("c")).contains("the classes are a, b"));
        let quantity = Values::Numeric((0..50).map(|i| f64::from(i) / 3.0).collect());
        assert!(error(quantity, "y", None).contains("looks like a quantity"));
        let only =
            Table { name: "t".into(), columns: vec![Column { name: "y".into(), values: many(&[("a", 9), ("b", 9)]) }] };
        assert!(Problem::from_table(only, "y", None).unwrap_err().to_string().contains("no other column"));
    }

    #[test]
    fn the_usual_names_are_guessed_first() {
        let mut t = table(many(&[("a", 1)]));
        assert_eq!(guess_target(&t), "y");
        t.columns[1].name = "Label".into();
        assert_eq!(guess_target(&t), "Label");
        t.columns.truncate(1);
        assert_eq!(guess_target(&t), "x");
    }
}
