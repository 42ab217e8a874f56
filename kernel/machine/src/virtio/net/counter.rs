//! Counters that one writer at a time adds to.

use core::sync::atomic::{AtomicU64, Ordering};

/// Only its owner (a thread, or who holds a lock) adds; everybody may read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.read().wrapping_add(more), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
