//! Simulated physical memory: one block, of which the host commits the pages that are touched.

use crate::frame::{self, Frame};
use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Physical address of the first byte: not 0, so that mistakes show.
const BASE: u64 = 1 << 20;
/// Bytes of memory.
const SIZE: usize = 2 << 30;

/// The host's address of the block.
struct Block(NonNull<u8>);

// SAFETY: the block is only accessed through atomics, or where a frame's owner says how.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

fn block() -> NonNull<u8> {
    static BLOCK: OnceLock<Block> = OnceLock::new();
    BLOCK
        .get_or_init(|| {
            let layout = Layout::from_size_align(SIZE, 4096).expect("a valid layout");
            // SAFETY: the size is not zero. The block is never freed.
            let pointer = unsafe { alloc_zeroed(layout) };
            Block(NonNull::new(pointer).expect("the host refuses the simulated memory"))
        })
        .0
}

/// Where a physical address is in the process.
pub(crate) fn direct(physical: u64) -> NonNull<u8> {
    let offset = (physical - BASE) as usize;
    assert!(offset < SIZE, "no memory at {physical:#x}");
    // SAFETY: the offset lies in the block.
    unsafe { block().add(offset) }
}

/// The physical address of a place in the block.
#[cfg(test)]
pub(crate) fn physical(place: NonNull<u8>) -> u64 {
    let offset = (place.as_ptr() as usize).wrapping_sub(block().as_ptr() as usize);
    assert!(offset < SIZE, "not in the simulated memory");
    BASE + offset as u64
}

std::thread_local! {
    /// Frames that this thread may still allocate; `None` is no limit.
    static LIMIT: Cell<Option<isize>> = const { Cell::new(None) };
}

/// Ends the limit when dropped.
#[must_use = "the limit ends when this is dropped"]
pub struct FrameLimit {
    before: Option<isize>,
}

/// From now on this thread can have only `frames` more frames at a time (those it frees count again): to test what happens when
/// memory runs out. Page tables count too.
pub fn limit_frames(frames: usize) -> FrameLimit {
    FrameLimit { before: LIMIT.replace(Some(frames as isize)) }
}

impl Drop for FrameLimit {
    fn drop(&mut self) {
        LIMIT.set(self.before);
    }
}

/// Called by the allocator before each allocation. Sets it up the first time.
pub(crate) fn may_allocate() -> bool {
    static SET_UP: OnceLock<()> = OnceLock::new();
    SET_UP.get_or_init(|| {
        // SAFETY: the block is used for nothing else.
        unsafe { frame::init([(BASE, BASE + SIZE as u64)].into_iter()) };
    });
    LIMIT.get().is_none_or(|left| left > 0)
}

/// Called by the allocator for frames allocated (positive) and freed.
pub(crate) fn count_frames(change: isize) {
    // A thread that is ending may have lost its limit already.
    let _ = LIMIT.try_with(|limit| limit.set(limit.get().map(|left| left - change)));
}

/// There is no kernel half.
pub(crate) fn share_kernel_half(_root: &Frame) {}

/// Copies bytes that other threads may be changing, as user programs do on a real machine.
///
/// # Safety
/// Both ranges are valid for so many bytes, and do not overlap unless they are the same.
pub(crate) unsafe fn copy_bytes(dst: *mut u8, src: *const u8, len: usize) {
    if (dst as usize | src as usize).is_multiple_of(8) {
        for index in 0..len / 8 {
            // SAFETY: both words lie in their ranges and are aligned; atomics may be shared.
            unsafe {
                let word = (*src.cast::<AtomicU64>().add(index)).load(Ordering::Relaxed);
                (*dst.cast::<AtomicU64>().add(index)).store(word, Ordering::Relaxed);
            }
        }
        // SAFETY: the rest of the same ranges.
        return unsafe { copy_single(dst.add(len & !7), src.add(len & !7), len & 7) };
    }
    // SAFETY: as the caller promises.
    unsafe { copy_single(dst, src, len) };
}

/// # Safety
/// As [`copy_bytes`].
unsafe fn copy_single(dst: *mut u8, src: *const u8, len: usize) {
    for index in 0..len {
        // SAFETY: both bytes lie in their ranges; atomics may be shared.
        unsafe {
            let byte = (*src.cast::<AtomicU8>().add(index)).load(Ordering::Relaxed);
            (*dst.cast::<AtomicU8>().add(index)).store(byte, Ordering::Relaxed);
        }
    }
}

/// Sets bytes that other threads may be changing.
///
/// # Safety
/// The range is valid for so many bytes.
pub(crate) unsafe fn fill_bytes(dst: *mut u8, byte: u8, len: usize) {
    let pattern = [byte; crate::frame::PAGE_SIZE];
    let mut done = 0;
    while done < len {
        let part = (len - done).min(pattern.len());
        // SAFETY: the part lies in the range, and the pattern is long enough.
        unsafe { copy_bytes(dst.add(done), pattern.as_ptr(), part) };
        done += part;
    }
}
