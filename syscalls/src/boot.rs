//! From a machine that is up to the programs that are to be run, one after another, to power-off.

pub(crate) mod mounts;
mod name_files;

use crate::credentials::Credentials;
use crate::exec::{self, ExecError, ProgramStart};
use crate::file::FdTable;
use crate::fs_state::FsState;
use crate::limits::{Limit, Limits, Resource};
use crate::mm;
use crate::process::{Process, ProcessParts};
use crate::stdio::Stdio;
use crate::task::{Task, TaskParts};
use crate::{control, network, run, signal, trace};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_abi::boot::{BadBootConfig, BootConfig, Program};
use husk_abi::control::{Event, ExitStatus, PORT_CONTROL, PORT_STDERR, PORT_STDIO};
use husk_fs::{FileKind, Location, LookupFlags, Namespace, WalkContext};
use husk_machine::port::Port;
use husk_machine::sync::Once;
use husk_machine::{BootInfo, devices, frame, power, time};

/// Exit code of a VM that could not be brought up.
const BOOT_FAILED: u8 = 125;

static HOSTNAME: Once<Vec<u8>> = Once::new();
static NAMESPACE: Once<Arc<Namespace>> = Once::new();

/// The node name at boot.
pub(crate) fn hostname() -> &'static [u8] {
    HOSTNAME.get().map_or(b"husk", Vec::as_slice)
}

/// The tree of mounts.
pub(crate) fn namespace() -> Option<&'static Arc<Namespace>> {
    NAMESPACE.get()
}

/// Runs the programs of the boot configuration and powers the VM off. Called in a kernel thread of its own.
pub fn run(info: &BootInfo) -> ! {
    match boot(info) {
        Ok(code) => power::power_off(code),
        Err(message) => {
            log::error!("{message}");
            // No PowerOff event: the tool is to see that the VM did not do what it was started for.
            control::send(&Event::Message(message));
            control::flush();
            power::power_off(BOOT_FAILED)
        }
    }
}

/// The exit code is that of the last program.
fn boot(info: &BootInfo) -> Result<u8, String> {
    let mut milestones = Milestones::default();
    milestones.pass("the machine is up");
    let config = configuration(info)?;
    if config.wall_clock_ns != 0 {
        time::set_realtime_ns(config.wall_clock_ns);
    }
    HOSTNAME.call_once(|| config.hostname.clone());
    trace::set_enabled(config.trace);
    frame::reclaim_hook(husk_fs::reclaim);

    let stdout = devices::port(PORT_STDIO).or_else(devices::serial_port).unwrap_or_else(|| Arc::new(NoPort));
    let stderr = devices::port(PORT_STDERR).unwrap_or_else(|| stdout.clone());
    let stdio = Stdio::new(&config.stdio, stdout, stderr);
    control::init(devices::port(PORT_CONTROL), stdio.clone())
        .map_err(|_| String::from("out of memory while starting the control thread"))?;

    milestones.pass("the ports are attached");
    let namespace = mounts::mount_all()?;
    name_files::write(&namespace, &config.network)?;
    milestones.pass("the filesystems are mounted");
    NAMESPACE.call_once(|| namespace.clone());
    network::bring_up(&config.network, &config.hostname)?;
    milestones.pass("the network is up");
    let mut last = 0;
    for (index, program) in (0..).zip(&config.programs) {
        let begin = time::monotonic_ns();
        let status = match start_program(program, &stdio, &namespace) {
            Ok(started) => {
                milestones.pass("the program is in memory");
                if index == 0 {
                    control::send(&Event::Started { boot_ns: time::monotonic_ns() });
                }
                wait_for(started, program.timeout_ms)
            }
            Err(error) => {
                control::send(&Event::Message(error.message));
                ExitStatus::NotStarted { errno: error.errno.code() }
            }
        };
        trace::end(status);
        last = status.exit_code();
        let ran_ns = time::monotonic_ns() - begin;
        let [stdout_end, stderr_end] = stdio.written();
        control::send(&Event::ProgramEnded { index, status, ran_ns, stdout_end, stderr_end });
        milestones.log();
    }
    control::send(&Event::PowerOff);
    control::flush();
    Ok(last)
}

