//! pause(2), rt_sigsuspend(2), rt_sigtimedwait(2), restart_syscall(2).

use crate::args::UserPtr;
use crate::signal::{self, SIGINFO_SIZE, SigInfo, SigSet};
use crate::task::Task;
use husk_abi::{Errno, Timespec, err};
use husk_machine::{thread, time};

/// pause(2).
pub(crate) fn pause(task: &Task) -> Result<(), Errno> {
    while !task.has_pending_signal() {
        thread::park();
    }
    Err(Errno::ERESTARTNOHAND)
}

/// rt_sigsuspend(2).
pub(crate) fn rt_sigsuspend(task: &Task, mask: UserPtr<SigSet>, size: usize) -> Result<(), Errno> {
    if size != size_of::<SigSet>() {
        return err!(EINVAL);
    }
    let mask = mask.read(task.mm())?;
    task.set_temporary_mask(mask);
    pause(task)
}

/// rt_sigtimedwait(2).
pub(crate) fn rt_sigtimedwait(
    task: &Task,
    set: UserPtr<SigSet>,
    info: UserPtr<[u8; SIGINFO_SIZE]>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> Result<i32, Errno> {
    if size != size_of::<SigSet>() {
        return err!(EINVAL);
    }
    let set = set.read(task.mm())?.blockable();
    let deadline = match timeout.non_null() {
        None => None,
        Some(pointer) => {
            let nanos = pointer.read(task.mm())?.to_nanos().ok_or(Errno::EINVAL.here())?;
            Some(time::monotonic_ns().saturating_add(nanos))
        }
    };
    let taken = wait_for(task, set, deadline)?;
    info.write_if_non_null(task.mm(), &taken.to_bytes())?;
    Ok(taken.signal.number().into())
}

fn wait_for(task: &Task, set: SigSet, deadline: Option<u64>) -> Result<SigInfo, Errno> {
    let take = || signal::take(task, set);
    if let Some(info) = take() {
        return Ok(info);
    }
    // While it waits the signals in the set are not blocked: an ignored one among them is not lost, others with handlers end
    // the wait.
    let before = task.blocked();
    loop {
        if let Some(info) = take() {
            return Ok(info);
        }
        if task.process().ending().is_some() || has_other(task, before, set) {
            return err!(EINTR);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) if time::monotonic_ns() >= deadline => return err!(EAGAIN),
            Some(deadline) => {
                thread::park_until(deadline);
            }
        }
    }
}

/// Whether a signal outside the set is to be delivered.
fn has_other(task: &Task, blocked: SigSet, set: SigSet) -> bool {
    let pending = task.pending.lock().set() | task.process().pending.lock().set();
    !(pending & !blocked & !set).is_empty()
}

/// restart_syscall(2): the rest of a call that a signal interrupted.
pub(crate) fn restart_syscall(task: &Task) -> Result<u64, Errno> {
    let block = task.restart.lock().take();
    block.map_or_else(|| err!(EINTR), |block| block(task))
}
