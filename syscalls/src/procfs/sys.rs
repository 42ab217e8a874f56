//! /proc/sys: settings (sysctl(8)). They can be read only; what they tell is what the kernel does.

use crate::calls::sysinfo::{RELEASE, VERSION, domainname, hostname};
use crate::credentials::CAP_LAST;
use crate::limits::NR_OPEN;
use crate::mm::MMAP_MIN_ADDR;
use crate::pid::{PID_MAX, threads_max};
use crate::pipe;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use husk_fs::StaticDir;

/// A random UUID in text.
fn uuid() -> String {
    let mut bytes = [0; 16];
    husk_machine::random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

trait WithValue {
    /// With a file that holds this line.
    fn value(self, name: &str, value: impl core::fmt::Display) -> Self;
    /// With a file whose line is made when it is read.
    fn live(self, name: &str, value: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self;
}

impl WithValue for StaticDir {
    fn value(self, name: &str, value: impl core::fmt::Display) -> Self {
        let line = format!("{value}\n").into_bytes();
        self.with_file(name, move || Ok(line.clone()))
    }

    fn live(self, name: &str, value: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.with_file(name, move || {
            let mut line = value();
            line.push(b'\n');
            Ok(line)
        })
    }
}

/// The directory.
pub(super) fn directory() -> StaticDir {
    StaticDir::new()
        .with_dir("fs", fs())
        .with_dir("kernel", kernel())
        .with_dir("net", StaticDir::new().with_dir("core", StaticDir::new().value("somaxconn", 4096)))
        .with_dir("vm", vm())
}

fn kernel() -> StaticDir {
    let boot_id = uuid();
    let random = StaticDir::new()
        .value("boot_id", boot_id)
        .value("entropy_avail", 256)
        .value("poolsize", 256)
        .live("uuid", || uuid().into_bytes())
        .value("write_wakeup_threshold", 256);
    StaticDir::new()
        .value("arch", "x86_64")
        .value("cap_last_cap", CAP_LAST)
        .value("core_pattern", "core")
        .value("core_uses_pid", 0)
        .value("dmesg_restrict", 0)
        .live("domainname", domainname)
        .live("hostname", hostname)
        .value("kptr_restrict", 0)
        .value("msgmax", 8192)
        .value("msgmnb", 16384)
        .value("msgmni", 32000)
        .value("ngroups_max", 65536)
        .value("osrelease", RELEASE)
        .value("ostype", "Linux")
        .value("overflowgid", 65534)
        .value("overflowuid", 65534)
        .value("panic", 0)
        .value("perf_event_paranoid", 2)
        .value("pid_max", PID_MAX)
        .value("printk", "4\t4\t1\t7")
        .with_dir("random", random)
        .value("randomize_va_space", 2)
        .value("sched_rr_timeslice_ms", 100)
        .value("sem", "32000\t1024000000\t500\t32000")
        .value("shmall", 18_446_744_073_692_774_399_u64)
        .value("shmmax", 18_446_744_073_692_774_399_u64)
        .value("shmmni", 4096)
        .value("tainted", 0)
        .live("threads-max", || format!("{}", threads_max()).into_bytes())
        .value("version", VERSION)
}

fn vm() -> StaticDir {
    StaticDir::new()
        .value("dirty_background_ratio", 10)
        .value("dirty_ratio", 20)
        .value("legacy_va_layout", 0)
        .value("max_map_count", 65530)
        .value("memfd_noexec", 0)
        .value("mmap_min_addr", MMAP_MIN_ADDR)
        .value("mmap_rnd_bits", 28)
        .value("nr_hugepages", 0)
        .value("nr_overcommit_hugepages", 0)
        .value("overcommit_kbytes", 0)
        .value("overcommit_memory", 0)
        .value("overcommit_ratio", 50)
        .value("page-cluster", 3)
        .value("panic_on_oom", 0)
        .value("swappiness", 60)
        .value("vfs_cache_pressure", 100)
}

fn fs() -> StaticDir {
    StaticDir::new()
        .value("aio-max-nr", 65536)
        .value("aio-nr", 0)
        .value("file-max", i64::MAX)
        .value("lease-break-time", 45)
        .value("nr_open", NR_OPEN)
        .value("overflowgid", 65534)
        .value("overflowuid", 65534)
        .value("pipe-max-size", pipe::MAX_SIZE)
        .value("pipe-user-pages-hard", 0)
        .value("pipe-user-pages-soft", 16384)
        .value("protected_fifos", 0)
        .value("protected_hardlinks", 0)
        .value("protected_regular", 0)
        .value("protected_symlinks", 0)
        .value("suid_dumpable", 0)
}
