//! One file a command: read the arguments, call the library, print.

mod audit;
mod bench;
mod calibrate;
mod clean;
mod compare;
mod compare_embeddings;
mod compare_interactions;
mod compare_retrieval;
mod encoders;
mod list;
mod mine;
mod predict;
mod probe;
mod run;
mod search;
mod setup;
mod show;
mod train;

use crate::args::{Cli, Command};
use crate::error::CliError;
use clap::CommandFactory;
use std::process::ExitCode;

pub fn run(arguments: Cli) -> Result<ExitCode, CliError> {
    match arguments.command {
        Command::Compare(args) => compare::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Mine(args) => mine::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Run(args) => run::run(&args),
        Command::List(args) => list::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "contrarian", &mut script);
            crate::output::print(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
