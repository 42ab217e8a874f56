//! Robust futexes: the locks that a thread holds when it ends are marked, and one who waits for each is woken
//! (Linux's Documentation/locking/robust-futex-ABI).

use super::wake_one;
use crate::args::UserPtr;
use crate::task::Task;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Longest list that is looked at: it may be a ring.
const LIMIT: usize = 2048;

/// `struct robust_list_head`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    /// The first entry, or the head itself.
    first: u64,
    /// From an entry to its futex.
    offset: u64,
    /// The entry that was being locked or unlocked.
    pending: u64,
}

/// Size of `struct robust_list_head`.
pub(crate) const HEAD_SIZE: usize = size_of::<Head>();

/// Bit 0 of a pointer to an entry: a lock with priority inheritance.
const INHERITS: u64 = 1;

/// Marks all locks on the thread's list. What cannot be read ends the list.
pub(crate) fn release(task: &Task) {
    let head = task.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 {
        // Nobody is left to be told of an error.
        let _ = walk(task, head);
    }
}

fn walk(task: &Task, head_addr: u64) -> Result<(), Errno> {
    let head = UserPtr::<Head>::new(head_addr).read(task.mm())?;
    let futex = |entry: u64| (entry & !INHERITS).wrapping_add(head.offset);
    let mut entry = head.first;
    for _ in 0..LIMIT {
        if entry & !INHERITS == head_addr {
            break;
        }
        // Read first: whoever gets the lock may reuse the entry.
        let next = UserPtr::<u64>::new(entry & !INHERITS).read(task.mm());
        if entry & !INHERITS != head.pending & !INHERITS {
            mark(task, futex(entry), entry & INHERITS != 0, false)?;
        }
        entry = next?;
    }
    if head.pending != 0 {
        mark(task, futex(head.pending), head.pending & INHERITS != 0, true)?;
    }
    Ok(())
}

/// Says that the owner of a lock has died, if that was the calling thread.
fn mark(task: &Task, addr: u64, inherits: bool, pending: bool) -> Result<(), Errno> {
    if !addr.is_multiple_of(4) {
        return err!(EINVAL);
    }
    let mm = task.mm();
    let mut word = mm.load_u32(addr)?;
    // It died between unlocking and waking.
    if pending && !inherits && word == 0 {
        wake_one(task, addr);
        return Ok(());
    }
    loop {
        if word & sys::FUTEX_TID_MASK != task.tid() as u32 {
            return Ok(());
        }
        let dead = word & sys::FUTEX_WAITERS | sys::FUTEX_OWNER_DIED;
        let found = mm.compare_exchange_u32(addr, word, dead)?;
        if found == word {
            break;
        }
        word = found;
    }
    // One with priority inheritance is handed over with all others that somebody waits for.
    if word & sys::FUTEX_WAITERS != 0 && !inherits {
        wake_one(task, addr);
    }
    Ok(())
}
