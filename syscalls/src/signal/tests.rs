//! Delivery on the simulated machine: frames, masks, restarts, what ends a process.

use super::frame::{self, TrapState};
use super::*;
use crate::run;
use crate::task::Task;
use crate::test_support::{MEMORY, MEMORY_END, memory, task};
use alloc::sync::Arc;
use husk_abi::Errno;
use husk_abi::control::ExitStatus;
use husk_machine::hosted;
use husk_machine::user::{Access, Trap, UserContext, UserRegs};
use linux_raw_sys::general as sys;

const HANDLER: u64 = 0x40_1000;
const RESTORER: u64 = 0x40_2000;

fn action(flags: u32) -> SigAction {
    SigAction {
        handler: HANDLER,
        flags: u64::from(flags | sys::SA_RESTORER),
        restorer: RESTORER,
        mask: SigSet::only(Signal::SIGHUP),
    }
}

fn context() -> UserContext {
    let mut context = UserContext::new().unwrap();
    context.regs = UserRegs {
        rax: 1,
        rbx: 2,
        rcx: 3,
        rdx: 4,
        rsi: 5,
        rdi: 6,
        rbp: 7,
        rsp: MEMORY_END - 0x1008,
        r8: 8,
        r9: 9,
        r10: 10,
        r11: 11,
        r12: 12,
        r13: 13,
        r14: 14,
        r15: 15,
        rip: 0x40_0000,
        rflags: 0x202,
        fs_base: 0x1234,
        gs_base: 0x5678,
    };
    context
}

#[test]
fn a_frame_is_laid_out_as_linux_does_and_restores_everything() {
    let task = task();
    let mut context = context();
    let before = context.regs;
    task.set_blocked(SigSet::only(Signal::SIGUSR2));
    let trap = TrapState { number: 14, error_code: 6, address: 0xdead };
    let info = SigInfo::fault(Signal::SIGSEGV, code::SEGV_MAPERR, 0xdead);
    frame::push(&task, &mut context, &trap, &info, &action(0)).unwrap();

    let regs = context.regs;
    assert_eq!((regs.rip, regs.rdi, regs.rax), (HANDLER, 11, 0));
    assert_eq!(regs.rsp % 16, 8, "as after a call");
    assert!(regs.rsp + 440 + 512 <= before.rsp - 128, "the red zone stays");
    assert_eq!((regs.rsi, regs.rdx), (regs.rsp + 312, regs.rsp + 8));
    let word = |at: u64| u64::from_le_bytes(memory(&task, at, 8).try_into().unwrap());
    assert_eq!(word(regs.rsp), RESTORER);
    let context_at = regs.rdx;
    assert_eq!(word(context_at), 7, "uc_flags");
    // REG_RIP is 16, REG_ERR 19, REG_TRAPNO 20, REG_CR2 22; gregs start at 40.
    let greg = |number: u64| word(context_at + 40 + number * 8);
    assert_eq!((greg(0), greg(13), greg(16)), (8, 1, before.rip));
    assert_eq!((greg(19), greg(20), greg(22)), (6, 14, 0xdead));
    assert_eq!(word(context_at + 296), Signal::SIGUSR2.bit(), "uc_sigmask");
    assert_eq!(word(regs.rsi), 11);
    assert_eq!(word(regs.rsi + 16), 0xdead, "si_addr");
    let fp = greg(23);
    assert_eq!(fp % 64, 0);
    assert_eq!(memory(&task, fp + 464, 4), 0x4650_5853_u32.to_le_bytes());
    let size = UserContext::fp_len();
    assert_eq!(memory(&task, fp + size as u64, 4), 0x4650_5845_u32.to_le_bytes());

    // The handler returns: RET takes the restorer's address off the stack.
    context.regs = UserRegs { rsp: regs.rsp + 8, ..UserRegs::default() };
    context.regs.fs_base = before.fs_base;
    context.regs.gs_base = before.gs_base;
    task.set_blocked(SigSet::EMPTY);
    assert_eq!(frame::pop(&task, &mut context), Ok(1));
    assert_eq!(UserRegs { rflags: 0x202, ..context.regs }, before);
    assert_eq!(task.blocked(), SigSet::only(Signal::SIGUSR2));
}

