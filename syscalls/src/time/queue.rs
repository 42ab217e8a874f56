//! The queues of timers: which object is to be called when, and the kernel threads that call.
//!
//! There is a queue for each CPU, up to [`MOST`], each with a lock and a thread of its own; a timer belongs for ever to one, so that arming
//! and disarming it is a matter of that queue alone. A timer is in its queue once at the most. Times of the wall clock have a map of their own,
//! so that setting it moves nothing: the threads only look again when the next time comes ([`clock_was_set`]).

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::Errno;
use husk_machine::sync::SpinLock;
use husk_machine::thread::{self, Attributes, Thread};
use husk_machine::{cpu, time};

/// Queues at the most.
const MOST: usize = 16;
/// Timers that are taken out while the lock is held.
const BATCH: usize = 32;

/// A time at which something is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// In monotonic nanoseconds.
    Monotonic(u64),
    /// When the wall clock shows this, however it gets there.
    Realtime(u64),
}

impl When {
    fn time(self) -> u64 {
        match self {
            Self::Monotonic(time) | Self::Realtime(time) => time,
        }
    }
}

/// Something that happens at a time.
pub(crate) trait Expire: Send + Sync + 'static {
    /// Called in a thread of the queues when the time has come, with no lock held; the timer is disarmed then. It may have been changed
    /// since, so it looks for itself what is due.
    fn expired(self: Arc<Self>);

    /// Its place in a queue.
    fn entry(&self) -> &Entry;
}

/// A timer's place in a queue. It leaves the queue when dropped.
pub(crate) struct Entry {
    queue: usize,
    id: u64,
    /// Changed with the queue locked only.
    armed: SpinLock<Option<When>>,
}

/// By time, then by the timer's number.
type Due = BTreeMap<(u64, u64), Weak<dyn Expire>>;

#[derive(Clone)]
enum Service {
    None,
    Starting,
    Running(Thread),
}

struct Queue {
    monotonic: Due,
    realtime: Due,
    service: Service,
    /// Until when the thread sleeps, in monotonic nanoseconds; 0 while it does not.
    sleeps_until: u64,
}

static QUEUES: [SpinLock<Queue>; MOST] = [const { SpinLock::new(Queue::new()) }; MOST];

