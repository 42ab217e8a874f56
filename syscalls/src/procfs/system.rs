//! Files of /proc about the whole system.

use crate::calls::sysinfo::{RELEASE, VERSION};
use crate::pid;
use crate::process::CpuTimes;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use husk_machine::frame::{self, PAGE_SIZE};
use husk_machine::{cpu, time, usage};

const TICK_NS: u64 = 10_000_000;

/// Filesystem types that are there: name, whether without a device.
const FILE_SYSTEMS: [(&str, bool); 6] =
    [("sysfs", true), ("tmpfs", true), ("proc", true), ("devtmpfs", true), ("pipefs", true), ("ext4", false)];

/// Parts of time in the kernel in a million, of the time of all processes.
fn kernel_share() -> u64 {
    let times = pid::processes().into_iter().map(|process| process.cpu_times());
    let times = times.fold(CpuTimes::default(), |sum, times| sum + times);
    (u128::from(times.system) * 1_000_000 / u128::from(times.total().max(1))) as u64
}

/// /proc/stat. A CPU keeps apart the time in which it has nothing to do; the rest is user and system time in the proportion of the
/// processes' times.
pub(super) fn stat() -> Vec<u8> {
    let uptime = time::monotonic_ns();
    let share = kernel_share();
    let line = |name: &str, idle: u64, all: u64| {
        let busy = all.saturating_sub(idle) / TICK_NS;
        let system = busy * share / 1_000_000;
        format!("{name} {} 0 {system} {} 0 0 0 0 0 0\n", busy - system, idle / TICK_NS)
    };
    let count = cpu::count();
    let mut out = line("cpu ", idle_ns(), uptime * count as u64);
    for number in 0..count {
        out += &line(&format!("cpu{number}"), usage::idle_ns(number), uptime);
    }
    let boot = (time::realtime_ns() - uptime) / 1_000_000_000;
    let _ = write!(
        out,
        "intr 0\nctxt {}\nbtime {boot}\nprocesses {}\nprocs_running {}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        usage::switches(),
        pid::last(),
        usage::running(),
    );
    out.into_bytes()
}

/// How long all CPUs together had nothing to do.
fn idle_ns() -> u64 {
    (0..cpu::count()).map(usage::idle_ns).sum()
}

/// /proc/loadavg.
pub(super) fn loadavg() -> Vec<u8> {
    let threads: usize = pid::processes().iter().map(|process| process.thread_count()).sum();
    let mut out = String::new();
    for average in usage::load_averages() {
        // Rounded to hundredths.
        let hundredths = (average * 100 + (1 << 15)) >> 16;
        let _ = write!(out, "{}.{:02} ", hundredths / 100, hundredths % 100);
    }
    let _ = writeln!(out, "{}/{threads} {}", usage::running(), pid::last());
    out.into_bytes()
}

