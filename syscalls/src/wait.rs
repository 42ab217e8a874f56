//! Waiting for kernel objects: readiness, waiters, and the one function that blocks.
//!
//! An object (pipe, terminal, eventfd, timer) only ever *tries* and answers EAGAIN. It owns a [`Waiters`] list and wakes it
//! when its readiness changes, from a thread or from an interrupt handler. [`block_on`] and poll, select and
//! epoll stand on that list alone.

use crate::task::Task;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
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
    /// `events` are those that have newly come about. The answer is whether that was of use to somebody; if not, the next one that
    /// waits exclusively is told.
    ///
    /// Called under the lock of the object's list, perhaps in an interrupt handler: it must not sleep, use that list, or drop what
    /// may do so.
    fn wake(&self, events: Events) -> bool;
}

/// Who waits.
enum Who {
    Thread(Thread),
    Other(Arc<dyn Waiter>),
}

struct Entry {
    key: u64,
    interest: Events,
    who: Who,
    /// One that waits exclusively: what it is told of is not told to other such ones, until it has had a look.
    exclusive: bool,
    /// It has been told, and has not had a look yet. Only kept for those that wait exclusively.
    told: bool,
}

#[derive(Default)]
struct List {
    last_key: u64,
    /// In the order in which they came, which is that of their keys.
    entries: VecDeque<Entry>,
}

impl List {
    fn add(&mut self, interest: Events, who: Who, exclusive: bool) -> u64 {
        self.last_key += 1;
        let interest = interest | Events::ALWAYS;
        self.entries.push_back(Entry { key: self.last_key, interest, who, exclusive, told: false });
        self.last_key
    }

    fn find(&self, key: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&key, |entry| entry.key).ok()
    }
}

/// Those who wait for one object.
pub(crate) struct Waiters {
    list: SpinLock<List>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self::new()
    }
}

impl Waiters {
    /// Nobody waits.
    pub(crate) const fn new() -> Self {
        Self { list: SpinLock::new(List { last_key: 0, entries: VecDeque::new() }) }
    }

    /// Adds a waiter for these events; the answer is for [`remove`](Self::remove).
    pub(crate) fn add(&self, interest: Events, waiter: Arc<dyn Waiter>, exclusive: bool) -> u64 {
        self.list.lock().add(interest, Who::Other(waiter), exclusive)
    }

    /// Adds the calling thread, to be unparked.
    pub(crate) fn add_thread(&self, interest: Events, exclusive: bool) -> u64 {
        let who = Who::Thread(thread::current());
        self.list.lock().add(interest, who, exclusive)
    }

    /// Removes a waiter.
    pub(crate) fn remove(&self, key: u64) {
        let removed = {
            let mut list = self.list.lock();
            list.find(key).and_then(|at| list.entries.remove(at))
        };
        drop(removed);
    }

    /// One that waits exclusively is about to look: what comes now may be told to it again.
    fn about_to_look(&self, key: u64) {
        let mut list = self.list.lock();
        if let Some(at) = list.find(key) {
            list.entries[at].told = false;
        }
    }

    /// Tells all who wait for any of these events, but of those that wait exclusively only the one that has waited longest; all of
    /// them if it is an error or the end. Says whether that was of use to somebody.
    pub(crate) fn wake(&self, events: Events) -> bool {
        self.tell(events, false)
    }

    /// Tells only the next one that waits exclusively: one that was told leaves, and there is something left.
    pub(crate) fn wake_next(&self, events: Events) {
        self.tell(events, true);
    }

    fn tell(&self, events: Events, exclusive_only: bool) -> bool {
        let all = events.intersects(Events::ALWAYS);
        // The events of which those that wait exclusively have not been told.
        let mut left = events;
        let mut of_use = false;
        let mut list = self.list.lock();
        for entry in &mut list.entries {
            let concerned = if entry.exclusive {
                entry.interest.intersects(left) && !entry.told
            } else {
                !exclusive_only && entry.interest.intersects(events)
            };
            if !concerned {
                continue;
            }
            let used = match &entry.who {
                Who::Thread(thread) => {
                    thread.unpark();
                    true
                }
                Who::Other(waiter) => waiter.wake(events),
            };
            of_use |= used;
            if entry.exclusive && used && !all {
                // What is on a list of its own is not kept from being told again.
                entry.told = matches!(entry.who, Who::Thread(_));
                left.remove(entry.interest);
                if exclusive_only {
                    break;
                }
            }
        }
        of_use
    }
}

/// The calling thread in one list, taken out again when dropped.
pub(crate) struct Registration<'a> {
    waiters: &'a Waiters,
    key: u64,
}

impl<'a> Registration<'a> {
    /// Adds the thread to the list.
    pub(crate) fn new(waiters: &'a Waiters, interest: Events) -> Self {
        Self { waiters, key: waiters.add_thread(interest, false) }
    }

