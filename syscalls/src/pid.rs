//! Process and thread ids, and the registry of processes.
//!
//! Threads and processes share one number space, as on Linux. Pid 1 is the kernel's own: it is the parent of the programs that
//! the kernel starts, and no process object stands for it.

use crate::process::Process;
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
    /// Every number in use; those of processes with the process.
    used: BTreeMap<i32, Weak<Process>>,
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
        registry.used.insert(next, Weak::new());
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
    let old = REGISTRY.lock().used.insert(process.pid(), Arc::downgrade(process));
    drop(old);
}

/// The process with this pid.
pub(crate) fn process(pid: i32) -> Option<Arc<Process>> {
    REGISTRY.lock().used.get(&pid)?.upgrade()
}

/// All processes, by pid.
pub(crate) fn processes() -> Vec<Arc<Process>> {
    // Upgraded under the lock, dropped outside it: the last reference to a process frees its pid.
    REGISTRY.lock().used.values().filter_map(Weak::upgrade).collect()
}

/// The most threads there may be (`kernel.threads-max`): as many as would fill an eighth of memory with Linux's kernel stacks.
pub(crate) fn threads_max() -> u64 {
    (husk_machine::frame::stats().total as u64 / 32).clamp(20, PID_MAX as u64)
}

/// The most recently given number, for /proc/loadavg.
pub(crate) fn last() -> i32 {
    REGISTRY.lock().last
}
