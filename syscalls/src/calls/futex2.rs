//! futex_waitv(2), futex_wait(2), futex_wake(2), futex_requeue(2): futexes one operation a call.

use super::futex::wait_once;
use crate::args::UserPtr;
use crate::futex::{self, Deadline, Key, Outcome, Requeue};
use crate::task::Task;
use alloc::vec::Vec;
use husk_abi::{Errno, Timespec, err};
use linux_raw_sys::general as sys;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Most words that one futex_waitv(2) waits for.
const MAX_WAITERS: u32 = 128;

/// `struct futex_waitv`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct WaitV {
    value: u64,
    addr: u64,
    flags: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<WaitV>() == size_of::<sys::futex_waitv>());

/// Whether the word may be shared.
///
/// # Errors
/// EINVAL for flags that Linux 6.12 does not know and for words of other sizes than 32 bits.
fn shared(flags: u32) -> Result<bool, Errno> {
    if flags & !(sys::FUTEX2_SIZE_MASK | sys::FUTEX2_PRIVATE) != 0
        || flags & sys::FUTEX2_SIZE_MASK != sys::FUTEX2_SIZE_U32
    {
        return err!(EINVAL);
    }
    Ok(flags & sys::FUTEX2_PRIVATE == 0)
}

fn narrow(value: u64) -> Result<u32, Errno> {
    u32::try_from(value).map_err(|_| Errno::EINVAL.here())
}

/// Timeouts of these calls are points in time.
fn deadline(task: &Task, timeout: UserPtr<Timespec>, clock: i32) -> Result<Option<Deadline>, Errno> {
    let Some(pointer) = timeout.non_null() else { return Ok(None) };
    let at: fn(u64) -> Deadline = match u32::try_from(clock) {
        Ok(sys::CLOCK_MONOTONIC) => Deadline::Monotonic,
        Ok(sys::CLOCK_REALTIME) => Deadline::Realtime,
        _ => return err!(EINVAL),
    };
    let nanos = pointer.read(task.mm())?.to_nanos().ok_or(Errno::EINVAL.here())?;
    Ok(Some(at(nanos)))
}

/// futex_waitv(2): the index of a word whose waiters were woken.
pub(crate) fn futex_waitv(
    task: &Task,
    waiters: UserPtr<WaitV>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> Result<usize, Errno> {
    if flags != 0 || count == 0 || count > MAX_WAITERS || waiters.is_null() {
        return err!(EINVAL);
    }
    let deadline = deadline(task, timeout, clock)?;
    let mut words = Vec::with_capacity(count as usize);
    for waiter in waiters.read_array(task.mm(), count as usize)? {
        if waiter.reserved != 0 {
            return err!(EINVAL);
        }
        words.push((waiter.addr, shared(waiter.flags)?, narrow(waiter.value)?));
    }
    let mut keys = Vec::with_capacity(words.len());
    for &(addr, shared, _) in &words {
        keys.push(Key::new(task.mm(), addr, shared)?);
    }
    let mut places = Vec::with_capacity(words.len());
    for (key, (addr, _, value)) in keys.iter().zip(words) {
        match futex::enter(task, key, addr, value, futex::ANY) {
            Ok(place) => places.push(place),
            // One that was woken meanwhile counts more than a word that has changed.
            Err(error) => return futex::leave_all(places).ok_or(error),
        }
    }
    match futex::sleep_on(task, places, deadline) {
        (_, Some(index)) => Ok(index),
        (Outcome::TimedOut, None) => err!(ETIMEDOUT),
        (_, None) => Err(Errno::ERESTARTSYS),
    }
}

/// futex_wait(2).
pub(crate) fn futex_wait(
    task: &Task,
    addr: u64,
    value: u64,
    mask: u64,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> Result<u64, Errno> {
    let shared = shared(flags)?;
    let (value, mask) = (narrow(value)?, narrow(mask)?);
    let deadline = deadline(task, timeout, clock)?;
    match wait_once(task, addr, shared, value, mask, deadline)? {
        Outcome::Woken => Ok(0),
        Outcome::TimedOut => err!(ETIMEDOUT),
        // Unlike futex(2) also with a timeout: it is a point in time.
        Outcome::Interrupted => Err(Errno::ERESTARTSYS),
    }
}

/// futex_wake(2).
pub(crate) fn futex_wake(task: &Task, addr: u64, mask: u64, count: i32, flags: u32) -> Result<u64, Errno> {
    let shared = shared(flags)?;
    let mask = narrow(mask)?;
    if mask == 0 {
        return err!(EINVAL);
    }
    let key = Key::new(task.mm(), addr, shared)?;
    if count == 0 { Ok(0) } else { futex::wake(&key, count as u32, mask) }
}

/// futex_requeue(2): from the first word to the second.
pub(crate) fn futex_requeue(
    task: &Task,
    waiters: UserPtr<WaitV>,
    flags: u32,
    wakes: i32,
    moves: i32,
) -> Result<u64, Errno> {
    if flags != 0 || waiters.is_null() {
        return err!(EINVAL);
    }
    let [from, to] = [waiters.read(task.mm())?, waiters.add(1).read(task.mm())?];
    let mut keys = Vec::with_capacity(2);
    for word in [from, to] {
        if word.reserved != 0 {
            return err!(EINVAL);
        }
        narrow(word.value)?;
        keys.push((word.addr, shared(word.flags)?));
    }
    let (Ok(wakes), Ok(moves)) = (u32::try_from(wakes), u32::try_from(moves)) else { return err!(EINVAL) };
    let key = |(addr, shared): (u64, bool)| Key::new(task.mm(), addr, shared);
    let request = Requeue {
        from: key(keys[0])?,
        to: key(keys[1])?,
        wakes,
        moves,
        expected: Some((from.addr, narrow(from.value)?)),
    };
    futex::requeue(task.mm(), &request)
}
