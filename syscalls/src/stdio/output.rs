//! Output to the host over one port.

use crate::wait::{Events, Waiters};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_machine::port::Port;
use husk_machine::sync::SpinLock;

/// Most bytes that wait for room in the port.
const PENDING_MAX: usize = 64 << 10;

/// A port's direction to the host, with a queue for what the port has no room for.
pub(crate) struct Output {
    port: Arc<dyn Port>,
    pending: SpinLock<VecDeque<u8>>,
    /// Bytes given to the port or waiting for it, from the start.
    total: AtomicU64,
    waiters: Waiters,
}

impl Output {
    /// Over this port. The port's listener has to call [`flush`](Self::flush).
    pub(crate) fn new(port: Arc<dyn Port>) -> Arc<Self> {
        Arc::new(Self {
            port,
            pending: SpinLock::new(VecDeque::new()),
            total: AtomicU64::new(0),
            waiters: Waiters::new(),
        })
    }

    /// Told when there is room.
    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// How many bytes are best written at a time: 0 if there is no room. A larger piece would be taken all the same.
    pub(crate) fn room(&self) -> usize {
        let pending = self.pending.lock().len();
        if pending > 0 || self.port.can_write() { PENDING_MAX.saturating_sub(pending) } else { 0 }
    }

    /// Queues bytes, all of them.
    pub(crate) fn put(&self, mut bytes: &[u8]) {
        let mut pending = self.pending.lock();
        self.total.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        while pending.is_empty() && !bytes.is_empty() {
            let count = self.port.write(bytes);
            if count == 0 {
                break;
            }
            bytes = &bytes[count..];
        }
        pending.extend(bytes);
    }

    /// Gives the port what waits, as far as it has room. Fine in an interrupt handler.
    pub(crate) fn flush(&self) {
        let mut pending = self.pending.lock();
        while !pending.is_empty() {
            let count = self.port.write(pending.as_slices().0);
            if count == 0 {
                return;
            }
            pending.drain(..count);
        }
        drop(pending);
        self.waiters.wake(Events::WRITABLE);
    }

    /// Throws away what waits.
    pub(crate) fn discard(&self) {
        let mut pending = self.pending.lock();
        self.total.fetch_sub(pending.len() as u64, Ordering::Relaxed);
        pending.clear();
    }

    /// How many bytes wait here.
    pub(crate) fn pending(&self) -> usize {
        self.pending.lock().len()
    }

    /// Bytes given to the port or waiting for it, from the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether the monitor has taken everything.
    pub(crate) fn is_flushed(&self) -> bool {
        self.pending.lock().is_empty() && self.port.is_flushed()
    }
}
