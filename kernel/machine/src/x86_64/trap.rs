//! The stubs that the interrupt gates lead to, and traps that come from the kernel itself.
//!
//! From user mode, a trap saves the registers into the running context and returns from `husk_enter_user` (see
//! `user.rs`) as a function does. From the kernel, it calls [`kernel_trap`] and goes back. Vectors with a stack of their own
//! (NMI, double fault, machine check; a debug exception of the kernel) may come between any two instructions of the entry
//! code, when GS may be the user's: they take the CPU's block from the top of that stack instead, and put the old GS base back.

use core::arch::global_asm;

use x86_64::registers::rflags::RFlags;

use super::gdt::KERNEL_DS;
use super::idt::vector;
use super::percpu::offset;
use super::{irq, panic, uaccess};

/// Registers at a trap, as the stubs push them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrapFrame {
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rbp: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rdx: u64,
    pub(crate) rcx: u64,
    pub(crate) rbx: u64,
    pub(crate) rax: u64,
    pub(crate) vector: u64,
    pub(crate) error_code: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

global_asm!(
    r#"
    .macro husk_push_all
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro husk_pop_all
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    .endm

    .pushsection .text.husk_trap, "ax"
    .p2align 4
    .global husk_trap_stubs
husk_trap_stubs:
    .set husk_vector, 0
    .rept 256
    .p2align 4
    // Vectors for which the CPU pushes an error code.
    .ifeq (husk_vector - 8) * (husk_vector - 10) * (husk_vector - 11) * (husk_vector - 12) * (husk_vector - 13) * (husk_vector - 14) * (husk_vector - 17) * (husk_vector - 21) * (husk_vector - 29) * (husk_vector - 30)
    .else
    pushq $0
    .endif
    pushq $husk_vector
    // NMI, double fault, machine check.
    .ifeq (husk_vector - 2) * (husk_vector - 8) * (husk_vector - 18)
    jmp husk_trap_paranoid
    .else
    .ifeq husk_vector - 1
    jmp husk_trap_debug
    .else
    jmp husk_trap
    .endif
    .endif
    .set husk_vector, husk_vector + 1
    .endr

    .p2align 4
husk_trap_debug:
    testb $3, 24(%rsp)
    jz husk_trap_paranoid
husk_trap:
    testb $3, 24(%rsp)
    jz husk_trap_kernel
    swapgs
    lfence                          // no speculation with the wrong GS
    pushq %rax
    movq %gs:{context}, %rax
    movq %rbx, 8(%rax)
    movq %rcx, 16(%rax)
    movq %rdx, 24(%rax)
    movq %rsi, 32(%rax)
    movq %rdi, 40(%rax)
    movq %rbp, 48(%rax)
    movq %r8, 64(%rax)
    movq %r9, 72(%rax)
    movq %r10, 80(%rax)
    movq %r11, 88(%rax)
    movq %r12, 96(%rax)
    movq %r13, 104(%rax)
    movq %r14, 112(%rax)
    movq %r15, 120(%rax)
    popq (%rax)                     // rax
    popq %rcx                       // vector
    popq %rdx                       // error code
    popq 128(%rax)                  // rip
    popq %rsi                       // cs
    popq 136(%rax)                  // rflags
    popq 56(%rax)                   // rsp
    // The CPU loaded a null SS. SYSRET on AMD's CPUs would leave the program an SS that is not usable; and in
    // emulation, code is translated again for it.
    movl ${kernel_ds}, %esi
    movl %esi, %ss
    shlq $32, %rdx
    leaq (%rcx, %rdx), %rax
    jmp husk_leave_user

husk_trap_kernel:
    husk_push_all
    pushq $2                        // clears direction, alignment check, trap, nested task
    popfq
    movq %rsp, %rdi
    call {kernel_trap}
    husk_pop_all
    addq $16, %rsp
    iretq

husk_trap_paranoid:
    husk_push_all
    pushq $2
    popfq
    movl $0xc0000101, %ecx          // GS base
    rdmsr
    movl %eax, %ebx
    movl %edx, %r12d
    movl 15 * 8 + 56(%rsp), %eax    // the CPU's block, above the frame on this stack
    movl 15 * 8 + 60(%rsp), %edx
    wrmsr
    movq %rsp, %rdi
    call {paranoid_trap}
    movl $0xc0000101, %ecx
    movl %ebx, %eax
    movl %r12d, %edx
    wrmsr
    husk_pop_all
    addq $16, %rsp
    iretq
    .popsection
    "#,
    context = const offset::CONTEXT,
    kernel_ds = const KERNEL_DS.0,
    kernel_trap = sym kernel_trap,
    paranoid_trap = sym paranoid_trap,
    options(att_syntax)
);

unsafe extern "C" {
    static husk_trap_stubs: u8;
}

/// Address of the stub of a vector.
pub(crate) fn stub_address(vector: u8) -> u64 {
    (&raw const husk_trap_stubs) as u64 + u64::from(vector) * 16
}

/// A trap in the kernel: an interrupt while idle, a page fault in a copy from or to user memory, or a bug.
extern "C" fn kernel_trap(frame: &mut TrapFrame) {
    let number = frame.vector as u8;
    if number >= vector::FIRST_INTERRUPT {
        irq::dispatch(number);
        return;
    }
    if matches!(number, vector::PAGE_FAULT | vector::GENERAL_PROTECTION)
        && let Some(target) = uaccess::fixup(frame.rip)
    {
        frame.rip = target;
        return;
    }
    panic::trap(frame);
}

/// A trap on its own stack. Only a debug exception of the kernel may be survived: a user's data breakpoint or
/// single step that hits the entry code.
extern "C" fn paranoid_trap(frame: &mut TrapFrame) {
    if frame.vector as u8 == vector::DEBUG {
        frame.rflags &= !RFlags::TRAP_FLAG.bits();
        super::cpu::take_debug_status();
        return;
    }
    if frame.vector as u8 == vector::NMI && panic::is_reporting() {
        panic::stop();
    }
    panic::trap(frame);
}
