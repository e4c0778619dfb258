use super::chart::{Axis, Mark, Plot, Role, Series, styles};
use super::number::percent;
use crate::data::Matrix;
use crate::embedding::PrincipalComponents;
use maud::{Markup, Render};

/// Most points of a picture; more only make the file large.
const MOST: usize = 1500;

/// A picture of a space: rows by their first two principal components, coloured by class.
///
/// A unit is as long across as down, so that distances look as they are in the plane. The eight largest classes have colours of
/// their own; of more than eight, the seven largest have, and the others are grey. Of more than 1500 rows every n-th is drawn, the
/// components are those of all.
///
/// - x: `[rows, dim]`, finite; for a space of directions, of length 1
///
/// # Panics
/// When there are not as many labels as rows, a number is not finite, or a label is not an index into `classes`.
pub fn space_chart(label: &str, x: &Matrix, labels: &[usize], classes: &[String]) -> Markup {
    assert_eq!(x.rows, labels.len(), "{} labels for {} rows", labels.len(), x.rows);
    if x.rows == 0 || x.cols == 0 {
        return Plot::new(label, Axis::default(), Axis::default()).render();
    }
    let found = PrincipalComponents::fit(x, 2);
    let drawn: Vec<usize> = (0..x.rows).step_by(x.rows.div_ceil(MOST)).collect();
    let places = found.transform(&x.gather(&drawn));
    let axis = |which: usize, name: &str| match found.shares().get(which) {
        Some(share) => Axis::new(format!("{name} component, {} of the variance", percent(*share))),
        None => Axis::new(format!("{name} component, none")),
    };
    let mut counts = vec![0usize; classes.len()];
    for &label in labels {
        counts[label] += 1;
    }
    let mut order: Vec<usize> = (0..classes.len()).filter(|class| counts[*class] > 0).collect();
    // Stable: classes of one size keep their order.
    order.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
    let mut plot = Plot::new(label, axis(0, "First"), axis(1, "Second")).equal_units().size(440.0, 400.0);
    for (&class, style) in order.iter().zip(styles(&vec![Role::Method; order.len()])) {
        let of_class = drawn.iter().enumerate().filter(|(_, row)| labels[**row] == class);
        // With one row or one column there is one component only.
        let second = |place: &[f32]| place.get(1).map_or(0.0, |second| f64::from(*second));
        let points = of_class.map(|(at, _)| (f64::from(places.row(at)[0]), second(places.row(at)))).collect();
        plot = plot.series(Series::new(classes[class].as_str(), style, points).mark(Mark::Dots));
    }
    plot.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::gaussian_classes;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn every_class_is_in_the_picture() {
        let data = gaussian_classes(200, 3, 6, 3.0, 0.5, 1);
        let markup = space_chart("space", &data.x, &data.y, &names(3)).into_string();
        for part in ["class 0", "class 1", "class 2", "First component", "% of the variance", "var(--series-3)"] {
            assert!(markup.contains(part), "{part} is not in {markup}");
        }
        assert!(!markup.contains("#F1") && !markup.contains("NaN"));
    }

    #[test]
    fn many_classes_and_many_rows_are_bounded() {
        let data = gaussian_classes(4000, 20, 4, 3.0, 0.5, 1);
        let markup = space_chart("space", &data.x, &data.y, &names(20)).into_string();
        assert!(markup.contains("13 others"), "{markup}");
        let marks = ["<circle", "<rect", "<polygon"].map(|mark| markup.matches(mark).count()).iter().sum::<usize>();
        assert!((1300..1600).contains(&marks), "{marks}");
    }

    #[test]
    fn little_data_is_no_reason_to_panic() {
        let picture = |rows: usize, cols: usize, value: f32| {
            let x = Matrix { rows, cols, data: vec![value; rows * cols] };
            space_chart("space", &x, &vec![0; rows], &names(1)).into_string()
        };
        assert!(picture(0, 3, 0.0).contains("No data"));
        assert!(picture(1, 3, 1.0).contains("<svg"));
        assert!(picture(5, 1, 2.0).contains("<svg"));
        assert!(picture(5, 3, 1e30).contains("<svg"));
    }
}
