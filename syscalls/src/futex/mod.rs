//! The queues behind futex(2).
//!
//! A waiter and a waker meet in a bucket, found by the word's [`Key`]. The waiter reads the word under the bucket's lock and is in
//! the queue before it lets go of it; the waker changes the word first and takes the lock then. So either the waiter sees the new
//! value, or the waker sees the waiter: no wake-up is lost.
//!
//! Under the lock user memory is only read where it is present. Where it is not, the lock is released, the page fetched, and
//! everything starts over.

mod bucket;
mod key;
mod op;
pub(crate) mod pi;
pub(crate) mod requeue_pi;
pub(crate) mod robust;
#[cfg(test)]
mod tests;
mod waiter;

pub(crate) use key::Key;
pub(crate) use op::Operation;
pub(crate) use waiter::{Deadline, Outcome, Place, Waiter, leave_all, sleep_on};

use crate::mm::{Access, AddressSpace};
use crate::task::Task;
use bucket::{Bucket, Entry, Kind, Place as At};
use husk_abi::{Errno, err};
use husk_machine::paging::UserFault;
use husk_machine::sync::{SpinLock, SpinLockGuard};
use waiter::WakeList;

/// Matches every waiter (`FUTEX_BITSET_MATCH_ANY`).
pub(crate) const ANY: u32 = u32::MAX;

const BUCKETS: usize = 256;

static TABLE: [SpinLock<Bucket>; BUCKETS] = [const { SpinLock::new(Bucket::new()) }; BUCKETS];

/// Puts the calling thread into the queue of a word if that has the value `value`.
///
/// # Errors
/// EAGAIN if the word has another value, EFAULT if it cannot be read.
pub(crate) fn enter(task: &Task, key: &Key, addr: u64, value: u32, bits: u32) -> Result<Place, Errno> {
    enter_as(task, key, addr, value, bits, || Kind::Plain)
}

fn enter_as(
    task: &Task,
    key: &Key,
    addr: u64,
    value: u32,
    bits: u32,
    kind: impl FnOnce() -> Kind,
) -> Result<Place, Errno> {
    let number = key.bucket(BUCKETS);
    loop {
        let mut bucket = TABLE[number].lock();
        match task.mm().page_table().load_u32(addr) {
            Ok(found) if found == value => {
                return Ok(Place::new(task, (&mut bucket, number), key, bits, kind()));
            }
            Ok(_) => return err!(EAGAIN),
            Err(fault) => {
                drop(bucket);
                resolve(task.mm(), &fault)?;
            }
        }
    }
}

/// Sleeps while the word at `addr` has not changed from `value`, until a wake-up with one of these bits.
///
/// # Errors
/// EAGAIN if the word has another value, EFAULT if it cannot be read.
pub(crate) fn wait(
    task: &Task,
    key: &Key,
    addr: u64,
    value: u32,
    bits: u32,
    deadline: Option<Deadline>,
) -> Result<Outcome, Errno> {
    Ok(enter(task, key, addr, value, bits)?.sleep(task, deadline).0)
}

/// Fetches the page that an access under a lock did not find.
fn resolve(mm: &AddressSpace, fault: &UserFault) -> Result<(), Errno> {
    let access = if fault.write { Access::Write } else { Access::Read };
    mm.fault(fault.addr, access).map(drop).map_err(|_| Errno::EFAULT.here())
}

/// Wakes the oldest waiters, one at least if there are any (as Linux does), `count` at most; says how many.
///
/// # Errors
/// EINVAL if one of them waits for a lock, which a wake-up does not give.
pub(crate) fn wake(key: &Key, count: u32, bits: u32) -> Result<u64, Errno> {
    let mut woken = WakeList::default();
    let result = take(&mut TABLE[key.bucket(BUCKETS)].lock(), key, count, bits, &mut woken);
    let count = woken.wake();
    result.map(|()| count)
}

fn take(bucket: &mut Bucket, key: &Key, count: u32, bits: u32, woken: &mut WakeList) -> Result<(), Errno> {
    // A negative count is as good as 1.
    let end = woken.len() + (count as i32).max(1) as usize;
    let mut next = bucket.find(key).and_then(|queue| bucket.first(queue));
    while let Some(place) = next
        && woken.len() < end
    {
        let entry = bucket.entry(place);
        next = bucket.next(place);
        if !matches!(entry.kind, Kind::Plain) {
            return err!(EINVAL);
        }
        if entry.bits & bits != 0 {
            woken.add(bucket.remove(place));
        }
    }
    Ok(())
}

