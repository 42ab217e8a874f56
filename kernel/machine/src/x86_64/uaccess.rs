//! Copies to and from user memory through the live mapping.
//!
//! The instructions below may fault. The page-fault handler then asks [`fixup`] where to go on; a table of
//! `(first, end, target)` in the section `.husk.extable` says so for each stretch of code. A fault in a loop of large
//! moves leads to the loop of single bytes, which goes on to exactly the byte that cannot be accessed.
//!
//! All addresses were checked to lie in user memory, so nothing else than page faults can happen.

use super::cpu;
use crate::paging::{PageTable, walked};
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering};
use x86_64::instructions::smap::Smap;
use x86_64::registers::control::Cr2;

global_asm!(
    ".macro husk_fixup first, end, target",
    ".pushsection .husk.extable, \"a\"",
    ".quad \\first, \\end, \\target",
    ".popsection",
    ".endm",
    ".pushsection .text.husk_uaccess, \"ax\"",
    // rdi: to, rsi: from, rdx: bytes; gives the bytes not copied.
    ".p2align 4",
    ".globl husk_user_copy",
    "husk_user_copy:",
    "add rdx, rdi",
    "husk_user_copy_64:",
    "lea rax, [rdi + 64]",
    "cmp rax, rdx",
    "ja husk_user_copy_8",
    "mov rcx, [rsi]",
    "mov r8, [rsi + 8]",
    "mov r9, [rsi + 16]",
    "mov r10, [rsi + 24]",
    "mov [rdi], rcx",
    "mov [rdi + 8], r8",
    "mov [rdi + 16], r9",
    "mov [rdi + 24], r10",
    "mov rcx, [rsi + 32]",
    "mov r8, [rsi + 40]",
    "mov r9, [rsi + 48]",
    "mov r10, [rsi + 56]",
    "mov [rdi + 32], rcx",
    "mov [rdi + 40], r8",
    "mov [rdi + 48], r9",
    "mov [rdi + 56], r10",
    "add rsi, 64",
    "mov rdi, rax",
    "jmp husk_user_copy_64",
    "husk_user_copy_8:",
    "lea rax, [rdi + 8]",
    "cmp rax, rdx",
    "ja husk_user_copy_1",
    "mov rcx, [rsi]",
    "mov [rdi], rcx",
    "add rsi, 8",
    "mov rdi, rax",
    "jmp husk_user_copy_8",
    "husk_user_copy_1:",
    "cmp rdi, rdx",
    "je husk_user_copy_end",
    "movzx eax, byte ptr [rsi]",
    "mov [rdi], al",
    "inc rsi",
    "inc rdi",
    "jmp husk_user_copy_1",
    "husk_user_copy_end:",
    "mov rax, rdx",
    "sub rax, rdi",
    "ret",
    "husk_fixup husk_user_copy, husk_user_copy_1, husk_user_copy_1",
    "husk_fixup husk_user_copy_1, husk_user_copy_end, husk_user_copy_end",
    // rdi: to, rsi: bytes; gives the bytes not cleared.
    ".p2align 4",
    ".globl husk_user_clear",
    "husk_user_clear:",
    "lea rdx, [rdi + rsi]",
    "xor ecx, ecx",
    "husk_user_clear_64:",
    "lea rax, [rdi + 64]",
    "cmp rax, rdx",
    "ja husk_user_clear_1",
    "mov [rdi], rcx",
    "mov [rdi + 8], rcx",
    "mov [rdi + 16], rcx",
    "mov [rdi + 24], rcx",
    "mov [rdi + 32], rcx",
    "mov [rdi + 40], rcx",
    "mov [rdi + 48], rcx",
    "mov [rdi + 56], rcx",
    "mov rdi, rax",
    "jmp husk_user_clear_64",
    "husk_user_clear_1:",
    "cmp rdi, rdx",
    "je husk_user_clear_end",
    "mov [rdi], cl",
    "inc rdi",
    "jmp husk_user_clear_1",
    "husk_user_clear_end:",
    "mov rax, rdx",
    "sub rax, rdi",
    "ret",
    "husk_fixup husk_user_clear, husk_user_clear_1, husk_user_clear_1",
    "husk_fixup husk_user_clear_1, husk_user_clear_end, husk_user_clear_end",
    // rdi: from, rsi: most bytes; gives the bytes before the end (rax), and whether that is a NUL (rdx).
    ".p2align 4",
    ".globl husk_user_strnlen",
    "husk_user_strnlen:",
    "xor eax, eax",
    "xor edx, edx",
    "husk_user_strnlen_1:",
    "cmp rax, rsi",
    "je husk_user_strnlen_end",
    "cmp byte ptr [rdi + rax], 0",
    "je husk_user_strnlen_nul",
    "inc rax",
    "jmp husk_user_strnlen_1",
    "husk_user_strnlen_nul:",
    "inc edx",
    "husk_user_strnlen_end:",
    "ret",
    "husk_fixup husk_user_strnlen_1, husk_user_strnlen_nul, husk_user_strnlen_end",
    // Words at rdi; each gives what was there (rax), and whether there was no fault (rdx).
    ".p2align 4",
    ".globl husk_user_load",
    "husk_user_load:",
    "xor edx, edx",
    "mov eax, [rdi]",
    "inc edx",
    "husk_user_load_end:",
    "ret",
    "husk_fixup husk_user_load, husk_user_load_end, husk_user_load_end",
    ".p2align 4",
    ".globl husk_user_swap",
    "husk_user_swap:",
    "xor edx, edx",
    "mov eax, esi",
    "xchg [rdi], eax",
    "inc edx",
    "husk_user_swap_end:",
    "ret",
    "husk_fixup husk_user_swap, husk_user_swap_end, husk_user_swap_end",
    ".p2align 4",
    ".globl husk_user_exchange",
    "husk_user_exchange:", // esi: old, edx: new
    "mov ecx, edx",
    "xor edx, edx",
    "mov eax, esi",
    "lock cmpxchg [rdi], ecx",
    "mov edx, 1",
    "husk_user_exchange_end:",
    "ret",
    "husk_fixup husk_user_exchange, husk_user_exchange_end, husk_user_exchange_end",
    ".popsection",
);

