//! /proc/PID and /proc/PID/task/TID.

use super::fd::{FdDir, FdInfoDir};
use super::{maps, mounts, status};
use crate::process::Process;
use crate::task::Task;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_fs::{FileKind, Location, MagicLink, PseudoDir, PseudoFile, PseudoNode};

/// Whom the files of a task belong to.
pub(super) fn owner(task: &Weak<Task>) -> (u32, u32) {
    let Some(task) = task.upgrade() else { return (0, 0) };
    let credentials = task.credentials();
    (credentials.uid.effective, credentials.gid.effective)
}

type Read = fn(&Process, &Task) -> Result<Vec<u8>, Errno>;
type Write = fn(&Process, &Task, &[u8]) -> Result<usize, Errno>;

/// A file of every process: name, permission bits, contents, what writing does.
struct Entry {
    name: &'static str,
    mode: u32,
    read: Read,
    write: Option<Write>,
}

const fn file(name: &'static str, mode: u32, read: Read) -> Entry {
    Entry { name, mode, read, write: None }
}

static FILES: [Entry; 27] = [
    file("auxv", 0o400, |process, _| Ok(process.mm().layout().auxv)),
    file("cgroup", 0o444, |_, _| Ok(b"0::/\n".to_vec())),
    file("cmdline", 0o444, |process, _| strings(process, process.mm().layout().args)),
    Entry { name: "comm", mode: 0o644, read: comm, write: Some(set_comm) },
    file("coredump_filter", 0o644, |_, _| Ok(b"00000033\n".to_vec())),
    file("environ", 0o400, |process, _| strings(process, process.mm().layout().env)),
    file("gid_map", 0o644, |_, _| Ok(b"         0          0 4294967295\n".to_vec())),
    file("limits", 0o444, |process, _| Ok(status::limits(process))),
    file("loginuid", 0o644, |_, _| Ok(b"4294967295".to_vec())),
    file("maps", 0o444, |process, task| Ok(maps::maps(process.mm(), &task.fs().root()))),
    file("mountinfo", 0o444, |_, task| Ok(mounts::mountinfo(&task.fs().root()))),
    file("mounts", 0o444, |_, task| Ok(mounts::mounts(&task.fs().root()))),
    file("oom_adj", 0o644, |process, _| {
        Ok(format!("{}\n", process.oom_score_adj.load(Ordering::Relaxed) * 17 / 1000).into_bytes())
    }),
    file("oom_score", 0o444, |process, _| Ok(format!("{}\n", oom_score(process)).into_bytes())),
    Entry { name: "oom_score_adj", mode: 0o644, read: oom_score_adj, write: Some(set_oom_score_adj) },
    file("personality", 0o400, |process, _| {
        Ok(format!("{:08x}\n", process.personality.load(Ordering::Relaxed)).into_bytes())
    }),
    file("projid_map", 0o644, |_, _| Ok(b"         0          0 4294967295\n".to_vec())),
    file("sessionid", 0o444, |_, _| Ok(b"4294967295".to_vec())),
    file("setgroups", 0o644, |_, _| Ok(b"allow\n".to_vec())),
    file("smaps", 0o444, |process, task| Ok(maps::smaps(process.mm(), &task.fs().root()))),
    file("smaps_rollup", 0o444, |process, _| Ok(maps::smaps_rollup(process.mm()))),
    file("stat", 0o444, |process, task| Ok(status::stat(process, task, true))),
    file("statm", 0o444, |process, _| Ok(status::statm(process))),
    file("status", 0o444, |process, task| Ok(status::status(process, task))),
    file("timerslack_ns", 0o666, |_, task| {
        Ok(format!("{}\n", task.timer_slack_ns.load(Ordering::Relaxed)).into_bytes())
    }),
    file("uid_map", 0o644, |_, _| Ok(b"         0          0 4294967295\n".to_vec())),
    file("wchan", 0o444, |_, _| Ok(b"0".to_vec())),
];

/// Bytes of the program's memory that it may have changed since: what cannot be read is left out.
fn strings(process: &Process, range: Range<u64>) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
    match process.mm().read_foreign(range.start, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Ok(Vec::new()),
    }
}

fn comm(_: &Process, task: &Task) -> Result<Vec<u8>, Errno> {
    let comm = task.comm();
    let mut name: Vec<u8> = comm.into_iter().take_while(|byte| *byte != 0).collect();
    name.push(b'\n');
    Ok(name)
}

fn set_comm(_: &Process, task: &Task, bytes: &[u8]) -> Result<usize, Errno> {
    task.set_comm(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    Ok(bytes.len())
}

fn oom_score_adj(process: &Process, _: &Task) -> Result<Vec<u8>, Errno> {
    Ok(format!("{}\n", process.oom_score_adj.load(Ordering::Relaxed)).into_bytes())
}

fn set_oom_score_adj(process: &Process, _: &Task, bytes: &[u8]) -> Result<usize, Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL.here())?;
    let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL.here())?;
    if !(-1000..=1000).contains(&value) {
        return err!(EINVAL);
    }
    process.oom_score_adj.store(value, Ordering::Relaxed);
    Ok(bytes.len())
}

