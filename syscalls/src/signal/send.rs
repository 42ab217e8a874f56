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
    let blocked = task.blocked().contains(info.signal);
    if drops(process, &info, blocked) {
        return Ok(());
    }
    check_limit(process, task, &info)?;
    task.pending.lock().push(info);
    task.wake();
    process.signal_waiters.wake(Events::IN);
    Ok(())
}

/// Sends a signal to a process: any thread that does not block it takes it.
///
/// # Errors
/// As [`send_to_task`].
pub(crate) fn send_to_process(process: &Process, info: SigInfo) -> Result<(), Errno> {
    let signal = info.signal;
    let threads = process.threads();
    let Some(first) = threads.first() else { return Ok(()) };
    prepare(process, signal);
    let takers = || threads.iter().filter(|task| !task.blocked().contains(signal));
    // One that is not about to look at another signal already, if there is one.
    let idle = takers().find(|task| !task.attention.load(Ordering::Acquire));
    let taker = idle.or_else(|| takers().next());
    if drops(process, &info, taker.is_none()) {
        return Ok(());
    }
    check_limit(process, first, &info)?;
    process.pending.lock().push(info);
    // One that waits for it in sigtimedwait(2) has it blocked: all look.
    match taker {
        Some(task) => task.wake(),
        None => threads.iter().for_each(|task| task.wake()),
    }
    process.signal_waiters.wake(Events::IN);
    Ok(())
}

/// A thread will not take the signals in `set` any more, as it blocks them or ends: others look whether one for the process is
/// among them (retarget_shared_pending() in Linux).
pub(crate) fn retarget(task: &Task, set: SigSet) {
    let process = task.process();
    let pending = process.pending.lock().set() & set;
    if pending.is_empty() {
        return;
    }
    for other in process.threads() {
        if !core::ptr::eq(&raw const *other, task) {
            other.wake();
        }
    }
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
    if signal == Signal::SIGCONT && process.stopped.swap(false, Ordering::AcqRel) {
        process.wake_threads();
    }
    let gone = match signal.default_action() {
        DefaultAction::Continue => SigSet::STOP,
        DefaultAction::Stop => SigSet::only(Signal::SIGCONT),
        _ => return,
    };
    process.pending.lock().discard(gone);
    for task in process.threads() {
        task.pending.lock().discard(gone);
    }
}

/// An ignored signal is not queued, unless it is blocked: its action may change before it is unblocked.
fn drops(process: &Process, info: &SigInfo, blocked: bool) -> bool {
    !blocked && process.handlers.get(info.signal).ignores(info.signal)
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
