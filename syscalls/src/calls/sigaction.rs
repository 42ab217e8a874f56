//! rt_sigaction(2), rt_sigprocmask(2), rt_sigpending(2), rt_sigreturn(2).

use crate::args::UserPtr;
use crate::signal::{self, SigAction, SigInfo, SigSet, Signal, deliver, frame};
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_machine::user::UserContext;
use linux_raw_sys::general as sys;

/// The size of a signal set that programs have to state.
const SET_SIZE: usize = size_of::<SigSet>();

/// rt_sigaction(2).
pub(crate) fn rt_sigaction(
    task: &Task,
    signal: i32,
    new: UserPtr<SigAction>,
    old: UserPtr<SigAction>,
    size: usize,
) -> Result<(), Errno> {
    if size != SET_SIZE {
        return err!(EINVAL);
    }
    let new = new.non_null().map(|pointer| pointer.read(task.mm())).transpose()?;
    let signal = Signal::new(signal)?;
    if new.is_some() && matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
        return err!(EINVAL);
    }
    let handlers = &task.process().handlers;
    let before = match new {
        None => handlers.get(signal),
        Some(action) => {
            let before = handlers.set(signal, action);
            // POSIX: pending signals that are ignored from now on are dropped, blocked or not.
            if action.ignores(signal) {
                let set = SigSet::only(signal);
                task.process().pending.lock().discard(set);
                task.process().for_each_thread(|task| task.pending.lock().discard(set));
            } else if before.ignores(signal) {
                task.process().timers.posix.heed(signal);
            }
            before
        }
    };
    old.write_if_non_null(task.mm(), &before)
}

/// rt_sigprocmask(2).
pub(crate) fn rt_sigprocmask(
    task: &Task,
    how: u32,
    new: UserPtr<SigSet>,
    old: UserPtr<SigSet>,
    size: usize,
) -> Result<(), Errno> {
    if size != SET_SIZE {
        return err!(EINVAL);
    }
    let before = task.blocked();
    if let Some(new) = new.non_null() {
        let set = new.read(task.mm())?.blockable();
        let blocked = match how {
            sys::SIG_BLOCK => before | set,
            sys::SIG_UNBLOCK => before & !set,
            sys::SIG_SETMASK => set,
            _ => return err!(EINVAL),
        };
        task.set_blocked(blocked);
    }
    old.write_if_non_null(task.mm(), &before)
}

/// rt_sigpending(2).
pub(crate) fn rt_sigpending(task: &Task, set: UserPtr<u8>, size: usize) -> Result<(), Errno> {
    if size > SET_SIZE {
        return err!(EINVAL);
    }
    let blocked = signal::pending(task) & task.blocked();
    set.write_slice(task.mm(), &blocked.bits().to_le_bytes()[..size])
}

/// rt_sigreturn(2): a frame that cannot be restored is SIGSEGV.
pub(crate) fn rt_sigreturn(task: &Task, context: &mut UserContext) -> Result<u64, Errno> {
    match frame::pop(task, context) {
        Ok(value) => Ok(value),
        Err(_) => {
            deliver::force(task, SigInfo::kernel(Signal::SIGSEGV));
            Ok(0)
        }
    }
}
