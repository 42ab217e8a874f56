//! What the user is told when a program dies of a signal: the reason, registers, a backtrace with symbols.

mod backtrace;
mod symbols;

use crate::boot::memory_kib;
use crate::control;
use crate::mm::PAGE;
use crate::signal::{SigFields, SigInfo, Signal, code};
use crate::task::Task;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use husk_abi::control::Event;
use husk_machine::user::{UserContext, UserRegs};

/// Reports a program that a signal ends which on Linux would leave a core dump.
pub(crate) fn report(task: &Task, context: &UserContext, info: &SigInfo) {
    let regs = &context.regs;
    let mut text = format!("{} (pid {}) was killed by {}", name(task), task.process().pid(), info.signal);
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{}", reason(info));
    registers(&mut text, regs);
    backtrace::write(&mut text, task, regs);
    control::send(&Event::Message(text));
}

/// Reports a program that dies because there is no memory left.
pub(crate) fn out_of_memory(task: &Task) {
    let (used, total) = memory_kib();
    let resident = task.mm().sizes().resident * PAGE / 1024;
    control::send(&Event::Message(format!(
        "{} (pid {}) was killed: out of guest memory. The program has {resident} KiB of it, in all {used} of {total} KiB are in use. \
         Give the VM more with -m.",
        name(task),
        task.process().pid(),
    )));
}

fn name(task: &Task) -> String {
    let comm = task.comm();
    let len = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..len]).into_owned()
}

fn reason(info: &SigInfo) -> String {
    let what = match (info.signal, info.code) {
        (Signal::SIGSEGV, code::SEGV_MAPERR) => "nothing is mapped",
        (Signal::SIGSEGV, code::SEGV_ACCERR) => "the mapping does not allow the access",
        (Signal::SIGBUS, code::BUS_ADRERR) => "the mapped file has no such page",
        (Signal::SIGFPE, code::FPE_INTDIV) => "integer division by zero or overflow",
        (Signal::SIGILL, _) if info.code > 0 => "illegal instruction",
        (Signal::SIGSEGV | Signal::SIGBUS, code::SI_KERNEL) => "a general protection fault or the like",
        (Signal::SIGQUIT, code::SI_KERNEL) => "the quit key",
        (_, code::SI_USER | code::SI_TKILL) => "it was sent by a process",
        _ => "",
    };
    match (&info.fields, what) {
        (_, "") => String::new(),
        (SigFields::Fault { addr }, what) => format!(": {what} at {addr:#x}"),
        (SigFields::Sender { pid, .. }, what) if info.code != code::SI_KERNEL => {
            format!(": {what}, pid {pid}")
        }
        (_, what) => format!(": {what}"),
    }
}

fn registers(text: &mut String, regs: &UserRegs) {
    let rows = [
        [("rip", regs.rip), ("rsp", regs.rsp), ("rbp", regs.rbp), ("flags", regs.rflags)],
        [("rax", regs.rax), ("rbx", regs.rbx), ("rcx", regs.rcx), ("rdx", regs.rdx)],
        [("rsi", regs.rsi), ("rdi", regs.rdi), ("r8", regs.r8), ("r9", regs.r9)],
        [("r10", regs.r10), ("r11", regs.r11), ("r12", regs.r12), ("r13", regs.r13)],
        [("r14", regs.r14), ("r15", regs.r15), ("fs", regs.fs_base), ("gs", regs.gs_base)],
    ];
    for row in rows {
        for (name, value) in row {
            let _ = write!(text, "  {name:>5} {value:016x}");
        }
        text.push('\n');
    }
}
