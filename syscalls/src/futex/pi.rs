//! Locks with priority inheritance: FUTEX_LOCK_PI and its relatives.
//!
//! The word holds the owner's thread id. Whoever unlocks hands the lock to the one that has waited longest, and so does a thread that
//! ends with locks for which others wait. No priority is inherited; the protocol between program and kernel is complete without.

use super::bucket::{Bucket, Kind, QueueAt};
use super::waiter::WakeList;
use super::{ANY, BUCKETS, Deadline, Key, Outcome, Place, TABLE, resolve};
use crate::mm::AddressSpace;
use crate::pid;
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_machine::paging::UserFault;
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as sys;

/// A thread as the owner of locks (Linux's `pi_state_list` of a task).
#[derive(Clone)]
pub(crate) struct Owner(Arc<Locks>);

struct Locks {
    tid: i32,
    held: SpinLock<Held>,
}

/// The locks for which others wait in the kernel. Its lock is taken under that of a bucket.
#[derive(Default)]
struct Held {
    keys: Vec<Key>,
    /// The thread has ended and given away what it had.
    ended: bool,
}

impl Owner {
    /// For a thread with this id.
    pub(crate) fn new(tid: i32) -> Self {
        Self(Arc::new(Locks { tid, held: SpinLock::default() }))
    }

    /// Its thread id, as the word of a lock has it.
    pub(super) fn tid(&self) -> u32 {
        self.0.tid as u32
    }

    /// Notes that others wait for a lock of this thread. False if it has ended.
    pub(super) fn note(&self, key: &Key) -> bool {
        let mut held = self.0.held.lock();
        if !held.ended {
            held.keys.push(key.clone());
        }
        !held.ended
    }

    /// Nobody waits any more, or it is another's. The caller has another reference to what the key refers to.
    pub(super) fn forget(&self, key: &Key) {
        let mut held = self.0.held.lock();
        if let Some(at) = held.keys.iter().position(|other| other == key) {
            held.keys.swap_remove(at);
        }
    }
}

/// One that waits for a lock: who it is, and where it sees the word.
pub(super) struct Heir {
    pub(super) owner: Owner,
    mm: Arc<AddressSpace>,
    addr: u64,
}

impl Heir {
    pub(super) fn new(task: &Task, addr: u64) -> Self {
        Self { owner: task.pi_owner.clone(), mm: task.process().mm().clone(), addr }
    }
}

/// The owner of a lock as it was before any lock of ours was taken.
pub(super) struct Known {
    tid: u32,
    owner: Option<Owner>,
}

impl Known {
    /// Looks at the word.
    ///
    /// # Errors
    /// EFAULT.
    pub(super) fn look(mm: &AddressSpace, addr: u64) -> Result<Self, Errno> {
        let tid = mm.load_u32(addr)? & sys::FUTEX_TID_MASK;
        let owner = pid::task(tid as i32).map(|task| task.pi_owner.clone());
        Ok(Self { tid, owner })
    }
}

/// What came of an attempt to get a lock.
pub(super) enum Claim {
    /// It is the claimant's now.
    Acquired,
    /// It is another's: if nobody waits for it yet, whose.
    Held(Option<Owner>),
    /// The word has changed.
    Again,
    /// The page of the word has to be fetched.
    Fault(UserFault),
}

