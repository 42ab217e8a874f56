//! The kernel heap: a talc arena in a large reserved range of addresses, of which pages are mapped as the heap grows.

use super::heap_cache;
use super::kernel_pages::{self, HEAP, WINDOW_HALF};
use crate::frame::PAGE_SIZE;
use crate::sync::{SpinLock, level};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use talc::base::Talc;
use talc::base::binning::DefaultBinning;
use talc::source::Manual;

/// The heap grows by at least so many bytes, or by an eighth.
const MIN_GROWTH: u64 = 64 << 10;
/// What the arena needs beside the allocation itself: its own tables, headers, alignment to pages.
const OVERHEAD: u64 = 2 * PAGE_SIZE as u64;

struct Heap {
    talc: Talc<Manual, DefaultBinning>,
    /// End of the arena, as talc sees it.
    arena_end: Option<NonNull<u8>>,
    /// End of what is mapped.
    mapped_end: u64,
    /// Bytes that were asked for and not given back.
    used: usize,
}

// SAFETY: all its pointers lead into the heap's own range, which only it uses.
unsafe impl Send for Heap {}

static KERNEL_HEAP: SpinLock<Heap> = SpinLock::with_level(
    level::HEAP,
    Heap { talc: Talc::new(Manual), arena_end: None, mapped_end: HEAP, used: 0 },
);

struct Allocator;

#[global_allocator]
static GLOBAL: Allocator = Allocator;

impl Heap {
    /// Maps more pages, at least for an allocation like `layout`.
    fn grow(&mut self, layout: Layout) -> Option<()> {
        let size = self.mapped_end - HEAP;
        let needed = (layout.size() as u64).checked_add(layout.align() as u64)?.checked_add(OVERHEAD)?;
        let wanted = needed.max(MIN_GROWTH).max(size / 8).checked_next_multiple_of(PAGE_SIZE as u64)?;
        if wanted > WINDOW_HALF - size {
            return None;
        }
        let start = self.mapped_end;
        while self.mapped_end < start + wanted {
            if kernel_pages::map(self.mapped_end).is_err() {
                break;
            }
            self.mapped_end += PAGE_SIZE as u64;
        }
        if self.mapped_end == start {
            return None;
        }
        let end = self.mapped_end as *mut u8;
        self.arena_end = Some(match self.arena_end {
            // SAFETY: `old` is what talc said last, and the memory up to `end` is mapped and used by nobody else.
            Some(old) => unsafe { self.talc.extend(old, end) },
            // SAFETY: as above; the heap begins here.
            None => unsafe { self.talc.claim(HEAP as *mut u8, (self.mapped_end - HEAP) as usize) }?,
        });
        // If memory ran out on the way, what there is may still do; if not, the next attempt grows by nothing and ends.
        Some(())
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        loop {
            // SAFETY: callers of the global allocator never ask for a size of 0.
            if let Some(pointer) = unsafe { self.talc.try_allocate(layout) } {
                self.used += layout.size();
                return Some(pointer);
            }
            self.grow(layout)?;
        }
    }
}

/// Takes up to `count` blocks out of the arena at once.
pub(super) fn take_blocks(layout: Layout, count: usize, mut take: impl FnMut(NonNull<u8>)) {
    let mut heap = KERNEL_HEAP.lock();
    (0..count).map_while(|_| heap.allocate(layout)).for_each(&mut take);
}

/// Gives the blocks back that `next` says.
///
/// # Safety
/// They came from [`take_blocks`] with this layout, and nobody uses them.
pub(super) unsafe fn give_blocks(layout: Layout, mut next: impl FnMut() -> Option<NonNull<u8>>) {
    let mut heap = KERNEL_HEAP.lock();
    while let Some(block) = next() {
        heap.used -= layout.size();
        // SAFETY: as the caller promises.
        unsafe { heap.talc.deallocate(block.as_ptr(), layout) };
    }
}

/// Bytes in use, and bytes taken for the heap.
pub(super) fn usage() -> (usize, usize) {
    let kept = heap_cache::kept_bytes();
    let heap = KERNEL_HEAP.lock();
    (heap.used.saturating_sub(kept), (heap.mapped_end - HEAP) as usize)
}

// SAFETY: talc gives out separate, aligned blocks of mapped memory; the lock keeps its structure whole.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(small) = heap_cache::allocate(layout) {
            return small.map_or(null_mut(), NonNull::as_ptr);
        }
        KERNEL_HEAP.lock().allocate(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: blocks are never null, and the caller says that it got this one from here with this layout.
        if unsafe { heap_cache::free(NonNull::new_unchecked(pointer), layout) } {
            return;
        }
        let mut heap = KERNEL_HEAP.lock();
        heap.used -= layout.size();
        // SAFETY: the caller says that it got the block from here with this layout.
        unsafe { heap.talc.deallocate(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller says that the new size, rounded up to the alignment, is a valid layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if heap_cache::is_same_kind(layout, new_layout) {
            return pointer;
        }
        if !heap_cache::is_small(layout) && !heap_cache::is_small(new_layout) {
            let mut heap = KERNEL_HEAP.lock();
            // SAFETY: as for `dealloc`; the new size is not 0 and does not overflow, as the caller says.
            if unsafe { heap.talc.try_realloc_in_place(pointer, layout, new_size) } {
                heap.used = heap.used - layout.size() + new_size;
                return pointer;
            }
        }
        // SAFETY: the new size is not 0.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: two separate blocks, both at least this long; then the old one is given back with its layout.
            unsafe {
                core::ptr::copy_nonoverlapping(pointer, new, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
        }
        new
    }
}
