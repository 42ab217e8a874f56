//! Waiting for a condition and then for a lock with priority inheritance: FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI.

use super::bucket::{Entry, Kind};
use super::pi::{self, Claim, Heir, Known, Owner};
use super::waiter::WakeList;
use super::{ANY, Deadline, Key, Outcome, Pair, Requeue, enter_as, resolve};
use crate::mm::AddressSpace;
use crate::task::Task;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::paging::UserFault;

/// FUTEX_WAIT_REQUEUE_PI: waits for a word until it is moved to a lock and has got that.
///
/// # Errors
/// EAGAIN if the word has another value, or a signal came when it waited for the lock; EINVAL if both words are the same; ETIMEDOUT,
/// EFAULT; ERESTARTNOINTR for a signal before.
pub(crate) fn wait(
    task: &Task,
    (key, addr, value): (&Key, u64, u32),
    deadline: Option<Deadline>,
    (lock, lock_addr): (&Key, u64),
) -> Result<u64, Errno> {
    if key == lock {
        return err!(EINVAL);
    }
    let kind = || Kind::Requeue { to: lock.clone(), heir: Heir::new(task, lock_addr) };
    match enter_as(task, key, addr, value, ANY, kind)?.sleep(task, deadline) {
        (Outcome::Woken, _) => Ok(0),
        (Outcome::TimedOut, _) => err!(ETIMEDOUT),
        // If it was started again it would find that the word has changed.
        (Outcome::Interrupted, true) => err!(EAGAIN),
        (Outcome::Interrupted, false) => Err(Errno::ERESTARTNOINTR),
    }
}

/// What one go at it led to.
enum Step {
    /// So many were woken or moved.
    Done(u64),
    Again,
    Fault(UserFault),
}

/// FUTEX_CMP_REQUEUE_PI: gives the lock whose word is at `lock_addr` to the first that waits, if it is free, and lets others wait for
/// it; says how many it were together.
///
/// # Errors
/// EAGAIN if the word has another value; EINVAL if those who wait do not wait for that lock, or more than one is to be woken; as
/// [`pi::lock`].
pub(crate) fn requeue(task: &Task, request: &Requeue, lock_addr: u64) -> Result<u64, Errno> {
    let Requeue { from, to, wakes, expected, .. } = request;
    if from == to || *wakes != 1 {
        return err!(EINVAL);
    }
    let mm = task.mm();
    loop {
        let known = Known::look(mm, lock_addr)?;
        let mut woken = WakeList::default();
        let mut pair = Pair::lock(from, to);
        let step =
            match expected.map(|(addr, value)| mm.page_table().load_u32(addr).map(|word| word == value)) {
                Some(Err(fault)) => Ok(Step::Fault(fault)),
                Some(Ok(false)) => return err!(EAGAIN),
                Some(Ok(true)) | None => move_to_lock(mm, &mut pair, request, lock_addr, &known, &mut woken),
            };
        drop(pair);
        woken.wake();
        match step? {
            Step::Done(count) => return Ok(count),
            Step::Again => {}
            Step::Fault(fault) => resolve(mm, &fault)?,
        }
    }
}

fn move_to_lock(
    mm: &AddressSpace,
    pair: &mut Pair,
    request: &Requeue,
    lock_addr: u64,
    known: &Known,
    woken: &mut WakeList,
) -> Result<Step, Errno> {
    let Requeue { from, to, wakes, moves, .. } = request;
    let Some(head) = pair.head(from) else { return Ok(Step::Done(0)) };
    let first = heir_for(&pair.first().entry(head).kind, to)?.owner.clone();
    let mut count = 0;
    let owner = match pi::claim(pair.second(), (mm, lock_addr), to, &first, known, *moves > 0)? {
        Claim::Acquired => {
            woken.add(pair.first().remove(head));
            count = 1;
            Some(first)
        }
        Claim::Held(owner) => owner,
        Claim::Again => return Ok(Step::Again),
        Claim::Fault(fault) => return Ok(Step::Fault(fault)),
    };
    if owner.as_ref().is_some_and(|owner| !owner.note(to)) {
        return err!(ESRCH);
    }
    let mut next = pair.head(from);
    let mut result = Ok(());
    while let Some(place) = next
        && count < u64::from(*wakes) + u64::from(*moves)
    {
        result = move_one(pair, place, to, owner.as_ref());
        if result.is_err() {
            break;
        }
        count += 1;
        next = pair.head(from);
    }
    // If none was moved, nobody waits.
    if let Some(owner) = owner
        && pair.second().find(to).is_none()
    {
        owner.forget(to);
    }
    result.map(|()| Step::Done(count))
}

/// Moves one that waits to the queue of the lock.
fn move_one(pair: &mut Pair, place: super::At, to: &Key, new_owner: Option<&Owner>) -> Result<(), Errno> {
    let tid = heir_for(&pair.first().entry(place).kind, to)?.owner.tid();
    let owner = match pair.second().find(to) {
        Some(queue) => pair.second().owner(queue).clone(),
        None => new_owner.cloned(),
    };
    if owner.as_ref().is_none_or(|owner| owner.tid() == tid) {
        return err!(EDEADLK);
    }
    let Entry { waiter, bits, kind } = pair.first().remove(place).into_entry();
    if let Kind::Requeue { heir, .. } = kind {
        waiter.moved.store(true, Ordering::Release);
        pair.push(to, Entry { waiter, bits, kind: Kind::Lock(heir) });
    }
    if let Some(queue) = pair.second().find(to) {
        *pair.second().owner(queue) = owner;
    }
    Ok(())
}

/// Who is to have the lock, if the entry waits for this one.
fn heir_for<'a>(kind: &'a Kind, lock: &Key) -> Result<&'a Heir, Errno> {
    match kind {
        Kind::Requeue { to, heir } if to == lock => Ok(heir),
        _ => err!(EINVAL),
    }
}
