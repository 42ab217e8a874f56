//! One command, run on Linux and in Husk, and how the two differ.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

/// How a run ended and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The exit status, or 128 plus the signal, as a shell shows it.
    pub(crate) code: i32,
    pub(crate) timed_out: bool,
}

/// A signal that is sent to the command once it has printed a text on its standard output.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interruption {
    after: String,
    signal: i32,
}

/// Runs a command with a bound on its time; it is killed (only it: by its own handle) when the time is up.
pub(crate) fn run_bounded(command: &mut Command, stdin: &[u8], limit: Duration) -> Result<Outcome> {
    run_interrupted(command, stdin, limit, None)
}

/// The same, with a signal on the way.
pub(crate) fn run_interrupted(
    command: &mut Command,
    stdin: &[u8],
    limit: Duration,
    mut interruption: Option<&Interruption>,
) -> Result<Outcome> {
    use std::os::unix::process::ExitStatusExt;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let mut input = child.stdin.take().context("no stdin pipe")?;
    let stdin = stdin.to_vec();
    // A program that does not read all its input breaks the pipe: that is its affair.
    let writer = std::thread::spawn(move || drop(input.write_all(&stdin)));
    let stdout = read_in_background(child.stdout.take().context("no stdout pipe")?);
    let stderr = read_in_background(child.stderr.take().context("no stderr pipe")?);
    let end = Instant::now() + limit;
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Some(wanted) = interruption.take_if(|one| stdout.contains(&one.after)) {
            let signal = Signal::from_named_raw(wanted.signal).context("no such signal")?;
            kill_process(Pid::from_child(&child), signal)?;
        }
        if Instant::now() >= end {
            timed_out = true;
            child.kill()?;
            break child.wait()?;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let outcome = Outcome { stdout: stdout.finish(), stderr: stderr.finish(), code, timed_out };
    if writer.is_finished() {
        drop(writer.join());
    }
    Ok(outcome)
}

/// What comes out of a pipe, read by a thread of its own.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

fn read_in_background(mut stream: impl std::io::Read + Send + 'static) -> Reading {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let all = bytes.clone();
    let thread = std::thread::spawn(move || {
        let mut some = [0; 16384];
        // What arrived before an error is still the program's output.
        while let Ok(count @ 1..) = stream.read(&mut some) {
            all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&some[..count]);
        }
    });
    Reading { bytes, thread }
}

impl Reading {
    fn contains(&self, text: &str) -> bool {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).contains(text)
    }

    fn finish(self) -> Vec<u8> {
        drop(self.thread.join());
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The environment that both sides get, so that neither depends on the tester's.
pub(crate) const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("TZ", "UTC"),
];

/// The command on this machine.
pub(crate) fn on_linux(argv: &[String], env: &[(String, String)], cwd: &Path) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).env_clear().envs(ENVIRONMENT.iter().copied()).current_dir(cwd);
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// Where and how a VM runs.
#[derive(Debug, Clone)]
pub(crate) struct Vm {
    pub(crate) husk: PathBuf,
    pub(crate) machine: String,
    pub(crate) memory: String,
    pub(crate) accel: String,
    pub(crate) cpus: u32,
}

impl Vm {
    /// `husk run` with this VM's options; the caller adds `--add`, `--` and the program.
    pub(crate) fn command(&self, env: &[(String, String)], cwd: &Path) -> Command {
        let mut command = Command::new(&self.husk);
        command.args(["run", "--machine", &self.machine, "-m", &self.memory, "--accel", &self.accel]);
        command.args(["-c", &self.cpus.to_string()]);
        let fixed = ENVIRONMENT.iter().map(|(name, value)| (String::from(*name), String::from(*value)));
        for (name, value) in fixed.chain(env.iter().cloned()) {
            command.arg("-e").arg(format!("{name}={value}"));
        }
        command.current_dir(cwd);
        command
    }
}

/// A short picture of bytes for a message: text if it is text, cut at a bound.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LIMIT: usize = 1500;
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= LIMIT {
        return text.into_owned();
    }
    let cut = (0..=LIMIT).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}… ({} bytes in all)", &text[..cut], bytes.len())
}

/// Calls `work` on each item, on as many threads as the machine has CPUs; the results are in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    results.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
