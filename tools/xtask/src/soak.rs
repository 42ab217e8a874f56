//! `cargo xtask soak`: all stressors of test-binaries/conform/stress side by side in one VM for a long time
//! (test-binaries/soak): nothing fails, nothing hangs, and the kernel's memory does not grow.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::cases::Vm;
use crate::command::{check_quietly, root, target_dir};
use crate::{kernel, setup};

/// Options of `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Options {
    /// How long, in minutes.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Virtual CPUs.
    #[arg(long, default_value_t = 4)]
    cpus: u32,
    /// Seconds a round: after each, all threads end, and memory is looked at.
    #[arg(long, default_value_t = 15.0)]
    round: f64,
    /// Machine type: microvm or q35.
    #[arg(long, default_value = "microvm")]
    machine: String,
    /// Accelerator: tcg or kvm.
    #[arg(long, default_value = "tcg")]
    accel: String,
    /// Guest memory.
    #[arg(short, long, default_value = "512M")]
    memory: String,
    /// Use the dynamic program with the GNU C library instead of the static one with musl.
    #[arg(long)]
    dynamic: bool,
}

/// The longest that a round may take longer than it should: the program's own watchdog has to come first.
const PATIENCE: Duration = Duration::from_secs(300);

/// What must not grow: a number of /proc/meminfo, and how many KiB it may differ between the beginning and the end, as not every
/// round ends with the same caches. `used` is all that is neither free nor the program's nor cached, without what the kernel's heap has
/// taken and not given out; `heap` is what it has taken, which grows with the highest demand so far, by an eighth each time.
/// The kernel's tables reach their size in the first minutes, so a short run is allowed more.
const LIMITS: [(&str, i64); 5] =
    [("Slab", 64), ("KernelStack", 512), ("PageTables", 256), ("used", 256), ("heap", 4096)];
/// Rounds of a long run, and how many times more a shorter one is allowed.
const LONG: usize = 30;
const SHORT_FACTOR: i64 = 4;

/// Memory after one round, in KiB by name.
type Sample = BTreeMap<String, i64>;

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    setup::for_tests()?;
    let built = kernel::build_all()?;
    let good = soak(options, &built.husk)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A minute, as part of `cargo xtask test`; says whether it went well.
pub(crate) fn short(husk: &Path) -> Result<bool> {
    let options = Options {
        minutes: 1.0,
        cpus: 4,
        round: 3.0,
        machine: "microvm".into(),
        accel: "tcg".into(),
        memory: "512M".into(),
        dynamic: false,
    };
    soak(&options, husk)
}

fn soak(options: &Options, husk: &Path) -> Result<bool> {
    let program = build(options.dynamic)?;
    let vm = Vm {
        husk: husk.to_path_buf(),
        machine: options.machine.clone(),
        memory: options.memory.clone(),
        accel: options.accel.clone(),
        cpus: options.cpus,
    };
    let mut command = vm.command(&[], Path::new("/"));
    command
        .arg("--")
        .arg(&program)
        .arg(format!("{}", options.minutes * 60.0))
        .arg(format!("{}", options.round));
    let start = Instant::now();
    let (samples, status) = watch(&mut command, Duration::from_secs_f64(options.round) + PATIENCE)?;
    println!("soak: {status} after {:.1} minutes", start.elapsed().as_secs_f64() / 60.0);
    let grown = growth(&samples);
    grown.iter().for_each(|line| println!("soak: {line}"));
    Ok(status == "exit status: 0" && grown.is_empty())
}

fn build(dynamic: bool) -> Result<PathBuf> {
    let out = target_dir().join("soak");
    std::fs::create_dir_all(&out)?;
    let (compiler, flags, name) = if dynamic {
        ("gcc", &[][..], "soak.dynamic")
    } else {
        ("musl-gcc", &["-static"][..], "soak.static")
    };
    let program = out.canonicalize()?.join(name);
    check_quietly(
        Command::new(compiler)
            .args(flags)
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-o"])
            .arg(&program)
            .arg(root().join("test-binaries/soak/soak.c"))
            .arg("-lpthread"),
    )?;
    Ok(program)
}

