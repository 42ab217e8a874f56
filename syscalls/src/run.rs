//! The life of a user thread: into user mode, and out again for a system call, a fault or an interrupt.

use crate::args::UserPtr;
use crate::calls::{exit, rseq};
use crate::crash;
use crate::dispatch::dispatch;
use crate::mm::{Access, FaultError};
use crate::signal::deliver::{self, force};
use crate::signal::frame::TrapState;
use crate::signal::{SigInfo, Signal, code};
use crate::task::Task;
use crate::time::cpu_clock;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use husk_abi::control::ExitStatus;
use husk_machine::frame::OutOfMemory;
use husk_machine::thread;
use husk_machine::user::{Trap, UserContext};

/// Exception numbers (Intel SDM volume 3, 6.3.1).
mod vector {
    pub(super) const DIVIDE: u8 = 0;
    pub(super) const DEBUG: u8 = 1;
    pub(super) const BREAKPOINT: u8 = 3;
    pub(super) const INVALID_OPCODE: u8 = 6;
    pub(super) const SEGMENT_NOT_PRESENT: u8 = 11;
    pub(super) const STACK_SEGMENT: u8 = 12;
    pub(super) const PAGE_FAULT: u8 = 14;
    pub(super) const X87: u8 = 16;
    pub(super) const ALIGNMENT: u8 = 17;
    pub(super) const SIMD: u8 = 19;
}

/// Starts a kernel thread that runs the task from these registers on.
///
/// # Errors
/// [`OutOfMemory`] if there is no memory for its stack.
pub(crate) fn start(task: Arc<Task>, context: UserContext) -> Result<(), OutOfMemory> {
    start_thread(task, context, None)
}

/// As [`start`], for a thread that stores its id at an address first (CLONE_CHILD_SETTID).
///
/// # Errors
/// As [`start`].
pub(crate) fn start_thread(
    task: Arc<Task>,
    context: UserContext,
    tid_at: Option<UserPtr<i32>>,
) -> Result<(), OutOfMemory> {
    let name = alloc::format!("task {}", task.tid());
    let attributes = task.sched.lock().for_thread();
    thread::spawn_with(&name, attributes, move || {
        task.bind(thread::current());
        if let Some(pointer) = tid_at {
            // Linux does not report a bad address either.
            let _ = pointer.write(task.mm(), &task.tid());
        }
        user_loop(&task, context);
    })?;
    Ok(())
}

/// Runs user code until the task ends.
fn user_loop(task: &Task, mut context: UserContext) {
    let mut trap_state = TrapState::default();
    let mut interrupted = None;
    let mut mark = thread::interruption_mark();
    loop {
        if task.mm().take_exhausted() {
            crash::out_of_memory(task);
            task.process().end(ExitStatus::Signaled(Signal::SIGKILL.number()));
        }
        let look = task.attention.load(Ordering::Acquire) || interrupted.is_some();
        if look && !deliver::deliver(task, &mut context, &trap_state, interrupted.take()) {
            break;
        }
        let now = thread::interruption_mark();
        if core::mem::replace(&mut mark, now) != now {
            check_rseq(task, &mut context);
            // Where it may run can have changed while it was away.
            if thread::is_told_to_yield() {
                thread::reschedule();
            }
            // It may have slept for a page, or have led to a signal.
            continue;
        }
        cpu_clock::resume(task);
        match context.run(task.mm().page_table(), &task.user_clock) {
            Trap::Syscall => {
                let number = context.regs.rax & 0xffff_ffff;
                dispatch(task, &mut context);
                // What rt_sigreturn(2) leaves in RAX is the program's, not a result.
                let restartable = number != u64::from(linux_raw_sys::general::__NR_rt_sigreturn);
                interrupted = restartable.then_some(number).filter(|_| is_restart(context.regs.rax));
            }
            Trap::PageFault { addr, access, present } => {
                page_fault(task, &mut trap_state, addr, access, present);
            }
            Trap::Exception { vector, error_code } => {
                trap_state.number = vector.into();
                trap_state.error_code = error_code;
                exception(task, &mut context, vector, error_code);
            }
            Trap::Interrupt => {
                if thread::should_yield() {
                    thread::reschedule();
                }
            }
        }
    }
    exit::finish(task);
}