/// Tries to make a thread the owner of a lock, whose bucket is locked (futex_lock_pi_atomic() in Linux). The bit that says that
/// others wait is set if they do, and if `waiters`.
///
/// # Errors
/// EDEADLK if the thread has it already; EINVAL if the word does not agree with what is known about the lock; ESRCH if the owner does
/// not exist.
pub(super) fn claim(
    bucket: &mut Bucket,
    (mm, addr): (&AddressSpace, u64),
    key: &Key,
    claimant: &Owner,
    known: &Known,
    waiters: bool,
) -> Result<Claim, Errno> {
    let memory = mm.page_table();
    let word = match memory.load_u32(addr) {
        Ok(word) => word,
        Err(fault) => return Ok(Claim::Fault(fault)),
    };
    let tid = word & sys::FUTEX_TID_MASK;
    if tid == claimant.tid() {
        return err!(EDEADLK);
    }
    if let Some(queue) = bucket.find(key) {
        let Some(owner) = bucket.owner(queue) else { return err!(EINVAL) };
        // Or the owner is just about to end.
        let dies = word & sys::FUTEX_OWNER_DIED != 0 && tid == 0;
        return if tid == owner.tid() || dies { Ok(Claim::Held(None)) } else { err!(EINVAL) };
    }
    if tid != 0 && tid != known.tid {
        return Ok(Claim::Again);
    }
    let wanted = if tid == 0 {
        let others = if waiters { sys::FUTEX_WAITERS } else { 0 };
        word & sys::FUTEX_OWNER_DIED | others | claimant.tid()
    } else {
        word | sys::FUTEX_WAITERS
    };
    match memory.compare_exchange_u32(addr, word, wanted) {
        Ok(Ok(_)) if tid == 0 => Ok(Claim::Acquired),
        Ok(Ok(_)) => known.owner.clone().map_or_else(|| err!(ESRCH), |owner| Ok(Claim::Held(Some(owner)))),
        Ok(Err(_)) => Ok(Claim::Again),
        Err(fault) => Ok(Claim::Fault(fault)),
    }
}

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
/// EDEADLK if the caller has the lock, ESRCH if its owner does not exist, EINVAL if the word was tampered with, EFAULT, ETIMEDOUT.
pub(crate) fn lock(task: &Task, key: &Key, addr: u64, deadline: Option<Deadline>) -> Result<u64, Errno> {
    let place = loop {
        match attempt(task, key, addr, true)? {
            Step::Acquired => return Ok(0),
            Step::Waits(place) => break place,
            Step::Again => {}
        }
    };
    match place.sleep(task, deadline).0 {
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
    let known = Known::look(task.mm(), addr)?;
    let number = key.bucket(BUCKETS);
    let mut bucket = TABLE[number].lock();
    let owner = match claim(&mut bucket, (task.mm(), addr), key, &task.pi_owner, &known, false)? {
        Claim::Acquired => return Ok(Step::Acquired),
        Claim::Again => return Ok(Step::Again),
        Claim::Fault(fault) => {
            drop(bucket);
            resolve(task.mm(), &fault)?;
            return Ok(Step::Again);
        }
        Claim::Held(_) if !waits => return err!(EAGAIN),
        Claim::Held(owner) => owner,
    };
    // One that has just ended has not got to this lock: it was not noted then.
    if owner.as_ref().is_some_and(|owner| !owner.note(key)) {
        drop(bucket);
        let changed = task.mm().load_u32(addr)? & sys::FUTEX_TID_MASK != known.tid;
        return if changed { Ok(Step::Again) } else { err!(ESRCH) };
    }
    let place = Place::new(task, (&mut bucket, number), key, ANY, Kind::Lock(Heir::new(task, addr)));
    if let (Some(queue), Some(owner)) = (bucket.find(key), owner) {
        *bucket.owner(queue) = Some(owner);
    }
    Ok(Step::Waits(place))
}

/// FUTEX_UNLOCK_PI.
///
/// # Errors
/// EPERM if the caller does not have the lock, EINVAL if those who wait do not wait for a lock of the caller, EFAULT.
pub(crate) fn unlock(task: &Task, key: &Key, addr: u64) -> Result<u64, Errno> {
    let memory = task.mm().page_table();
    loop {
        let mut bucket = TABLE[key.bucket(BUCKETS)].lock();
        let queue = bucket.find(key);
        let step = memory.load_u32(addr).map(|word| {
            if word & sys::FUTEX_TID_MASK != task.pi_owner.tid() {
                return err!(EPERM);
            }
            let wanted = match queue {
                None => 0,
                Some(queue) => sys::FUTEX_WAITERS | heir_of(&mut bucket, queue, &task.pi_owner)?.owner.tid(),
            };
            Ok((word, wanted))
        });
        let exchanged = match step {
            Ok(step) => {
                let (word, wanted) = step?;
                memory.compare_exchange_u32(addr, word, wanted)
            }
            Err(fault) => Err(fault),
        };
        match exchanged {
            Ok(Ok(_)) => {
                let mut woken = WakeList::default();
                if let Some(queue) = queue {
                    give(&mut bucket, queue, key, &mut woken);
                }
                drop(bucket);
                woken.wake();
                return Ok(0);
            }
            Ok(Err(_)) => {}
            Err(fault) => {
                drop(bucket);
                resolve(task.mm(), &fault)?;
            }
        }
    }
}

/// The one that has waited longest for a lock of `owner`.
///
/// # Errors
/// EINVAL if the lock is another's or the queue is none of a lock.
fn heir_of<'a>(bucket: &'a mut Bucket, queue: QueueAt, owner: &Owner) -> Result<&'a Heir, Errno> {
    if !bucket.owner(queue).as_ref().is_some_and(|other| Arc::ptr_eq(&other.0, &owner.0)) {
        return err!(EINVAL);
    }
    match bucket.first(queue).map(|place| &bucket.entry(place).kind) {
        Some(Kind::Lock(heir)) => Ok(heir),
        _ => err!(EINVAL),
    }
}