/// Lets what the program prints through; gives the samples in it and how the run ended. If nothing comes for too long, it is ended.
fn watch(command: &mut Command, silence: Duration) -> Result<(Vec<Sample>, String)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let output = child.stdout.take().context("no stdout pipe")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut samples = Vec::new();
    loop {
        match lines.recv_timeout(silence) {
            Ok(line) => {
                println!("{line}");
                samples.extend(sample(&line));
            }
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child)?;
                return Ok((samples, format!("hung: nothing for {} s", silence.as_secs())));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok((samples, child.wait()?.to_string()))
}

fn end(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// `memory round N NAME KIB NAME KIB …`
fn sample(line: &str) -> Option<Sample> {
    let words: Vec<&str> = line.strip_prefix("memory round ")?.split_whitespace().skip(1).collect();
    let number = |pair: &[&str]| Some((String::from(pair[0]), pair[1].parse().ok()?));
    let mut sample: Sample =
        words.as_chunks::<2>().0.iter().map(|pair| number(pair)).collect::<Option<_>>()?;
    let sum = |names: &[&str]| names.iter().map(|name| sample.get(*name).copied()).sum::<Option<i64>>();
    let heap = sum(&["VmallocUsed"])? - sum(&["KernelStack"])?;
    let used = -sum(&["MemFree", "Cached", "AnonPages"])? - (heap - sum(&["Slab"])?);
    sample.insert("used".into(), used);
    sample.insert("heap".into(), heap);
    Some(sample)
}

/// What grew, in words: compares the middle of the first rounds after the first two with that of the last ones.
fn growth(samples: &[Sample]) -> Vec<String> {
    // One before the first round, two to warm up, and one to compare with another.
    let Some(steady @ [_, _, ..]) = samples.get(3..) else {
        return vec!["too few rounds to say whether memory grows".into()];
    };
    let part = steady.len().div_ceil(3);
    let mut lines = Vec::new();
    let factor = if steady.len() < LONG { SHORT_FACTOR } else { 1 };
    for (name, limit) in LIMITS.map(|(name, limit)| (name, limit * factor)) {
        let middle = |samples: &[Sample]| -> Option<i64> {
            let mut values: Vec<i64> =
                samples.iter().map(|sample| sample.get(name).copied()).collect::<Option<_>>()?;
            values.sort_unstable();
            values.get(values.len() / 2).copied()
        };
        let (Some(first), Some(last)) = (middle(&steady[..part]), middle(&steady[steady.len() - part..]))
        else {
            lines.push(format!("{name} is not known"));
            continue;
        };
        println!("soak: {name} {:+} KiB from the first rounds to the last", last - first);
        if last - first > limit {
            lines.push(format!("{name} grew by {} KiB", last - first));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(round: usize, slab: i64, free: i64) -> String {
        format!(
            "memory round {round} MemFree {free} Cached 10 AnonPages 20 Slab {slab} KernelStack 1 PageTables 2 VmallocUsed 101"
        )
    }

    #[test]
    fn samples_are_read() {
        let sample = sample(&line(3, 77, 1000)).unwrap();
        assert_eq!((sample["Slab"], sample["used"]), (77, -1053));
        assert_eq!(super::sample("round 3 took 5 s"), None);
    }

    #[test]
    fn growth_is_told_after_the_warm_up() {
        let samples = |slab: fn(i64) -> i64| -> Vec<Sample> {
            (0..20).map(|round| sample(&line(round as usize, slab(round), 5000)).unwrap()).collect()
        };
        assert!(growth(&samples(|round| if round < 2 { round * 1000 } else { 2000 + round % 2 })).is_empty());
        let both = ["Slab grew by 1100 KiB", "used grew by 1100 KiB"];
        assert_eq!(growth(&samples(|round| round * 100)), both);
        assert_eq!(growth(&samples(|_| 1)[..4]).len(), 1);
    }
}
