//! A sleeping thread, and what ends its sleep.

use super::bucket::{Bucket, Entry, Kind, Place as At, Removed};
use super::{BUCKETS, Key, TABLE};
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use husk_machine::thread::{self, Thread};
use husk_machine::time;

/// A thread that waits for one word.
pub(crate) struct Waiter {
    thread: Thread,
    /// Its bucket and its place there; changes under the locks of both buckets.
    at: AtomicU64,
    /// Set under the lock under which it is taken out of the queue.
    woken: AtomicBool,
    /// It was moved to the queue of a lock.
    pub(super) moved: AtomicBool,
}

impl Waiter {
    fn new() -> Self {
        Self {
            thread: thread::current(),
            at: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            moved: AtomicBool::new(false),
        }
    }

    /// Notes where it is now, under the lock of that bucket.
    pub(super) fn set_place(&self, bucket: usize, place: At) {
        self.at.store((bucket as u64) << 32 | u64::from(place.0), Ordering::Release);
    }
}

/// When a wait ends without a wake-up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    /// In monotonic nanoseconds.
    Monotonic(u64),
    /// In nanoseconds since 1970; follows changes of the clock.
    Realtime(u64),
}

impl Deadline {
    /// In monotonic nanoseconds, as things stand now.
    fn monotonic(self) -> u64 {
        match self {
            Self::Monotonic(at) => at,
            Self::Realtime(at) => time::monotonic_ns().saturating_add(at.saturating_sub(time::realtime_ns())),
        }
    }

    fn passed(self) -> bool {
        match self {
            Self::Monotonic(at) => time::monotonic_ns() >= at,
            Self::Realtime(at) => time::realtime_ns() >= at,
        }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By a wake-up.
    Woken,
    /// The deadline has passed.
    TimedOut,
    /// A signal is to be handled.
    Interrupted,
}

/// A place in a queue: a waiter's, until it leaves it or is woken.
pub(crate) struct Place(pub(super) Arc<Waiter>);

impl Place {
    /// At the end of the queue, whose lock the caller holds.
    pub(super) fn new(task: &Task, bucket: (&mut Bucket, usize), key: &Key, bits: u32, kind: Kind) -> Self {
        let cached = task.futex_waiter.lock().take();
        let waiter = cached.unwrap_or_else(|| Arc::new(Waiter::new()));
        // Whoever took it out of a queue has done with all but its thread.
        waiter.woken.store(false, Ordering::Relaxed);
        waiter.moved.store(false, Ordering::Relaxed);
        let (queues, number) = bucket;
        let place = queues.push(key, Entry { waiter: waiter.clone(), bits, kind });
        waiter.set_place(number, place);
        Self(waiter)
    }

    fn is_woken(&self) -> bool {
        self.0.woken.load(Ordering::Acquire)
    }

    /// Takes it out of the queue; false if a waker was faster.
    fn leave(&self) -> bool {
        loop {
            let at = self.0.at.load(Ordering::Acquire);
            let (number, place) = ((at >> 32) as usize, At(at as u32));
            let mut bucket = TABLE[number].lock();
            if self.is_woken() {
                return false;
            }
            if self.0.at.load(Ordering::Acquire) != at {
                continue;
            }
            debug_assert!(bucket.waiter_at(place).is_some_and(|waiter| Arc::ptr_eq(waiter, &self.0)));
            let removed = bucket.remove(place);
            drop(bucket);
            drop(removed);
            return true;
        }
    }

    /// Sleeps until it is woken or something else ends the wait. Also says whether it was moved to the queue of a lock.
    pub(super) fn sleep(self, task: &Task, deadline: Option<Deadline>) -> (Outcome, bool) {
        let outcome = sleep(task, deadline, || self.is_woken());
        let outcome = if outcome == Outcome::Woken || self.leave() { outcome } else { Outcome::Woken };
        let moved = self.0.moved.load(Ordering::Acquire);
        *task.futex_waiter.lock() = Some(self.0);
        (outcome, moved)
    }
}

/// Sleeps until one of several places is woken or something else ends the wait; then none is in a queue any more. The first
/// one that was woken, if any was.
pub(crate) fn sleep_on(
    task: &Task,
    places: Vec<Place>,
    deadline: Option<Deadline>,
) -> (Outcome, Option<usize>) {
    let outcome = sleep(task, deadline, || places.iter().any(Place::is_woken));
    (outcome, leave_all(places))
}

/// Takes places out of their queues; the first one that was woken before.
pub(crate) fn leave_all(places: Vec<Place>) -> Option<usize> {
    let mut first = None;
    for (index, place) in places.into_iter().enumerate() {
        if !place.leave() {
            first.get_or_insert(index);
        }
    }
    first
}

fn sleep(task: &Task, deadline: Option<Deadline>, woken: impl Fn() -> bool) -> Outcome {
    loop {
        if woken() {
            return Outcome::Woken;
        }
        match deadline {
            Some(deadline) if deadline.passed() => return Outcome::TimedOut,
            _ if task.has_pending_signal() => return Outcome::Interrupted,
            Some(deadline) => {
                thread::park_until(deadline.monotonic());
            }
            None => thread::park(),
        }
    }
}

/// Those that were taken out of queues: unparked, and their keys dropped, once no lock is held any more.
#[derive(Default)]
pub(super) struct WakeList {
    few: [Option<Removed>; 4],
    count: usize,
    more: Vec<Removed>,
}

impl WakeList {
    /// Adds an entry, under the lock under which it was taken out.
    pub(super) fn add(&mut self, removed: Removed) {
        removed.entry.waiter.woken.store(true, Ordering::Release);
        match self.few.get_mut(self.count) {
            Some(place) => *place = Some(removed),
            None => self.more.push(removed),
        }
        self.count += 1;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Wakes them; says how many.
    pub(super) fn wake(self) -> u64 {
        for removed in self.few.iter().flatten().chain(&self.more) {
            removed.entry.waiter.thread.unpark();
        }
        self.count as u64
    }
}

const _: () = assert!(BUCKETS < u32::MAX as usize);
