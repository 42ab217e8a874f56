//! Process and thread ids, and the registry of processes.
//!
//! Threads and processes share one number space, as on Linux. Pid 1 is the kernel's own: it is the parent of the programs that
//! the kernel starts, and no process object stands for it.

use crate::process::Process;
use crate::task::Task;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use husk_machine::sync::SpinLock;

/// Linux's default for the end of the number space (`kernel.pid_max`) on 64-bit machines.
pub(crate) const PID_MAX: i32 = 4_194_304;

/// The kernel's own pid, parent of the first process.
pub(crate) const KERNEL_PID: i32 = 1;

static REGISTRY: SpinLock<Registry> = SpinLock::new(Registry { last: KERNEL_PID, used: BTreeMap::new() });

struct Registry {
    last: i32,
    /// Every number in use, and whose it is.
    used: BTreeMap<i32, Owner>,
}

/// Whose a number is; a first thread has that of its process.
#[derive(Default)]
struct Owner {
    process: Weak<Process>,
    task: Weak<Task>,
}

/// A process's or thread's number, free again when dropped.
#[derive(Debug)]
pub(crate) struct Pid(i32);

impl Pid {
    /// The next number that is free. Numbers are given in turn, so that one is not used again soon.
    pub(crate) fn alloc() -> Self {
        let mut registry = REGISTRY.lock();
        let mut next = registry.last;
        loop {
            // After the first round Linux skips the numbers of early system processes.
            next = if next + 1 >= PID_MAX { 300 } else { next + 1 };
            if !registry.used.contains_key(&next) {
                break;
            }
        }
        registry.last = next;
        registry.used.insert(next, Owner::default());
        Self(next)
    }

    /// The number.
    pub(crate) fn number(&self) -> i32 {
        self.0
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        let old = REGISTRY.lock().used.remove(&self.0);
        drop(old);
    }
}

/// Makes a process known under its pid.
pub(crate) fn register(process: &Arc<Process>) {
    if let Some(owner) = REGISTRY.lock().used.get_mut(&process.pid()) {
        owner.process = Arc::downgrade(process);
    }
}

/// Makes a thread known under its id.
pub(crate) fn register_thread(task: &Arc<Task>) {
    if let Some(owner) = REGISTRY.lock().used.get_mut(&task.tid()) {
        owner.task = Arc::downgrade(task);
    }
}

/// A thread has ended: it is not found any more, though its number stays in use as long as somebody holds the task.
pub(crate) fn forget_thread(tid: i32) {
    if let Some(owner) = REGISTRY.lock().used.get_mut(&tid) {
        owner.task = Weak::new();
    }
}

/// The thread with this id.
pub(crate) fn task(tid: i32) -> Option<Arc<Task>> {
    REGISTRY.lock().used.get(&tid)?.task.upgrade()
}

/// The process with this pid.
pub(crate) fn process(pid: i32) -> Option<Arc<Process>> {
    REGISTRY.lock().used.get(&pid)?.process.upgrade()
}

/// All processes, by pid.
pub(crate) fn processes() -> Vec<Arc<Process>> {
    // Upgraded under the lock, dropped outside it: the last reference to a process frees its pid.
    REGISTRY.lock().used.values().filter_map(|owner| owner.process.upgrade()).collect()
}

/// The most threads there may be (`kernel.threads-max`): as many as would fill an eighth of memory with Linux's kernel stacks.
pub(crate) fn threads_max() -> u64 {
    (husk_machine::frame::stats().total as u64 / 32).clamp(20, PID_MAX as u64)
}

/// The most recently given number, for /proc/loadavg.
pub(crate) fn last() -> i32 {
    REGISTRY.lock().last
}
