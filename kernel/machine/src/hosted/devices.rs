//! No devices are found; tests add theirs.

use crate::port::Port;
use alloc::sync::Arc;
#[cfg(test)]
use core::ptr::NonNull;

pub(crate) fn serial_port() -> Option<Arc<dyn Port>> {
    None
}

/// The registers of the tests' devices are in the simulated memory.
#[cfg(test)]
pub(crate) fn map(physical: u64, _len: usize) -> NonNull<u8> {
    super::memory::direct(physical)
}
