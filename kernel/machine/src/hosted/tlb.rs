//! The simulated hardware remembers no translations.

use crate::thread::CpuSet;

/// The CPUs that use an address space.
pub(crate) struct Active;

impl Active {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn flush(&self, _addresses: &[u64], _tables: bool) {}

    pub(crate) fn flush_all(&self, _tables: bool) {}

    pub(crate) fn barrier(&self, cpus: CpuSet) {
        barrier(cpus);
    }
}

/// A program that is a closure cannot be interrupted: this is all there is to it.
pub(crate) fn barrier(_cpus: CpuSet) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}
