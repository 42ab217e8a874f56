//! Small blocks of the heap, kept for each CPU: most allocations and frees of a system call take no lock and touch nothing of
//! other CPUs.
//!
//! Kernel code is not pre-empted and interrupt handlers do not interrupt it, so what only one CPU touches needs no lock. Blocks are of a
//! few sizes; a CPU that runs out of one takes several from the heap at once, and one that has too many gives half of them back.

use super::{cpu, heap};
use crate::thread::MAX_CPUS;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Alignment of all these blocks.
const ALIGN: usize = 16;
/// Sizes of the blocks.
const SIZES: [usize; 11] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024];
const LARGEST: usize = SIZES[SIZES.len() - 1];
/// Bytes of each size that a CPU keeps at most.
const KEPT_BYTES: usize = 8192;
/// Bytes that are taken from the heap at once.
const BATCH_BYTES: usize = 1024;

/// By the length in units of [`ALIGN`], rounded up: the index of the size.
const CLASS_OF: [u8; LARGEST / ALIGN + 1] = {
    let mut table = [0; LARGEST / ALIGN + 1];
    let (mut units, mut class) = (0, 0);
    while units < table.len() {
        if units * ALIGN > SIZES[class] {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};

/// Free blocks of one size: each holds the address of the next.
struct Free {
    first: *mut u8,
}

impl Free {
    fn push(&mut self, block: NonNull<u8>) {
        // SAFETY: the block is free, ours, and at least 16 bytes long and aligned.
        unsafe { block.cast::<*mut u8>().write(self.first) };
        self.first = block.as_ptr();
    }

    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.first)?;
        // SAFETY: `push` wrote it.
        self.first = unsafe { block.cast::<*mut u8>().read() };
        Some(block)
    }
}

struct Cache {
    free: UnsafeCell<[Free; SIZES.len()]>,
    /// How many blocks of each size. Written by the CPU itself, read by others in [`kept_bytes`].
    counts: [AtomicUsize; SIZES.len()],
}

// SAFETY: `free` is touched by its own CPU alone (see `push` and `pop`).
unsafe impl Sync for Cache {}

static CACHES: [Cache; MAX_CPUS] = [const {
    Cache {
        free: UnsafeCell::new([const { Free { first: core::ptr::null_mut() } }; SIZES.len()]),
        counts: [const { AtomicUsize::new(0) }; SIZES.len()],
    }
}; MAX_CPUS];

/// Adds a free block of one size to those of this CPU; gives how many there are.
fn push(class: usize, block: NonNull<u8>) -> usize {
    let cache = &CACHES[cpu::current()];
    // SAFETY: nothing interrupts kernel code on its CPU, and `Free::push` does not come back here, so the reference is the only one.
    unsafe { (&mut *cache.free.get())[class].push(block) };
    let count = cache.counts[class].load(Ordering::Relaxed) + 1;
    cache.counts[class].store(count, Ordering::Relaxed);
    count
}

/// Takes a free block of one size from those of this CPU.
fn pop(class: usize) -> Option<NonNull<u8>> {
    let cache = &CACHES[cpu::current()];
    // SAFETY: as in `push`.
    let block = unsafe { (&mut *cache.free.get())[class].pop() }?;
    cache.counts[class].store(cache.counts[class].load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    Some(block)
}

/// Bytes of free blocks that all CPUs keep.
pub(super) fn kept_bytes() -> usize {
    let counts = CACHES.iter().flat_map(|cache| cache.counts.iter().zip(SIZES));
    counts.map(|(count, size)| count.load(Ordering::Relaxed) * size).sum()
}

/// The size of blocks that is used for a layout, if it is small.
fn class(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= ALIGN)
        .then(|| usize::from(CLASS_OF[layout.size().div_ceil(ALIGN)]))
}

/// Whether blocks of the CPUs are used for a layout.
pub(super) fn is_small(layout: Layout) -> bool {
    class(layout).is_some()
}

/// Whether blocks for two layouts are of the same kind.
pub(super) fn is_same_kind(one: Layout, other: Layout) -> bool {
    class(one).is_some_and(|kind| class(other) == Some(kind))
}

fn block_layout(class: usize) -> Layout {
    // SAFETY: the alignment is a power of two, the sizes are small.
    unsafe { Layout::from_size_align_unchecked(SIZES[class], ALIGN) }
}

/// A block for a small layout; `None` if it is not small. The inner `None` is "out of memory".
pub(super) fn allocate(layout: Layout) -> Option<Option<NonNull<u8>>> {
    let class = class(layout)?;
    let block = pop(class).or_else(|| {
        let count = (BATCH_BYTES / SIZES[class]).max(1);
        heap::take_blocks(block_layout(class), count, |block| {
            push(class, block);
        });
        pop(class)
    });
    Some(block)
}

/// Takes back a block; false if its layout is not small.
///
/// # Safety
/// It came from [`allocate`] with this layout, on any CPU, and nobody uses it.
pub(super) unsafe fn free(block: NonNull<u8>, layout: Layout) -> bool {
    let Some(class) = class(layout) else { return false };
    let count = push(class, block);
    let most = KEPT_BYTES / SIZES[class];
    if count > most {
        let mut left = most / 2;
        let next = || {
            left = left.checked_sub(1)?;
            pop(class)
        };
        // SAFETY: all blocks of this size came from `take_blocks` with this layout, and nobody uses those that are free.
        unsafe { heap::give_blocks(block_layout(class), next) };
    }
    true
}
