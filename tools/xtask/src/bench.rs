//! `cargo xtask bench`: each figure in Husk and in a Linux guest, in turn (A B A B …), same monitor, machine type
//! and flags; medians, spread and ratio.
//!
//! Two kinds of figure: the whole run of `hello` as seen from outside (to the first line, to the exit), and what
//! the programs of test-binaries/bench print about themselves (`name value unit` lines).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cases::{Vm, run_bounded};
use crate::command::{check_quietly, root, target_dir};
use crate::linux_guest::{self, LinuxGuest};
use crate::{kernel, setup};

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these programs of test-binaries/bench (default: all).
    programs: Vec<String>,
    /// Counted runs on each side, after one that is not counted.
    #[arg(short = 'n', long, default_value_t = 5)]
    runs: usize,
    /// Machine type: microvm or q35.
    #[arg(long, default_value = "microvm")]
    machine: String,
    /// Accelerator: tcg or kvm.
    #[arg(long, default_value = "tcg")]
    accel: String,
    /// Virtual CPUs of both guests. Figures between two CPUs need two.
    #[arg(long, default_value_t = 1)]
    cpus: u32,
    /// Guest memory.
    #[arg(short, long, default_value = "256M")]
    memory: String,
    /// Also search the smallest memory at which hello and python3 run in Husk.
    #[arg(long)]
    smallest_memory: bool,
}

/// No run of either side may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Figures of one run by name, in the unit that is part of the name.
type Figures = BTreeMap<String, f64>;

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    setup::for_benchmarks()?;
    let built = kernel::build_all()?;
    let vm = Vm {
        husk: built.husk,
        machine: options.machine.clone(),
        memory: options.memory.clone(),
        accel: options.accel.clone(),
        cpus: options.cpus,
    };
    println!("kernel file: {} KiB", std::fs::metadata(&built.kernel)?.len() / 1024);
    println!("machine {}, accelerator {}, memory {}, CPUs {}", vm.machine, vm.accel, vm.memory, vm.cpus);
    if vm.machine == "microvm" && vm.cpus > 1 {
        println!("note: Linux finds only one CPU of a microvm without ACPI, and no good clock: take q35");
    }
    for program in programs(options)? {
        measure(&vm, &program, options.runs)?;
    }
    if options.smallest_memory {
        smallest_memory(&vm)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the programs asked for: static, by musl-gcc, so that both guests run the same file.
fn programs(options: &Options) -> Result<Vec<PathBuf>> {
    let sources = root().join("test-binaries/bench");
    let folder = target_dir().join("bench");
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let mut built = Vec::new();
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&sources)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    for source in names {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = options.programs.is_empty() || options.programs.contains(&name);
        if name == "init" || !wanted || source.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let program = folder.join(name);
        check_quietly(Command::new("musl-gcc").args(["-static", "-O2", "-o"]).arg(&program).arg(&source))?;
        built.push(program);
    }
    if built.is_empty() {
        bail!("no such program in {}", sources.display());
    }
    Ok(built)
}

fn measure(vm: &Vm, program: &Path, runs: usize) -> Result<()> {
    let guest = linux_guest::prepare(program)?;
    let mut husk: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut linux: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for round in 0..=runs {
        let ours = timed(&mut husk_command(vm, program))?;
        let theirs = timed(&mut linux_command(vm, &guest))?;
        if round == 0 {
            continue;
        }
        ours.into_iter().for_each(|(name, value)| husk.entry(name).or_default().push(value));
        theirs.into_iter().for_each(|(name, value)| linux.entry(name).or_default().push(value));
    }
    println!("\n{}", program.file_name().unwrap_or_default().display());
    println!(
        "{:34} {:>26} {:>26} {:>8}",
        "figure", "Husk median (min-max)", "Linux median (min-max)", "ratio"
    );
    for (name, ours) in &mut husk {
        let (low, median, high) = spread(ours);
        let cell = format!("{median:.2} ({low:.2}-{high:.2})");
        match linux.get_mut(name) {
            Some(theirs) => {
                let (low, theirs, high) = spread(theirs);
                let other = format!("{theirs:.2} ({low:.2}-{high:.2})");
                println!("{name:34} {cell:>26} {other:>26} {:>8.3}", median / theirs);
            }
            None => println!("{name:34} {cell:>26} {:>26}", "-"),
        }
    }
    Ok(())
}

fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

fn husk_command(vm: &Vm, program: &Path) -> Command {
    let mut command = vm.command(&[], Path::new("/"));
    command.arg("--workdir").arg("/").arg("--").arg(program);
    command
}

/// The monitor with the flags that `husk run` gives it, less the devices that Linux would not use here.
fn linux_command(vm: &Vm, guest: &LinuxGuest) -> Command {
    let machine = match vm.machine.as_str() {
        "microvm" => "microvm,acpi=off,rtc=on,pit=on,isa-serial=on",
        other => other,
    };
    let cpu = if vm.accel == "kvm" { "host" } else { "max" };
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args([
            "-M",
            machine,
            "-accel",
            &vm.accel,
            "-cpu",
            cpu,
            "-m",
            &vm.memory,
            "-smp",
            &vm.cpus.to_string(),
        ])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
        .args([
            "-append",
            "console=ttyS0 quiet loglevel=0 reboot=t panic=-1 random.trust_cpu=on tsc=reliable",
        ])
        .arg("-kernel")
        .arg(&guest.kernel)
        .arg("-initrd")
        .arg(&guest.initramfs);
    command
}

/// Runs to the end; the figures are the program's own lines, and the times to the first line and to the exit.
fn timed(command: &mut Command) -> Result<Figures> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let mut stdout = child.stdout.take().context("no stdout pipe")?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut first_line = None;
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut piece) {
            text.extend(&piece[..count]);
            if first_line.is_none() && text.contains(&b'\n') {
                first_line = Some(start.elapsed());
            }
        }
        (text, first_line)
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            bail!("{} did not end within {} s", command.get_program().display(), LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    let exit = start.elapsed();
    let (text, first_line) = reader.join().unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let Some(first_line) = first_line else {
        let mut errors = String::new();
        child.stderr.take().context("no stderr pipe")?.read_to_string(&mut errors)?;
        bail!("{} ({status}) printed nothing: {errors}", command.get_program().display());
    };
    let mut figures = Figures::new();
    figures.insert("start to first line, ms".into(), first_line.as_secs_f64() * 1e3);
    figures.insert("start to exit, ms".into(), exit.as_secs_f64() * 1e3);
    for line in text.lines() {
        if let [name, value, unit] = line.split_whitespace().collect::<Vec<_>>()[..]
            && let Ok(value) = value.parse()
        {
            figures.insert(format!("{name}, {unit}"), value);
        }
    }
    Ok(figures)
}

/// The smallest `-m`, by bisection to 1 MiB, at which hello and python3 print what they should.
fn smallest_memory(vm: &Vm) -> Result<()> {
    let hello = target_dir().join("bench/hello").canonicalize().context("bench/hello was not built")?;
    let hello = hello.to_string_lossy().into_owned();
    let programs: [&[&str]; 2] = [&[&hello], &["/usr/bin/python3", "-c", "print('hello')"]];
    for argv in programs {
        let (mut fails, mut runs) = (1, 256);
        while runs - fails > 1 {
            let middle = (fails + runs) / 2;
            let vm = Vm { memory: format!("{middle}M"), ..vm.clone() };
            let mut command = vm.command(&[], Path::new("/"));
            command.arg("--workdir").arg("/").arg("--").args(argv);
            let outcome = run_bounded(&mut command, &[], Duration::from_secs(30))?;
            let good = outcome.code == 0 && outcome.stdout.starts_with(b"hello");
            if good { runs = middle } else { fails = middle }
        }
        println!("smallest memory for {}: {runs} MiB", argv[0]);
    }
    Ok(())
}
