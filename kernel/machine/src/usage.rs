//! What the kernel itself uses: memory by purpose, and what the CPUs did with their time.

use crate::arch::usage as backend;
use crate::frame::PAGE_SIZE;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The kernel's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelMemory {
    /// Bytes of the heap that are in use; without the free blocks that CPUs keep for themselves.
    pub heap: usize,
    /// Bytes that the heap has taken.
    pub heap_mapped: usize,
    /// Bytes of the threads' stacks, and of a few kept for new threads.
    pub stacks: usize,
    /// Bytes of the page tables of programs.
    pub tables: usize,
}

/// What the kernel's memory is used for.
pub fn kernel_memory() -> KernelMemory {
    let tables = TABLES.load(Ordering::Relaxed) * PAGE_SIZE;
    KernelMemory { tables, ..backend::kernel_memory() }
}

/// How long a CPU has had nothing to do since boot, in nanoseconds.
pub fn idle_ns(cpu: usize) -> u64 {
    backend::idle_ns(cpu)
}

/// How often all CPUs together have gone from one thread to another.
pub fn switches() -> u64 {
    backend::switches()
}

/// How many threads run or could run just now.
pub fn running() -> usize {
    backend::running()
}

/// The averages of that number over 1, 5 and 15 minutes, in units of 2^-16 (getloadavg(3)).
pub fn load_averages() -> [u64; 3] {
    backend::load_averages()
}

/// Pages that are page tables.
static TABLES: AtomicUsize = AtomicUsize::new(0);

/// A page has become a page table.
pub(crate) fn table_made() {
    TABLES.fetch_add(1, Ordering::Relaxed);
}

/// A page is no page table any more.
pub(crate) fn table_removed() {
    TABLES.fetch_sub(1, Ordering::Relaxed);
}
