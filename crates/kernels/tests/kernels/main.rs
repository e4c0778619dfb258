//! The kernels against plain loops.

mod similarity;
mod softmax_rows;
mod support;
