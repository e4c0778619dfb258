//! End-to-end tests of the command on real files.

mod bad_input;
mod bench;
mod calibrate;
mod clean;
mod commands;
mod embeddings;
mod images;
mod interactions;
mod retrieval;
mod support;
