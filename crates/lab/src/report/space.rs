use super::chart::{Axis, Mark, Plot, Role, Series, styles};
use super::number::percent;
use crate::data::Matrix;
use crate::embedding::PrincipalComponents;
use maud::{Markup, Render};
use serde::{Deserialize, Serialize};

/// Most points of a picture; more only make the file large.
const MOST: usize = 1500;

/// A picture of a space: rows by their first two principal components, with their classes.
///
/// Of more than 1500 rows every n-th is kept; the components are those of all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpacePicture {
    /// What is seen.
    pub title: String,
    /// What should be known to read it.
    pub caption: String,
    /// Parts of the variance along the components there are, at most two.
    pub shares: Vec<f64>,
    /// Class names.
    pub classes: Vec<String>,
    /// Rows of each class, of all rows.
    pub counts: Vec<usize>,
    /// Place and class of each row kept.
    pub points: Vec<(f64, f64, usize)>,
}

impl SpacePicture {
    /// Finds the components.
    ///
    /// - x: `[rows, dim]`, finite; for a space of directions, of length 1
    ///
    /// # Panics
    /// When there are not as many labels as rows, a number is not finite, or a label is not an index into `classes`.
    pub fn of(title: &str, caption: &str, x: &Matrix, labels: &[usize], classes: &[String]) -> Self {
        assert_eq!(x.rows, labels.len(), "{} labels for {} rows", labels.len(), x.rows);
        let mut picture = Self {
            title: title.into(),
            caption: caption.into(),
            shares: Vec::new(),
            classes: classes.to_vec(),
            counts: vec![0; classes.len()],
            points: Vec::new(),
        };
        if x.rows == 0 || x.cols == 0 {
            return picture;
        }
        let found = PrincipalComponents::fit(x, 2);
        picture.shares = found.shares();
        for &label in labels {
            picture.counts[label] += 1;
        }
        let drawn: Vec<usize> = (0..x.rows).step_by(x.rows.div_ceil(MOST)).collect();
        let places = found.transform(&x.gather(&drawn));
        // With one row or one column there is one component only.
        let second = |place: &[f32]| place.get(1).map_or(0.0, |second| f64::from(*second));
        let place = |(at, row): (usize, &usize)| (f64::from(places.row(at)[0]), second(places.row(at)), labels[*row]);
        picture.points = drawn.iter().enumerate().map(place).collect();
        picture
    }
}

/// Draws the picture. A unit is as long across as down, so that distances look as they are in the plane. The eight largest
/// classes have colours of their own; of more than eight, the seven largest have, and the others are grey.
pub fn space_chart(picture: &SpacePicture) -> Markup {
    let axis = |which: usize, name: &str| match picture.shares.get(which) {
        Some(share) => Axis::new(format!("{name} component, {} of the variance", percent(*share))),
        None => Axis::new(format!("{name} component, none")),
    };
    let mut order: Vec<usize> = (0..picture.classes.len()).filter(|class| picture.counts[*class] > 0).collect();
    // Stable: classes of one size keep their order.
    order.sort_by_key(|class| std::cmp::Reverse(picture.counts[*class]));
    let label = picture.title.as_str();
    let mut plot = Plot::new(label, axis(0, "First"), axis(1, "Second")).equal_units().size(440.0, 400.0);
    for (&class, style) in order.iter().zip(styles(&vec![Role::Method; order.len()])) {
        let of_class = picture.points.iter().filter(|point| point.2 == class);
        let points = of_class.map(|(first, second, _)| (*first, *second)).collect();
        plot = plot.series(Series::new(picture.classes[class].as_str(), style, points).mark(Mark::Dots));
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
        let markup = space_chart(&SpacePicture::of("space", "", &data.x, &data.y, &names(3))).into_string();
        for part in ["class 0", "class 1", "class 2", "First component", "% of the variance", "var(--series-3)"] {
            assert!(markup.contains(part), "{part} is not in {markup}");
        }
        assert!(!markup.contains("#F1") && !markup.contains("NaN"));
    }

    #[test]
    fn many_classes_and_many_rows_are_bounded() {
        let data = gaussian_classes(4000, 20, 4, 3.0, 0.5, 1);
        let markup = space_chart(&SpacePicture::of("space", "", &data.x, &data.y, &names(20))).into_string();
        assert!(markup.contains("13 others"), "{markup}");
        let marks = ["<circle", "<rect", "<polygon"].map(|mark| markup.matches(mark).count()).iter().sum::<usize>();
        assert!((1300..1600).contains(&marks), "{marks}");
    }

    #[test]
    fn little_data_is_no_reason_to_panic() {
        let picture = |rows: usize, cols: usize, value: f32| {
            let x = Matrix { rows, cols, data: vec![value; rows * cols] };
            space_chart(&SpacePicture::of("space", "", &x, &vec![0; rows], &names(1))).into_string()
        };
        assert!(picture(0, 3, 0.0).contains("No data"));
        assert!(picture(1, 3, 1.0).contains("<svg"));
        assert!(picture(5, 1, 2.0).contains("<svg"));
        assert!(picture(5, 3, 1e30).contains("<svg"));
    }
}
