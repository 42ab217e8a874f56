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
    count: usize,
}

impl Free {
    fn push(&mut self, block: NonNull<u8>) {
        // SAFETY: the block is free, ours, and at least 16 bytes long and aligned.
        unsafe { block.cast::<*mut u8>().write(self.first) };
        self.first = block.as_ptr();
        self.count += 1;
    }

    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.first)?;
        // SAFETY: `push` wrote it.
        self.first = unsafe { block.cast::<*mut u8>().read() };
        self.count -= 1;
        Some(block)
    }
}

struct Cache(UnsafeCell<[Free; SIZES.len()]>);

// SAFETY: each is touched by its own CPU alone (see `with_free`).
unsafe impl Sync for Cache {}

static CACHES: [Cache; MAX_CPUS] = [const {
    Cache(UnsafeCell::new([const { Free { first: core::ptr::null_mut(), count: 0 } }; SIZES.len()]))
}; MAX_CPUS];

/// The free blocks of one size of this CPU. `f` allocates nothing.
fn with_free<R>(class: usize, f: impl FnOnce(&mut Free) -> R) -> R {
    let cache = CACHES[cpu::current()].0.get();
    // SAFETY: nothing interrupts kernel code on its CPU, and `f` does not come back here, so the reference is the only one.
    f(unsafe { &mut (*cache)[class] })
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
    let block = with_free(class, Free::pop).or_else(|| {
        let count = (BATCH_BYTES / SIZES[class]).max(1);
        heap::take_blocks(block_layout(class), count, |block| with_free(class, |free| free.push(block)));
        with_free(class, Free::pop)
    });
    Some(block)
}

/// Takes back a block; false if its layout is not small.
///
/// # Safety
/// It came from [`allocate`] with this layout, on any CPU, and nobody uses it.
pub(super) unsafe fn free(block: NonNull<u8>, layout: Layout) -> bool {
    let Some(class) = class(layout) else { return false };
    let count = with_free(class, |free| {
        free.push(block);
        free.count
    });
    let most = KEPT_BYTES / SIZES[class];
    if count > most {
        let mut left = most / 2;
        let next = || {
            left = left.checked_sub(1)?;
            with_free(class, Free::pop)
        };
        // SAFETY: all blocks of this size came from `take_blocks` with this layout, and nobody uses those that are free.
        unsafe { heap::give_blocks(block_layout(class), next) };
    }
    true
}
