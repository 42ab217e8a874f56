//! The SYSCALL instruction.

use core::arch::global_asm;

use x86_64::VirtAddr;
use x86_64::registers::control::{Efer, EferFlags};
use x86_64::registers::model_specific::{LStar, Msr, SFMask, Star};
use x86_64::registers::rflags::RFlags;

use super::gdt::{KERNEL_CS, KERNEL_DS, USER_CS, USER_DS};
use super::percpu::offset;

/// The entry point for SYSCALL in compatibility mode.
const CSTAR: Msr = Msr::new(0xc000_0083);
const SYSENTER_CS: Msr = Msr::new(0x174);

/// What `husk_enter_user` returns after a system call: no vector.
pub(crate) const SYSCALL: u64 = 0x100;

/// Flags that SYSCALL clears: everything that a program can set, as Linux does.
const FLAGS_CLEARED: RFlags = RFlags::CARRY_FLAG
    .union(RFlags::PARITY_FLAG)
    .union(RFlags::AUXILIARY_CARRY_FLAG)
    .union(RFlags::ZERO_FLAG)
    .union(RFlags::SIGN_FLAG)
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::INTERRUPT_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::OVERFLOW_FLAG)
    .union(RFlags::IOPL_LOW)
    .union(RFlags::IOPL_HIGH)
    .union(RFlags::NESTED_TASK)
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::ID);

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
    Star::write(USER_CS, USER_DS, KERNEL_CS, KERNEL_DS)
        .expect("the selectors are in the order that SYSCALL wants");
    LStar::write(VirtAddr::from_ptr(&raw const husk_syscall_entry));
    SFMask::write(FLAGS_CLEARED);
    let (mut cstar, mut sysenter_cs) = (CSTAR, SYSENTER_CS);
    // SAFETY: every 64-bit CPU has the two registers, and zero leads nowhere. The selectors are those of the GDT, the entry
    // point is the code above; EFER's other bits stay.
    unsafe {
        cstar.write(0);
        sysenter_cs.write(0);
        Efer::update(|efer| *efer |= EferFlags::SYSTEM_CALL_EXTENSIONS);
    }
}
