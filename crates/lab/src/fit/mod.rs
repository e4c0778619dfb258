//! The training loop: optimisers, schedules, early stopping.
