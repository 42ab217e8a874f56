//! `cargo xtask`: the project's own commands.
//!
//! `run` and `test` do all their set-up themselves on a fresh machine (see [`setup`]).

#![forbid(unsafe_code)]

mod bench;
mod cases;
mod command;
mod conform;
mod docs;
mod idle;
mod kernel;
mod linux_guest;
mod nic;
mod programs;
mod setup;
mod soak;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run, test and measure Husk")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and run a program as a VM: `cargo xtask run -- /usr/bin/python3 -c 'print(1)'`.
    /// Everything after `run` goes to `husk run`.
    Run {
        /// Options and program for `husk run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build the kernel and the `husk` command, print where they are.
    Build,
    /// Every test: formatting, lints, host tests, then the tests in VMs.
    Test(test::Options),
    /// Run the conformance programs of test-binaries/ on Linux and in Husk and compare.
    Conform(conform::Options),
    /// Run the real programs of test-binaries/programs.toml on Linux and in Husk and compare.
    Programs(programs::Options),
    /// Measure Husk against a Linux guest on the same monitor with the same flags.
    Bench(bench::Options),
    /// Run all stressors side by side in one VM for a long time, and see whether the kernel's memory grows.
    Soak(soak::Options),
    /// See that machines whose programs wait cost the host no CPU time.
    Idle,
    /// Try the driver of network devices out against QEMU's.
    Nic,
    /// Rewrite docs/syscalls.md from the table of system calls.
    Docs,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Run { args } => run(&args),
        Task::Build => kernel::build_all().map(|built| {
            println!("kernel: {}\nhusk:   {}", built.kernel.display(), built.husk.display());
            ExitCode::SUCCESS
        }),
        Task::Test(options) => test::run(&options),
        Task::Conform(options) => conform::run(&options),
        Task::Programs(options) => programs::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Idle => idle::run(),
        Task::Nic => nic::run(),
        Task::Docs => docs::update().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: error: {error:#}");
        // The same code that `husk` uses for failures of its own, to tell them from the program's.
        ExitCode::from(125)
    })
}

fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    setup::for_running()?;
    let built = kernel::build_all()?;
    let mut husk = std::process::Command::new(&built.husk);
    husk.arg("run").args(args);
    Err(command::exec(husk))
}
