//! How good predictions are: classification metrics, curves and decision thresholds.