/// The queues of two keys, locked in one order whoever comes.
struct Pair {
    low: SpinLockGuard<'static, Bucket>,
    high: Option<SpinLockGuard<'static, Bucket>>,
    swapped: bool,
    numbers: (usize, usize),
}

impl Pair {
    fn lock(first: &Key, second: &Key) -> Self {
        let (one, other) = (first.bucket(BUCKETS), second.bucket(BUCKETS));
        let low = TABLE[one.min(other)].lock();
        let high = (one != other).then(|| TABLE[one.max(other)].lock());
        Self { low, high, swapped: one > other, numbers: (one, other) }
    }

    fn first(&mut self) -> &mut Bucket {
        match &mut self.high {
            Some(high) if self.swapped => high,
            _ => &mut self.low,
        }
    }

    fn second(&mut self) -> &mut Bucket {
        match &mut self.high {
            Some(high) if !self.swapped => high,
            _ => &mut self.low,
        }
    }

    /// The first entry in the queue of a key of the first bucket.
    fn head(&mut self, from: &Key) -> Option<At> {
        let bucket = self.first();
        bucket.find(from).and_then(|queue| bucket.first(queue))
    }

    /// Puts an entry that was taken out of the first bucket into the queue of a key of the second.
    fn push(&mut self, to: &Key, entry: Entry) {
        let waiter = entry.waiter.clone();
        let place = self.second().push(to, entry);
        waiter.set_place(self.numbers.1, place);
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
/// EAGAIN if the word has another value, EFAULT if it cannot be read, EINVAL if one of the waiters waits for a lock.
pub(crate) fn requeue(mm: &AddressSpace, request: &Requeue) -> Result<u64, Errno> {
    let Requeue { from, to, wakes, moves, expected } = request;
    let mut pair = loop {
        let pair = Pair::lock(from, to);
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
    let mut woken = WakeList::default();
    let mut moved = 0;
    let mut result = Ok(());
    let mut next = pair.head(from);
    while let Some(place) = next
        && (woken.len() < *wakes as usize || moved < *moves)
    {
        let bucket = pair.first();
        if !matches!(bucket.entry(place).kind, Kind::Plain) {
            result = err!(EINVAL);
            break;
        }
        next = bucket.next(place);
        if woken.len() < *wakes as usize {
            woken.add(bucket.remove(place));
            continue;
        }
        moved += 1;
        // Within one queue it stays where it is.
        if from != to {
            let entry = bucket.remove(place).into_entry();
            pair.push(to, entry);
        }
    }
    drop(pair);
    let count = woken.wake() + u64::from(moved);
    result.map(|()| count)
}

/// FUTEX_WAKE_OP: changes the word of the second key, wakes waiters of the first, and those of the second if the
/// word's old value says so.
///
/// # Errors
/// EFAULT if the word cannot be changed, ENOSYS for an unknown operation or comparison, EINVAL as [`wake`].
pub(crate) fn wake_op(
    mm: &AddressSpace,
    (first, wakes): (&Key, u32),
    (second, second_wakes): (&Key, u32),
    addr: u64,
    operation: Operation,
) -> Result<u64, Errno> {
    let (mut pair, holds) = loop {
        let pair = Pair::lock(first, second);
        match operation.apply(mm.page_table(), addr)? {
            Ok(old) => break (pair, operation.holds(old)?),
            Err(fault) => {
                drop(pair);
                resolve(mm, &fault)?;
            }
        }
    };
    let mut woken = WakeList::default();
    let mut result = take(pair.first(), first, wakes, ANY, &mut woken);
    if result.is_ok() && holds {
        result = take(pair.second(), second, second_wakes, ANY, &mut woken);
    }
    drop(pair);
    let count = woken.wake();
    result.map(|()| count)
}

/// Wakes one waiter for a word that may be shared, for the kernel's own purposes: a bad address is no matter, nor is one who waits
/// for a lock there.
pub(crate) fn wake_one(task: &Task, addr: u64) {
    if let Ok(key) = Key::new(task.mm(), addr, true) {
        let _ = wake(&key, 1, ANY);
    }
}
