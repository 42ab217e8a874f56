//! The `husk` command.
#![forbid(unsafe_code)]

mod commands;

use clap::{Parser, Subcommand};
use commands::{bundle, cache, run};
use std::process::ExitCode;

/// Exit code for failures of the command itself, apart from those of programs.
const FAILED: u8 = 125;

#[derive(Parser)]
#[command(name = "husk", version, about = "Runs one unmodified Linux program as a virtual machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::RunOptions>),
    Bundle(bundle::BundleOptions),
    #[command(subcommand)]
    Cache(cache::CacheCommand),
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let outcome = if args.next().is_some_and(|first| first == husk::monitor::TRAMPOLINE) {
        Err(husk::monitor::run_trampoline(args))
    } else {
        match Cli::try_parse() {
            Ok(cli) => match cli.command {
                Command::Run(options) => run::run(&options),
                Command::Bundle(options) => bundle::run(&options),
                Command::Cache(command) => cache::run(command),
            },
            Err(error) => {
                let code = if error.use_stderr() { FAILED } else { 0 };
                // Nothing to be done about a closed terminal.
                let _ = error.print();
                return ExitCode::from(code);
            }
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("husk: error: {error:#}");
            if let Some(hint) = husk::error::hint(&error) {
                eprintln!("husk: hint: {hint}");
            }
            ExitCode::from(FAILED)
        }
    }
}