/// Others have run on the CPU meanwhile, or this thread runs on another one now.
fn check_rseq(task: &Task, context: &mut UserContext) {
    if rseq::interrupted(task, context).is_err() {
        force(task, SigInfo::kernel(Signal::SIGSEGV));
    }
}

/// Whether a result is one of the codes from ERESTARTSYS to ERESTART_RESTARTBLOCK.
fn is_restart(result: u64) -> bool {
    (512..=516).contains(&result.wrapping_neg())
}

fn page_fault(task: &Task, trap_state: &mut TrapState, addr: u64, access: Access, present: bool) {
    let faults = &task.process().faults;
    let (signal, why) = match task.mm().fault(addr, access) {
        Ok(from_file) => {
            let count = if from_file { &faults.major } else { &faults.minor };
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The loop sees to it.
        Err(FaultError::OutOfMemory) => return,
        Err(FaultError::Segv(why)) => (Signal::SIGSEGV, why),
        Err(FaultError::Bus) => (Signal::SIGBUS, code::BUS_ADRERR),
    };
    trap_state.number = vector::PAGE_FAULT.into();
    // Intel SDM volume 3, 4.7: P, W/R, U/S, I/D.
    trap_state.error_code = u64::from(present)
        | u64::from(access == Access::Write) << 1
        | 1 << 2
        | u64::from(access == Access::Exec) << 4;
    trap_state.address = addr;
    force(task, SigInfo::fault(signal, why, addr));
}

/// Turns an exception into the signal that Linux sends for it.
fn exception(task: &Task, context: &mut UserContext, number: u8, error_code: u64) {
    let ip = context.regs.rip;
    let info = match number {
        vector::DIVIDE => SigInfo::fault(Signal::SIGFPE, code::FPE_INTDIV, ip),
        vector::DEBUG => SigInfo::fault(Signal::SIGTRAP, debug_code(error_code), ip),
        vector::BREAKPOINT => SigInfo::kernel(Signal::SIGTRAP),
        vector::INVALID_OPCODE => SigInfo::fault(Signal::SIGILL, code::ILL_ILLOPN, ip),
        vector::SEGMENT_NOT_PRESENT | vector::STACK_SEGMENT => SigInfo::kernel(Signal::SIGBUS),
        vector::X87 | vector::SIMD => match fp_code(context, number) {
            // Nothing is wrong any more: Linux goes on, too.
            0 => return,
            why => SigInfo::fault(Signal::SIGFPE, why, ip),
        },
        vector::ALIGNMENT => SigInfo::fault(Signal::SIGBUS, code::BUS_ADRALN, 0),
        _ => SigInfo::kernel(Signal::SIGSEGV),
    };
    force(task, info);
}

/// DR6: a single step has bit 14 set; else it was a breakpoint register or INT1.
fn debug_code(dr6: u64) -> i32 {
    const SINGLE_STEP: u64 = 1 << 14;
    const TRAP_BRKPT: i32 = 1;
    const TRAP_HWBKPT: i32 = 4;
    if dr6 & SINGLE_STEP != 0 {
        code::TRAP_TRACE
    } else if dr6 & 0xf != 0 {
        TRAP_HWBKPT
    } else {
        TRAP_BRKPT
    }
}

/// Which floating-point exception it was (fpu__exception_code() in Linux), from the control and status words.
fn fp_code(context: &mut UserContext, number: u8) -> i32 {
    let mut state = alloc::vec![0; UserContext::fp_len()];
    context.fp_save(&mut state);
    let word = |at: usize| u32::from(u16::from_le_bytes([state[at], state[at + 1]]));
    let errors = if number == vector::X87 {
        let (control, status) = (word(0), word(2));
        status & !control
    } else {
        let mxcsr = word(24) | word(26) << 16;
        !(mxcsr >> 7) & mxcsr
    };
    let codes = [
        (0x01, code::FPE_FLTINV),
        (0x04, code::FPE_FLTDIV),
        (0x08, code::FPE_FLTOVF),
        (0x12, code::FPE_FLTUND),
        (0x20, code::FPE_FLTRES),
    ];
    codes.into_iter().find(|(bits, _)| errors & bits != 0).map_or(0, |(_, why)| why)
}