impl Entry {
    /// A place in the queue of this CPU.
    ///
    /// # Errors
    /// ENOMEM if the queue's thread cannot be started.
    pub(crate) fn new() -> Result<Self, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let queue = cpu::current() % MOST;
        start(queue)?;
        Ok(Self { queue, id: NEXT.fetch_add(1, Ordering::Relaxed), armed: SpinLock::new(None) })
    }

    /// Takes the timer out of its queue. It may be being called at this moment.
    pub(crate) fn disarm(&self) {
        let removed = QUEUES[self.queue].lock().remove(self);
        drop(removed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Lets `timer` be called at a time, instead of any time said before. Whoever decides when that is calls with what decides it locked, so that
/// the last decision counts.
pub(crate) fn arm<T: Expire>(timer: &Arc<T>, when: When) {
    let entry = timer.entry();
    let weak: Weak<dyn Expire> = Arc::<T>::downgrade(timer);
    let mut queue = QUEUES[entry.queue].lock();
    let removed = queue.remove(entry);
    queue.of(when).insert((when.time(), entry.id), weak);
    *entry.armed.lock() = Some(when);
    let sooner = monotonic(when) < queue.sleeps_until;
    let service = if sooner { queue.service.clone() } else { Service::None };
    if sooner {
        // One call is enough.
        queue.sleeps_until = 0;
    }
    drop(queue);
    drop(removed);
    if let Service::Running(thread) = service {
        thread.unpark();
    }
}

/// To be called after the wall clock has been set.
pub(crate) fn clock_was_set() {
    for queue in &QUEUES {
        let service = queue.lock().service.clone();
        if let Service::Running(thread) = service {
            thread.unpark();
        }
    }
}

/// Armed timers.
#[cfg(test)]
fn armed() -> usize {
    let count = |queue: &SpinLock<Queue>| {
        let queue = queue.lock();
        queue.monotonic.len() + queue.realtime.len()
    };
    QUEUES.iter().map(count).sum()
}

impl Queue {
    const fn new() -> Self {
        Self {
            monotonic: BTreeMap::new(),
            realtime: BTreeMap::new(),
            service: Service::None,
            sleeps_until: 0,
        }
    }

    fn of(&mut self, when: When) -> &mut Due {
        match when {
            When::Monotonic(_) => &mut self.monotonic,
            When::Realtime(_) => &mut self.realtime,
        }
    }

    /// What is removed is to be dropped without the lock.
    fn remove(&mut self, entry: &Entry) -> Option<Weak<dyn Expire>> {
        let when = entry.armed.lock().take()?;
        self.of(when).remove(&(when.time(), entry.id))
    }

    /// Takes out what is due.
    fn take_due(&mut self) -> Vec<Weak<dyn Expire>> {
        let mut due = Vec::new();
        let clocks = [(&mut self.monotonic, time::monotonic_ns()), (&mut self.realtime, time::realtime_ns())];
        for (timers, now) in clocks {
            while due.len() < BATCH
                && let Some(first) = timers.first_entry()
                && first.key().0 <= now
            {
                due.push(first.remove());
            }
        }
        due
    }

    /// When the next one is due, in monotonic nanoseconds.
    fn next(&self) -> Option<u64> {
        let first = |timers: &Due| timers.first_key_value().map(|((time, _), _)| *time);
        let wall = first(&self.realtime).map(|time| monotonic(When::Realtime(time)));
        first(&self.monotonic).into_iter().chain(wall).min()
    }
}

/// In monotonic nanoseconds, as the wall clock is now.
fn monotonic(when: When) -> u64 {
    match when {
        When::Monotonic(time) => time,
        When::Realtime(wall) => time::monotonic_ns().saturating_add(wall.saturating_sub(time::realtime_ns())),
    }
}

fn start(number: usize) -> Result<(), Errno> {
    {
        let mut queue = QUEUES[number].lock();
        if !matches!(queue.service, Service::None) {
            return Ok(());
        }
        queue.service = Service::Starting;
    }
    let name = alloc::format!("timers {number}");
    thread::spawn_with(&name, Attributes::SERVICE, move || run(&QUEUES[number])).map(drop).map_err(|_| {
        QUEUES[number].lock().service = Service::None;
        Errno::ENOMEM.here()
    })
}

fn run(queue: &SpinLock<Queue>) {
    queue.lock().service = Service::Running(thread::current());
    loop {
        let (due, next) = {
            let mut queue = queue.lock();
            let due = queue.take_due();
            let next = queue.next();
            queue.sleeps_until = if due.is_empty() { next.unwrap_or(u64::MAX) } else { 0 };
            (due, next)
        };
        if due.is_empty() {
            match next {
                Some(deadline) => {
                    thread::park_until(deadline);
                }
                None => thread::park(),
            }
        }
        for timer in due {
            if let Some(living) = timer.upgrade() {
                living.expired();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU32;

    struct Count {
        entry: Entry,
        calls: AtomicU32,
        /// Nanoseconds until it is called again, three times in all.
        again: u64,
    }

    impl Count {
        fn new(again: u64) -> Arc<Self> {
            Arc::new(Self { entry: Entry::new().unwrap(), calls: AtomicU32::new(0), again })
        }

        fn calls(&self) -> u32 {
            self.calls.load(Ordering::Relaxed)
        }
    }

    impl Expire for Count {
        fn expired(self: Arc<Self>) {
            if self.calls.fetch_add(1, Ordering::Relaxed) < 2 && self.again > 0 {
                arm(&self, When::Monotonic(time::monotonic_ns() + self.again));
            }
        }

        fn entry(&self) -> &Entry {
            &self.entry
        }
    }

    fn within_seconds(condition: impl Fn() -> bool) -> bool {
        let end = time::monotonic_ns() + 5_000_000_000;
        while !condition() && time::monotonic_ns() < end {
            std::thread::yield_now();
        }
        condition()
    }

    /// The queues are the process's: one test after another.
    #[test]
    fn timers_expire_and_leave_nothing_behind() {
        let far = || When::Monotonic(time::monotonic_ns() + 3_600_000_000_000);
        let timer = Count::new(1_000_000);
        arm(&timer, When::Monotonic(time::monotonic_ns() + 1_000_000));
        assert!(within_seconds(|| timer.calls() == 3));

        // Armed again and again, it is in the queue once; the last time counts.
        let before = armed();
        let other = Count::new(0);
        for _ in 0..10_000 {
            arm(&other, far());
        }
        assert_eq!(armed(), before + 1);
        arm(&other, When::Monotonic(time::monotonic_ns()));
        assert!(within_seconds(|| other.calls() == 1));
        arm(&other, far());
        other.entry.disarm();
        assert_eq!(armed(), before);
        arm(&other, When::Realtime(u64::MAX));
        drop(other);
        assert_eq!(armed(), before);

        // By the wall clock: it comes when that is set, forwards or backwards.
        let wall = Count::new(0);
        let now = time::realtime_ns();
        arm(&wall, When::Realtime(now + 3_600_000_000_000));
        std::thread::sleep(core::time::Duration::from_millis(5));
        assert_eq!(wall.calls(), 0);
        time::set_realtime_ns(now + 3_600_000_000_001);
        clock_was_set();
        assert!(within_seconds(|| wall.calls() == 1));
        time::set_realtime_ns(time::realtime_ns() - 3_600_000_000_000);
    }
}
