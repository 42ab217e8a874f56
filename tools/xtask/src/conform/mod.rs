//! `cargo xtask conform`: the conformance programs of test-binaries/conform, each built twice (static by musl-gcc,
//! dynamic by gcc), run on Linux and in Husk from the same file, and where the two differ.

mod build;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cases::{ENVIRONMENT, Outcome, Vm, excerpt, in_parallel, on_linux, run_bounded};
use crate::programs::Tally;
use crate::{kernel, setup};
use build::{Program, build};

/// Options of `cargo xtask conform`.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Only programs whose name (area/name) contains one of these words.
    filters: Vec<String>,
    /// Machine types to try.
    #[arg(long, value_delimiter = ',', default_value = "microvm,q35")]
    machine: Vec<String>,
    /// Numbers of virtual CPUs to try, each with every machine type.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    cpus: Vec<u32>,
    /// Accelerator: tcg, kvm or auto.
    #[arg(long, default_value = "tcg")]
    accel: String,
    /// How many programs one VM runs.
    #[arg(long, default_value_t = 40)]
    batch: usize,
    /// Print the lines of every program, not only of those that differ.
    #[arg(long)]
    show: bool,
}

/// A kind of machine, and the programs that run on it.
struct Round {
    machine: String,
    cpus: u32,
    /// Only programs of these areas; all if there are none.
    areas: &'static [&'static str],
}

/// Areas where several CPUs make a difference.
const CONCURRENT: &[&str] = &["memory", "pipe", "poll", "signals", "stress", "threads", "time"];

/// What `cargo xtask test` runs: everything on two kinds of machine, and what several CPUs could break on more.
fn rounds_of_test() -> Vec<Round> {
    let round = |machine: &str, cpus, areas| Round { machine: machine.into(), cpus, areas };
    vec![
        round("microvm", 1, &[]),
        round("q35", 2, &[]),
        round("microvm", 4, CONCURRENT),
        round("microvm", 2, &["stress", "threads"]),
        round("q35", 4, &["stress", "threads"]),
    ]
}

/// Programs of one VM: the round's number, and which.
struct Batch {
    round: usize,
    programs: Vec<usize>,
}

/// The manifest of `husk run --manifest` (docs/manifest.md).
#[derive(Serialize)]
struct Manifest {
    program: Vec<ManifestProgram>,
}

#[derive(Serialize)]
struct ManifestProgram {
    name: String,
    path: String,
    argv: Vec<String>,
    env: Vec<String>,
    cwd: String,
    timeout: u64,
}