/// The share of memory in use, in thousandths, moved by the adjustment as Linux does since 5.13.
fn oom_score(process: &Process) -> i64 {
    let total = husk_machine::frame::stats().total.max(1) as i64;
    let share = process.mm().sizes().resident as i64 * 1000 / total;
    let points = share + i64::from(process.oom_score_adj.load(Ordering::Relaxed));
    ((points + 1000) * 2 / 3).max(0)
}

/// A task's directory. With `leader` it is the process's own, with the directory of its tasks.
pub(super) struct TaskDir {
    pub(super) task: Weak<Task>,
    pub(super) leader: bool,
}

struct TaskFile {
    task: Weak<Task>,
    entry: &'static Entry,
}

impl PseudoFile for TaskFile {
    fn mode(&self) -> u32 {
        self.entry.mode
    }

    fn owner(&self) -> (u32, u32) {
        owner(&self.task)
    }

    fn read(&self) -> Result<Vec<u8>, Errno> {
        let task = self.task.upgrade().ok_or(Errno::ESRCH.here())?;
        (self.entry.read)(task.process(), &task)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let task = self.task.upgrade().ok_or(Errno::ESRCH.here())?;
        let write = self.entry.write.ok_or(Errno::EINVAL.here())?;
        write(task.process(), &task, bytes)
    }
}

/// The links to places.
const LINKS: [&str; 3] = ["cwd", "exe", "root"];

struct PlaceLink {
    task: Weak<Task>,
    name: &'static str,
}

impl MagicLink for PlaceLink {
    fn owner(&self) -> (u32, u32) {
        owner(&self.task)
    }

    fn text(&self) -> Result<Vec<u8>, Errno> {
        let task = self.task.upgrade().ok_or(Errno::ESRCH.here())?;
        Ok(self.target()?.path(&task.fs().root()))
    }

    fn target(&self) -> Result<Location, Errno> {
        let task = self.task.upgrade().ok_or(Errno::ESRCH.here())?;
        match self.name {
            "cwd" => Ok(task.fs().cwd()),
            "root" => Ok(task.fs().root()),
            _ => task.process().exe().ok_or(Errno::ENOENT.here()),
        }
    }
}

impl PseudoDir for TaskDir {
    fn owner(&self) -> (u32, u32) {
        owner(&self.task)
    }

    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        let task = self.task.clone();
        if let Some(name) = LINKS.iter().find(|link| link.as_bytes() == name) {
            return Some(PseudoNode::MagicLink(Arc::new(PlaceLink { task, name })));
        }
        match name {
            b"fd" => return Some(PseudoNode::Dir(Arc::new(FdDir(task)))),
            b"fdinfo" => return Some(PseudoNode::Dir(Arc::new(FdInfoDir(task)))),
            b"task" if self.leader => {
                let process = Arc::downgrade(self.task.upgrade()?.process());
                return Some(PseudoNode::Dir(Arc::new(TasksDir { process, leader: task })));
            }
            _ => {}
        }
        let entry = FILES.iter().find(|entry| entry.name.as_bytes() == name)?;
        Some(PseudoNode::File(Arc::new(TaskFile { task, entry })))
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        let directories = ["fd", "fdinfo", "task"];
        let count = if self.leader { 3 } else { 2 };
        let entry = |kind: FileKind| move |name: &str| (name.as_bytes().to_vec(), kind);
        let mut all: Vec<_> = directories[..count].iter().copied().map(entry(FileKind::Directory)).collect();
        all.extend(LINKS.iter().copied().map(entry(FileKind::Symlink)));
        all.extend(FILES.iter().map(|file| file.name).map(entry(FileKind::Regular)));
        all
    }
}

/// /proc/PID/task.
struct TasksDir {
    process: Weak<Process>,
    leader: Weak<Task>,
}

impl PseudoDir for TasksDir {
    fn owner(&self) -> (u32, u32) {
        owner(&self.leader)
    }

    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> {
        let tid = super::number(name)?;
        let task = self.process.upgrade()?.thread(tid)?;
        Some(PseudoNode::Dir(Arc::new(TaskDir { task: Arc::downgrade(&task), leader: false })))
    }

    fn list(&self) -> Vec<(Vec<u8>, FileKind)> {
        let Some(process) = self.process.upgrade() else { return Vec::new() };
        let name = |task: &Arc<Task>| (format!("{}", task.tid()).into_bytes(), FileKind::Directory);
        process.threads().iter().map(name).collect()
    }
}
