//! The timers of the whole stack.

use crate::addr::{NEVER, Nanos};
use crate::interface::InterfaceIndex;
use crate::lock_level;
use crate::tcp::TcpSocket;
use alloc::collections::BTreeMap;
use alloc::sync::Weak;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_machine::sync::SpinLock;

/// What is due.
#[derive(Clone)]
pub(crate) enum Timer {
    /// A TCP socket's.
    Tcp(Weak<TcpSocket>),
    /// The oldest connections in TIME-WAIT.
    TimeWait,
    /// Neighbours of an interface that are asked for.
    Neighbours(InterfaceIndex),
    /// The DHCP client of an interface.
    Dhcp(InterfaceIndex),
    /// IPv6 configuration of an interface.
    Autoconfiguration(InterfaceIndex),
    /// Datagrams of which fragments are missing.
    Fragments,
    /// Packets that the thread which sent them left over.
    Loopback(usize),
}

/// When a timer is due, and its number among those due then. Each owner has one at most.
pub(crate) type TimerKey = (Nanos, u64);

/// Timers in the order in which they are due. Setting and cancelling cost the logarithm of how many there are; an owner
/// that waits for nothing has none.
pub(crate) struct Timers {
    queue: SpinLock<BTreeMap<TimerKey, Timer>>,
    /// The first of them; what the owner of the stack's thread was told.
    earliest: AtomicU64,
    count: AtomicU64,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            queue: SpinLock::with_level(lock_level::TIMERS, BTreeMap::new()),
            earliest: AtomicU64::new(NEVER),
            count: AtomicU64::new(0),
        }
    }

    /// Sets a timer. The answer is its key, and whether it is now the earliest.
    pub(crate) fn set(&self, at: Nanos, timer: Timer) -> (TimerKey, bool) {
        let key = (at, self.count.fetch_add(1, Ordering::Relaxed));
        let mut queue = self.queue.lock();
        queue.insert(key, timer);
        (key, self.earliest.fetch_min(at, Ordering::Relaxed) > at)
    }

    pub(crate) fn cancel(&self, key: TimerKey) {
        self.queue.lock().remove(&key);
    }

    /// Takes a timer that is due.
    pub(crate) fn pop(&self, now: Nanos) -> Option<(TimerKey, Timer)> {
        let mut queue = self.queue.lock();
        let first = *queue.first_key_value()?.0;
        if first.0 > now {
            return None;
        }
        queue.pop_first()
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Nanos> {
        let queue = self.queue.lock();
        let next = queue.first_key_value().map(|(key, _)| key.0);
        self.earliest.store(next.unwrap_or(NEVER), Ordering::Relaxed);
        next
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_told_when_earlier() {
        let timers = Timers::new();
        let (key, first) = timers.set(50, Timer::Fragments);
        assert!(first);
        assert!(!timers.set(60, Timer::Neighbours(2)).1);
        assert!(timers.set(40, Timer::Neighbours(3)).1);
        assert_eq!(timers.next(), Some(40));
        timers.cancel(key);
        assert!(timers.pop(39).is_none());
        assert!(matches!(timers.pop(40), Some((_, Timer::Neighbours(3)))));
        assert!(timers.pop(59).is_none());
        assert_eq!(timers.next(), Some(60));
        assert!(matches!(timers.pop(60), Some((_, Timer::Neighbours(2)))));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}
