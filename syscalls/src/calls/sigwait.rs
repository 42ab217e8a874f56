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

/// Takes a signal of the set, waiting for it until the deadline (monotonic nanoseconds).
///
/// # Errors
/// EAGAIN if none came in time, EINTR for another signal.
pub(crate) fn wait_for(task: &Task, set: SigSet, deadline: Option<u64>) -> Result<SigInfo, Errno> {
    if let Some(info) = signal::take(task, set) {
        return Ok(info);
    }
    task.signals.lock().awaited = set;
    let taken = sleep_for(task, set, deadline);
    task.signals.lock().awaited = SigSet::EMPTY;
    // One that was sent to this thread just now, as it seemed to wait, is taken all the same; further ones are for others.
    let taken = taken.or_else(|error| signal::take(task, set).ok_or(error));
    signal::retarget(task, set & task.blocked());
    taken
}

fn sleep_for(task: &Task, set: SigSet, deadline: Option<u64>) -> Result<SigInfo, Errno> {
    loop {
        if let Some(info) = signal::take(task, set) {
            return Ok(info);
        }
        // A signal outside the set ends the wait.
        if task.has_pending_signal() {
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

/// restart_syscall(2): the rest of a call that a signal interrupted.
pub(crate) fn restart_syscall(task: &Task) -> Result<u64, Errno> {
    let block = task.restart.lock().take();
    block.map_or_else(|| err!(EINTR), |block| block(task))
}
