//! Which CPUs use an address space, and flushing what they remember of it.

use super::cpu;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::VirtAddr;
use x86_64::instructions::tlb;

/// CPUs that there is room for: one bit each.
pub(crate) const MAX_CPUS: usize = 64;

/// The CPUs in whose CR3 an address space is. It may stay there while threads of the kernel run.
pub(crate) struct Active {
    cpus: AtomicU64,
}

fn own_bit() -> u64 {
    1 << cpu::current()
}

impl Active {
    pub(crate) const fn new() -> Self {
        Self { cpus: AtomicU64::new(0) }
    }

    /// Whether it is in this CPU's CR3.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.cpus.load(Ordering::Relaxed) & own_bit() != 0
    }

    /// Notes that it is about to be in this CPU's CR3.
    pub(crate) fn enter(&self) {
        self.cpus.fetch_or(own_bit(), Ordering::AcqRel);
    }

    /// Notes that it is not in this CPU's CR3 any more.
    pub(crate) fn leave(&self) {
        self.cpus.fetch_and(!own_bit(), Ordering::AcqRel);
    }

    /// Flushes what CPUs remember of these pages.
    pub(crate) fn flush(&self, addresses: &[u64]) {
        if self.is_here() {
            addresses.iter().copied().for_each(invalidate_page);
        }
        self.check_others();
    }

    /// Flushes all that CPUs remember of this address space.
    pub(crate) fn flush_all(&self) {
        if self.is_here() {
            tlb::flush_all();
        }
        self.check_others();
    }

    /// The shoot-down of other CPUs' translations belongs here once other CPUs are started.
    fn check_others(&self) {
        let others = self.cpus.load(Ordering::Acquire) & !own_bit();
        assert!(others == 0, "an address space is in use on CPUs {others:#x}, which cannot be told to flush");
    }
}

/// Flushes what this CPU remembers of a page, global pages too.
pub(crate) fn invalidate_page(va: u64) {
    tlb::flush(VirtAddr::new(va));
}