    fn exclusive(waiters: &'a Waiters, interest: Events) -> Self {
        Self { waiters, key: waiters.add_thread(interest, true) }
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
    let _registration = Registration::new(waiters, interest);
    loop {
        match attempt() {
            Err(error) if error == Errno::EAGAIN => {}
            done => return done,
        }
        sleep(task, deadline)?;
    }
}

/// As [`block_on`], for objects where what one waiter can take any other can take as well: of several that wait like this only one
/// is woken at a time. `more` says whether there is something left for the next one.
///
/// # Errors
/// As [`block_on`].
pub(crate) fn block_on_in_turn<R>(
    task: &Task,
    waiters: &Waiters,
    interest: Events,
    deadline: Option<u64>,
    mut attempt: impl FnMut() -> Result<R, Errno>,
    more: impl Fn() -> bool,
) -> Result<R, Errno> {
    match attempt() {
        Err(error) if error == Errno::EAGAIN => {}
        done => return done,
    }
    let registration = Registration::exclusive(waiters, interest);
    let result = loop {
        match attempt() {
            Err(error) if error == Errno::EAGAIN => {}
            done => break done,
        }
        if let Err(error) = sleep(task, deadline) {
            break Err(error);
        }
        waiters.about_to_look(registration.key);
    };
    drop(registration);
    // It may have been told of something that it has not taken, or not all of it.
    if more() {
        waiters.wake_next(interest);
    }
    result
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

    struct Count(AtomicU32, bool);

    impl Waiter for Count {
        fn wake(&self, _events: Events) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1
        }
    }

    fn counter(of_use: bool) -> Arc<Count> {
        Arc::new(Count(AtomicU32::new(0), of_use))
    }

    fn count(counter: &Count) -> u32 {
        counter.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn only_those_interested_are_woken() {
        let (waiters, one) = (Waiters::new(), counter(true));
        let key = waiters.add(Events::READABLE, one.clone(), false);
        assert!(!waiters.wake(Events::WRITABLE));
        assert_eq!(count(&one), 0);
        waiters.wake(Events::IN);
        waiters.wake(Events::HUP);
        assert_eq!(count(&one), 2);
        waiters.remove(key);
        waiters.wake(Events::IN);
        assert_eq!(count(&one), 0);
        assert_eq!(Arc::strong_count(&one), 1);
    }

    #[test]
    fn of_those_that_wait_exclusively_one_is_woken() {
        let waiters = Waiters::new();
        let [shared, useless, first, second, writer] = [true, false, true, true, true].map(counter);
        waiters.add(Events::READABLE, first.clone(), true);
        waiters.add(Events::READABLE, second.clone(), true);
        waiters.add(Events::WRITABLE, writer.clone(), true);
        waiters.add(Events::READABLE, shared.clone(), false);
        let counts = || [&shared, &first, &second, &writer].map(|one| count(one));
        waiters.wake(Events::READABLE);
        assert_eq!(counts(), [1, 1, 0, 0]);
        waiters.wake(Events::READABLE | Events::WRITABLE);
        assert_eq!(counts(), [1, 1, 0, 1], "one in each direction");
        waiters.wake(Events::READABLE | Events::HUP);
        assert_eq!(counts(), [1, 1, 1, 1], "the end concerns all");
        waiters.wake_next(Events::READABLE);
        assert_eq!(counts(), [0, 1, 0, 0]);

        let waiters = Waiters::new();
        waiters.add(Events::READABLE, useless.clone(), true);
        waiters.add(Events::READABLE, second.clone(), true);
        waiters.wake(Events::READABLE);
        assert_eq!((count(&useless), count(&second)), (1, 1), "the next one, if the first could not use it");
    }

    /// Several threads take what others put, one unit or all at a time; each unit is one wake-up.
    #[test]
    fn in_turn_nothing_is_left_while_somebody_sleeps() {
        const UNITS: u32 = 3000;
        struct Shared {
            waiters: Waiters,
            units: SpinLock<u32>,
            taken: AtomicU32,
        }
        let shared =
            Arc::new(Shared { waiters: Waiters::new(), units: SpinLock::new(0), taken: AtomicU32::new(0) });
        let takers: Vec<_> = (0..4)
            .map(|number| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let task = crate::test_support::task();
                    while shared.taken.load(Ordering::SeqCst) < UNITS {
                        let attempt = || {
                            let mut units = shared.units.lock();
                            if *units == 0 && shared.taken.load(Ordering::SeqCst) < UNITS {
                                return err!(EAGAIN);
                            }
                            let count = if number % 2 == 0 { (*units).min(1) } else { *units };
                            *units -= count;
                            shared.taken.fetch_add(count, Ordering::SeqCst);
                            Ok(())
                        };
                        let more =
                            || *shared.units.lock() > 0 || shared.taken.load(Ordering::SeqCst) >= UNITS;
                        let deadline = (number == 3).then(|| husk_machine::time::monotonic_ns() + 20_000);
                        let _ = block_on_in_turn(
                            &task,
                            &shared.waiters,
                            Events::READABLE,
                            deadline,
                            attempt,
                            more,
                        );
                    }
                })
            })
            .collect();
        for _ in 0..UNITS {
            *shared.units.lock() += 1;
            shared.waiters.wake(Events::READABLE);
        }
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        assert_eq!(*shared.units.lock(), 0);
    }
}
