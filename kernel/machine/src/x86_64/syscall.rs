//! The SYSCALL instruction.

use core::arch::global_asm;

use super::cpu;
use super::gdt::{KERNEL_CS, SYSRET_BASE};
use super::percpu::offset;

const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_CSTAR: u32 = 0xc000_0083;
const MSR_FMASK: u32 = 0xc000_0084;
const MSR_SYSENTER_CS: u32 = 0x174;

/// What `husk_enter_user` returns after a system call: no vector.
pub(crate) const SYSCALL: u64 = 0x100;

/// Flags that SYSCALL clears: everything that a program can set, as Linux does
/// (CF, PF, AF, ZF, SF, TF, IF, DF, OF, IOPL, NT, RF, AC, ID).
const FLAGS_CLEARED: u64 = 0x0025_7fd5;

global_asm!(
    r#"
    .pushsection .text.husk_syscall, "ax"
    .p2align 4
    .global husk_syscall_entry
husk_syscall_entry:
    swapgs
    movq %rax, %gs:{scratch}
    movq %gs:{context}, %rax
    movq %rbx, 8(%rax)
    movq %rcx, 16(%rax)
    movq %rdx, 24(%rax)
    movq %rsi, 32(%rax)
    movq %rdi, 40(%rax)
    movq %rbp, 48(%rax)
    movq %rsp, 56(%rax)
    movq %r8, 64(%rax)
    movq %r9, 72(%rax)
    movq %r10, 80(%rax)
    movq %r11, 88(%rax)
    movq %r12, 96(%rax)
    movq %r13, 104(%rax)
    movq %r14, 112(%rax)
    movq %r15, 120(%rax)
    movq %rcx, 128(%rax)            // rip
    movq %r11, 136(%rax)            // rflags
    movq %gs:{scratch}, %rcx
    movq %rcx, (%rax)
    movl ${syscall}, %eax
    jmp husk_leave_user
    .popsection
    "#,
    scratch = const offset::SCRATCH,
    context = const offset::CONTEXT,
    syscall = const SYSCALL,
    options(att_syntax)
);

unsafe extern "C" {
    static husk_syscall_entry: u8;
}

/// Lets user mode use SYSCALL, and neither SYSENTER nor SYSCALL from 32-bit code.
pub(crate) fn init() {
    // SAFETY: the selectors are those of the GDT, the entry point is the code above; EFER's other bits stay.
    unsafe {
        cpu::write_msr(MSR_STAR, u64::from(KERNEL_CS) << 32 | u64::from(SYSRET_BASE) << 48);
        cpu::write_msr(MSR_LSTAR, (&raw const husk_syscall_entry) as u64);
        cpu::write_msr(MSR_CSTAR, 0);
        cpu::write_msr(MSR_FMASK, FLAGS_CLEARED);
        cpu::write_msr(MSR_SYSENTER_CS, 0);
        let efer = cpu::read_msr(cpu::MSR_EFER);
        cpu::write_msr(cpu::MSR_EFER, efer | cpu::EFER_SYSCALL);
    }
}
