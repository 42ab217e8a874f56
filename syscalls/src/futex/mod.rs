//! The queues behind futex(2).
//!
//! A waiter and a waker meet in a bucket, found by the word's [`Key`]. The waiter reads the word under the bucket's lock and is in
//! the queue before it lets go of it; the waker changes the word first and takes the lock then. So either the waiter sees the new
//! value, or the waker sees the waiter: no wake-up is lost.
//!
//! Under the lock user memory is only read where it is present. Where it is not, the lock is released, the page fetched, and
//! everything starts over.

mod key;
mod op;
pub(crate) mod pi;
pub(crate) mod robust;
#[cfg(test)]
mod tests;

pub(crate) use key::Key;
pub(crate) use op::Operation;

use crate::mm::{Access, AddressSpace};
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use husk_abi::{Errno, err};
use husk_machine::paging::UserFault;
use husk_machine::sync::{SpinLock, SpinLockGuard};
use husk_machine::thread::{self, Thread};
use husk_machine::time;

/// Matches every waiter (`FUTEX_BITSET_MATCH_ANY`).
pub(crate) const ANY: u32 = u32::MAX;

const BUCKETS: usize = 256;

static TABLE: [SpinLock<Vec<Entry>>; BUCKETS] = [const { SpinLock::new(Vec::new()) }; BUCKETS];

/// Somebody in a queue, the oldest first.
struct Entry {
    key: Key,
    bits: u32,
    /// The id of one that waits for a lock with priority inheritance: it is given the lock, not just woken.
    heir: Option<i32>,
    waiter: Arc<Waiter>,
}

/// A sleeping thread.
struct Waiter {
    thread: Thread,
    /// The bucket it is in; changes under the locks of both buckets.
    bucket: AtomicUsize,
    woken: AtomicBool,
}

impl Waiter {
    /// Once it is out of the queue, and with no lock held.
    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
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
pub(crate) struct Place(Arc<Waiter>);

/// Puts the calling thread into the queue of a word if that has the value `value`.
///
/// # Errors
/// EAGAIN if the word has another value, EFAULT if it cannot be read.
pub(crate) fn enter(mm: &AddressSpace, key: Key, addr: u64, value: u32, bits: u32) -> Result<Place, Errno> {
    let bucket = key.bucket(BUCKETS);
    loop {
        let mut queue = TABLE[bucket].lock();
        match mm.page_table().load_u32(addr) {
            Ok(found) if found == value => return Ok(Place::new(&mut queue, bucket, key, bits, None)),
            Ok(_) => return err!(EAGAIN),
            Err(fault) => {
                drop(queue);
                resolve(mm, &fault)?;
            }
        }
    }
}

impl Place {
    /// At the end of the queue, whose lock the caller holds.
    fn new(queue: &mut Vec<Entry>, bucket: usize, key: Key, bits: u32, heir: Option<i32>) -> Self {
        let waiter = Arc::new(Waiter {
            thread: thread::current(),
            bucket: AtomicUsize::new(bucket),
            woken: AtomicBool::new(false),
        });
        queue.push(Entry { key, bits, heir, waiter: waiter.clone() });
        Self(waiter)
    }

    fn is_woken(&self) -> bool {
        self.0.woken.load(Ordering::Acquire)
    }

    /// Takes it out of the queue; false if a waker was faster.
    pub(crate) fn leave(self) -> bool {
        leave(&self.0)
    }

