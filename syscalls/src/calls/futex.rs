//! futex(2), set_robust_list(2), get_robust_list(2).

use crate::args::UserPtr;
use crate::futex::{self, Deadline, Key, Operation, Outcome, Requeue, pi, requeue_pi, robust::HEAD_SIZE};
use crate::pid;
use crate::task::Task;
use alloc::boxed::Box;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time;
use linux_raw_sys::general as sys;

/// futex(2).
pub(crate) fn futex(
    task: &Task,
    addr: u64,
    operation: u32,
    value: u32,
    timeout: u64,
    addr2: u64,
    value3: u32,
) -> Result<u64, Errno> {
    const FLAGS: u32 = sys::FUTEX_PRIVATE_FLAG | sys::FUTEX_CLOCK_REALTIME;
    let realtime = operation & sys::FUTEX_CLOCK_REALTIME != 0;
    let shared = operation & sys::FUTEX_PRIVATE_FLAG == 0;
    let command = operation & !FLAGS;
    let waits = matches!(
        command,
        sys::FUTEX_WAIT
            | sys::FUTEX_WAIT_BITSET
            | sys::FUTEX_LOCK_PI
            | sys::FUTEX_LOCK_PI2
            | sys::FUTEX_WAIT_REQUEUE_PI
    );
    let deadline = if waits { deadline(task, timeout, command, realtime)? } else { None };
    let takes_clock =
        matches!(command, sys::FUTEX_WAIT_BITSET | sys::FUTEX_WAIT_REQUEUE_PI | sys::FUTEX_LOCK_PI2);
    if realtime && !takes_clock {
        return err!(ENOSYS);
    }
    // Where there is no timeout, its register holds a second count.
    let value2 = timeout as u32;
    let key = |addr| Key::new(task.mm(), addr, shared);
    match command {
        sys::FUTEX_WAIT => wait(task, addr, shared, value, futex::ANY, deadline),
        sys::FUTEX_WAIT_BITSET => wait(task, addr, shared, value, value3, deadline),
        sys::FUTEX_WAKE => futex::wake(&key(addr)?, value, futex::ANY),
        sys::FUTEX_WAKE_BITSET if value3 == 0 => err!(EINVAL),
        sys::FUTEX_WAKE_BITSET => futex::wake(&key(addr)?, value, value3),
        sys::FUTEX_REQUEUE | sys::FUTEX_CMP_REQUEUE | sys::FUTEX_CMP_REQUEUE_PI => {
            if (value as i32) < 0 || (value2 as i32) < 0 {
                return err!(EINVAL);
            }
            let expected = (command != sys::FUTEX_REQUEUE).then_some((addr, value3));
            let request =
                Requeue { from: key(addr)?, to: key(addr2)?, wakes: value, moves: value2, expected };
            if command == sys::FUTEX_CMP_REQUEUE_PI {
                return requeue_pi::requeue(task, &request, addr2);
            }
            futex::requeue(task.mm(), &request)
        }
        sys::FUTEX_WAIT_REQUEUE_PI if addr == addr2 => err!(EINVAL),
        sys::FUTEX_WAIT_REQUEUE_PI => {
            let (key, lock) = (key(addr)?, key(addr2)?);
            requeue_pi::wait(task, (&key, addr, value), deadline, (&lock, addr2))
        }
        sys::FUTEX_WAKE_OP => {
            let (first, second) = (key(addr)?, key(addr2)?);
            futex::wake_op(task.mm(), (&first, value), (&second, value2), addr2, Operation::new(value3))
        }
        sys::FUTEX_LOCK_PI | sys::FUTEX_LOCK_PI2 => pi::lock(task, &key(addr)?, addr, deadline),
        sys::FUTEX_TRYLOCK_PI => pi::try_lock(task, &key(addr)?, addr),
        sys::FUTEX_UNLOCK_PI => pi::unlock(task, &key(addr)?, addr),
        _ => err!(ENOSYS),
    }
}

/// When to give up. FUTEX_WAIT's time counts from now, that of the others is a point in time.
fn deadline(task: &Task, timeout: u64, command: u32, realtime: bool) -> Result<Option<Deadline>, Errno> {
    let Some(pointer) = UserPtr::<Timespec>::new(timeout).non_null() else { return Ok(None) };
    let nanos = pointer.read(task.mm())?.to_nanos().ok_or(Errno::EINVAL.here())?;
    Ok(Some(match command {
        sys::FUTEX_WAIT => Deadline::Monotonic(time::monotonic_ns().saturating_add(nanos)),
        sys::FUTEX_LOCK_PI => Deadline::Realtime(nanos),
        _ if realtime => Deadline::Realtime(nanos),
        _ => Deadline::Monotonic(nanos),
    }))
}

pub(super) fn wait_once(
    task: &Task,
    addr: u64,
    shared: bool,
    value: u32,
    bits: u32,
    deadline: Option<Deadline>,
) -> Result<Outcome, Errno> {
    if bits == 0 {
        return err!(EINVAL);
    }
    let key = Key::new(task.mm(), addr, shared)?;
    futex::wait(task, &key, addr, value, bits, deadline)
}

fn wait(
    task: &Task,
    addr: u64,
    shared: bool,
    value: u32,
    bits: u32,
    deadline: Option<Deadline>,
) -> Result<u64, Errno> {
    match (wait_once(task, addr, shared, value, bits, deadline)?, deadline) {
        (Outcome::Woken, _) => Ok(0),
        (Outcome::TimedOut, _) => err!(ETIMEDOUT),
        (Outcome::Interrupted, None) => Err(Errno::ERESTARTSYS),
        (Outcome::Interrupted, deadline) => {
            // The rest is waited for through restart_syscall(2), until the same point in time.
            task.set_restart(Box::new(move |task| wait(task, addr, shared, value, bits, deadline)));
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
    }
}

/// set_robust_list(2).
pub(crate) fn set_robust_list(task: &Task, head: u64, len: usize) -> Result<(), Errno> {
    if len != HEAD_SIZE {
        return err!(EINVAL);
    }
    task.robust_list.store(head, Ordering::Relaxed);
    Ok(())
}

/// get_robust_list(2).
pub(crate) fn get_robust_list(
    task: &Task,
    tid: i32,
    head: UserPtr<u64>,
    len: UserPtr<usize>,
) -> Result<(), Errno> {
    let list = if tid == 0 || tid == task.tid() {
        task.robust_list.load(Ordering::Relaxed)
    } else {
        pid::task(tid).ok_or(Errno::ESRCH.here())?.robust_list.load(Ordering::Relaxed)
    };
    len.write(task.mm(), &HEAD_SIZE)?;
    head.write(task.mm(), &list)
}
