//! Waiting for kernel objects: readiness, waiters, and the one function that blocks.
//!
//! An object (pipe, terminal, eventfd, timer) only ever *tries* and answers EAGAIN. It owns a [`Waiters`] list and wakes it
//! when its readiness changes, from a thread or from an interrupt handler. [`block_on`] and poll, select and
//! epoll stand on that list alone.

use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;
use husk_machine::thread::{self, Thread};
use linux_raw_sys::general as raw;

bitflags! {
    /// Readiness as poll(2) and epoll(7) number it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Events: u32 {
        /// Something can be read.
        const IN = raw::POLLIN;
        /// Urgent or exceptional data.
        const PRI = raw::POLLPRI;
        /// Something can be written.
        const OUT = raw::POLLOUT;
        /// An error; always reported.
        const ERR = raw::POLLERR;
        /// The other side is gone; always reported.
        const HUP = raw::POLLHUP;
        /// Not an open descriptor (poll only).
        const NVAL = raw::POLLNVAL;
        /// The same as `IN`.
        const RDNORM = raw::POLLRDNORM;
        /// Priority data (unused by these objects).
        const RDBAND = raw::POLLRDBAND;
        /// The same as `OUT`.
        const WRNORM = raw::POLLWRNORM;
        /// Priority data can be written.
        const WRBAND = raw::POLLWRBAND;
        /// The peer will write no more.
        const RDHUP = raw::POLLRDHUP;
    }
}

impl Events {
    /// Readable.
    pub(crate) const READABLE: Self = Self::IN.union(Self::RDNORM);
    /// Writable.
    pub(crate) const WRITABLE: Self = Self::OUT.union(Self::WRNORM);
    /// Reported whether asked for or not.
    pub(crate) const ALWAYS: Self = Self::ERR.union(Self::HUP);
}

/// Something to be told when an object's readiness changes.
pub(crate) trait Waiter: Send + Sync {
    /// May be called in an interrupt handler: it must not sleep. `events` are those that have newly come about.
    fn wake(&self, events: Events);
}

struct Entry {
    key: u64,
    interest: Events,
    waiter: Arc<dyn Waiter>,
}

/// Those who wait for one object.
pub(crate) struct Waiters {
    entries: SpinLock<(u64, Vec<Entry>)>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

impl Waiters {
    /// Nobody waits.
    pub(crate) const fn new() -> Self {
        Self { entries: SpinLock::new((0, Vec::new())) }
    }

    /// Adds a waiter for these events; the answer is for [`remove`](Self::remove).
    pub(crate) fn add(&self, interest: Events, waiter: Arc<dyn Waiter>) -> u64 {
        let mut entries = self.entries.lock();
        entries.0 += 1;
        let key = entries.0;
        entries.1.push(Entry { key, interest: interest | Events::ALWAYS, waiter });
        key
    }

    /// Removes a waiter.
    pub(crate) fn remove(&self, key: u64) {
        let removed = {
            let mut entries = self.entries.lock();
            entries.1.iter().position(|entry| entry.key == key).map(|index| entries.1.swap_remove(index))
        };
        drop(removed);
    }

    /// Tells all who wait for any of these events.
    pub(crate) fn wake(&self, events: Events) {
        let woken: Vec<Arc<dyn Waiter>> = {
            let entries = self.entries.lock();
            entries
                .1
                .iter()
                .filter(|entry| entry.interest.intersects(events))
                .map(|entry| entry.waiter.clone())
                .collect()
        };
        for waiter in woken {
            waiter.wake(events);
        }
    }
}

/// A waiter that unparks a thread.
pub(crate) struct ThreadWaiter(Thread);

impl ThreadWaiter {
    /// For the calling thread.
    pub(crate) fn current() -> Arc<Self> {
        Arc::new(Self(thread::current()))
    }
}

impl Waiter for ThreadWaiter {
    fn wake(&self, _events: Events) {
        self.0.unpark();
    }
}

/// A waiter in one list, taken out again when dropped.
pub(crate) struct Registration<'a> {
    waiters: &'a Waiters,
    key: u64,
}

impl<'a> Registration<'a> {
    /// Adds `waiter` to the list.
    pub(crate) fn new(waiters: &'a Waiters, interest: Events, waiter: Arc<dyn Waiter>) -> Self {
        Self { waiters, key: waiters.add(interest, waiter) }
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.waiters.remove(self.key);
    }
}

/// Tries until the answer is not EAGAIN, sleeping on `waiters` in between.
///
/// # Errors
/// Those of `attempt`; EAGAIN once the deadline (monotonic nanoseconds) has passed; ERESTARTSYS if a signal is to
/// be handled first.
pub(crate) fn block_on<R>(
    task: &Task,
    waiters: &Waiters,
    interest: Events,
    deadline: Option<u64>,
    mut attempt: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    match attempt() {
        Err(error) if error == Errno::EAGAIN => {}
        done => return done,
    }
    let _registration = Registration::new(waiters, interest, ThreadWaiter::current());
    loop {
        match attempt() {
            Err(error) if error == Errno::EAGAIN => {}
            done => return done,
        }
        sleep(task, deadline)?;
    }
}

/// Parks until unparked, or fails.
///
/// # Errors
/// ERESTARTSYS if a signal is to be handled; EAGAIN if the deadline (monotonic nanoseconds) has passed.
pub(crate) fn sleep(task: &Task, deadline: Option<u64>) -> Result<(), Errno> {
    if task.has_pending_signal() {
        return err!(ERESTARTSYS);
    }
    match deadline {
        None => thread::park(),
        Some(deadline) => {
            if husk_machine::time::monotonic_ns() >= deadline {
                return err!(EAGAIN);
            }
            thread::park_until(deadline);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};

    struct Count(AtomicU32);

    impl Waiter for Count {
        fn wake(&self, _events: Events) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_those_interested_are_woken() {
        let (waiters, count) = (Waiters::new(), Arc::new(Count(AtomicU32::new(0))));
        let key = waiters.add(Events::READABLE, count.clone());
        waiters.wake(Events::WRITABLE);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        waiters.wake(Events::IN);
        waiters.wake(Events::HUP);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        waiters.remove(key);
        waiters.wake(Events::IN);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
