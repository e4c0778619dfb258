//! The door to the fused CPU kernels of `contrarian-kernels`.
//!
//! An objective with a fused form goes through one function: where [`available`] says so (the tensor is on Burn's CPU
//! backend, in f32 or f64), [`apply`] runs the kernel on the tensors' memory and enters one node into the autodiff graph;
//! elsewhere the objective composes Burn's tensor operations.

mod op;

pub(crate) use op::{Evaluation, Kernel, apply, available};