    /// Sleeps until it is woken or something else ends the wait.
    fn sleep(self, task: &Task, deadline: Option<Deadline>) -> Outcome {
        let outcome = sleep(task, deadline, || self.is_woken());
        if outcome == Outcome::Woken || self.leave() { outcome } else { Outcome::Woken }
    }
}

/// Sleeps while the word at `addr` has not changed from `value`, until a wake-up with one of these bits.
///
/// # Errors
/// EAGAIN if the word has another value, EFAULT if it cannot be read.
pub(crate) fn wait(
    task: &Task,
    key: Key,
    addr: u64,
    value: u32,
    bits: u32,
    deadline: Option<Deadline>,
) -> Result<Outcome, Errno> {
    Ok(enter(task.mm(), key, addr, value, bits)?.sleep(task, deadline))
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

/// Takes a waiter out of its queue; false if a waker was faster.
fn leave(waiter: &Arc<Waiter>) -> bool {
    loop {
        let bucket = waiter.bucket.load(Ordering::Acquire);
        let mut queue = TABLE[bucket].lock();
        if waiter.bucket.load(Ordering::Acquire) != bucket {
            continue;
        }
        let at = queue.iter().position(|entry| Arc::ptr_eq(&entry.waiter, waiter));
        let entry = at.map(|at| queue.remove(at));
        drop(queue);
        // With its key, which may be the last reference to a file.
        return entry.is_some();
    }
}

/// Fetches the page that an access under a lock did not find.
fn resolve(mm: &AddressSpace, fault: &UserFault) -> Result<(), Errno> {
    let access = if fault.write { Access::Write } else { Access::Read };
    mm.fault(fault.addr, access).map(drop).map_err(|_| Errno::EFAULT.here())
}

/// Wakes the oldest waiters, one at least if there are any (as Linux does), `count` at most; says how many.
pub(crate) fn wake(key: &Key, count: u32, bits: u32) -> u64 {
    let woken = take(&mut TABLE[key.bucket(BUCKETS)].lock(), key, count, bits);
    wake_all(&woken)
}

fn take(queue: &mut Vec<Entry>, key: &Key, count: u32, bits: u32) -> Vec<Entry> {
    // A negative count is as good as 1.
    let count = (count as i32).max(1) as usize;
    let mut taken = Vec::new();
    let mut at = 0;
    while at < queue.len() && taken.len() < count {
        let entry = &queue[at];
        if entry.key == *key && entry.bits & bits != 0 && entry.heir.is_none() {
            taken.push(queue.remove(at));
        } else {
            at += 1;
        }
    }
    taken
}

fn wake_all(entries: &[Entry]) -> u64 {
    for entry in entries {
        entry.waiter.wake();
    }
    entries.len() as u64
}

/// The queues of two keys, locked in one order whoever comes.
struct Pair {
    low: SpinLockGuard<'static, Vec<Entry>>,
    high: Option<SpinLockGuard<'static, Vec<Entry>>>,
    swapped: bool,
}

impl Pair {
    fn lock(one: usize, other: usize) -> Self {
        let low = TABLE[one.min(other)].lock();
        let high = (one != other).then(|| TABLE[one.max(other)].lock());
        Self { low, high, swapped: one > other }
    }

    fn first(&mut self) -> &mut Vec<Entry> {
        match &mut self.high {
            Some(high) if self.swapped => high,
            _ => &mut self.low,
        }
    }

    fn second(&mut self) -> &mut Vec<Entry> {
        match &mut self.high {
            Some(high) if !self.swapped => high,
            _ => &mut self.low,
        }
    }
}

/// What FUTEX_REQUEUE and FUTEX_CMP_REQUEUE are asked for.
pub(crate) struct Requeue {
    /// Where they wait.
    pub(crate) from: Key,
    /// Where those go that are not woken.
    pub(crate) to: Key,
    /// How many are woken.
    pub(crate) wakes: u32,
    /// How many are moved at most.
    pub(crate) moves: u32,
    /// The value that the word at this address must have.
    pub(crate) expected: Option<(u64, u32)>,
}

/// Wakes some waiters and lets others wait for another word; says how many it were together.
///
/// # Errors
/// EAGAIN if the word has another value, EFAULT if it cannot be read.
pub(crate) fn requeue(mm: &AddressSpace, request: &Requeue) -> Result<u64, Errno> {
    let Requeue { from, to, wakes, moves, expected } = request;
    let buckets = (from.bucket(BUCKETS), to.bucket(BUCKETS));
    let mut pair = loop {
        let pair = Pair::lock(buckets.0, buckets.1);
        let Some((addr, value)) = *expected else { break pair };
        match mm.page_table().load_u32(addr) {
            Ok(found) if found == value => break pair,
            Ok(_) => return err!(EAGAIN),
            Err(fault) => {
                drop(pair);
                resolve(mm, &fault)?;
            }
        }
    };
    let (mut woken, mut moved) = (Vec::new(), Vec::new());
    let queue = pair.first();
    let mut at = 0;
    while at < queue.len() && (woken.len() < *wakes as usize || moved.len() < *moves as usize) {
        if queue[at].key != *from || queue[at].heir.is_some() {
            at += 1;
        } else if woken.len() < *wakes as usize {
            woken.push(queue.remove(at));
        } else {
            moved.push(queue.remove(at));
        }
    }
    let count = woken.len() + moved.len();
    let mut old_keys = Vec::with_capacity(moved.len());
    for mut entry in moved {
        old_keys.push(core::mem::replace(&mut entry.key, to.clone()));
        entry.waiter.bucket.store(buckets.1, Ordering::Release);
        pair.second().push(entry);
    }
    drop(pair);
    wake_all(&woken);
    Ok(count as u64)
}

/// FUTEX_WAKE_OP: changes the word of the second key, wakes waiters of the first, and those of the second if the
/// word's old value says so.
///
/// # Errors
/// EFAULT if the word cannot be changed, ENOSYS for an unknown operation or comparison.
pub(crate) fn wake_op(
    mm: &AddressSpace,
    (first, wakes): (&Key, u32),
    (second, second_wakes): (&Key, u32),
    addr: u64,
    operation: Operation,
) -> Result<u64, Errno> {
    let mut pair = loop {
        let pair = Pair::lock(first.bucket(BUCKETS), second.bucket(BUCKETS));
        match operation.apply(mm.page_table(), addr)? {
            Ok(old) => break (pair, operation.holds(old)?),
            Err(fault) => {
                drop(pair);
                resolve(mm, &fault)?;
            }
        }
    };
    let mut woken = take(pair.0.first(), first, wakes, ANY);
    if pair.1 {
        woken.extend(take(pair.0.second(), second, second_wakes, ANY));
    }
    drop(pair);
    Ok(wake_all(&woken))
}

/// Wakes one waiter for a word that may be shared, for the kernel's own purposes: a bad address is no matter.
pub(crate) fn wake_one(task: &Task, addr: u64) {
    if let Ok(key) = Key::new(task.mm(), addr, true) {
        wake(&key, 1, ANY);
    }
}