/// Where the time at boot goes. Logged only when a program has ended, as writing lines takes time itself.
#[derive(Default)]
struct Milestones(Vec<(&'static str, u64)>);

impl Milestones {
    fn pass(&mut self, what: &'static str) {
        self.0.push((what, time::monotonic_ns()));
    }

    fn log(&mut self) {
        for (what, ns) in self.0.drain(..) {
            log::info!("{} us: {what}", ns / 1000);
        }
    }
}

fn configuration(info: &BootInfo) -> Result<BootConfig, String> {
    let module = info.modules.first().ok_or(
        "the kernel was given no boot module (QEMU: -initrd); it is started by the husk command, which makes one",
    )?;
    BootConfig::decode(module).map_err(|error| {
        String::from(match error {
            BadBootConfig::Magic => {
                "the boot module does not start with HUSKCFG2: it was not made by this version of husk"
            }
            BadBootConfig::Encoding => "the boot module is damaged or truncated",
        })
    })
}

/// A process that is about to enter user mode.
struct Started {
    process: Arc<Process>,
    task: Arc<Task>,
    context: husk_machine::user::UserContext,
}

fn start_program(program: &Program, stdio: &Stdio, namespace: &Arc<Namespace>) -> Result<Started, ExecError> {
    let failed =
        |what: &str, errno: Errno| ExecError { errno, message: format!("{what}: {}", errno.message()) };
    let root = namespace.root();
    let credentials = Credentials::new(program.uid, program.gid);
    let mut limits = Limits::initial(frame::stats().total as u64);
    if program.stack_limit != 0 {
        limits.set(Resource::STACK, Limit { soft: program.stack_limit, ..limits.get(Resource::STACK) });
    }
    let mut walk =
        WalkContext { root: root.clone(), cwd: root.clone(), credentials: Arc::new(credentials.for_files()) };
    walk.cwd = working_directory(&walk, &program.cwd).map_err(|errno| {
        failed(&format!("the working directory {}", String::from_utf8_lossy(&program.cwd)), errno)
    })?;
    let start = exec::start(ProgramStart {
        path: &program.path,
        argv: program.argv.iter().map(Vec::as_slice).collect(),
        envp: program.env.iter().map(Vec::as_slice).collect(),
        walk: &walk,
        credentials,
        limits: &limits,
    })?;
    let process = Process::new(ProcessParts { mm: start.mm, limits, exe: Some(start.exe) });
    let files = Arc::new(FdTable::new());
    stdio.install(&process, &files, &root).map_err(|errno| failed("the standard descriptors", errno))?;
    let task = Task::leader(
        &process,
        TaskParts {
            files,
            fs: Arc::new(FsState::new(root, walk.cwd)),
            credentials: Arc::new(start.credentials),
            comm: start.comm,
        },
    );
    control::set_program(&process);
    trace::start(&program.path, &program.argv, program.env.len());
    Ok(Started { process, task, context: start.context })
}

fn working_directory(walk: &WalkContext, path: &[u8]) -> Result<Location, Errno> {
    if path.is_empty() {
        return Ok(walk.root.clone());
    }
    let place = husk_fs::lookup(walk, None, path, LookupFlags::FOLLOW)?;
    if place.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    Ok(place)
}

/// Runs a program to its end, or kills it when its time is up.
fn wait_for(started: Started, timeout_ms: u64) -> ExitStatus {
    let Started { process, task, context } = started;
    if run::start(task, context).is_err() {
        control::send(&Event::Message(String::from(
            "out of guest memory: no room for the program's kernel stack; use a larger -m",
        )));
        return ExitStatus::Signaled(signal::Signal::SIGKILL.number());
    }
    let ended = || process.ended();
    if timeout_ms > 0 {
        let deadline = time::monotonic_ns().saturating_add(timeout_ms.saturating_mul(1_000_000));
        if let Some(status) = process.ended_queue.wait_until_deadline(ended, deadline) {
            return status;
        }
        process.end(ExitStatus::TimedOut);
    }
    process.ended_queue.wait_until(ended)
}

/// Stands in where there is no port: takes everything, gives nothing.
struct NoPort;

impl Port for NoPort {
    fn write(&self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    fn read(&self, _: &mut [u8]) -> usize {
        0
    }
    fn has_input(&self) -> bool {
        false
    }
    fn can_write(&self) -> bool {
        true
    }
    fn peer_closed(&self) -> bool {
        true
    }
    fn is_flushed(&self) -> bool {
        true
    }
    fn set_listener(&self, _: husk_machine::port::Listener) {}
}

/// Memory in use, for messages: (used, total) in KiB.
pub(crate) fn memory_kib() -> (u64, u64) {
    let stats = frame::stats();
    let kib = mm::PAGE / 1024;
    ((stats.total - stats.free) as u64 * kib, stats.total as u64 * kib)
}
