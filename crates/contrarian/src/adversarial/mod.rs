//! Adversarial training: inner maximisers that take any objective.
