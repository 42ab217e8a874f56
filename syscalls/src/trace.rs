//! `--trace`: each system call as strace(1) prints it, driven by the table.

mod print;
#[cfg(test)]
mod tests;

use crate::control;
use crate::mm::AddressSpace;
use crate::signal::{SigFields, SigInfo, Signal, code};
use crate::table::Entry;
use crate::task::Task;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use husk_abi::Errno;
use husk_abi::control::{Event, ExitStatus};

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Switches tracing on or off.
pub(crate) fn set_enabled(enabled: bool) {
    ENABLED.store(enabled, Ordering::Relaxed);
}

/// A call that has been entered and is being traced.
pub(crate) struct Traced {
    entry: Option<&'static Entry>,
    number: u64,
    args: [u64; 6],
    /// The arguments that the call reads, printed before it can change them. Empty if there are some it writes: these are printed
    /// afterwards.
    before: Option<String>,
}

/// Takes note of a call about to be made.
pub(crate) fn enter(
    task: &Task,
    number: u64,
    entry: Option<&'static Entry>,
    args: &[u64; 6],
) -> Option<Traced> {
    if !ENABLED.load(Ordering::Relaxed) {
        return None;
    }
    let traced = Traced { entry, number, args: *args, before: None };
    let Some(entry) = entry else { return Some(traced) };
    if print::never_returns(entry) {
        emit(task, &format!("{} = ?", print::call(task.mm(), entry, args, None)));
        return None;
    }
    let before = (!print::writes_arguments(entry)).then(|| print::call(task.mm(), entry, args, None));
    Some(Traced { before, ..traced })
}

/// Prints a call with its result.
pub(crate) fn leave(task: &Task, traced: Option<Traced>, result: &Result<u64, Errno>) {
    let Some(Traced { entry, number, args, before }) = traced else { return };
    let mm: &AddressSpace = task.mm();
    let call = match (before, entry) {
        (Some(call), _) => call,
        (None, Some(entry)) => print::call(mm, entry, &args, Some(result)),
        (None, None) => format!("syscall_{number:#x}({:#x}, {:#x}, {:#x})", args[0], args[1], args[2]),
    };
    emit(task, &format!("{call} = {}", print::result(entry, result)));
}

/// Prints a signal that is about to be delivered.
pub(crate) fn signal(task: &Task, info: &SigInfo) {
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let signal = info.signal;
    let name = match (signal, info.code) {
        (Signal::SIGSEGV, code::SEGV_MAPERR) => "SEGV_MAPERR",
        (Signal::SIGSEGV, code::SEGV_ACCERR) => "SEGV_ACCERR",
        (Signal::SIGBUS, code::BUS_ADRERR) => "BUS_ADRERR",
        (Signal::SIGFPE, code::FPE_INTDIV) => "FPE_INTDIV",
        (Signal::SIGILL, code::ILL_ILLOPN) => "ILL_ILLOPN",
        (_, code::SI_USER) => "SI_USER",
        (_, code::SI_KERNEL) => "SI_KERNEL",
        (_, code::SI_TKILL) => "SI_TKILL",
        _ => "",
    };
    let name = if name.is_empty() { format!("{}", info.code) } else { String::from(name) };
    let rest = match info.fields {
        SigFields::Sender { pid, uid } if info.code != code::SI_KERNEL => {
            format!(", si_pid={pid}, si_uid={uid}")
        }
        SigFields::Fault { addr } => format!(", si_addr={addr:#x}"),
        _ => String::new(),
    };
    emit(task, &format!("--- {signal} {{si_signo={signal}, si_code={name}{rest}}} ---"));
}

/// Prints the execve(2) that a program's start stands for.
pub(crate) fn start(path: &[u8], argv: &[Vec<u8>], variables: usize) {
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let argv: Vec<String> = argv.iter().map(|argument| print::text(argument)).collect();
    let line = format!("execve({}, [{}], /* {variables} vars */) = 0", print::text(path), argv.join(", "));
    control::send(&Event::Trace(line));
}

/// Prints how a program ended.
pub(crate) fn end(status: ExitStatus) {
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let line = match status {
        ExitStatus::Exited(code) => format!("+++ exited with {code} +++"),
        ExitStatus::Signaled(number) => match Signal::new(number.into()) {
            Ok(signal) => format!("+++ killed by {signal} +++"),
            Err(_) => format!("+++ killed by {number} +++"),
        },
        ExitStatus::TimedOut => String::from("+++ killed by SIGKILL +++"),
        ExitStatus::NotStarted { .. } => return,
    };
    control::send(&Event::Trace(line));
}

fn emit(task: &Task, line: &str) {
    let alone = task.process().thread_count() == 1;
    let line = if alone { String::from(line) } else { format!("[pid {}] {line}", task.tid()) };
    control::send(&Event::Trace(line));
}
