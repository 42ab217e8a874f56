//! exit(2), exit_group(2), and what the end of a thread does.

use crate::args::UserPtr;
use crate::futex::{self, pi, robust};
use crate::signal;
use crate::task::Task;
use core::sync::atomic::Ordering;
use husk_abi::Errno;
use husk_abi::control::ExitStatus;

/// exit(2): ends the calling thread.
pub(crate) fn exit(task: &Task, status: i32) -> Result<(), Errno> {
    task.exit_status.lock().get_or_insert(ExitStatus::Exited(status as u8));
    task.attention.store(true, Ordering::Release);
    Ok(())
}

/// exit_group(2): ends the process.
pub(crate) fn exit_group(task: &Task, status: i32) -> Result<(), Errno> {
    task.process().end(ExitStatus::Exited(status as u8));
    Ok(())
}

/// Whether the thread has called exit(2).
pub(crate) fn is_exiting(task: &Task) -> bool {
    task.exit_status.lock().is_some()
}

/// The end of a thread, and of its process if it was the last.
pub(crate) fn finish(task: &Task) {
    robust::release(task);
    pi::release(task);
    let process = task.process();
    let status = *task.exit_status.lock();
    if task.is_leader() {
        *process.leader_status.lock() = status;
    }
    let cleared = UserPtr::<u32>::new(task.clear_child_tid.swap(0, Ordering::Relaxed));
    // First it is gone, then others learn of it: who has joined it does not find it any more.
    if !process.remove_thread(task) {
        if !cleared.is_null() {
            // A bad address is the program's own problem: nobody is left to be told.
            let _ = cleared.write(task.mm(), &0);
            futex::wake_one(task, cleared.addr());
        }
        signal::retarget(task, !task.blocked());
        return;
    }
    process.timers.cancel();
    task.files().close_all();
    let leader_status = *process.leader_status.lock();
    process.finish(leader_status.or(status).unwrap_or(ExitStatus::Exited(0)));
}
