/// Counts of true against decided classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// `counts[truth * classes + decided]`
    counts: Vec<usize>,
}

impl ConfusionMatrix {
    /// Counts decisions.
    ///
    /// # Panics
    /// When a class is out of range.
    pub fn new(truth: &[usize], decided: &[usize], classes: usize) -> Self {
        let mut counts = vec![0; classes * classes];
        for (&t, &d) in truth.iter().zip(decided) {
            counts[t * classes + d] += 1;
        }
        Self { classes, counts }
    }

    /// A matrix of two classes from its four counts.
    pub fn binary(tp: usize, fp: usize, fn_: usize, tn: usize) -> Self {
        Self { classes: 2, counts: vec![tn, fp, fn_, tp] }
    }

    /// Rows of a true class that were decided for a class.
    pub fn count(&self, truth: usize, decided: usize) -> usize {
        self.counts[truth * self.classes + decided]
    }

    fn support(&self, class: usize) -> usize {
        (0..self.classes).map(|d| self.count(class, d)).sum()
    }

    fn decided(&self, class: usize) -> usize {
        (0..self.classes).map(|t| self.count(t, class)).sum()
    }

    /// Mean over classes that `value` is defined for; `None` when it is for none.
    fn macro_mean(&self, value: impl Fn(usize) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = (0..self.classes).filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The classes a per-class metric is about: the positive one of two, all of more.
    fn of_interest(&self, class: usize) -> bool {
        self.classes != 2 || class == 1
    }

    /// Part of the rows decided rightly; `None` without rows.
    pub fn accuracy(&self) -> Option<f64> {
        let n: usize = self.counts.iter().sum();
        let right: usize = (0..self.classes).map(|c| self.count(c, c)).sum();
        (n > 0).then(|| right as f64 / n as f64)
    }

    fn class_recall(&self, class: usize) -> Option<f64> {
        let support = self.support(class);
        (support > 0).then(|| self.count(class, class) as f64 / support as f64)
    }

    /// Mean recall of the classes that occur.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        self.macro_mean(|class| self.class_recall(class))
    }

    /// Recall of the positive class, or its mean over classes that occur.
    pub fn recall(&self) -> Option<f64> {
        self.macro_mean(|class| self.class_recall(class).filter(|_| self.of_interest(class)))
    }

    /// Precision of the positive class, or its mean over classes; 0 for a class that is never decided for.
    pub fn precision(&self) -> Option<f64> {
        let precision = |class: usize| self.count(class, class) as f64 / self.decided(class).max(1) as f64;
        self.macro_mean(|class| self.of_interest(class).then(|| precision(class)))
    }

    /// F-beta of the positive class, or its mean over classes that occur or are decided for; 0 without a hit.
    pub fn f_beta(&self, beta: f64) -> Option<f64> {
        let b2 = beta * beta;
        self.macro_mean(|class| {
            let (support, decided) = (self.support(class), self.decided(class));
            let f = (1.0 + b2) * self.count(class, class) as f64 / (b2 * support as f64 + decided as f64);
            match (self.of_interest(class), support + decided) {
                (false, _) => None,
                // Of two classes the positive one counts even when nobody has seen it; of more, an absent class is no test.
                (true, 0) => (self.classes == 2).then_some(0.0),
                (true, _) => Some(f),
            }
        })
    }

    /// Geometric mean of the recalls of the classes; `None` when a class does not occur.
    pub fn g_mean(&self) -> Option<f64> {
        let recalls: Option<Vec<f64>> = (0..self.classes).map(|class| self.class_recall(class)).collect();
        recalls.map(|recalls| recalls.iter().product::<f64>().powf(1.0 / self.classes as f64))
    }

    /// Matthews correlation (Gorodkin's form for more than two classes); 0 when truth or decision is constant.
    pub fn mcc(&self) -> Option<f64> {
        let n: f64 = self.counts.iter().sum::<usize>() as f64;
        if n == 0.0 {
            return None;
        }
        let right: f64 = (0..self.classes).map(|c| self.count(c, c) as f64).sum();
        let sums = |f: &dyn Fn(usize) -> f64| (0..self.classes).map(f).sum::<f64>();
        let (truth, decided) = (|c: usize| self.support(c) as f64, |c: usize| self.decided(c) as f64);
        let covariance = right * n - sums(&|c| truth(c) * decided(c));
        let spread = (n * n - sums(&|c| decided(c).powi(2))) * (n * n - sums(&|c| truth(c).powi(2)));
        Some(if spread > 0.0 { covariance / spread.sqrt() } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_classes_are_defined() {
        let no_positive = ConfusionMatrix::binary(0, 0, 0, 9);
        assert_eq!((no_positive.f_beta(1.0), no_positive.recall(), no_positive.g_mean()), (Some(0.0), None, None));
        assert_eq!((no_positive.balanced_accuracy(), no_positive.mcc()), (Some(1.0), Some(0.0)));
        let empty = ConfusionMatrix::binary(0, 0, 0, 0);
        assert_eq!((empty.accuracy(), empty.mcc()), (None, None));
    }
}
