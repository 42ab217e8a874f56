//! Advisory locks of files: flock(2), and fcntl(2)'s record locks.

use super::description::FileDescription;
use super::record_locks::{LockOwner, Record, RecordLocks};
use super::table::FdTable;
use crate::args::{Fd, UserPtr};
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::InodeRef;
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct flock`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct UserFlock {
    kind: i16,
    whence: i16,
    padding: u32,
    start: i64,
    len: i64,
    pid: i32,
    padding_end: u32,
}

const _: () = assert!(size_of::<UserFlock>() == size_of::<raw::flock>());

/// The locks on one inode; they hang on its slot.
struct FileLocks {
    state: SpinLock<State>,
    waiters: Waiters,
}

#[derive(Default)]
struct State {
    /// flock(2): description's address, exclusive.
    whole: Vec<(usize, bool)>,
    records: RecordLocks,
}

fn of(inode: &InodeRef) -> Result<Arc<FileLocks>, Errno> {
    if let Some(locks) = inode.slot().locks.get::<FileLocks>() {
        return Ok(locks);
    }
    let new = Arc::new(FileLocks { state: SpinLock::new(State::default()), waiters: Waiters::new() });
    inode.slot().locks.get_or_insert(new).ok_or(Errno::ENOLCK.here())
}

/// Tries until the lock is free, or once.
fn acquire(
    task: &Task,
    locks: &FileLocks,
    wait: bool,
    attempt: impl FnMut() -> Result<(), Errno>,
) -> Result<(), Errno> {
    if wait {
        wait::block_on(task, &locks.waiters, Events::WRITABLE, None, attempt)
    } else {
        let mut attempt = attempt;
        attempt()
    }
}

/// flock(2).
pub(crate) fn flock(task: &Task, fd: Fd, operation: u32) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    let exclusive = match operation & !raw::LOCK_NB {
        raw::LOCK_SH => Some(false),
        raw::LOCK_EX => Some(true),
        raw::LOCK_UN => None,
        _ => return err!(EINVAL),
    };
    let inode = description.inode().ok_or(Errno::EBADF.here())?;
    let locks = of(inode)?;
    let owner = Arc::as_ptr(&description).addr();
    let Some(exclusive) = exclusive else {
        locks.state.lock().whole.retain(|(held_by, _)| *held_by != owner);
        locks.waiters.wake(Events::WRITABLE);
        return Ok(());
    };
    description.note_locks();
    // As on Linux, changing the kind of lock releases it first.
    let had = {
        let mut state = locks.state.lock();
        if state.whole.contains(&(owner, exclusive)) {
            return Ok(());
        }
        let before = state.whole.len();
        state.whole.retain(|(held_by, _)| *held_by != owner);
        state.whole.len() != before
    };
    if had {
        locks.waiters.wake(Events::WRITABLE);
    }
    acquire(task, &locks, operation & raw::LOCK_NB == 0, || {
        let mut state = locks.state.lock();
        if state.whole.iter().any(|(_, held_exclusive)| exclusive || *held_exclusive) {
            return err!(EAGAIN);
        }
        state.whole.push((owner, exclusive));
        Ok(())
    })
}

/// The bytes that a `struct flock` names: first and last.
fn range(description: &FileDescription, lock: &UserFlock) -> Result<(u64, u64), Errno> {
    let base = match lock.whence as u32 {
        raw::SEEK_SET => 0,
        raw::SEEK_CUR => *description.position().lock() as i64,
        raw::SEEK_END => description.metadata().size as i64,
        _ => return err!(EINVAL),
    };
    let start = base.checked_add(lock.start).ok_or(Errno::EOVERFLOW.here())?;
    let (first, last) = match lock.len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW.here())?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL.here())?, start - 1),
    };
    if first < 0 || last < 0 { err!(EINVAL) } else { Ok((first as u64, last as u64)) }
}

/// Which lock F_SETLK and its relatives want: exclusive or shared, or none (unlock).
fn kind(lock: &UserFlock) -> Result<Option<bool>, Errno> {
    match lock.kind as u32 {
        raw::F_RDLCK => Ok(Some(false)),
        raw::F_WRLCK => Ok(Some(true)),
        raw::F_UNLCK => Ok(None),
        _ => err!(EINVAL),
    }
}

fn owner(task: &Task, description: &Arc<FileDescription>, of_description: bool) -> LockOwner {
    if of_description {
        LockOwner::Description(Arc::as_ptr(description).addr())
    } else {
        LockOwner::Process(Arc::as_ptr(&task.files()).addr(), task.process().pid())
    }
}

/// F_SETLK, F_SETLKW and their OFD forms.
///
/// # Errors
/// EAGAIN, EBADF, EINVAL, EOVERFLOW, EFAULT; ERESTARTSYS while waiting.
pub(crate) fn set(
    task: &Task,
    description: &Arc<FileDescription>,
    argument: UserPtr<UserFlock>,
    wait: bool,
    of_description: bool,
) -> Result<(), Errno> {
    let lock = argument.read(task.mm())?;
    if of_description && lock.pid != 0 {
        return err!(EINVAL);
    }
    let (first, last) = range(description, &lock)?;
    let owner = owner(task, description, of_description);
    let inode = description.inode().ok_or(Errno::EBADF.here())?;
    let exclusive = kind(&lock)?;
    let flags = description.flags();
    match exclusive {
        Some(false) if !flags.reads() => return err!(EBADF),
        Some(true) if !flags.writes() => return err!(EBADF),
        _ => {}
    }
    let locks = of(inode)?;
    let Some(exclusive) = exclusive else {
        let changed = locks.state.lock().records.unlock(owner, first, last);
        if changed {
            locks.waiters.wake(Events::WRITABLE);
        }
        return Ok(());
    };
    if of_description {
        description.note_locks();
    }
    let wanted = Record { owner, first, last, exclusive };
    acquire(task, &locks, wait, || {
        let mut state = locks.state.lock();
        if state.records.conflict(&wanted).is_some() {
            return err!(EAGAIN);
        }
        state.records.lock(wanted);
        Ok(())
    })?;
    // A lock made weaker may let others in.
    locks.waiters.wake(Events::WRITABLE);
    Ok(())
}

/// F_GETLK and F_OFD_GETLK: who is in the way.
///
/// # Errors
/// EINVAL, EOVERFLOW, EFAULT.
pub(crate) fn get(
    task: &Task,
    description: &Arc<FileDescription>,
    argument: UserPtr<UserFlock>,
    of_description: bool,
) -> Result<(), Errno> {
    let mut lock = argument.read(task.mm())?;
    if of_description && lock.pid != 0 {
        return err!(EINVAL);
    }
    let Some(exclusive) = kind(&lock)? else { return err!(EINVAL) };
    let (first, last) = range(description, &lock)?;
    let inode = description.inode().ok_or(Errno::EBADF.here())?;
    let wanted = Record { owner: owner(task, description, of_description), first, last, exclusive };
    match of(inode)?.state.lock().records.conflict(&wanted) {
        None => lock.kind = raw::F_UNLCK as i16,
        Some(held) => {
            lock.kind = if held.exclusive { raw::F_WRLCK } else { raw::F_RDLCK } as i16;
            lock.whence = raw::SEEK_SET as i16;
            lock.start = held.first as i64;
            lock.len = if held.last == i64::MAX as u64 { 0 } else { (held.last - held.first + 1) as i64 };
            lock.pid = held.owner.pid();
        }
    }
    argument.write(task.mm(), &lock)
}

/// Releases the record locks a process holds: it closed a descriptor of the file.
pub(super) fn release_process(inode: &InodeRef, table: &FdTable) {
    release(inode, |state| {
        !state.records.is_empty()
            && state.records.unlock(LockOwner::Process(core::ptr::from_ref(table).addr(), 0), 0, u64::MAX)
    });
}

/// Releases what is locked through a description: it is gone.
pub(super) fn release_description(inode: &InodeRef, description: usize) {
    release(inode, |state| {
        let before = state.whole.len();
        state.whole.retain(|(owner, _)| *owner != description);
        let records = state.records.unlock(LockOwner::Description(description), 0, u64::MAX);
        records || state.whole.len() != before
    });
}

fn release(inode: &InodeRef, change: impl FnOnce(&mut State) -> bool) {
    let Some(locks) = inode.slot().locks.get::<FileLocks>() else { return };
    let changed = change(&mut locks.state.lock());
    if changed {
        locks.waiters.wake(Events::WRITABLE);
    }
}
