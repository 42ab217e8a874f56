//! User memory through the page table instead of the MMU: page by page, protections honoured, "accessed" and "dirty" set as the
//! hardware would. For tables that the CPU does not use now, and on the host for all.
//!
//! Each function gives the bytes done before the first page that cannot be used so, or for words the address of the fault.

use super::PageTable;
use crate::arch::memory::{copy_bytes, fill_bytes};
use crate::frame::{Frame, PAGE_SIZE};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Calls `f(frame, offset, done, length)` for the part of the range on each page, until it is false.
fn each_page(
    space: &PageTable,
    va: u64,
    len: usize,
    write: bool,
    mut f: impl FnMut(&Frame, usize, usize, usize) -> bool,
) -> usize {
    let mut done = 0;
    while done < len {
        let at = va + done as u64;
        let offset = at as usize % PAGE_SIZE;
        let part = (PAGE_SIZE - offset).min(len - done);
        match space.access(at, write, |frame| f(frame, offset, done, part)) {
            Some(true) => done += part,
            Some(false) | None => return done,
        }
    }
    done
}

fn byte(frame: &Frame, offset: usize) -> *mut u8 {
    // SAFETY: the offset is less than a page.
    unsafe { frame.as_ptr().as_ptr().add(offset) }
}

/// # Safety
/// `dst` is valid for `len` bytes; the range ends in user memory.
pub(crate) unsafe fn read(space: &PageTable, dst: *mut u8, va: u64, len: usize) -> usize {
    each_page(space, va, len, false, |frame, offset, done, part| {
        // SAFETY: the part lies in both ranges.
        unsafe { copy_bytes(dst.add(done), byte(frame, offset), part) };
        true
    })
}

/// # Safety
/// `src` is valid for `len` bytes; the range ends in user memory.
pub(crate) unsafe fn write(space: &PageTable, va: u64, src: *const u8, len: usize) -> usize {
    each_page(space, va, len, true, |frame, offset, done, part| {
        // SAFETY: the part lies in both ranges.
        unsafe { copy_bytes(byte(frame, offset), src.add(done), part) };
        true
    })
}

/// # Safety
/// The range ends in user memory.
pub(crate) unsafe fn clear(space: &PageTable, va: u64, len: usize) -> usize {
    each_page(space, va, len, true, |frame, offset, _, part| {
        // SAFETY: the part lies in the page.
        unsafe { fill_bytes(byte(frame, offset), 0, part) };
        true
    })
}

/// # Safety
/// The range ends in user memory.
pub(crate) unsafe fn strnlen(space: &PageTable, va: u64, max: usize) -> (usize, bool) {
    let mut length = 0;
    let mut ended = false;
    each_page(space, va, max, false, |frame, offset, _, part| {
        for at in offset..offset + part {
            // SAFETY: the byte lies in the page; atomics may be shared.
            if unsafe { (*byte(frame, at).cast::<AtomicU8>()).load(Ordering::Relaxed) } == 0 {
                ended = true;
                return false;
            }
            length += 1;
        }
        true
    });
    (length, ended)
}

/// Uses a word at once. `None` if it is not aligned, as then it may lie on two pages.
fn word<R>(
    space: &PageTable,
    va: u64,
    write: bool,
    f: impl FnOnce(&AtomicU32) -> R,
) -> Option<Result<R, u64>> {
    if !va.is_multiple_of(4) {
        return None;
    }
    // SAFETY: the word lies in the page and is aligned; only atomics access it.
    let used = space.access(va, write, |frame| f(unsafe { &*byte(frame, va as usize % PAGE_SIZE).cast() }));
    Some(used.ok_or(va))
}

/// Uses the four bytes of a word one by one; not at once, but a program that does not align its words cannot expect that.
fn split_word(space: &PageTable, va: u64, f: impl FnOnce(u32) -> Option<u32>) -> Result<u32, u64> {
    let mut bytes = [0; 4];
    // SAFETY: the buffer is valid, and the range is in user memory.
    let done = unsafe { read(space, bytes.as_mut_ptr(), va, bytes.len()) };
    if done < bytes.len() {
        return Err(va + done as u64);
    }
    let old = u32::from_le_bytes(bytes);
    if let Some(new) = f(old) {
        // SAFETY: as above.
        let done = unsafe { write(space, va, new.to_le_bytes().as_ptr(), bytes.len()) };
        if done < bytes.len() {
            return Err(va + done as u64);
        }
    }
    Ok(old)
}

/// # Safety
/// The word is in user memory.
pub(crate) unsafe fn load_u32(space: &PageTable, va: u64) -> Result<u32, u64> {
    word(space, va, false, |word| word.load(Ordering::SeqCst))
        .unwrap_or_else(|| split_word(space, va, |_| None))
}

/// # Safety
/// The word is in user memory.
pub(crate) unsafe fn swap_u32(space: &PageTable, va: u64, value: u32) -> Result<u32, u64> {
    word(space, va, true, |word| word.swap(value, Ordering::SeqCst))
        .unwrap_or_else(|| split_word(space, va, |_| Some(value)))
}

/// # Safety
/// The word is in user memory.
pub(crate) unsafe fn compare_exchange_u32(
    space: &PageTable,
    va: u64,
    old: u32,
    new: u32,
) -> Result<u32, u64> {
    word(space, va, true, |word| {
        word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|found| found)
    })
    .unwrap_or_else(|| split_word(space, va, |found| (found == old).then_some(new)))
}