#[test]
fn a_damaged_frame_is_refused() {
    let task = task();
    let mut context = context();
    frame::push(&task, &mut context, &TrapState::default(), &SigInfo::kernel(Signal::SIGUSR1), &action(0))
        .unwrap();
    let fp_at = context.regs.rdx + 40 + 23 * 8;
    let fp = u64::from_le_bytes(memory(&task, fp_at, 8).try_into().unwrap());
    // Reserved bits of MXCSR.
    task.mm().copy_out(fp + 24, &[0xff; 4]).unwrap();
    context.regs.rsp += 8;
    assert_eq!(frame::pop(&task, &mut context), Err(Errno::EFAULT));
    context.regs.rsp = MEMORY - 0x1000;
    assert_eq!(frame::pop(&task, &mut context), Err(Errno::EFAULT));
}

#[test]
fn no_restorer_no_frame() {
    let task = task();
    let plain = SigAction { flags: 0, ..action(0) };
    let result =
        frame::push(&task, &mut context(), &TrapState::default(), &SigInfo::kernel(Signal::SIGUSR1), &plain);
    assert_eq!(result, Err(Errno::EFAULT));
}

#[test]
fn the_alternate_stack_is_used_once() {
    let task = task();
    let (low, size) = (MEMORY + 0x4000, 0x4000);
    task.signals.lock().alt_stack = AltStack::new(low, 0, size);
    let mut context = context();
    let on_stack = action(sys::SA_ONSTACK);
    let info = SigInfo::kernel(Signal::SIGUSR1);
    frame::push(&task, &mut context, &TrapState::default(), &info, &on_stack).unwrap();
    assert!((low..low + size).contains(&context.regs.rsp));
    let first = context.regs.rsp;
    frame::push(&task, &mut context, &TrapState::default(), &info, &on_stack).unwrap();
    assert!(context.regs.rsp < first && context.regs.rsp > low, "nested below the first");
    context.regs.rsp = low + 64;
    let overflow = frame::push(&task, &mut context, &TrapState::default(), &info, &on_stack);
    assert_eq!(overflow, Err(Errno::EFAULT));
}

/// Runs a scripted program in a task; the answer is how it ended.
fn run(task: &Arc<Task>, program: impl FnMut(&mut UserRegs) -> Trap + Send + 'static) -> ExitStatus {
    let mut program = program;
    hosted::script(move |regs, _| program(regs));
    let process = task.process().clone();
    run::start(task.clone(), context()).unwrap();
    process.ended_queue.wait_until(|| process.ended())
}

fn call(regs: &mut UserRegs, number: u32, args: [u64; 3]) -> Trap {
    regs.rax = number.into();
    [regs.rdi, regs.rsi, regs.rdx] = args;
    Trap::Syscall
}

#[test]
fn faults_end_a_process_by_their_signals() {
    let cases = [
        (Trap::Exception { vector: 0, error_code: 0 }, 8),
        (Trap::Exception { vector: 6, error_code: 0 }, 4),
        (Trap::Exception { vector: 13, error_code: 0 }, 11),
        (Trap::Exception { vector: 3, error_code: 0 }, 5),
        (Trap::PageFault { addr: 0, access: Access::Read, present: false }, 11),
    ];
    for (trap, signal) in cases {
        assert_eq!(run(&task(), move |_| trap), ExitStatus::Signaled(signal), "{trap:?}");
    }
}

#[test]
fn a_blocked_fault_kills_all_the_same() {
    let task = task();
    task.process().handlers.set(Signal::SIGSEGV, action(0));
    task.set_blocked(SigSet::only(Signal::SIGSEGV));
    let status = run(&task, |_| Trap::PageFault { addr: 8, access: Access::Write, present: false });
    assert_eq!(status, ExitStatus::Signaled(11));
}

#[test]
fn exit_codes_and_own_signals() {
    assert_eq!(run(&task(), |regs| call(regs, sys::__NR_exit_group, [0x107, 0, 0])), ExitStatus::Exited(7));
    assert_eq!(run(&task(), |regs| call(regs, sys::__NR_exit, [3, 0, 0])), ExitStatus::Exited(3));
    let task = task();
    let pid = task.process().pid() as u64;
    assert_eq!(run(&task, move |regs| call(regs, sys::__NR_kill, [pid, 15, 0])), ExitStatus::Signaled(15));
}

