//! procfs (proc(5)).

mod cpuinfo;
mod fd;
mod maps;
mod mounts;
mod process;
mod status;
mod sys;
mod sysrq;
mod system;

use crate::boot::mounts::{anonymous_device, clock};
use crate::lazy_dir::LazyDir;
use crate::pid;
use crate::task::Task;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_fs::{FileKind, FileSystem, PseudoDir, PseudoFs, PseudoNode, StaticDir};
use linux_raw_sys::general::PROC_SUPER_MAGIC;
use process::TaskDir;

/// A new filesystem for /proc.
pub(crate) fn new() -> Arc<dyn FileSystem> {
    let root = Arc::new(Root { fixed: LazyDir::new(fixed) });
    PseudoFs::new("proc", u64::from(PROC_SUPER_MAGIC), anonymous_device(), clock(), root)
}

fn fixed() -> StaticDir {
    StaticDir::new()
        .with_file("cgroups", || Ok(system::cgroups()))
        .with_file("cmdline", || Ok(system::cmdline()))
        .with_file("cpuinfo", || Ok(cpuinfo::contents()))
        .with_file("devices", || Ok(system::devices()))
        .with_file("filesystems", || Ok(system::filesystems()))
        .with_file("loadavg", || Ok(system::loadavg()))
        .with_file("meminfo", || Ok(system::meminfo()))
        .with("mounts", PseudoNode::Link(b"self/mounts".to_vec()))
        .with_file("partitions", || Ok(system::partitions()))
        .with_file("stat", || Ok(system::stat()))
        .with_file("swaps", || Ok(system::swaps()))
        .with_dir("sys", sys::directory())
        .with("sysrq-trigger", PseudoNode::File(Arc::new(sysrq::Trigger)))
        .with_file("uptime", || Ok(system::uptime()))
        .with_file("version", || Ok(system::version()))
        .with_file("vmstat", || Ok(system::vmstat()))
}

/// The task whose system call this is: the one that runs on this kernel thread.
pub(crate) fn caller() -> Option<Arc<Task>> {
    let own = |task: &Arc<Task>| task.is_current_thread().then(|| task.clone());
    pid::processes().iter().find_map(|process| process.find_thread(own))
}

/// A pid in text: no sign, no leading zeros.
fn number(name: &[u8]) -> Option<i32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

/// The top: fixed files, processes by their pids, and the caller as `self`.
struct Root {
    fixed: LazyDir,
}

impl PseudoDir for Root {
    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        match name {
            b"self" => {
                let pid = caller()?.process().pid();
                return Some(PseudoNode::Link(format!("{pid}").into_bytes()));
            }
            b"thread-self" => {
                let task = caller()?;
                let path = format!("{}/task/{}", task.process().pid(), task.tid());
                return Some(PseudoNode::Link(path.into_bytes()));
            }
            _ => {}
        }
        if let Some(node) = self.fixed.lookup(name) {
            return Some(node);
        }
        let number = number(name)?;
        // A thread's id works too, though it is not listed.
        let task = pid::processes().iter().find_map(|process| process.thread(number)).or_else(|| {
            // The first thread may have ended before the others.
            pid::process(number)?.threads().into_iter().next()
        })?;
        Some(PseudoNode::Dir(Arc::new(TaskDir { task: Arc::downgrade(&task), leader: true })))
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        let mut all = self.fixed.list();
        all.push((b"self".to_vec(), FileKind::Symlink));
        all.push((b"thread-self".to_vec(), FileKind::Symlink));
        let pids = pid::processes();
        all.extend(
            pids.iter().map(|process| (format!("{}", process.pid()).into_bytes(), FileKind::Directory)),
        );
        all
    }
}
