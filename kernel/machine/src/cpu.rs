//! The CPUs.

/// CPUs that run.
#[must_use]
pub fn count() -> usize {
    crate::arch::cpu_count()
}

/// Number of the CPU that this runs on, from 0.
#[must_use]
pub fn current() -> usize {
    crate::arch::cpu_index()
}
