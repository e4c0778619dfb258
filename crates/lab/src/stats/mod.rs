//! Intervals, paired tests, corrections and ranks.
