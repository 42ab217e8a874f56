//! Telling a device that a queue has new buffers.

use super::registers::Registers;
#[cfg(test)]
use alloc::sync::Arc;
#[cfg(test)]
use core::sync::atomic::{AtomicUsize, Ordering};

/// One write to a register, found out when the queue is set up. (The crate's PCI transport selects the queue and reads
/// where its register is, each time.)
#[derive(Clone, Debug)]
pub(crate) enum Notifier {
    /// Write the queue's number to a 32-bit register (MMIO transport).
    Word(Registers, u32),
    /// Write the queue's number to a 16-bit register (PCI transport).
    Half(Registers, u16),
    /// Count the notifications.
    #[cfg(test)]
    Counter(Arc<AtomicUsize>),
}

impl Notifier {
    pub(super) fn notify(&self) {
        match self {
            Self::Word(register, queue) => register.write_u32(0, *queue),
            Self::Half(register, queue) => register.write_u16(0, *queue),
            #[cfg(test)]
            Self::Counter(count) => {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