/// Makes the one that has waited longest the owner of a lock; the word says so already.
fn give(bucket: &mut Bucket, queue: QueueAt, key: &Key, woken: &mut WakeList) {
    let Some(place) = bucket.first(queue) else { return };
    let Kind::Lock(heir) = &bucket.entry(place).kind else { return };
    let new = heir.owner.clone();
    if let Some(old) = bucket.owner(queue).replace(new.clone()) {
        old.forget(key);
    }
    woken.add(bucket.remove(place));
    if bucket.find(key).is_some() {
        // It sleeps, so it has not ended.
        new.note(key);
    }
}

/// A thread ends: the locks it has and others wait for go to those who have waited longest (exit_pi_state_list() in Linux).
pub(crate) fn release(task: &Task) {
    let keys = {
        let mut held = task.pi_owner.0.held.lock();
        held.ended = true;
        core::mem::take(&mut held.keys)
    };
    for key in keys {
        let mut woken = WakeList::default();
        while let Some((mm, fault)) = hand_over(&task.pi_owner, &key, &mut woken) {
            // Who has unmapped the word gets no lock in it.
            if resolve(&mm, &fault).is_err() {
                break;
            }
        }
        woken.wake();
    }
}

/// Hands over one lock of a thread that ends; or says which page of the heir has to be fetched first.
fn hand_over(owner: &Owner, key: &Key, woken: &mut WakeList) -> Option<(Arc<AddressSpace>, UserFault)> {
    let mut bucket = TABLE[key.bucket(BUCKETS)].lock();
    let queue = bucket.find(key)?;
    let heir = heir_of(&mut bucket, queue, owner).ok()?;
    let (mm, addr) = (heir.mm.clone(), heir.addr);
    let wanted = heir.owner.tid() | sys::FUTEX_WAITERS | sys::FUTEX_OWNER_DIED;
    loop {
        let exchanged = mm
            .page_table()
            .load_u32(addr)
            .and_then(|word| mm.page_table().compare_exchange_u32(addr, word, wanted));
        match exchanged {
            Ok(Ok(_)) => break,
            Ok(Err(_)) => {}
            Err(fault) => {
                drop(bucket);
                return Some((mm, fault));
            }
        }
    }
    give(&mut bucket, queue, key, woken);
    None
}
