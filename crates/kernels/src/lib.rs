//! Fused forward-and-gradient CPU kernels: plain slices in, a loss and its gradient out, no tensors.
//!
//! There is none yet. The first to come serve the softmax losses, whose composed forms in the `contrarian` crate make
//! several passes over the logits where one is enough; see `docs/design.md`.
