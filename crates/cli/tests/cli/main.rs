//! End-to-end tests of the command on real files.

mod bad_input;
mod commands;
mod support;
