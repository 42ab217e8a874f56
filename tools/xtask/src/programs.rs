//! Real programs, each run on Linux and in Husk: same output, same exit code.
//!
//! The cases are data: test-binaries/programs.toml and runtimes.toml. The former says what each field means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::cases::{Interruption, Outcome, Vm, excerpt, in_parallel, on_linux, run_interrupted};
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
    /// Number of CPUs; each case's own list otherwise.
    #[arg(long)]
    cpus: Option<u32>,
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
        Self { filters: Vec::new(), machine: None, cpus: None, accel: "tcg".into(), show: false }
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
    /// The runtime that it needs; it is left out if no case that is run needs this one.
    needs: Option<String>,
    shell: String,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// One case for each of these words, which takes the place of `{each}` in the name, the arguments and `add`.
    #[serde(default)]
    each: Vec<String>,
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
    /// Numbers of CPUs, with each of which it is run.
    #[serde(default = "default_cpus")]
    cpus: Vec<u32>,
    /// A runtime that not every machine has (setup.rs); the case is left out where it cannot be installed.
    needs: Option<String>,
    /// A signal to send on the way.
    interruption: Option<Interruption>,
    /// The machine's name, if it matters.
    hostname: Option<String>,
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

fn default_cpus() -> Vec<u32> {
    vec![1]
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

/// The files in test-binaries that list cases.
const LISTS: &[&str] = &["programs.toml", "runtimes.toml"];

/// One run: a case on a machine type with a number of CPUs.
struct Run<'a> {
    case: &'a Case,
    machine: String,
    cpus: u32,
}

/// Runs the cases and prints a line for each.
pub(crate) fn run_all(options: &Options, husk: &Path) -> Result<Tally> {
    let (setups, cases) = read_lists()?;
    let wanted =
        |case: &Case| options.filters.is_empty() || options.filters.iter().any(|f| case.name.contains(f));
    let cases: Vec<Case> = cases.into_iter().filter(wanted).collect();
    if cases.is_empty() {
        bail!("no case in {} matches", LISTS.join(" or "));
    }
    let missing = missing_runtimes(&cases)?;
    let work = target_dir().join("programs");
    std::fs::create_dir_all(&work)?;
    let work = work.canonicalize()?;
    for step in &setups {
        let has = |need: &String| {
            !missing.contains_key(need) && cases.iter().any(|case| case.needs.as_ref() == Some(need))
        };
        if step.needs.as_ref().is_none_or(has) {
            set_up(step, &work)?;
        }
    }

    let mut tally = Tally::default();
    let mut runs = Vec::new();
    for case in &cases {
        if let Some(why) = case.needs.as_ref().and_then(|need| missing.get(need)) {
            println!("skipped {}: {why}", case.name);
            tally.skipped += 1;
            continue;
        }
        let machines =
            options.machine.as_ref().map_or_else(|| case.machines.clone(), |one| vec![one.clone()]);
        for machine in machines {
            let counts = options.cpus.as_ref().map_or(&case.cpus[..], std::slice::from_ref);
            runs.extend(counts.iter().map(|&cpus| Run { case, machine: machine.clone(), cpus }));
        }
    }
    // The longest first, so that no CPU of the host is idle at the end.
    runs.sort_by_key(|run| std::cmp::Reverse(run.case.timeout));
    let done = AtomicUsize::new(0);
    let results = in_parallel(&runs, |run| {
        let start = Instant::now();
        let verdict = judge(options, husk, &work, run);
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        let seconds = start.elapsed().as_secs_f64();
        let cpus = if run.cpus == 1 { String::new() } else { format!(", {} CPUs", run.cpus) };
        let head =
            format!("[{count}/{}] {} ({}{cpus}, {seconds:.1} s)", runs.len(), run.case.name, run.machine);
        report(run.case, &head, verdict)
    });
    results.into_iter().for_each(|one| tally += one);
    Ok(tally)
}

fn read_lists() -> Result<(Vec<Setup>, Vec<Case>)> {
    let (mut setups, mut cases) = (Vec::new(), Vec::new());
    for name in LISTS {
        let path = root().join("test-binaries").join(name);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        setups.extend(file.setup);
        cases.extend(file.case.into_iter().flat_map(Case::one_for_each));
    }
    Ok((setups, cases))
}

