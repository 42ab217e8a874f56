//! Locks with priority inheritance: FUTEX_LOCK_PI and its relatives.
//!
//! The word holds the owner's thread id. Whoever unlocks hands the lock to the one that has waited longest. Scheduling does not know
//! priorities, so there is none to inherit; the protocol between program and kernel is complete without.

use super::{ANY, BUCKETS, Deadline, Entry, Key, Outcome, Place, TABLE, resolve};
use crate::pid;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_machine::paging::UserFault;
use linux_raw_sys::general as sys;

/// What one look at the word under the lock led to.
enum Step {
    Acquired,
    /// In the queue.
    Waits(Place),
    /// Another thread was faster.
    Again,
}

/// FUTEX_LOCK_PI, FUTEX_LOCK_PI2.
///
/// # Errors
/// EDEADLK if the caller has the lock, ESRCH if its owner does not exist, EFAULT, ETIMEDOUT.
pub(crate) fn lock(task: &Task, key: &Key, addr: u64, deadline: Option<Deadline>) -> Result<u64, Errno> {
    let place = loop {
        match attempt(task, key, addr, true)? {
            Step::Acquired => return Ok(0),
            Step::Waits(place) => break place,
            Step::Again => {}
        }
    };
    match place.sleep(task, deadline) {
        // It was handed over.
        Outcome::Woken => Ok(0),
        Outcome::TimedOut => err!(ETIMEDOUT),
        Outcome::Interrupted => Err(Errno::ERESTARTNOINTR),
    }
}

/// FUTEX_TRYLOCK_PI.
///
/// # Errors
/// EAGAIN if another has the lock; as [`lock`].
pub(crate) fn try_lock(task: &Task, key: &Key, addr: u64) -> Result<u64, Errno> {
    loop {
        if let Step::Acquired = attempt(task, key, addr, false)? {
            return Ok(0);
        }
    }
}

fn attempt(task: &Task, key: &Key, addr: u64, waits: bool) -> Result<Step, Errno> {
    let memory = task.mm().page_table();
    let word = task.mm().load_u32(addr)?;
    let owner = word & sys::FUTEX_TID_MASK;
    if owner == task.tid() as u32 {
        return err!(EDEADLK);
    }
    // Not under the lock: it looks through the processes.
    if owner != 0 && !pid::processes().iter().any(|process| process.thread(owner as i32).is_some()) {
        return if task.mm().load_u32(addr)? == word { err!(ESRCH) } else { Ok(Step::Again) };
    }
    if owner != 0 && !waits {
        return err!(EAGAIN);
    }
    let bucket = key.bucket(BUCKETS);
    let mut queue = TABLE[bucket].lock();
    let wanted = if owner == 0 {
        let others = if heir(&queue, key).is_some() { sys::FUTEX_WAITERS } else { 0 };
        word & sys::FUTEX_OWNER_DIED | others | task.tid() as u32
    } else {
        word | sys::FUTEX_WAITERS
    };
    match memory.compare_exchange_u32(addr, word, wanted) {
        Ok(Ok(_)) if owner == 0 => Ok(Step::Acquired),
        Ok(Ok(_)) => Ok(Step::Waits(Place::new(&mut queue, bucket, key.clone(), ANY, Some(task.tid())))),
        Ok(Err(_)) => Ok(Step::Again),
        Err(fault) => {
            drop(queue);
            resolve(task.mm(), &fault)?;
            Ok(Step::Again)
        }
    }
}

/// FUTEX_UNLOCK_PI.
///
/// # Errors
/// EPERM if the caller does not have the lock, EFAULT.
pub(crate) fn unlock(task: &Task, key: &Key, addr: u64) -> Result<u64, Errno> {
    loop {
        let word = task.mm().load_u32(addr)?;
        if word & sys::FUTEX_TID_MASK != task.tid() as u32 {
            return err!(EPERM);
        }
        match hand_over(task, key, addr, word, 0) {
            Ok(true) => return Ok(0),
            Ok(false) => {}
            Err(fault) => resolve(task.mm(), &fault)?,
        }
    }
}

/// The owner of a robust lock has ended; the word says so already.
///
/// # Errors
/// EFAULT.
pub(super) fn owner_died(task: &Task, addr: u64) -> Result<(), Errno> {
    // Programs wait with or without FUTEX_PRIVATE_FLAG.
    for shared in [false, true] {
        let key = Key::new(task.mm(), addr, shared)?;
        loop {
            let word = task.mm().load_u32(addr)?;
            if word & sys::FUTEX_TID_MASK != 0 {
                return Ok(());
            }
            match hand_over(task, &key, addr, word, sys::FUTEX_OWNER_DIED) {
                Ok(true) => break,
                Ok(false) => {}
                Err(fault) => resolve(task.mm(), &fault)?,
            }
        }
    }
    Ok(())
}

/// Makes the one that has waited longest the owner, if there is one, with `mark` in the word. False if the word is not
/// `word` any more.
fn hand_over(task: &Task, key: &Key, addr: u64, word: u32, mark: u32) -> Result<bool, UserFault> {
    let mut queue = TABLE[key.bucket(BUCKETS)].lock();
    let next = heir(&queue, key);
    let tid = next.and_then(|at| queue[at].heir);
    let wanted = tid.map_or(mark, |tid| mark | sys::FUTEX_WAITERS | tid as u32);
    if task.mm().page_table().compare_exchange_u32(addr, word, wanted)?.is_err() {
        return Ok(false);
    }
    let entry = next.map(|at| queue.remove(at));
    drop(queue);
    if let Some(entry) = entry {
        entry.waiter.wake();
    }
    Ok(true)
}

/// Who waits longest for a lock.
fn heir(queue: &[Entry], key: &Key) -> Option<usize> {
    queue.iter().position(|entry| entry.heir.is_some() && entry.key == *key)
}
