//! `cargo xtask test`: every test, in the order in which a failure is cheapest to find.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::command::{cargo, check};
use crate::{conform, idle, kernel, nic, programs, setup, soak};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the host tests: no VM is started.
    #[arg(long)]
    host_only: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let step = |name: &str| println!("== {name} ({:.0} s)", start.elapsed().as_secs_f64());

    step("set-up");
    setup::for_tests()?;
    step("formatting");
    check(cargo().args(["fmt", "--all", "--check"]))?;
    step("lints");
    check(cargo().args(["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]))?;
    check(
        cargo()
            .args(["clippy", "--quiet", "--release", "-p", "husk-kernel", "--target", setup::TARGET])
            .args(["--all-features", "--", "-D", "warnings"]),
    )?;
    step("host tests");
    check(cargo().args(["test", "--quiet"]))?;
    if options.host_only {
        return Ok(ExitCode::SUCCESS);
    }

    step("kernel and command");
    let built = kernel::build_all()?;
    step("conformance programs");
    let mut tally = conform::run_all(&built.husk)?;
    step("real programs");
    tally += programs::run_all(&programs::Options::all(), &built.husk)?;
    step("idle machines");
    tally += idle::run_all(&built.husk)?;
    step("network devices");
    tally += nic::run_all()?;
    step("a minute of all stressors at once");
    if soak::short(&built.husk)? {
        tally.passed += 1;
    } else {
        tally.failed += 1;
    }

    step("done");
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
