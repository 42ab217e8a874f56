//! `cargo xtask conform`: the conformance programs of test-binaries/conform, each built twice (static by musl-gcc,
//! dynamic by gcc), run on Linux and in Husk from the same file, and where the two differ.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cases::{ENVIRONMENT, Outcome, Vm, excerpt, in_parallel, on_linux, run_bounded};
use crate::command::{check_quietly, root, target_dir};
use crate::programs::Tally;
use crate::{kernel, setup};

/// Options of `cargo xtask conform`.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Only programs whose name (area/name) contains one of these words.
    filters: Vec<String>,
    /// Machine types to try.
    #[arg(long, value_delimiter = ',', default_value = "microvm,q35")]
    machine: Vec<String>,
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

impl Options {
    /// Everything, as `cargo xtask test` runs it.
    pub(crate) fn all() -> Self {
        let machine = vec!["microvm".into(), "q35".into()];
        Self { filters: Vec::new(), machine, accel: "tcg".into(), batch: 40, show: false }
    }
}

/// One executable made from one source file.
struct Program {
    /// `area/name/static` or `area/name/dynamic`.
    name: String,
    file: PathBuf,
    arguments: Vec<String>,
    limit: Duration,
}

/// What the first-line comment of a source file asks for (test-binaries/README.md).
#[derive(Default)]
struct Directives {
    only: Option<String>,
    arguments: Vec<String>,
    libraries: Vec<String>,
    limit: Option<u64>,
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
    let tally = run_all(options, &built.husk)?;
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds, runs both sides, prints a line for each program that differs and a summary for each VM.
pub(crate) fn run_all(options: &Options, husk: &Path) -> Result<Tally> {
    let programs = build(options)?;
    println!("{} programs", programs.len());
    let linux = in_parallel(&programs, |program| {
        let argv = std::iter::once(program.file.to_string_lossy().into_owned());
        let argv: Vec<String> = argv.chain(program.arguments.iter().cloned()).collect();
        let scratch = tempfile::tempdir()?;
        run_bounded(&mut on_linux(&argv, &[], scratch.path()), &[], program.limit)
    });
    let linux: Vec<Outcome> = linux.into_iter().collect::<Result<_>>()?;

    let mut batches = Vec::new();
    for machine in &options.machine {
        for start in (0..programs.len()).step_by(options.batch) {
            batches.push((machine.clone(), start..programs.len().min(start + options.batch)));
        }
    }
    let results = in_parallel(&batches, |(machine, range)| -> Result<Tally> {
        let vm = Vm {
            husk: husk.to_path_buf(),
            machine: machine.clone(),
            memory: "256M".into(),
            accel: options.accel.clone(),
        };
        let ours = run_batch(&vm, &programs[range.clone()])?;
        let mut tally = Tally::default();
        for (at, program) in programs[range.clone()].iter().enumerate() {
            tally += compare(options, machine, program, &linux[range.start + at], ours[at].as_ref());
        }
        println!(
            "{machine}: programs {} to {}: {} passed, {} failed",
            range.start + 1,
            range.end,
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

fn compare(
    options: &Options,
    machine: &str,
    program: &Program,
    linux: &Outcome,
    husk: Option<&Outcome>,
) -> Tally {
    const TCONF: i32 = 32;
    let failed = |why: String| {
        println!("FAIL {} ({machine}): {why}", program.name);
        Tally { failed: 1, ..Tally::default() }
    };
    let Some(husk) = husk else { return failed("no result: the VM ended before it".into()) };
    if options.show {
        println!("--- {} ({machine}): code {}\n{}", program.name, husk.code, excerpt(&husk.stdout));
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
fn run_batch(vm: &Vm, programs: &[Program]) -> Result<Vec<Option<Outcome>>> {
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

fn build(options: &Options) -> Result<Vec<Program>> {
    let sources = root().join("test-binaries/conform").canonicalize()?;
    let out = target_dir().join("conform");
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let mut files = Vec::new();
    find_sources(&sources, &mut files)?;
    files.sort();
    let mut wanted = Vec::new();
    for file in files {
        let name = file.strip_prefix(&sources)?.with_extension("").to_string_lossy().into_owned();
        if options.filters.is_empty() || options.filters.iter().any(|filter| name.contains(filter)) {
            wanted.push((name, file));
        }
    }
    if wanted.is_empty() {
        bail!("no program in test-binaries/conform matches");
    }
    let built = in_parallel(&wanted, |(name, file)| build_one(name, file, &sources, &out));
    Ok(built.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn find_sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    Ok(())
}

fn build_one(name: &str, source: &Path, sources: &Path, out: &Path) -> Result<Vec<Program>> {
    let directives = directives(&std::fs::read_to_string(source)?);
    let headers = [sources.join("tst.h"), sources.join("random.h")];
    let mut programs = Vec::new();
    for (kind, compiler, flags) in [("static", "musl-gcc", &["-static"][..]), ("dynamic", "gcc", &[])] {
        if directives.only.as_deref().is_some_and(|only| only != kind) {
            continue;
        }
        let file = out.join(format!("{}.{kind}", name.replace('/', "-")));
        if is_older(&file, source) || headers.iter().any(|header| is_older(&file, header)) {
            check_quietly(
                Command::new(compiler)
                    .args(flags)
                    .args(["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-I"])
                    .arg(sources)
                    .arg("-o")
                    .arg(&file)
                    .arg(source)
                    .args(&directives.libraries),
            )?;
        }
        programs.push(Program {
            name: format!("{name}/{kind}"),
            file,
            arguments: directives.arguments.clone(),
            limit: Duration::from_secs(directives.limit.unwrap_or(20)),
        });
    }
    Ok(programs)
}

fn is_older(made: &Path, source: &Path) -> bool {
    let time = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    time(made).is_none() || time(made) < time(source)
}

/// Reads `/* conform: dynamic-only args="a b" libs=-lm timeout=20 */` from the first line.
fn directives(text: &str) -> Directives {
    let mut directives = Directives::default();
    let first = text.lines().next().unwrap_or_default();
    let Some((_, list)) = first.split_once("conform:") else { return directives };
    let list = list.trim_end().trim_end_matches("*/").trim();
    let words = |value: &str| value.trim_matches('"').split_whitespace().map(String::from).collect();
    let mut rest = list;
    while !rest.is_empty() {
        let quoted = rest.find('"').is_some_and(|quote| rest.find(' ').is_none_or(|space| quote < space));
        let end = if quoted {
            let open = rest.find('"').unwrap_or(0);
            rest[open + 1..].find('"').map_or(rest.len(), |close| open + close + 2)
        } else {
            rest.find(' ').unwrap_or(rest.len())
        };
        let word = &rest[..end];
        rest = rest[end..].trim_start();
        match word.split_once('=') {
            Some(("args", value)) => directives.arguments = words(value),
            Some(("libs", value)) => directives.libraries = words(value),
            Some(("timeout", value)) => directives.limit = value.parse().ok(),
            _ => directives.only = word.strip_suffix("-only").map(String::from),
        }
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::directives;

    #[test]
    fn directives_of_the_first_line() {
        let found = directives("/* conform: dynamic-only args=\"a b\" libs=-lm timeout=7 */\nint main;");
        assert_eq!(found.only.as_deref(), Some("dynamic"));
        assert_eq!(found.arguments, ["a", "b"]);
        assert_eq!(found.libraries, ["-lm"]);
        assert_eq!(found.limit, Some(7));
        assert!(directives("/* Plain comment. */").only.is_none());
    }
}
