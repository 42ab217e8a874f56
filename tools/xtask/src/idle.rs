//! `cargo xtask idle`: a machine whose program waits costs the host no CPU time, however many CPUs and threads it has.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cases::Vm;
use crate::command::{check_quietly, root, target_dir};
use crate::programs::Tally;
use crate::{kernel, setup};

/// What is started: machine type, virtual CPUs, threads that wait.
const CASES: [(&str, u32, u32); 4] =
    [("microvm", 1, 0), ("microvm", 4, 0), ("q35", 2, 0), ("microvm", 4, 1000)];

/// How long it may take until the program waits.
const START: Duration = Duration::from_secs(60);
/// After that, until what the start left behind is done.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the machine is watched.
const WATCHED: Duration = Duration::from_secs(3);
/// The most CPU time of the monitor in that time: it has a life of its own, but not much of one.
const BOUND: Duration = Duration::from_millis(60);

pub(crate) fn run() -> Result<ExitCode> {
    setup::for_tests()?;
    let built = kernel::build_all()?;
    let tally = run_all(&built.husk)?;
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Watches each machine, and prints a line for it.
pub(crate) fn run_all(husk: &Path) -> Result<Tally> {
    let program = build()?;
    let mut tally = Tally::default();
    for (machine, cpus, threads) in CASES {
        let place = format!("idle {machine} with {cpus} CPUs and {threads} waiting threads");
        let vm = Vm {
            husk: husk.to_path_buf(),
            machine: machine.into(),
            memory: "256M".into(),
            accel: "tcg".into(),
            cpus,
        };
        let mut command = vm.command(&[], Path::new("/"));
        command.arg("--").arg(&program).arg(format!("{threads}"));
        match watch(&mut command) {
            Ok(spent) if spent <= BOUND => {
                println!("pass {place}: {} ms of CPU time in {} s", spent.as_millis(), WATCHED.as_secs());
                tally.passed += 1;
            }
            Ok(spent) => {
                println!("FAIL {place}: {} ms of CPU time in {} s", spent.as_millis(), WATCHED.as_secs());
                tally.failed += 1;
            }
            Err(error) => {
                println!("FAIL {place}: {error:#}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

fn build() -> Result<PathBuf> {
    let out = target_dir().join("idle");
    std::fs::create_dir_all(&out)?;
    let program = out.canonicalize()?.join("idle");
    check_quietly(
        Command::new("musl-gcc")
            .args(["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&program)
            .arg(root().join("test-binaries/idle/idle.c")),
    )?;
    Ok(program)
}

/// The monitor's CPU time while the program waits. The machine is ended then.
fn watch(command: &mut Command) -> Result<Duration> {
    let mut husk = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let spent = watch_started(&mut husk);
    // The monitor ends with the command that started it.
    husk.kill()?;
    husk.wait()?;
    spent
}

fn watch_started(husk: &mut Child) -> Result<Duration> {
    let output = husk.stdout.take().context("no stdout pipe")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // An error or the end leaves the line empty, which is not what is expected.
        drop(BufReader::new(output).read_line(&mut line));
        drop(sender.send(line));
    });
    let line = lines.recv_timeout(START).unwrap_or_default();
    if line != "waiting\n" {
        bail!("the program does not get as far as to wait: {line:?}");
    }
    let monitor = child_of(husk.id())?;
    std::thread::sleep(SETTLE);
    let before = cpu_time(monitor)?;
    std::thread::sleep(WATCHED);
    Ok(cpu_time(monitor)?.saturating_sub(before))
}

/// The one child process of a process.
fn child_of(parent: u32) -> Result<u32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let children: Vec<&str> = list.split_whitespace().collect();
    match children[..] {
        [child] => Ok(child.parse()?),
        _ => bail!("process {parent} has {} children, not one monitor", children.len()),
    }
}

/// How long all threads of a process have run. None of a monitor that waits ends meanwhile.
fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).context("the machine has ended")? {
        let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = stat.split_whitespace().next().context("an empty schedstat")?;
        nanos += ran.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
