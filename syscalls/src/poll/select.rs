//! select(2), pselect6(2).

use super::{Watched, deadline, finish, left, wait_for, with_mask};
use crate::args::{Fd, UserPtr};
use crate::task::Task;
use crate::wait::Events;
use alloc::vec;
use alloc::vec::Vec;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time::monotonic_ns;

/// What makes a descriptor readable, writable and exceptional for select(2).
const SETS: [Events; 3] = [
    Events::READABLE.union(Events::RDBAND).union(Events::HUP).union(Events::ERR),
    Events::WRITABLE.union(Events::WRBAND).union(Events::ERR),
    Events::PRI,
];

/// Bits of a word of an `fd_set`.
const WORD_BITS: usize = 64;

/// What the last argument of pselect6(2) points to: a mask and its size.
type MaskArgument = [u64; 2];

/// select(2): leaves the rest of the time at `timeout`.
pub(crate) fn select(
    task: &Task,
    count: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<[i64; 2]>,
) -> Result<u64, Errno> {
    let deadline = match timeout.non_null() {
        None => None,
        Some(timeout) => {
            let [seconds, micros] = timeout.read(task.mm())?;
            if seconds < 0 || micros < 0 {
                return err!(EINVAL);
            }
            let nanos = (seconds as u64)
                .saturating_mul(1_000_000_000)
                .saturating_add((micros as u64).saturating_mul(1000));
            Some(monotonic_ns().saturating_add(nanos))
        }
    };
    let result = select_until(task, count, [read, write, except], deadline);
    let Some(deadline) = deadline else { return result };
    let rest = Timespec::from_nanos(left(deadline));
    finish(result, timeout.write(task.mm(), &[rest.tv_sec, rest.tv_nsec / 1000]))
}

/// pselect6(2).
pub(crate) fn pselect6(
    task: &Task,
    count: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<MaskArgument>,
) -> Result<u64, Errno> {
    let deadline = deadline(task, timeout)?;
    let [address, size] = match mask.non_null() {
        Some(mask) => mask.read(task.mm())?,
        None => [0; 2],
    };
    let result = with_mask(task, UserPtr::new(address), size as usize, || {
        select_until(task, count, [read, write, except], deadline)
    });
    let Some(deadline) = deadline else { return result };
    finish(result, timeout.write(task.mm(), &Timespec::from_nanos(left(deadline))))
}

fn select_until(
    task: &Task,
    count: i32,
    pointers: [UserPtr<u64>; 3],
    deadline: Option<u64>,
) -> Result<u64, Errno> {
    let files = task.files();
    // More than the table holds cannot be open: Linux looks no further either.
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL.here())?.min(files.size());
    let words = count.div_ceil(WORD_BITS);
    let mut wanted: [Vec<u64>; 3] = Default::default();
    for (set, pointer) in wanted.iter_mut().zip(pointers) {
        *set = match pointer.non_null() {
            Some(pointer) => pointer.read_array(task.mm(), words)?,
            None => vec![0; words],
        };
    }
    let has = |set: &[u64], fd: usize| set[fd / WORD_BITS] & (1 << (fd % WORD_BITS)) != 0;
    let mut numbers = Vec::new();
    let mut watched = Vec::new();
    for fd in 0..count {
        let mut interest = Events::empty();
        for (set, events) in wanted.iter().zip(SETS) {
            if has(set, fd) {
                interest |= events;
            }
        }
        if !interest.is_empty() {
            let description = files.get(Fd(fd as i32))?;
            numbers.push(fd);
            watched.push(Some(Watched { description, interest }));
        }
    }
    let mut results: [Vec<u64>; 3] = core::array::from_fn(|_| vec![0; words]);
    let ready = wait_for(task, &watched, deadline, |watched| {
        let mut ready = 0;
        for (fd, one) in numbers.iter().zip(watched.iter().flatten()) {
            let events = one.description.file().poll();
            for ((set, result), mask) in wanted.iter().zip(&mut results).zip(SETS) {
                if has(set, *fd) && events.intersects(mask) {
                    result[fd / WORD_BITS] |= 1 << (fd % WORD_BITS);
                    ready += 1;
                }
            }
        }
        ready
    });
    let ready = match ready {
        Err(error) if error == Errno::ERESTARTSYS => return err!(ERESTARTNOHAND),
        ready => ready?,
    };
    for (result, pointer) in results.iter().zip(pointers) {
        if let Some(pointer) = pointer.non_null() {
            pointer.write_slice(task.mm(), result)?;
        }
    }
    Ok(ready as u64)
}
