//! Sending signals.

use super::{DefaultAction, SigInfo, SigSet, Signal};
use crate::limits::Resource;
use crate::pid;
use crate::process::Process;
use crate::task::Task;
use crate::wait::Events;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};

/// Sends a signal to one thread.
///
/// # Errors
/// EAGAIN if it is a real-time signal with a program's data and RLIMIT_SIGPENDING is reached.
pub(crate) fn send_to_task(task: &Task, info: SigInfo) -> Result<(), Errno> {
    let process = task.process();
    prepare(process, info.signal);
    if drops(process, &info, task) {
        return Ok(());
    }
    check_limit(process, task, &info)?;
    task.pending.lock().push(info);
    task.wake();
    process.signal_waiters.wake(Events::IN);
    Ok(())
}

/// Sends a signal to the calling thread because of what it does, as if it had sent it itself: SIGPIPE, SIGXFSZ.
pub(crate) fn raise(task: &Task, signal: Signal) {
    let info = SigInfo::user(signal, task.process().pid(), task.credentials().uid.real);
    // It is no real-time signal, so it cannot be refused.
    let _ = send_to_task(task, info);
}

/// Sends a signal to a process: any thread that does not block it takes it.
///
/// # Errors
/// As [`send_to_task`].
pub(crate) fn send_to_process(process: &Process, info: SigInfo) -> Result<(), Errno> {
    let signal = info.signal;
    let Some(first) = process.find_thread(|task| Some(task.clone())) else { return Ok(()) };
    prepare(process, signal);
    // As on Linux the first thread's mask alone decides whether an ignored signal is kept.
    if drops(process, &info, &first) {
        return Ok(());
    }
    check_limit(process, &first, &info)?;
    process.pending.lock().push(info);
    wake_taker(process, signal);
    process.signal_waiters.wake(Events::IN);
    Ok(())
}

/// Wakes a thread that takes a signal which is in the process's queue already: one that blocks it meanwhile, or ends, finds it
/// there and passes it on ([`retarget`]).
fn wake_taker(process: &Process, signal: Signal) {
    // One that is not about to look at another signal already, if there is one.
    let woken = process.find_thread(|task| {
        (!task.attention.load(Ordering::Acquire) && task.takes(signal)).then(|| task.wake())
    });
    if woken.is_none() {
        process.find_thread(|task| task.takes(signal).then(|| task.wake()));
    }
}

/// A thread will not take the signals in `set` any more, as it blocks them or ends: others look whether one for the process is
/// among them (retarget_shared_pending() in Linux).
pub(crate) fn retarget(task: &Task, set: SigSet) {
    if set.is_empty() {
        return;
    }
    let process = task.process();
    let mut pending = process.pending.lock().set() & set;
    if pending.is_empty() {
        return;
    }
    process.find_thread(|other| {
        if core::ptr::eq(&raw const **other, task) {
            return None;
        }
        let taken = {
            let signals = other.signals.lock();
            pending & (!signals.blocked | signals.awaited)
        };
        if !taken.is_empty() {
            other.wake();
            pending = pending & !taken;
        }
        pending.is_empty().then_some(())
    });
}

/// Sends a signal to all processes of a group; says whether there are any.
pub(crate) fn send_to_group(group: i32, info: &SigInfo) -> bool {
    let mut any = false;
    for process in pid::processes().iter().filter(|process| process.group() == group) {
        any = true;
        // EAGAIN concerns real-time signals with data, which are not sent to groups.
        let _ = send_to_process(process, info.clone());
    }
    any
}

/// A signal that continues takes pending ones that stop with it, and the other way round.
fn prepare(process: &Process, signal: Signal) {
    let gone = match signal.default_action() {
        DefaultAction::Continue => {
            process.go_on();
            SigSet::STOP
        }
        DefaultAction::Stop => {
            let gone = SigSet::only(Signal::SIGCONT);
            process.pending.lock().discard(gone);
            gone
        }
        _ => return,
    };
    process.for_each_thread(|task| task.pending.lock().discard(gone));
}

/// An ignored signal is not queued, unless it is blocked: its action may change before it is unblocked.
fn drops(process: &Process, info: &SigInfo, task: &Task) -> bool {
    process.handlers.get(info.signal).ignores(info.signal) && !task.blocked().contains(info.signal)
}

fn check_limit(process: &Process, task: &Task, info: &SigInfo) -> Result<(), Errno> {
    if !info.signal.is_realtime() || info.code >= 0 {
        return Ok(());
    }
    // One lock after the other: others take them in another order.
    let own = task.pending.lock().len();
    let queued = own + process.pending.lock().len();
    if queued as u64 >= process.limit(Resource::SIGPENDING).soft { err!(EAGAIN) } else { Ok(()) }
}