/// Two results in registers.
#[repr(C)]
struct Pair {
    value: u64,
    flag: u64,
}

unsafe extern "sysv64" {
    fn husk_user_copy(dst: u64, src: u64, len: usize) -> usize;
    fn husk_user_clear(dst: u64, len: usize) -> usize;
    fn husk_user_strnlen(src: u64, max: usize) -> Pair;
    fn husk_user_load(address: u64) -> Pair;
    fn husk_user_swap(address: u64, value: u32) -> Pair;
    fn husk_user_exchange(address: u64, old: u32, new: u32) -> Pair;

    static husk_extable_start: Fixup;
    static husk_extable_end: Fixup;
}

/// Where to go on after a fault in `first..end`.
#[repr(C)]
struct Fixup {
    first: u64,
    end: u64,
    target: u64,
}

/// Where the kernel goes on after a fault at `rip`; `None` if it should not have happened there.
pub(crate) fn fixup(rip: u64) -> Option<u64> {
    let start = &raw const husk_extable_start;
    let bytes = (&raw const husk_extable_end) as usize - start as usize;
    // SAFETY: the linker script puts the symbols around the table, which is constant.
    let table = unsafe { core::slice::from_raw_parts(start, bytes / size_of::<Fixup>()) };
    table.iter().find(|fixup| (fixup.first..fixup.end).contains(&rip)).map(|fixup| fixup.target)
}

/// Whether the CPU forbids the kernel to touch user pages except between STAC and CLAC.
static SMAP: AtomicBool = AtomicBool::new(false);

pub(super) fn init() {
    SMAP.store(cpu::features().smap, Ordering::Relaxed);
}

/// Runs one of the routines above with user memory open. A fault-fixup comes back through its return, so it is always
/// closed again.
#[inline]
fn with_user_memory<R>(f: impl FnOnce() -> R) -> R {
    let smap = SMAP.load(Ordering::Relaxed);
    if !smap {
        return f();
    }
    // SAFETY: the CPU has the instructions; they only allow and forbid access to user pages.
    let smap = unsafe { Smap::new_unchecked() };
    smap.disable();
    let result = f();
    smap.enable();
    result
}

/// # Safety
/// `dst` is valid for `len` bytes; the range ends in user memory.
pub(crate) unsafe fn read(space: &PageTable, dst: *mut u8, va: u64, len: usize) -> usize {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::read(space, dst, va, len) };
    }
    // SAFETY: one side is valid; the other is user memory, where a fault ends the copy.
    len - with_user_memory(|| unsafe { husk_user_copy(dst as u64, va, len) })
}

/// # Safety
/// `src` is valid for `len` bytes; the range ends in user memory.
pub(crate) unsafe fn write(space: &PageTable, va: u64, src: *const u8, len: usize) -> usize {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::write(space, va, src, len) };
    }
    // SAFETY: one side is valid; the other is user memory, where a fault ends the copy.
    len - with_user_memory(|| unsafe { husk_user_copy(va, src as u64, len) })
}

/// # Safety
/// The range ends in user memory.
pub(crate) unsafe fn clear(space: &PageTable, va: u64, len: usize) -> usize {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::clear(space, va, len) };
    }
    // SAFETY: user memory, where a fault ends the loop.
    len - with_user_memory(|| unsafe { husk_user_clear(va, len) })
}

/// # Safety
/// The range ends in user memory.
pub(crate) unsafe fn strnlen(space: &PageTable, va: u64, max: usize) -> (usize, bool) {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::strnlen(space, va, max) };
    }
    // SAFETY: user memory, where a fault ends the loop.
    let pair = with_user_memory(|| unsafe { husk_user_strnlen(va, max) });
    (pair.value as usize, pair.flag != 0)
}

/// What a word routine says; the fault's address is still in CR2, as interrupts are off.
fn word(pair: &Pair) -> Result<u32, u64> {
    if pair.flag != 0 { Ok(pair.value as u32) } else { Err(Cr2::read_raw()) }
}

/// # Safety
/// The word is in user memory.
pub(crate) unsafe fn load_u32(space: &PageTable, va: u64) -> Result<u32, u64> {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::load_u32(space, va) };
    }
    // SAFETY: user memory, where a fault ends the access.
    word(&with_user_memory(|| unsafe { husk_user_load(va) }))
}

/// # Safety
/// The word is in user memory.
pub(crate) unsafe fn swap_u32(space: &PageTable, va: u64, value: u32) -> Result<u32, u64> {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::swap_u32(space, va, value) };
    }
    // SAFETY: user memory, where a fault ends the access.
    word(&with_user_memory(|| unsafe { husk_user_swap(va, value) }))
}

/// # Safety
/// The word is in user memory.
pub(crate) unsafe fn compare_exchange_u32(
    space: &PageTable,
    va: u64,
    old: u32,
    new: u32,
) -> Result<u32, u64> {
    if !space.active().is_here() {
        // SAFETY: as the caller promises.
        return unsafe { walked::compare_exchange_u32(space, va, old, new) };
    }
    // SAFETY: user memory, where a fault ends the access.
    word(&with_user_memory(|| unsafe { husk_user_exchange(va, old, new) }))
}
