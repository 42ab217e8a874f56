//! /proc/PID/status, stat, statm, limits.

use crate::limits::{INFINITY, Resource};
use crate::mm::{PAGE, VmaName};
use crate::process::Process;
use crate::signal::SigSet;
use crate::task::Task;
use crate::tty;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use linux_raw_sys::general::RLIMIT_RSS;

/// Nanoseconds of the unit that CPU times are given in.
const TICK_NS: u64 = 10_000_000;

/// The flag PF_RANDOMIZE of a task.
const FLAGS: u64 = 0x0040_0000;

/// The name, with what would break a line escaped.
fn comm(task: &Task) -> String {
    let comm = task.comm();
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&super::mounts::escaped(&comm[..len], b"\n\\")).into_owned()
}

/// Running stands for waiting for a CPU too.
fn state(task: &Task) -> (char, &'static str) {
    let asleep = task.thread().is_some_and(husk_machine::thread::Thread::is_asleep);
    if asleep && !task.is_current_thread() { ('S', "sleeping") } else { ('R', "running") }
}

/// A mask of CPUs as a list of ranges.
fn list(cpus: u64) -> String {
    let mut out = String::new();
    let mut number = 0;
    while number < 64 {
        if cpus & 1 << number == 0 {
            number += 1;
            continue;
        }
        let run = (cpus >> number).trailing_ones();
        let comma = if out.is_empty() { "" } else { "," };
        let _ = match run {
            1 => write!(out, "{comma}{number}"),
            _ => write!(out, "{comma}{number}-{}", number + run - 1),
        };
        number += run;
    }
    out
}

/// /proc/PID/status.
pub(super) fn status(process: &Process, task: &Task) -> Vec<u8> {
    let mut out = String::new();
    let credentials = task.credentials();
    let (letter, word) = state(task);
    let (uid, gid) = (credentials.uid, credentials.gid);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name}:\t{value}");
    };
    line("Name", comm(task));
    line("Umask", format!("{:04o}", task.fs().umask()));
    line("State", format!("{letter} ({word})"));
    line("Tgid", format!("{}", process.pid()));
    line("Ngid", "0".into());
    line("Pid", format!("{}", task.tid()));
    line("PPid", format!("{}", process.parent()));
    line("TracerPid", "0".into());
    line("Uid", format!("{}\t{}\t{}\t{}", uid.real, uid.effective, uid.saved, uid.fs));
    line("Gid", format!("{}\t{}\t{}\t{}", gid.real, gid.effective, gid.saved, gid.fs));
    line("FDSize", format!("{}", task.files().size()));
    line(
        "Groups",
        credentials.groups.iter().map(|group| format!("{group} ")).collect::<String>()
            + if credentials.groups.is_empty() { " " } else { "" },
    );
    line("NStgid", format!("{}", process.pid()));
    line("NSpid", format!("{}", task.tid()));
    line("NSpgid", format!("{}", process.group()));
    line("NSsid", format!("{}", process.session()));
    line("Kthread", "0".into());
    let sizes = process.mm().sizes();
    let mut kib = |name: &str, pages: u64| line(name, format!("{:8} kB", pages * (PAGE / 1024)));
    kib("VmPeak", sizes.total);
    kib("VmSize", sizes.total);
    kib("VmLck", sizes.locked);
    kib("VmPin", 0);
    kib("VmHWM", sizes.peak_resident.max(sizes.resident));
    kib("VmRSS", sizes.resident);
    kib("RssAnon", sizes.resident.saturating_sub(sizes.resident_shared));
    kib("RssFile", sizes.resident_shared);
    kib("RssShmem", 0);
    kib("VmData", sizes.data);
    kib("VmStk", sizes.stack);
    kib("VmExe", sizes.code);
    kib("VmLib", sizes.libraries);
    kib("VmPTE", sizes.resident.div_ceil(512));
    kib("VmSwap", 0);
    kib("HugetlbPages", 0);
    line("CoreDumping", "0".into());
    line("THP_enabled", "0".into());
    line("untag_mask", "0xffffffffffffffff".into());
    line("Threads", format!("{}", process.thread_count()));
    let own = task.pending.lock().len();
    let queued = own + process.pending.lock().len();
    line("SigQ", format!("{queued}/{}", process.limit(Resource::SIGPENDING).soft));
    let (ignored, caught) = process.handlers.ignored_and_caught();
    let mut set = |name: &str, set: SigSet| line(name, format!("{:016x}", set.bits()));
    set("SigPnd", task.pending.lock().set());
    set("ShdPnd", process.pending.lock().set());
    set("SigBlk", task.blocked());
    set("SigIgn", ignored);
    set("SigCgt", caught);
    for (name, capabilities) in [
        ("CapInh", credentials.inheritable),
        ("CapPrm", credentials.permitted),
        ("CapEff", credentials.effective),
        ("CapBnd", credentials.bounding),
        ("CapAmb", credentials.ambient),
    ] {
        line(name, format!("{capabilities:016x}"));
    }
    line("NoNewPrivs", format!("{}", u8::from(task.no_new_privs.load(Ordering::Relaxed))));
    line("Seccomp", "0".into());
    line("Seccomp_filters", "0".into());
    line("Speculation_Store_Bypass", "vulnerable".into());
    line("SpeculationIndirectBranch", "always enabled".into());
    let cpus = task.sched.lock().cpus();
    line("Cpus_allowed", format!("{cpus:x}"));
    line("Cpus_allowed_list", list(cpus));
    line("Mems_allowed", "1".into());
    line("Mems_allowed_list", "0".into());
    let [voluntary, involuntary] = task.switches();
    line("voluntary_ctxt_switches", format!("{voluntary}"));
    line("nonvoluntary_ctxt_switches", format!("{involuntary}"));
    out.into_bytes()
}