/// One line of `husk run --report json --report-file`.
#[derive(Deserialize)]
struct Report {
    index: usize,
    code: i32,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
    #[serde(default)]
    timed_out: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    setup::for_tests()?;
    let built = kernel::build_all()?;
    let mut rounds = Vec::new();
    for &cpus in &options.cpus {
        rounds.extend(options.machine.iter().map(|machine| Round {
            machine: machine.clone(),
            cpus,
            areas: &[],
        }));
    }
    let tally = run_rounds(options, &rounds, &built.husk)?;
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `cargo xtask test` runs.
pub(crate) fn run_all(husk: &Path) -> Result<Tally> {
    let options = Options {
        filters: Vec::new(),
        machine: Vec::new(),
        cpus: Vec::new(),
        accel: "tcg".into(),
        batch: 40,
        show: false,
    };
    run_rounds(&options, &rounds_of_test(), husk)
}

/// Builds, runs both sides, prints a line for each program that differs and a summary for each VM.
fn run_rounds(options: &Options, rounds: &[Round], husk: &Path) -> Result<Tally> {
    let programs = build(&options.filters)?;
    println!("{} programs", programs.len());
    let linux = in_parallel(&programs, |program| {
        let argv = std::iter::once(program.file.to_string_lossy().into_owned());
        let argv: Vec<String> = argv.chain(program.arguments.iter().cloned()).collect();
        let scratch = tempfile::tempdir()?;
        run_bounded(&mut on_linux(&argv, &[], scratch.path()), &[], program.limit)
    });
    let linux: Vec<Outcome> = linux.into_iter().collect::<Result<_>>()?;

    let results = in_parallel(&batches(rounds, &programs, options.batch), |batch| -> Result<Tally> {
        let round = &rounds[batch.round];
        let vm = Vm {
            husk: husk.to_path_buf(),
            machine: round.machine.clone(),
            memory: "256M".into(),
            accel: options.accel.clone(),
            cpus: round.cpus,
        };
        let chosen: Vec<&Program> = batch.programs.iter().map(|&index| &programs[index]).collect();
        let ours = run_batch(&vm, &chosen)?;
        let place = format!("{}, {} CPUs", round.machine, round.cpus);
        let mut tally = Tally::default();
        for (at, &index) in batch.programs.iter().enumerate() {
            tally += compare(options, &place, &programs[index], &linux[index], ours[at].as_ref());
        }
        println!(
            "{place}: {} to {}: {} passed, {} failed",
            chosen[0].name,
            chosen[chosen.len() - 1].name,
            tally.passed,
            tally.failed
        );
        Ok(tally)
    });
    let mut tally = Tally::default();
    for result in results {
        tally += result?;
    }
    Ok(tally)
}

/// Each round's programs, in portions for one VM.
fn batches(rounds: &[Round], programs: &[Program], size: usize) -> Vec<Batch> {
    let area = |program: &Program| String::from(program.name.split('/').next().unwrap_or_default());
    let mut batches = Vec::new();
    for (round, Round { areas, .. }) in rounds.iter().enumerate() {
        let wanted = |program: &Program| areas.is_empty() || areas.contains(&area(program).as_str());
        let chosen: Vec<usize> = (0..programs.len()).filter(|&index| wanted(&programs[index])).collect();
        batches.extend(chosen.chunks(size.max(1)).map(|portion| Batch { round, programs: portion.to_vec() }));
    }
    batches
}

fn compare(
    options: &Options,
    place: &str,
    program: &Program,
    linux: &Outcome,
    husk: Option<&Outcome>,
) -> Tally {
    const TCONF: i32 = 32;
    let failed = |why: String| {
        println!("FAIL {} ({place}): {why}", program.name);
        Tally { failed: 1, ..Tally::default() }
    };
    let Some(husk) = husk else { return failed("no result: the VM ended before it".into()) };
    if options.show {
        println!("--- {} ({place}): code {}\n{}", program.name, husk.code, excerpt(&husk.stdout));
    }
    if linux.code == TCONF && husk.code == TCONF {
        return Tally { skipped: 1, ..Tally::default() };
    }
    if linux.code != 0 {
        return failed(format!("it fails on Linux (code {}):\n{}", linux.code, excerpt(&linux.stdout)));
    }
    if husk.timed_out {
        return failed(format!("not done within {} s:\n{}", program.limit.as_secs(), excerpt(&husk.stdout)));
    }
    if husk.code != linux.code || husk.stdout != linux.stdout {
        let differing = differing_lines(&linux.stdout, &husk.stdout);
        return failed(format!(
            "code {} (Linux {})\n{differing}{}",
            husk.code,
            linux.code,
            excerpt(&husk.stderr)
        ));
    }
    Tally { passed: 1, ..Tally::default() }
}

/// The lines that only one side has.
fn differing_lines(linux: &[u8], husk: &[u8]) -> String {
    let (linux, husk) = (String::from_utf8_lossy(linux), String::from_utf8_lossy(husk));
    let only = |ours: &str, theirs: &str, label: &str| -> String {
        let theirs: Vec<&str> = theirs.lines().collect();
        let lines = ours.lines().filter(|line| !theirs.contains(line)).take(20);
        lines.map(|line| format!("    {label}: {line}\n")).collect()
    };
    only(&linux, &husk, "Linux") + &only(&husk, &linux, "Husk ")
}

/// Runs the programs in one VM; a program that the VM did not get to has no result.
fn run_batch(vm: &Vm, programs: &[&Program]) -> Result<Vec<Option<Outcome>>> {
    let scratch = tempfile::tempdir()?;
    let manifest = Manifest {
        program: programs
            .iter()
            .map(|program| {
                let file = program.file.to_string_lossy().into_owned();
                ManifestProgram {
                    name: program.name.clone(),
                    argv: std::iter::once(file.clone()).chain(program.arguments.iter().cloned()).collect(),
                    path: file,
                    env: ENVIRONMENT.iter().map(|(name, value)| format!("{name}={value}")).collect(),
                    cwd: "/tmp".into(),
                    timeout: program.limit.as_secs(),
                }
            })
            .collect(),
    };
    let manifest_file = scratch.path().join("conform.toml");
    std::fs::write(&manifest_file, toml::to_string(&manifest)?)?;
    let report_file = scratch.path().join("report.json");
    let mut command = vm.command(&[], scratch.path());
    command
        .arg("--manifest")
        .arg(&manifest_file)
        .args(["--report", "json"])
        .arg("--report-file")
        .arg(&report_file);
    let limits: Duration = programs.iter().map(|program| program.limit).sum();
    let whole = run_bounded(&mut command, &[], limits.min(Duration::from_secs(600)))?;
    let text = std::fs::read_to_string(&report_file).unwrap_or_default();
    let mut outcomes: Vec<Option<Outcome>> = programs.iter().map(|_| None).collect();
    for line in text.lines() {
        let report: Report =
            serde_json::from_str(line).with_context(|| format!("a report line is: {line}"))?;
        let slot = outcomes.get_mut(report.index).context("a report for a program that was not asked for")?;
        *slot = Some(Outcome {
            stdout: report.stdout.into_bytes(),
            stderr: report.stderr.into_bytes(),
            code: report.code,
            timed_out: report.timed_out,
        });
    }
    if outcomes.iter().all(Option::is_none) {
        bail!("the VM ran no program (code {}):\n{}", whole.code, excerpt(&whole.stderr));
    }
    if outcomes.iter().any(Option::is_none) {
        println!("the VM ended early (code {}):\n{}", whole.code, excerpt(&whole.stderr));
    }
    Ok(outcomes)
}
