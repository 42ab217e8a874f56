//! futex(2), as far as one thread can use it.

use crate::args::UserPtr;
use crate::task::Task;
use husk_abi::{Errno, Timespec, err};
use husk_machine::{thread, time};
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
    let command = operation & !FLAGS;
    let takes_clock = matches!(command, sys::FUTEX_WAIT_BITSET | sys::FUTEX_WAIT_REQUEUE_PI | sys::FUTEX_LOCK_PI2);
    if realtime && !takes_clock {
        return err!(ENOSYS);
    }
    match command {
        sys::FUTEX_WAIT => wait(task, addr, value, u32::MAX, deadline(task, timeout, false, realtime)?),
        sys::FUTEX_WAIT_BITSET => wait(task, addr, value, value3, deadline(task, timeout, true, realtime)?),
        sys::FUTEX_WAKE => wake(addr, u32::MAX),
        sys::FUTEX_WAKE_BITSET => wake(addr, value3),
        sys::FUTEX_REQUEUE => requeue(task, addr, addr2, value, timeout, None),
        sys::FUTEX_CMP_REQUEUE => requeue(task, addr, addr2, value, timeout, Some(value3)),
        _ => err!(ENOSYS),
    }
}

/// When to give up, in monotonic nanoseconds.
fn deadline(task: &Task, timeout: u64, absolute: bool, realtime: bool) -> Result<Option<u64>, Errno> {
    let Some(pointer) = UserPtr::<Timespec>::new(timeout).non_null() else { return Ok(None) };
    let nanos = pointer.read(task.mm())?.to_nanos().ok_or(Errno::EINVAL.here())?;
    let now = time::monotonic_ns();
    Ok(Some(match (absolute, realtime) {
        (false, _) => now.saturating_add(nanos),
        (true, false) => nanos,
        (true, true) => now.saturating_add(nanos.saturating_sub(time::realtime_ns())),
    }))
}

fn check_address(addr: u64) -> Result<(), Errno> {
    if addr % 4 != 0 { err!(EINVAL) } else { Ok(()) }
}

/// With one thread nobody can wake the caller: only the time and signals end the wait.
fn wait(task: &Task, addr: u64, value: u32, bits: u32, deadline: Option<u64>) -> Result<u64, Errno> {
    if bits == 0 {
        return err!(EINVAL);
    }
    check_address(addr)?;
    if task.mm().load_u32(addr)? != value {
        return err!(EAGAIN);
    }
    loop {
        if task.has_pending_signal() {
            // Linux: with a timeout the rest is waited for through restart_syscall(2).
            let Some(deadline) = deadline else { return Err(Errno::ERESTARTSYS) };
            task.set_restart(alloc::boxed::Box::new(move |task| wait(task, addr, value, bits, Some(deadline))));
            return Err(Errno::ERESTART_RESTARTBLOCK);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) if time::monotonic_ns() >= deadline => return err!(ETIMEDOUT),
            Some(deadline) => {
                thread::park_until(deadline);
            }
        }
    }
}

/// Nobody waits: the only thread is the caller.
fn wake(addr: u64, bits: u32) -> Result<u64, Errno> {
    if bits == 0 {
        return err!(EINVAL);
    }
    check_address(addr)?;
    Ok(0)
}

fn requeue(
    task: &Task,
    addr: u64,
    addr2: u64,
    wakes: u32,
    moves: u64,
    expected: Option<u32>,
) -> Result<u64, Errno> {
    if (wakes as i32) < 0 || (moves as i32) < 0 {
        return err!(EINVAL);
    }
    check_address(addr)?;
    check_address(addr2)?;
    if let Some(expected) = expected
        && task.mm().load_u32(addr)? != expected
    {
        return err!(EAGAIN);
    }
    Ok(0)
}
