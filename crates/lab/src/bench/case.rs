use super::families::FAMILIES;
use super::measure::Step;
use contrarian::registry::{did_you_mean, suggest};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The two forms of an objective with a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The kernel of `contrarian-kernels`.
    Fused,
    /// Burn's tensor operations and its autodiff.
    Composed,
}

impl Form {
    /// The environment variable, and its value, with which a process computes in this form: the kernels are switched for
    /// a whole process.
    pub fn environment(self) -> (&'static str, &'static str) {
        match self {
            Self::Fused => ("CONTRARIAN_KERNELS", "on"),
            Self::Composed => ("CONTRARIAN_KERNELS", "off"),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Fused => "fused",
            Self::Composed => "composed",
        })
    }
}

/// One kind of work, at any size.
pub struct Family {
    /// Its name: `info-nce`.
    pub name: &'static str,
    /// What is computed, in a line.
    pub summary: &'static str,
    /// What the sizes are: `["pairs", "dim"]`.
    pub sizes: &'static [&'static str],
    /// The sizes that are measured.
    pub measured: &'static [&'static [usize]],
    /// How many numbers the largest matrix of the textbook form has.
    pub textbook: fn(&[usize]) -> usize,
    /// Makes the inputs, the same for the same sizes, and gives what runs the work on them.
    pub(super) prepare: fn(&[usize]) -> Step,
}

impl Family {
    /// The work at sizes of your own.
    ///
    /// # Errors
    /// A message for a person, when there are too few or too many sizes or one of them is below 2.
    pub fn at(&'static self, sizes: &[usize]) -> Result<Case, String> {
        let (name, wanted) = (self.name, self.sizes.len());
        let what = self.sizes.join("x");
        if sizes.len() != wanted {
            return Err(format!("`{name}` has {wanted} sizes, {what}, and {} are given", sizes.len()));
        }
        if let Some(size) = sizes.iter().find(|size| **size < 2) {
            return Err(format!("the sizes of `{name}`, {what}, must be at least 2, and one is {size}"));
        }
        Ok(Case { family: self, sizes: sizes.to_vec() })
    }
}

/// A family at one size.
#[derive(Clone)]
pub struct Case {
    /// What is computed.
    pub family: &'static Family,
    /// One number for each of the family's sizes.
    pub sizes: Vec<usize>,
}

impl Case {
    /// The sizes as text: `4096x128`.
    pub fn sizes_text(&self) -> String {
        self.sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
    }

    /// Bytes in f32 of the largest matrix of the textbook form.
    pub fn textbook_bytes(&self) -> u64 {
        ((self.family.textbook)(&self.sizes) as u64).saturating_mul(4)
    }

    /// The same work at sizes so small that they cost nothing: it loads the code and starts the threads.
    pub(super) fn tiny(&self) -> Self {
        Self { family: self.family, sizes: self.sizes.iter().map(|size| *size.min(&16)).collect() }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(&format!("{}-{}", self.family.name, self.sizes_text()))
    }
}

/// Every case of the table.
fn all() -> impl Iterator<Item = Case> {
    FAMILIES.iter().flat_map(|family| family.measured.iter().map(move |sizes| Case { family, sizes: sizes.to_vec() }))
}

/// No case has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no case is called `{name}`{}", did_you_mean(nearest.as_deref()))]
pub struct UnknownCase {
    /// What was asked for.
    pub name: String,
    /// The closest name, if any is close.
    pub nearest: Option<String>,
}

/// The cases of that name: a family's (`info-nce`: all its sizes) or a single case's (`info-nce-4096x128`). Without
/// names, every case of the table. In the order of the table, none twice.
///
/// # Errors
/// When a name is neither.
pub fn select(names: &[String]) -> Result<Vec<Case>, UnknownCase> {
    let known = |case: &Case, name: &String| case.family.name == name || case.to_string() == *name;
    for name in names {
        if !all().any(|case| known(&case, name)) {
            let cases: Vec<String> = all().map(|case| case.to_string()).collect();
            let candidates = FAMILIES.iter().map(|family| family.name).chain(cases.iter().map(String::as_str));
            return Err(UnknownCase { name: name.clone(), nearest: suggest(name, candidates) });
        }
    }
    Ok(all().filter(|case| names.is_empty() || names.iter().any(|name| known(case, name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_a_case_and_no_name_select() {
        let names = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            select(&names).unwrap().iter().map(Case::to_string).collect()
        };
        assert_eq!(names(&["focal"]), ["focal-4096x1000", "focal-512x50000"]);
        assert_eq!(names(&["focal-512x50000", "focal-512x50000"]), ["focal-512x50000"]);
        assert_eq!(names(&[]).len(), FAMILIES.iter().map(|family| family.measured.len()).sum::<usize>());
        let error = select(&["focla".into()]).err().unwrap();
        assert_eq!(error.to_string(), "no case is called `focla`; did you mean `focal`?");
    }

    #[test]
    fn sizes_of_your_own_are_checked() {
        let focal = FAMILIES.iter().find(|family| family.name == "focal").unwrap();
        assert_eq!(focal.at(&[3, 5]).unwrap().to_string(), "focal-3x5");
        assert!(focal.at(&[3]).err().unwrap().contains("2 sizes, batchxclasses"));
        assert!(focal.at(&[3, 1]).err().unwrap().contains("at least 2"));
    }
}
