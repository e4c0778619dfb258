//! What the hot objectives cost: loss and all gradients, fused and composed, in time and in memory.
//!
//! [`FAMILIES`] is the one table of what is measured and at which sizes; the `contrarian bench` command and
//! `bench/kernels` read it. [`measure`] times one [`Case`] in this process. The peak memory of a process says something only
//! when nothing else ran in it, and a [`Form`] is chosen for a whole process, so the command starts itself again for every
//! measurement.

mod case;
mod families;
mod inputs;
mod measure;

pub use case::{Case, Family, Form, UnknownCase, select};
pub use families::FAMILIES;
pub use measure::{Measurement, measure};
