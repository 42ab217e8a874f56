//! Waiting for a condition.

use super::level;
use super::spin_lock::SpinLock;
use crate::thread::{self, Thread, Token};
use alloc::collections::VecDeque;

/// Threads that wait for a condition. Whoever makes the condition true wakes the queue afterwards; that may be an
/// interrupt handler.
pub struct WaitQueue {
    waiters: SpinLock<VecDeque<Thread>>,
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { waiters: SpinLock::with_level(level::WAITERS, VecDeque::new()) }
    }

    /// Sleeps until `condition` gives a value. It is called with no lock held, any number of times.
    pub fn wait_until<R>(&self, condition: impl FnMut() -> Option<R>) -> R {
        match self.wait(condition, None) {
            Some(value) => value,
            None => unreachable!("a wait without a deadline cannot time out"),
        }
    }

    /// Sleeps until `condition` gives a value, or until the monotonic time `deadline_ns` has passed (`None`).
    pub fn wait_until_deadline<R>(
        &self,
        condition: impl FnMut() -> Option<R>,
        deadline_ns: u64,
    ) -> Option<R> {
        self.wait(condition, Some(deadline_ns))
    }

    fn wait<R>(&self, mut condition: impl FnMut() -> Option<R>, deadline_ns: Option<u64>) -> Option<R> {
        if let Some(value) = condition() {
            return Some(value);
        }
        let me = thread::current();
        let mut timed_out = false;
        let mut parked = false;
        let value = loop {
            // First queue, then look: who makes the condition true after our look finds us in the queue.
            {
                let mut waiters = self.waiters.lock();
                if !waiters.iter().any(|waiter| waiter.id() == me.id()) {
                    waiters.push_back(me.clone());
                }
            }
            let value = condition();
            if value.is_some() || timed_out {
                break value;
            }
            timed_out = !thread::park_token(Token::QUEUE, deadline_ns);
            parked = true;
        };
        let still_queued = {
            let mut waiters = self.waiters.lock();
            let before = waiters.len();
            waiters.retain(|waiter| waiter.id() != me.id());
            before != waiters.len()
        };
        if value.is_none() && !still_queued {
            // We were chosen by `wake_one` just as we gave up: it is for the next one.
            self.wake_one();
        }
        if parked {
            // `condition` of an outer wait may have called us, and its wake-up may have come while we slept here.
            me.unpark_token(Token::QUEUE);
        }
        value
    }

    /// Wakes the one that has waited longest.
    pub fn wake_one(&self) {
        let first = self.waiters.lock().pop_front();
        if let Some(first) = first {
            first.unpark_token(Token::QUEUE);
        }
    }

    /// Wakes all.
    pub fn wake_all(&self) {
        let all = core::mem::take(&mut *self.waiters.lock());
        for waiter in all {
            waiter.unpark_token(Token::QUEUE);
        }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::monotonic_ns;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn no_wake_up_is_lost() {
        let shared = Arc::new((WaitQueue::new(), AtomicU32::new(0)));
        let consumer = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                for _ in 0..20_000 {
                    shared.0.wait_until(|| {
                        shared.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).ok()
                    });
                }
            })
        };
        for _ in 0..20_000 {
            shared.1.fetch_add(1, Ordering::SeqCst);
            shared.0.wake_one();
        }
        consumer.join().unwrap();
        assert_eq!(shared.1.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn wake_one_is_passed_on_by_one_that_gives_up() {
        for _ in 0..40 {
            let shared = Arc::new((WaitQueue::new(), AtomicU32::new(0)));
            let take = |shared: &(WaitQueue, AtomicU32)| {
                shared.1.compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst).ok()
            };
            let threads: Vec<_> = [20_000, 20_000_000]
                .map(|timeout_ns| {
                    let shared = shared.clone();
                    std::thread::spawn(move || {
                        shared.0.wait_until_deadline(|| take(&shared), monotonic_ns() + timeout_ns).is_some()
                    })
                })
                .into();
            shared.1.store(1, Ordering::SeqCst);
            shared.0.wake_one();
            let taken: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(taken.iter().filter(|&&taken| taken).count(), 1);
        }
    }

    #[test]
    fn deadline_passes() {
        let queue = WaitQueue::new();
        let start = monotonic_ns();
        assert_eq!(queue.wait_until_deadline(|| None::<()>, start + 2_000_000), None);
        assert!(monotonic_ns() - start >= 2_000_000);
        assert!(queue.waiters.lock().is_empty());
    }
}