#[test]
fn a_handler_runs_and_the_program_goes_on() {
    let task = task();
    task.process().handlers.set(Signal::SIGUSR1, action(0));
    let (pid, mut step) = (task.process().pid() as u64, 0);
    let watched = task.clone();
    let status = run(&task, move |regs| {
        step += 1;
        match step {
            1 => call(regs, sys::__NR_kill, [pid, 10, 0]),
            2 => {
                assert_eq!((regs.rip, regs.rdi), (HANDLER, 10));
                let blocked = watched.blocked();
                assert!(blocked.contains(Signal::SIGUSR1) && blocked.contains(Signal::SIGHUP));
                // RET to the restorer, which calls rt_sigreturn(2).
                regs.rsp += 8;
                call(regs, sys::__NR_rt_sigreturn, [0; 3])
            }
            _ => {
                assert_eq!((regs.rip, regs.rax), (0x40_0000, 0), "kill(2) has returned 0");
                assert!(watched.blocked().is_empty());
                call(regs, sys::__NR_exit_group, [42, 0, 0])
            }
        }
    });
    assert_eq!(status, ExitStatus::Exited(42));
}

#[test]
fn an_interrupted_call_restarts_as_its_code_says() {
    // (flags, result in RAX at the handler's frame, RIP there)
    let cases = [(0, Errno::EINTR.to_return(), 0x40_0000), (sys::SA_RESTART, 34, 0x40_0000 - 2)];
    for (flags, rax, rip) in cases {
        let task = task();
        task.process().handlers.set(Signal::SIGALRM, action(flags));
        send_to_task(&task, SigInfo::kernel(Signal::SIGALRM)).unwrap();
        let mut context = context();
        context.regs.rax = Errno::ERESTARTSYS.to_return();
        // pause(2)'s number stands for any.
        assert!(deliver::deliver(&task, &mut context, &TrapState::default(), Some(34)));
        let at = context.regs.rdx + 40;
        let word = |number: u64| u64::from_le_bytes(memory(&task, at + number * 8, 8).try_into().unwrap());
        assert_eq!((word(13), word(16)), (rax, rip), "flags {flags:#x}");
    }
    // Without a handler the call is made again, or goes on through restart_syscall(2).
    for (code, number) in [(Errno::ERESTARTNOHAND, 34), (Errno::ERESTART_RESTARTBLOCK, 219)] {
        let mut context = context();
        context.regs.rax = code.to_return();
        assert!(deliver::deliver(&task(), &mut context, &TrapState::default(), Some(34)));
        assert_eq!((context.regs.rax, context.regs.rip), (number, 0x40_0000 - 2));
    }
}

#[test]
fn ignored_signals_are_dropped_and_blocked_ones_wait() {
    let task = task();
    send_to_task(&task, SigInfo::kernel(Signal::SIGCHLD)).unwrap();
    assert!(!task.has_pending_signal());
    task.set_blocked(SigSet::only(Signal::SIGCHLD));
    send_to_task(&task, SigInfo::kernel(Signal::SIGCHLD)).unwrap();
    assert!(!task.has_pending_signal());
    assert!(task.pending.lock().set().contains(Signal::SIGCHLD));
    task.set_temporary_mask(SigSet::EMPTY);
    assert!(task.has_pending_signal());
    assert!(deliver::deliver(&task, &mut context(), &TrapState::default(), None));
    assert_eq!(task.blocked(), SigSet::only(Signal::SIGCHLD), "the old mask is back");
}

#[test]
fn continue_and_stop_take_each_other_back() {
    let task = task();
    task.set_blocked(SigSet::only(Signal::SIGTSTP) | SigSet::only(Signal::SIGCONT));
    send_to_process(task.process(), SigInfo::kernel(Signal::SIGTSTP)).unwrap();
    send_to_process(task.process(), SigInfo::kernel(Signal::SIGCONT)).unwrap();
    assert_eq!(task.process().pending.lock().set(), SigSet::only(Signal::SIGCONT));
    send_to_process(task.process(), SigInfo::kernel(Signal::SIGTSTP)).unwrap();
    assert_eq!(task.process().pending.lock().set(), SigSet::only(Signal::SIGTSTP));
}
