//! Memory of a process: what is mapped where, and what a page fault does about it.
//!
//! A mapping costs an entry in [`maps`] until it is touched; pages are found or made by [`fault`]. The page table
//! holds what has been touched and is never ahead of the maps: a page in it is allowed by the mapping it is in.

mod advise;
mod ahead;
mod brk;
mod copy;
mod detach;
mod fault;
mod layout;
mod lock;
mod map;
mod maps;
mod place;
mod protect;
mod remap;
mod report;
mod shared;
mod special;
#[cfg(test)]
pub(crate) mod tests;
mod truncate;
mod unmap;
mod vma;

pub(crate) use advise::Advice;
pub(crate) use fault::{Access, FaultError};
pub(crate) use layout::{Layout, Randomness};
pub(crate) use map::{MapRequest, Mappable, Placement};
pub(crate) use place::SharedPlace;
pub(crate) use remap::Remap;
pub(crate) use report::{VmaInfo, VmaName};
pub(crate) use shared::SharedMemory;
pub(crate) use special::SpecialPage;
pub(crate) use truncate::forget_file_pages;
pub(crate) use vma::{Backing, VmFlags};

use crate::limits::{INFINITY, Limits, Resource};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use husk_machine::frame::{OutOfMemory, PAGE_SIZE};
use husk_machine::paging::PageTable;
pub(crate) use husk_machine::paging::{Prot, USER_END};
use husk_machine::sync::{Mutex, SpinLock};
use maps::Maps;
use vma::Vma;

/// Page size in bytes.
pub(crate) const PAGE: u64 = PAGE_SIZE as u64;

/// What stays free below a stack (Linux's default for `stack_guard_gap`: 256 pages).
pub(crate) const STACK_GUARD_GAP: u64 = 256 * PAGE;

/// Lowest address a program without CAP_SYS_RAWIO may map (Linux's `vm.mmap_min_addr`).
pub(crate) const MMAP_MIN_ADDR: u64 = 65536;

/// Down to a page boundary.
pub(crate) const fn page_down(addr: u64) -> u64 {
    addr & !(PAGE - 1)
}

/// Up to a page boundary; None if there is none.
pub(crate) const fn page_up(addr: u64) -> Option<u64> {
    match addr.checked_add(PAGE - 1) {
        Some(end) => Some(page_down(end)),
        None => None,
    }
}

/// What the processor is told for a page that must not be written yet: what may be written may also be read.
const fn read_only(prot: Prot) -> Prot {
    if prot.is_empty() { prot } else { prot.difference(Prot::WRITE).union(Prot::READ) }
}

/// An address space.
pub(crate) struct AddressSpace {
    page_table: Arc<PageTable>,
    /// Never held while user memory is copied or a file is read.
    maps: Mutex<State>,
    layout: SpinLock<Layout>,
    limits: SizeLimits,
    /// Set when a page could not be had: the process has to die.
    exhausted: AtomicBool,
    peak_resident: AtomicUsize,
}

/// What the lock protects.
struct State {
    maps: Maps,
    /// The heap of brk(2): where it starts, where it ends.
    heap: brk::Heap,
    /// For faults on memory that is filled in order.
    sequence: ahead::Sequence,
    /// What mlockall(2) wants for mappings to come.
    lock_future: VmFlags,
}

/// The soft limits that concern memory, in bytes.
struct SizeLimits {
    stack: AtomicU64,
    total: AtomicU64,
    data: AtomicU64,
    locked: AtomicU64,
}

impl AddressSpace {
    /// An empty one.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is no page for the tables.
    pub(crate) fn new(limits: &Limits, layout: Layout) -> Result<Self, OutOfMemory> {
        let limit = |resource| AtomicU64::new(limits.get(resource).soft);
        Ok(Self {
            page_table: Arc::new(PageTable::new()?),
            maps: Mutex::new(State {
                maps: Maps::default(),
                heap: brk::Heap::default(),
                sequence: ahead::Sequence::default(),
                lock_future: VmFlags::empty(),
            }),
            layout: SpinLock::new(layout),
            limits: SizeLimits {
                stack: limit(Resource::STACK),
                total: limit(Resource::AS),
                data: limit(Resource::DATA),
                locked: limit(Resource::MEMLOCK),
            },
            exhausted: AtomicBool::new(false),
            peak_resident: AtomicUsize::new(0),
        })
    }

    /// The page table, for running user code.
    pub(crate) fn page_table(&self) -> &Arc<PageTable> {
        &self.page_table
    }

    /// Takes note of a new soft limit.
    pub(crate) fn limits_changed(&self, resource: Resource, soft: u64) {
        let limit = match resource {
            Resource::STACK => &self.limits.stack,
            Resource::AS => &self.limits.total,
            Resource::DATA => &self.limits.data,
            Resource::MEMLOCK => &self.limits.locked,
            _ => return,
        };
        limit.store(soft, Ordering::Relaxed);
    }

    /// Whether a page could not be had since this was last asked.
    pub(crate) fn take_exhausted(&self) -> bool {
        // Looked at on every way to user mode: mostly only read.
        self.exhausted.load(Ordering::Relaxed) && self.exhausted.swap(false, Ordering::Relaxed)
    }

    /// Whether `more` pages may be mapped in addition (RLIMIT_AS), of which are data (RLIMIT_DATA) if so said.
    fn may_expand(&self, maps: &Maps, more: u64, data: bool) -> bool {
        let within = |limit: &AtomicU64, pages: u64| {
            let limit = limit.load(Ordering::Relaxed);
            limit == INFINITY || pages.saturating_add(more) <= limit / PAGE
        };
        within(&self.limits.total, maps.total_pages())
            && (!data || within(&self.limits.data, maps.data_pages()))
    }

    /// As [`may_expand`](Self::may_expand) for memory that is mapped and becomes data.
    fn may_expand_data(&self, maps: &Maps, more: u64) -> bool {
        let limit = self.limits.data.load(Ordering::Relaxed);
        limit == INFINITY || maps.data_pages().saturating_add(more) <= limit / PAGE
    }

    fn note_resident(&self) {
        self.peak_resident.fetch_max(self.page_table.resident(), Ordering::Relaxed);
    }
}

/// Whether one request for this many pages that count against memory is beyond all reason (Linux's heuristic overcommit).
fn overcommits(pages: u64) -> bool {
    pages > husk_machine::frame::stats().total as u64
}
