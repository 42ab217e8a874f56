//! A limit on how much something may take.

use crate::Result;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::err;

/// Counts what is taken up to a limit.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Takes `count`.
    ///
    /// # Errors
    /// ENOSPC beyond the limit.
    pub(crate) fn take(&self, count: u64) -> Result<()> {
        let more = |used: u64| used.checked_add(count).filter(|&sum| sum <= self.limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => err!(ENOSPC),
        }
    }

    /// Gives `count` back.
    pub(crate) fn give(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