impl Case {
    fn one_for_each(mut self) -> Vec<Self> {
        let words = std::mem::take(&mut self.each);
        if words.is_empty() {
            return vec![self];
        }
        let with = |word: &String| {
            let mut case = self.clone();
            let texts = std::iter::once(&mut case.name).chain(&mut case.argv).chain(&mut case.add);
            texts.for_each(|text| *text = text.replace("{each}", word));
            case
        };
        words.iter().map(with).collect()
    }
}

/// Installs what the cases need; which runtimes cannot be had, and why.
fn missing_runtimes(cases: &[Case]) -> Result<BTreeMap<String, String>> {
    let needs: BTreeSet<&String> = cases.iter().filter_map(|case| case.needs.as_ref()).collect();
    let mut missing = BTreeMap::new();
    for need in needs {
        if let Err(error) = setup::runtime(need)? {
            missing.insert(need.clone(), format!("{need} cannot be had here: {error:#}"));
        }
    }
    Ok(missing)
}

fn set_up(step: &Setup, work: &Path) -> Result<()> {
    check_quietly(
        Command::new("sh")
            .args(["-euc", &step.shell])
            .current_dir(work)
            .env("SOURCES", root().join("test-binaries/programs").canonicalize()?),
    )
}

/// Prints a case's line and counts it.
fn report(case: &Case, head: &str, verdict: Result<Option<String>>) -> Tally {
    match (verdict, &case.known_failure) {
        (Ok(None), None) => {
            println!("pass {head}");
            return Tally { passed: 1, ..Tally::default() };
        }
        (Ok(Some(_)), Some(why)) => {
            println!("known failure {head}: {why}");
            return Tally { skipped: 1, ..Tally::default() };
        }
        (Ok(None), Some(_)) => println!("UNEXPECTED PASS {head}"),
        (Ok(Some(difference)), None) => println!("FAIL {head}\n{difference}"),
        (Err(error), _) => println!("FAIL {head}\n{error:#}"),
    }
    Tally { failed: 1, ..Tally::default() }
}

/// `None` if the two sides agree, else how they differ.
fn judge(options: &Options, husk: &Path, work: &Path, run: &Run) -> Result<Option<String>> {
    let case = run.case;
    let argv: Vec<String> = case.argv.iter().map(|text| fill(text, work)).collect::<Result<_>>()?;
    let env: Vec<(String, String)> =
        case.env.iter().map(|(name, value)| Ok((name.clone(), fill(value, work)?))).collect::<Result<_>>()?;
    let stdin = match &case.stdin_file {
        Some(path) => {
            std::fs::read(PathBuf::from(fill(path, work)?)).with_context(|| format!("cannot read {path}"))?
        }
        None => case.stdin.clone().into_bytes(),
    };
    let limit = Duration::from_secs(case.timeout);
    let vm = Vm {
        husk: husk.to_path_buf(),
        machine: run.machine.clone(),
        memory: case.memory.clone(),
        accel: options.accel.clone(),
        cpus: run.cpus,
    };
    let mut in_husk = vm.command(&env, work);
    for add in &case.add {
        in_husk.arg("--add").arg(fill(add, work)?);
    }
    if let Some(name) = &case.hostname {
        in_husk.arg("--hostname").arg(name);
    }
    in_husk.arg("--workdir").arg("/tmp").arg("--").args(&argv);
    let interruption = case.interruption.as_ref();
    let ours = run_interrupted(&mut in_husk, &stdin, limit, interruption)?;
    let theirs = if case.only_husk {
        None
    } else {
        let scratch = tempfile::tempdir()?;
        let mut command = on_linux(&argv, &env, scratch.path());
        Some(run_interrupted(&mut command, &stdin, limit, interruption)?)
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

/// Replaces `{work}`, and `{contents:NAME}` by what that file of the work folder contains.
fn fill(text: &str, work: &Path) -> Result<String> {
    let mut filled = text.replace("{work}", &work.to_string_lossy());
    while let Some((before, name, after)) = filled
        .split_once("{contents:")
        .and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)))
    {
        let contents =
            std::fs::read_to_string(work.join(name)).with_context(|| format!("cannot read {name}"))?;
        filled = format!("{before}{}{after}", contents.trim_end());
    }
    Ok(filled)
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
