//! `husk run`.

use super::options::ProgramOptions;
use super::{ImageProgress, print_notes};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use husk::cache::Cache;
use husk::error::failure;
use husk::monitor::{self, Accel, Hardware, KernelSource, Machine, parse_memory};
use husk::network::{self, Forward, Net, host_name, parse_forward, parse_host, parse_net};
use husk::prepare::{Prepared, Request, prepare};
use husk::session::{self, Format, Report};
use husk_abi::boot::{BootConfig, Stdio, StdioKind};
use husk_abi::network::Host;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Time that a machine gets on top of what its programs get.
const BOOT_ALLOWANCE: Duration = Duration::from_secs(30);

/// Run a program as a virtual machine.
///
/// The changes that it makes to files live in memory and are gone when it ends.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    /// The kind of machine.
    #[arg(long, value_enum, default_value_t = MachineName::Microvm)]
    machine: MachineName,

    /// What runs the program's instructions: KVM, emulation, or what works.
    #[arg(long, value_enum, default_value_t = AccelName::Auto)]
    accel: AccelName,

    /// The machine's memory.
    #[arg(short, value_name = "SIZE", default_value = "256M", value_parser = parse_memory)]
    memory: u64,

    /// The machine's CPUs, 64 at most.
    #[arg(short, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,

    /// The machine's host name.
    #[arg(long, default_value = "husk", value_parser = host_name)]
    hostname: String,

    #[command(flatten)]
    network: NetworkOptions,

    /// Print each system call, as strace does, to standard error or to a file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    trace: Option<OsString>,

    /// Show the kernel's log, and what was left out of the image.
    #[arg(long)]
    verbose: bool,

    /// Print a status line for each program.
    #[arg(long, value_enum, value_name = "FORMAT")]
    report: Option<ReportFormat>,

    /// Write the status lines to a file instead of standard error.
    #[arg(long, value_name = "FILE", requires = "report")]
    report_file: Option<PathBuf>,

    /// The kernel to boot [default: the one inside this command, or $HUSK_KERNEL].
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,

    /// Run on this image (from `husk bundle`) instead of making one; PROGRAM is a path inside it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["add", "manifest"])]
    image: Option<PathBuf>,

    /// Make the image anew and do not keep it.
    #[arg(long)]
    no_cache: bool,

    /// QEMU's path [default: qemu-system-x86_64 from PATH].
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,

    /// Print QEMU's command line and what would go into the image, and run nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    program: ProgramOptions,
}

