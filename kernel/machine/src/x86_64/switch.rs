//! Leaving one kernel stack for another.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.husk_switch, \"ax\"",
    ".p2align 4",
    // rdi: where the old stack pointer goes, rsi: the new one. The registers that a call preserves are on the stacks.
    ".globl husk_switch_stacks",
    "husk_switch_stacks:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rdi], rsp",
    "mov rsp, rsi",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".popsection",
);

unsafe extern "sysv64" {
    /// Saves this thread and goes on with another. Returns when somebody switches back.
    ///
    /// # Safety
    /// `new` was stored by this function or made by [`prepare`], and not used since; its stack is mapped. `old` stays valid
    /// until somebody switches back.
    #[link_name = "husk_switch_stacks"]
    pub(super) fn switch_stacks(old: *mut u64, new: u64);
}

/// Prepares an empty stack so that the first switch to it calls `entry`; gives its stack pointer.
///
/// # Safety
/// `top` is the end of a stack that nobody uses, aligned to 16.
pub(super) unsafe fn prepare(top: u64, entry: extern "sysv64" fn() -> !) -> u64 {
    // From the top: a return address of 0, which ends backtraces; the entry; six registers, all 0.
    let frame = [0, 0, 0, 0, 0, 0, entry as usize as u64, 0];
    let pointer = top - size_of_val(&frame) as u64;
    // SAFETY: the caller owns the stack, and it is longer than this.
    unsafe { (pointer as *mut [u64; 8]).write(frame) };
    pointer
}
