//! Physical memory as the rest of the crate sees it.

use super::boot;
use super::kernel_map;
use super::layout::{DIRECT_MAP, DIRECT_MAP_LEN, phys_to_virt};
use crate::frame::{self, Frame, PAGE_SIZE};
use core::arch::global_asm;
use core::ptr::NonNull;

/// Hands the usable memory to the allocator. Nothing is touched yet.
pub(crate) fn init() {
    super::uaccess::init();
    let ranges = boot::usable_memory().iter().map(|range| (range.start, range.end));
    // SAFETY: boot took the image, the modules and the first megabyte out, and the direct map covers all of it.
    unsafe { frame::init(ranges) };
}

/// Where the kernel sees a physical address.
pub(crate) fn direct(physical: u64) -> NonNull<u8> {
    // SAFETY: the direct map is far from address 0.
    unsafe { NonNull::new_unchecked(phys_to_virt(physical)) }
}

/// The physical address of a place in the direct map.
///
/// # Panics
/// If it is elsewhere.
pub(crate) fn physical(place: NonNull<u8>) -> u64 {
    let offset = (place.as_ptr() as u64).wrapping_sub(DIRECT_MAP);
    assert!(offset < DIRECT_MAP_LEN, "not in the direct map");
    offset
}

/// There is no limit but memory itself.
#[inline]
pub(crate) fn may_allocate() -> bool {
    true
}

/// Nobody counts by thread.
#[inline]
pub(crate) fn count_frames(_change: isize) {}

/// Fills the kernel's half of a new top-level table.
pub(crate) fn share_kernel_half(root: &Frame) {
    const HALF: usize = PAGE_SIZE / 2;
    let kernel = direct(kernel_map::root());
    // SAFETY: both are top-level tables; the kernel's half of the first does not change any more, and the second is
    // not in use yet.
    unsafe { copy_bytes(root.as_ptr().as_ptr().add(HALF), kernel.as_ptr().add(HALF), HALF) };
}

// In assembly, because other CPUs or the program itself may be changing the bytes: that is no data race of Rust code.
// Loops of plain moves: as fast as `rep movs` for a page, faster for less, and much faster in emulation.
global_asm!(
    ".pushsection .text.husk_memory, \"ax\"",
    ".p2align 4",
    ".globl husk_memory_copy",
    "husk_memory_copy:", // rdi: to, rsi: from, rdx: bytes
    "lea rdx, [rdi + rdx]",
    "2:",
    "lea rax, [rdi + 64]",
    "cmp rax, rdx",
    "ja 3f",
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
    "jmp 2b",
    "3:",
    "lea rax, [rdi + 8]",
    "cmp rax, rdx",
    "ja 4f",
    "mov rcx, [rsi]",
    "mov [rdi], rcx",
    "add rsi, 8",
    "mov rdi, rax",
    "jmp 3b",
    "4:",
    "cmp rdi, rdx",
    "je 5f",
    "movzx eax, byte ptr [rsi]",
    "mov [rdi], al",
    "inc rsi",
    "inc rdi",
    "jmp 4b",
    "5:",
    "ret",
    ".p2align 4",
    ".globl husk_memory_fill",
    "husk_memory_fill:", // rdi: to, rsi: a byte eight times, rdx: bytes
    "lea rdx, [rdi + rdx]",
    "2:",
    "lea rax, [rdi + 64]",
    "cmp rax, rdx",
    "ja 3f",
    "mov [rdi], rsi",
    "mov [rdi + 8], rsi",
    "mov [rdi + 16], rsi",
    "mov [rdi + 24], rsi",
    "mov [rdi + 32], rsi",
    "mov [rdi + 40], rsi",
    "mov [rdi + 48], rsi",
    "mov [rdi + 56], rsi",
    "mov rdi, rax",
    "jmp 2b",
    "3:",
    "cmp rdi, rdx",
    "je 4f",
    "mov [rdi], sil",
    "inc rdi",
    "jmp 3b",
    "4:",
    "ret",
    ".popsection",
);

unsafe extern "sysv64" {
    fn husk_memory_copy(dst: *mut u8, src: *const u8, len: usize);
    fn husk_memory_fill(dst: *mut u8, pattern: u64, len: usize);
}

/// Copies bytes that others may be changing.
///
/// # Safety
/// Both ranges are valid for so many bytes, and do not overlap unless they are the same.
pub(crate) unsafe fn copy_bytes(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: as the caller promises.
    unsafe { husk_memory_copy(dst, src, len) };
}

/// Sets bytes that others may be changing.
///
/// # Safety
/// The range is valid for so many bytes.
pub(crate) unsafe fn fill_bytes(dst: *mut u8, byte: u8, len: usize) {
    // SAFETY: as the caller promises.
    unsafe { husk_memory_fill(dst, u64::from_ne_bytes([byte; 8]), len) };
}