/// /proc/PID/stat.
pub(super) fn stat(process: &Process, task: &Task, whole: bool) -> Vec<u8> {
    let mm = process.mm();
    let sizes = mm.sizes();
    let layout = mm.layout();
    let heap = mm.vmas().into_iter().find(|vma| matches!(vma.name, VmaName::Special("[heap]")));
    let (tty, foreground) =
        tty::controlling(process).map_or((0, -1), |(device, group)| (device.encode(), group));
    let times = if whole { process.cpu_times() } else { task.cpu_times() };
    let (ignored, caught) = process.handlers.ignored_and_caught();
    let pending = task.pending.lock().set().bits() & 0x7fff_ffff;
    let legacy = |set: SigSet| set.bits() & 0x7fff_ffff;
    let faults = &process.faults;
    let comm = task.comm();
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
    let sched = *task.sched.lock();
    let nice = sched.nice;
    // Linux: -1 - priority for real-time threads.
    let priority = if sched.priority() > 0 { -1 - sched.priority() } else { 20 + nice };
    let mut out = format!("{} (", task.tid()).into_bytes();
    out.extend_from_slice(&comm[..len]);
    out.extend(
        format!(
            ") {} {} {} {} {tty} {foreground} {FLAGS} {} 0 {} 0 {} {} 0 0 {} {nice} {} 0 {} {} {} {} {} {} {} 0 0 {pending} {} {} {} 0 0 0 17 {} {} {} 0 0 0 {} {} {} {} {} {} {} 0\n",
            state(task).0,
            process.parent(),
            process.group(),
            process.session(),
            faults.minor.load(Ordering::Relaxed),
            faults.major.load(Ordering::Relaxed),
            times.user / TICK_NS,
            times.system / TICK_NS,
            priority,
            process.thread_count(),
            process.start_ns / TICK_NS,
            sizes.total * PAGE,
            sizes.resident,
            Resource::new(RLIMIT_RSS).map_or(INFINITY, |rss| process.limit(rss).soft),
            layout.code.start,
            layout.code.end,
            layout.stack_start,
            legacy(task.blocked()),
            legacy(ignored),
            legacy(caught),
            task.cpu(),
            sched.priority(),
            sched.policy(),
            layout.data.start,
            layout.data.end,
            heap.map_or(layout.data.end, |vma| vma.start),
            layout.args.start,
            layout.args.end,
            layout.env.start,
            layout.env.end,
        )
        .into_bytes(),
    );
    out
}

/// /proc/PID/statm.
pub(super) fn statm(process: &Process) -> Vec<u8> {
    let sizes = process.mm().sizes();
    format!(
        "{} {} {} {} 0 {} 0\n",
        sizes.total,
        sizes.resident,
        sizes.resident_shared,
        sizes.code,
        sizes.data + sizes.stack
    )
    .into_bytes()
}

/// The limits in the order and with the names of /proc/PID/limits.
const LIMITS: [(&str, u32, &str); 16] = [
    ("Max cpu time", 0, "seconds"),
    ("Max file size", 1, "bytes"),
    ("Max data size", 2, "bytes"),
    ("Max stack size", 3, "bytes"),
    ("Max core file size", 4, "bytes"),
    ("Max resident set", 5, "bytes"),
    ("Max processes", 6, "processes"),
    ("Max open files", 7, "files"),
    ("Max locked memory", 8, "bytes"),
    ("Max address space", 9, "bytes"),
    ("Max file locks", 10, "locks"),
    ("Max pending signals", 11, "signals"),
    ("Max msgqueue size", 12, "bytes"),
    ("Max nice priority", 13, ""),
    ("Max realtime priority", 14, ""),
    ("Max realtime timeout", 15, "us"),
];

/// /proc/PID/limits.
pub(super) fn limits(process: &Process) -> Vec<u8> {
    let mut out = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (name, number, unit) in LIMITS {
        let Ok(resource) = Resource::new(number) else { continue };
        let limit = process.limit(resource);
        let shown =
            |value: u64| if value == INFINITY { String::from("unlimited") } else { format!("{value}") };
        let _ = writeln!(out, "{name:<25} {:<20} {:<20} {unit:<10}", shown(limit.soft), shown(limit.hard));
    }
    out.into_bytes()
}
