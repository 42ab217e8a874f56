//! Real programs, each run on Linux and in Husk: same output, same exit code.
//!
//! The cases are data: test-binaries/programs.toml says what each field means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::cases::{Outcome, Vm, excerpt, in_parallel, on_linux, run_bounded};
use crate::command::{check_quietly, root, target_dir};
use crate::{kernel, setup};

/// Options of `cargo xtask programs`.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Only the cases whose name contains one of these words.
    filters: Vec<String>,
    /// Machine types to try; each case's own list otherwise.
    #[arg(long)]
    machine: Option<String>,
    /// Accelerator: tcg, kvm or auto.
    #[arg(long, default_value = "tcg")]
    accel: String,
    /// Print what each side printed, also of cases that pass.
    #[arg(long)]
    show: bool,
}

impl Options {
    /// All cases, as `cargo xtask test` runs them.
    pub(crate) fn all() -> Self {
        Self { filters: Vec::new(), machine: None, accel: "tcg".into(), show: false }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    setup: Vec<Setup>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    shell: String,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    argv: Vec<String>,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    stdin: String,
    stdin_file: Option<String>,
    #[serde(default = "default_machines")]
    machines: Vec<String>,
    #[serde(default = "default_memory")]
    memory: String,
    #[serde(default = "default_timeout")]
    timeout: u64,
    /// Compare standard error too.
    #[serde(default)]
    stderr: bool,
    /// The exit code in Husk, where it cannot be the host's.
    code: Option<i32>,
    /// Text that standard output in Husk must contain; then it is not compared with the host's.
    stdout_contains: Option<String>,
    /// Text that standard error in Husk must contain.
    stderr_contains: Option<String>,
    /// Do not run it on Linux (then `code` and `stdout_contains` judge).
    #[serde(default)]
    only_husk: bool,
    /// Why it cannot pass yet: the case is run, and passing unexpectedly is reported.
    known_failure: Option<String>,
}

fn default_machines() -> Vec<String> {
    vec!["microvm".into()]
}

fn default_memory() -> String {
    "256M".into()
}

fn default_timeout() -> u64 {
    60
}

/// How many cases passed and failed.
#[derive(Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    setup::for_tests()?;
    let built = kernel::build_all()?;
    let tally = run_all(options, &built.husk)?;
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the cases and prints a line for each.
pub(crate) fn run_all(options: &Options, husk: &Path) -> Result<Tally> {
    let path = root().join("test-binaries/programs.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let work = target_dir().join("programs");
    std::fs::create_dir_all(&work)?;
    let work = work.canonicalize()?;
    for step in &file.setup {
        check_quietly(
            Command::new("sh")
                .args(["-euc", &step.shell])
                .current_dir(&work)
                .env("SOURCES", root().join("test-binaries/programs").canonicalize()?),
        )?;
    }
    let wanted =
        |case: &Case| options.filters.is_empty() || options.filters.iter().any(|f| case.name.contains(f));
    let mut runs = Vec::new();
    for case in file.case.iter().filter(|case| wanted(case)) {
        let machines =
            options.machine.as_ref().map_or_else(|| case.machines.clone(), |one| vec![one.clone()]);
        runs.extend(machines.into_iter().map(|machine| (case.clone(), machine)));
    }
    if runs.is_empty() {
        bail!("no case in {} matches", path.display());
    }
    let done = std::sync::atomic::AtomicUsize::new(0);
    let results = in_parallel(&runs, |(case, machine)| {
        let start = Instant::now();
        let verdict = judge(options, husk, &work, case, machine);
        let count = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let seconds = start.elapsed().as_secs_f64();
        let head = format!("[{count}/{}] {} ({machine}, {seconds:.1} s)", runs.len(), case.name);
        match &verdict {
            Ok(None) if case.known_failure.is_some() => println!("UNEXPECTED PASS {head}"),
            Ok(None) => println!("pass {head}"),
            Ok(Some(_)) if case.known_failure.is_some() => {
                println!("known failure {head}: {}", case.known_failure.as_deref().unwrap_or_default());
            }
            Ok(Some(difference)) => println!("FAIL {head}\n{difference}"),
            Err(error) => println!("FAIL {head}\n{error:#}"),
        }
        match (verdict, case.known_failure.is_some()) {
            (Ok(None), false) => Tally { passed: 1, ..Tally::default() },
            (Ok(Some(_)), true) => Tally { skipped: 1, ..Tally::default() },
            _ => Tally { failed: 1, ..Tally::default() },
        }
    });
    let mut tally = Tally::default();
    results.into_iter().for_each(|one| tally += one);
    Ok(tally)
}

/// `None` if the two sides agree, else how they differ.
fn judge(options: &Options, husk: &Path, work: &Path, case: &Case, machine: &str) -> Result<Option<String>> {
    let fill = |text: &String| text.replace("{work}", &work.to_string_lossy());
    let argv: Vec<String> = case.argv.iter().map(fill).collect();
    let env: Vec<(String, String)> =
        case.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
    let stdin = match &case.stdin_file {
        Some(path) => {
            std::fs::read(PathBuf::from(fill(path))).with_context(|| format!("cannot read {path}"))?
        }
        None => case.stdin.clone().into_bytes(),
    };
    let limit = Duration::from_secs(case.timeout);
    let vm = Vm {
        husk: husk.to_path_buf(),
        machine: machine.into(),
        memory: case.memory.clone(),
        accel: options.accel.clone(),
        cpus: 1,
    };
    let mut in_husk = vm.command(&env, work);
    for add in &case.add {
        in_husk.arg("--add").arg(fill(add));
    }
    in_husk.arg("--workdir").arg("/tmp").arg("--").args(&argv);
    let ours = run_bounded(&mut in_husk, &stdin, limit)?;
    let theirs = if case.only_husk {
        None
    } else {
        let scratch = tempfile::tempdir()?;
        Some(run_bounded(&mut on_linux(&argv, &env, scratch.path()), &stdin, limit)?)
    };
    if options.show {
        println!(
            "--- {} in Husk: code {}\n{}{}",
            case.name,
            ours.code,
            excerpt(&ours.stdout),
            excerpt(&ours.stderr)
        );
    }
    Ok(difference(case, &ours, theirs.as_ref()))
}

fn difference(case: &Case, ours: &Outcome, theirs: Option<&Outcome>) -> Option<String> {
    let mut lines = Vec::new();
    if ours.timed_out {
        lines.push(format!("  Husk did not end within {} s", case.timeout));
    }
    let code = case.code.or(theirs.map(|linux| linux.code));
    if let Some(code) = code
        && code != ours.code
    {
        lines.push(format!("  exit code: {code} wanted, {} in Husk", ours.code));
    }
    if let Some(text) = &case.stdout_contains {
        if !String::from_utf8_lossy(&ours.stdout).contains(text) {
            lines.push(format!("  standard output lacks {text:?}"));
        }
    } else if let Some(linux) = theirs
        && linux.stdout != ours.stdout
    {
        lines.push(format!("  standard output on Linux:\n{}", excerpt(&linux.stdout)));
    }
    if let Some(text) = &case.stderr_contains
        && !String::from_utf8_lossy(&ours.stderr).contains(text)
    {
        lines.push(format!("  standard error lacks {text:?}"));
    }
    if let Some(linux) = theirs
        && case.stderr
        && linux.stderr != ours.stderr
    {
        lines.push(format!("  standard error on Linux:\n{}", excerpt(&linux.stderr)));
    }
    if lines.is_empty() {
        return None;
    }
    lines.push(format!("  standard output in Husk:\n{}", excerpt(&ours.stdout)));
    lines.push(format!("  standard error in Husk:\n{}", excerpt(&ours.stderr)));
    Some(lines.join("\n"))
}