/// /proc/uptime: up and idle, in seconds.
pub(super) fn uptime() -> Vec<u8> {
    let hundredths =
        |nanos: u64| format!("{}.{:02}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 10_000_000);
    format!("{} {}\n", hundredths(time::monotonic_ns()), hundredths(idle_ns())).into_bytes()
}

/// /proc/version.
pub(super) fn version() -> Vec<u8> {
    format!("Linux version {RELEASE} (husk@husk) (rustc) {VERSION}\n").into_bytes()
}

/// /proc/filesystems.
pub(super) fn filesystems() -> Vec<u8> {
    let line = |(name, nodev): &(&str, bool)| format!("{}\t{name}\n", if *nodev { "nodev" } else { "" });
    FILE_SYSTEMS.iter().map(line).collect::<String>().into_bytes()
}

/// /proc/meminfo.
pub(super) fn meminfo() -> Vec<u8> {
    let kib = |pages: usize| (pages * (PAGE_SIZE / 1024)) as u64;
    let stats = frame::stats();
    let (cached, reclaimable) = husk_fs::cached_pages();
    let (mut anonymous, mut mapped) = (0, 0);
    for process in pid::processes() {
        let sizes = process.mm().sizes();
        anonymous += sizes.resident.saturating_sub(sizes.resident_shared);
        mapped += sizes.resident_shared;
    }
    let (total, free) = (kib(stats.total), kib(stats.free));
    let (cached, reclaimable) = (kib(cached), kib(reclaimable));
    let (anonymous, mapped) = (kib(anonymous as usize), kib(mapped as usize));
    let memory_files = cached.saturating_sub(reclaimable);
    let own = usage::kernel_memory();
    let bytes = |bytes: usize| bytes.div_ceil(1024) as u64;
    let values: [(&str, u64); 51] = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free + reclaimable),
        ("Buffers", 0),
        ("Cached", cached),
        ("SwapCached", 0),
        ("Active", anonymous),
        ("Inactive", cached),
        ("Active(anon)", anonymous),
        ("Inactive(anon)", memory_files),
        ("Active(file)", 0),
        ("Inactive(file)", reclaimable),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Zswap", 0),
        ("Zswapped", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", anonymous),
        ("Mapped", mapped),
        ("Shmem", memory_files),
        ("KReclaimable", 0),
        ("Slab", bytes(own.heap)),
        ("SReclaimable", 0),
        ("SUnreclaim", bytes(own.heap)),
        ("KernelStack", bytes(own.stacks)),
        ("PageTables", bytes(own.tables)),
        ("SecPageTables", 0),
        ("NFS_Unstable", 0),
        ("Bounce", 0),
        ("WritebackTmp", 0),
        ("CommitLimit", total / 2),
        ("Committed_AS", anonymous + memory_files),
        ("VmallocTotal", 34_359_738_367),
        ("VmallocUsed", bytes(own.heap_mapped + own.stacks)),
        ("VmallocChunk", 0),
        ("Percpu", 0),
        ("AnonHugePages", 0),
        ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FileHugePages", 0),
        ("FilePmdMapped", 0),
        ("HugePages_Total", 0),
        ("HugePages_Free", 0),
        ("HugePages_Rsvd", 0),
        ("HugePages_Surp", 0),
        ("Hugepagesize", 2048),
        ("Hugetlb", 0),
        ("DirectMap4k", total),
    ];
    let mut out = String::new();
    for (name, value) in values {
        let name_width = 16 - 1 - name.len().min(15);
        // Counts of huge pages are no sizes.
        let unit = if name.starts_with("HugePages_") { "" } else { " kB" };
        let _ = writeln!(out, "{name}:{:name_width$}{value:8}{unit}", "");
    }
    out.into_bytes()
}

/// /proc/devices.
pub(super) fn devices() -> Vec<u8> {
    b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n254 virtblk\n".to_vec()
}

/// /proc/partitions.
pub(super) fn partitions() -> Vec<u8> {
    let mut out = String::from("major minor  #blocks  name\n\n");
    for (index, disk) in husk_machine::devices::blocks().iter().enumerate() {
        let _ = writeln!(
            out,
            " 254 {:8} {:10} vd{}",
            index * 16,
            disk.sectors() / 2,
            (b'a' + index as u8) as char
        );
    }
    out.into_bytes()
}

/// /proc/swaps: none.
pub(super) fn swaps() -> Vec<u8> {
    b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_vec()
}

/// /proc/cgroups: no controllers.
pub(super) fn cgroups() -> Vec<u8> {
    b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n".to_vec()
}

/// /proc/cmdline: the programs are no part of it.
pub(super) fn cmdline() -> Vec<u8> {
    b"\n".to_vec()
}

/// /proc/vmstat, as far as it is known.
pub(super) fn vmstat() -> Vec<u8> {
    let stats = frame::stats();
    let (cached, _) = husk_fs::cached_pages();
    format!("nr_free_pages {}\nnr_file_pages {cached}\n", stats.free).into_bytes()
}