/// What connects the machine.
#[derive(Args, Debug)]
struct NetworkOptions {
    /// A network device: `user` (through the command, without any rights), `tap=NAME` (an interface of the host) or `none`, the
    /// default so far. May be repeated; user comes first.
    #[arg(long, value_parser = parse_net,
        value_name = "user|none|tap=NAME[,ip=ADDR/BITS][,gateway=ADDR][,dns=ADDR][,mac=MAC][,queues=N]")]
    net: Vec<Net>,

    /// Pass what arrives at port HOST of ADDR [127.0.0.1] on to port GUEST of the machine's user network. May be repeated.
    #[arg(short = 'p', value_name = "[ADDR:]HOST:GUEST[/udp]", value_parser = parse_forward)]
    publish: Vec<Forward>,

    /// Add a line to the machine's /etc/hosts. May be repeated.
    #[arg(long, value_name = "NAME:IP", value_parser = parse_host)]
    add_host: Vec<Host>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MachineName {
    Microvm,
    Q35,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AccelName {
    Auto,
    Kvm,
    Tcg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
}

/// Runs it; gives the exit code.
pub(crate) fn run(options: &RunOptions) -> Result<u8> {
    let start = Instant::now();
    let (request, names) = options.program.request()?;
    let prepared = if options.image.is_some() { in_given_image(&request)? } else { prepare(&request)? };
    if options.verbose {
        print_notes(&prepared.bundle);
    }
    let qemu = monitor::find_qemu(options.qemu.as_deref())?;
    let kernel = KernelSource::find(options.kernel.clone())?;
    let machine = match options.machine {
        MachineName::Microvm => Machine::Microvm,
        MachineName::Q35 => Machine::Q35,
    };
    let NetworkOptions { net, publish, add_host } = &options.network;
    let mut hardware = Hardware {
        machine,
        accel: match options.accel {
            AccelName::Auto => Accel::Auto,
            AccelName::Kvm => Accel::Kvm,
            AccelName::Tcg => Accel::Tcg,
        },
        memory: options.memory,
        cpus: options.cpus,
        network: network::plan(net, publish, add_host, machine)?,
    };
    let log_level = if options.verbose { 2 } else { 1 };
    if options.dry_run {
        print_plan(&qemu, &kernel, &hardware, &prepared, options, log_level);
        return Ok(0);
    }
    hardware.network.check_host()?;
    let cache = Cache::of_user();
    let kernel = kernel.open()?;
    // The command itself, under whatever name it was started.
    let trampoline = Some(Path::new("/proc/self/exe"));
    let trial = monitor::Trial {
        qemu: &qemu,
        trampoline,
        kernel: &kernel,
        cache: cache.as_ref().ok().map(Cache::dir),
    };
    let decision = monitor::decide(&hardware, &trial)?;
    hardware.accel = decision.accel;
    if let Some(remark) = decision.remark {
        eprintln!("husk: {remark}");
    }
    let image = match &options.image {
        Some(path) => {
            File::open(path).with_context(|| format!("cannot read the image {}", path.display()))?
        }
        None => {
            let mut progress = ImageProgress::new();
            let mut update = |done, total| progress.update(done, total);
            let cache = cache?;
            if options.no_cache {
                cache.unkept_image(&prepared.bundle, &mut update)?
            } else {
                cache.image(&prepared.bundle, &mut update)?
            }
        }
    };
    let report = report(options, names)?;
    let trace = match &options.trace {
        Some(path) if !path.is_empty() => Some(
            File::create(path)
                .with_context(|| format!("cannot write the trace to {}", Path::new(path).display()))?,
        ),
        _ => None,
    };

    let mut stdio = session::detect_stdio();
    if report.as_ref().is_some_and(|report| report.format == Format::Json) {
        // What is captured into a report is no terminal.
        stdio.stdout = StdioKind::Pipe;
        stdio.stderr = StdioKind::Pipe;
    }
    let limit = prepared
        .programs
        .iter()
        .map(|program| (program.timeout_ms > 0).then(|| Duration::from_millis(program.timeout_ms)))
        .sum::<Option<Duration>>()
        .map(|limit| limit + BOOT_ALLOWANCE);
    let session_options = session::Options {
        stdio: stdio.clone(),
        programs: prepared.programs.len(),
        trace,
        verbose: options.verbose,
        limit,
        report,
    };
    let network = hardware.network.network.clone();
    let boot = BootConfig { network, ..boot_config(options, prepared, stdio, log_level) };
    let boot_module = monitor::memory_file("husk-boot", &boot.encode())?;
    let before_monitor = start.elapsed();
    let vm = monitor::spawn(&qemu, trampoline, &kernel, &boot_module, &image, |files| {
        monitor::arguments(&hardware, hardware.accel, files, log_level)
    })?;
    let outcome = session::run(vm, session_options)?;
    if options.verbose {
        let boot = outcome.boot.map_or_else(|| "?".into(), |boot| format!("{:.3}", boot.as_secs_f64() * 1e3));
        eprintln!(
            "husk: {:.3} ms to the start of QEMU, {boot} ms in the kernel until the program is loaded, {:.3} ms in all",
            before_monitor.as_secs_f64() * 1e3,
            start.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(outcome.code)
}

/// The programs as they are, for an image whose contents are its maker's affair.
fn in_given_image(request: &Request) -> Result<Prepared> {
    let mut programs = Vec::new();
    for program in &request.programs {
        if !Path::new(&program.program).is_absolute() {
            return Err(failure(
                format!("{} is not an absolute path", program.program.to_string_lossy()),
                "with --image, PROGRAM is a path inside the image, beginning with /",
            ));
        }
        programs.push(husk::prepare::plain_program(program, &request.env));
    }
    Ok(Prepared { bundle: husk::bundle::Bundle::default(), programs })
}

fn report(options: &RunOptions, names: Vec<String>) -> Result<Option<Report>> {
    let Some(format) = options.report else { return Ok(None) };
    let format = match format {
        ReportFormat::Text => Format::Text,
        ReportFormat::Json => Format::Json,
    };
    let file = options.report_file.as_ref().map(|path| {
        File::create(path).with_context(|| format!("cannot write the report to {}", path.display()))
    });
    Ok(Some(Report { format, file: file.transpose()?, names }))
}

fn boot_config(options: &RunOptions, prepared: Prepared, stdio: Stdio, log_level: u8) -> BootConfig {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    BootConfig {
        wall_clock_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        hostname: options.hostname.clone().into(),
        programs: prepared.programs,
        stdio,
        trace: options.trace.is_some(),
        log_level,
        ..BootConfig::default()
    }
}

fn print_plan(
    qemu: &Path,
    kernel: &KernelSource,
    hardware: &Hardware,
    prepared: &Prepared,
    options: &RunOptions,
    log_level: u8,
) {
    let image = match &options.image {
        Some(path) => path.display().to_string(),
        None => format!("IMAGE-{}", prepared.bundle.fingerprint()),
    };
    let files = monitor::Files {
        kernel: match kernel {
            KernelSource::File(path) => path.display().to_string(),
            KernelSource::Embedded(_) => "KERNEL".into(),
        },
        boot_module: "BOOT-MODULE".into(),
        image,
        stdio: 3,
        stderr: 4,
        control: 5,
        serial: 6,
    };
    print!("{}", quoted(qemu.as_os_str()));
    for arg in monitor::arguments(hardware, hardware.accel, &files, log_level) {
        print!(" {}", quoted(&arg));
    }
    println!();
    super::bundle::print_list(&prepared.bundle);
}

/// A word as a shell would need it.
fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
