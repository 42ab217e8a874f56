//! Delivery: what pending signals do before a thread goes back to user mode.

use super::frame::{self, TrapState};
use super::{DefaultAction, SigAction, SigInfo, SigSet, Signal};
use crate::calls::{exit, rseq};
use crate::crash;
use crate::task::Task;
use crate::trace;
use core::sync::atomic::Ordering;
use husk_abi::Errno;
use husk_abi::control::ExitStatus;
use husk_machine::thread;
use husk_machine::user::UserContext;
use linux_raw_sys::general as sys;

/// Size of the SYSCALL instruction: going back by it makes the call again.
const SYSCALL_SIZE: u64 = 2;

/// Handles pending signals. `interrupted` is the number of the system call whose result is in RAX. True if the thread
/// may go on, false if its process ends.
pub(crate) fn deliver(
    task: &Task,
    context: &mut UserContext,
    trap: &TrapState,
    interrupted: Option<u64>,
) -> bool {
    let mut interrupted = interrupted;
    // A full barrier: what is set afterwards is seen below, or this is set again.
    task.attention.swap(false, Ordering::AcqRel);
    loop {
        if task.process().ending().is_some() || exit::is_exiting(task) {
            return false;
        }
        if wait_while_stopped(task) {
            continue;
        }
        let times_continued = task.process().times_continued();
        let Some(info) = next(task) else {
            restart_without_handler(context, interrupted.take());
            // What the mask of the call held back may be delivered now.
            if task.restore_mask() {
                continue;
            }
            return true;
        };
        let signal = info.signal;
        let action = task.process().handlers.take(signal);
        if action.ignores(signal) {
            continue;
        }
        trace::signal(task, &info);
        if !action.is_default() {
            restart_before_handler(context, interrupted.take(), &action);
            enter_handler(task, context, trap, &info, &action);
            continue;
        }
        match signal.default_action() {
            DefaultAction::Ignore | DefaultAction::Continue => {}
            // The signals of job control do not stop it, as on Linux for a process whose parent is in another session: nobody
            // there could continue it.
            DefaultAction::Stop if signal == Signal::SIGSTOP => task.process().stop(times_continued),
            DefaultAction::Stop => {}
            DefaultAction::Terminate => {
                task.process().end(ExitStatus::Signaled(signal.number()));
            }
            DefaultAction::Core => {
                // The others stop first; only one thread reports.
                if task.process().end(ExitStatus::Signaled(signal.number())) {
                    crash::report(task, context, &info);
                }
            }
        }
    }
}

fn next(task: &Task) -> Option<SigInfo> {
    let unblocked = !task.blocked();
    // Faults are the thread's own, and come before anything else; then the thread's signals before the process's.
    super::take(task, unblocked)
}

fn enter_handler(
    task: &Task,
    context: &mut UserContext,
    trap: &TrapState,
    info: &SigInfo,
    action: &SigAction,
) {
    let entered =
        rseq::interrupted(task, context).and_then(|()| frame::push(task, context, trap, info, action));
    match entered {
        Ok(()) => {
            let mut signals = task.signals.lock();
            signals.saved = None;
            let mut blocked = signals.blocked | action.mask;
            if !action.has(sys::SA_NODEFER) {
                blocked.insert(info.signal);
            }
            let old = core::mem::replace(&mut signals.blocked, blocked.blockable());
            drop(signals);
            super::retarget(task, blocked.blockable() & !old);
        }
        Err(_) => {
            if info.signal == Signal::SIGSEGV {
                task.process().handlers.set(Signal::SIGSEGV, SigAction::default());
            }
            force(task, SigInfo::kernel(Signal::SIGSEGV));
        }
    }
}

/// Sends a signal that the thread cannot evade: if it is blocked or ignored, it has its default action.
pub(crate) fn force(task: &Task, info: SigInfo) {
    let signal = info.signal;
    let handlers = &task.process().handlers;
    let blocked = task.blocked().contains(signal);
    if blocked || handlers.get(signal).ignores(signal) {
        handlers.set(signal, SigAction::default());
        task.signals.lock().blocked.remove(signal);
    }
    task.pending.lock().push(info);
    task.attention.store(true, Ordering::Release);
}

/// The result in RAX as an error, if it is one that asks for a restart.
fn restart_code(context: &UserContext) -> Option<Errno> {
    let codes =
        [Errno::ERESTARTSYS, Errno::ERESTARTNOINTR, Errno::ERESTARTNOHAND, Errno::ERESTART_RESTARTBLOCK];
    codes.into_iter().find(|code| code.to_return() == context.regs.rax)
}

fn again(context: &mut UserContext, number: u64) {
    context.regs.rax = number;
    context.regs.rip = context.regs.rip.wrapping_sub(SYSCALL_SIZE);
}

fn restart_before_handler(context: &mut UserContext, interrupted: Option<u64>, action: &SigAction) {
    let (Some(number), Some(code)) = (interrupted, restart_code(context)) else { return };
    let restarts = code == Errno::ERESTARTNOINTR || code == Errno::ERESTARTSYS && action.has(sys::SA_RESTART);
    if restarts {
        again(context, number);
    } else {
        context.regs.rax = Errno::EINTR.to_return();
    }
}

fn restart_without_handler(context: &mut UserContext, interrupted: Option<u64>) {
    let (Some(number), Some(code)) = (interrupted, restart_code(context)) else { return };
    let number =
        if code == Errno::ERESTART_RESTARTBLOCK { u64::from(sys::__NR_restart_syscall) } else { number };
    again(context, number);
}

/// Sleeps while the process is stopped; true if it did.
fn wait_while_stopped(task: &Task) -> bool {
    let process = task.process();
    if !process.is_stopped() {
        return false;
    }
    let kill = SigSet::only(Signal::SIGKILL);
    while process.is_stopped() && process.ending().is_none() {
        let pending = super::pending(task);
        if !(pending & kill).is_empty() {
            process.go_on();
            break;
        }
        thread::park();
    }
    true
}
