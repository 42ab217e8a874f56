//! nanosleep(2), clock_nanosleep(2).

use super::clock::Clock;
use super::read_timespec;
use crate::args::UserPtr;
use crate::task::Task;
use crate::wait;
use alloc::boxed::Box;
use husk_abi::{Errno, Timespec, err};
use husk_machine::time::monotonic_ns;
use linux_raw_sys::general as raw;

/// nanosleep(2).
pub(crate) fn nanosleep(
    task: &Task,
    request: UserPtr<Timespec>,
    left: UserPtr<Timespec>,
) -> Result<u64, Errno> {
    let wanted = read_timespec(task, request)?;
    let clock = Clock::Monotonic { coarse: false, raw: false };
    let deadline = clock.now().saturating_add(wanted);
    relative(task, clock, deadline, left)
}

/// clock_nanosleep(2).
pub(crate) fn clock_nanosleep(
    task: &Task,
    clock: i32,
    flags: u32,
    request: UserPtr<Timespec>,
    left: UserPtr<Timespec>,
) -> Result<u64, Errno> {
    let clock = Clock::new(task, clock)?;
    if !clock.has_timers() {
        return err!(EOPNOTSUPP);
    }
    let wanted = read_timespec(task, request)?;
    if flags & raw::TIMER_ABSTIME == 0 {
        // A relative sleep does not follow changes of the wall clock.
        let clock = match clock {
            Clock::Realtime { .. } => Clock::Monotonic { coarse: false, raw: false },
            other => other,
        };
        let deadline = clock.now().saturating_add(wanted);
        return relative(task, clock, deadline, left);
    }
    match until(task, &clock, wanted) {
        Err(error) if error == Errno::ERESTARTSYS => err!(ERESTARTNOHAND),
        done => done.map(|()| 0),
    }
}

/// Sleeps until the clock shows `deadline`. A signal leaves the remaining time at `left` and arranges for a restart.
fn relative(task: &Task, clock: Clock, deadline: u64, left: UserPtr<Timespec>) -> Result<u64, Errno> {
    match until(task, &clock, deadline) {
        Err(error) if error == Errno::ERESTARTSYS => {
            let rest = deadline.saturating_sub(clock.now());
            left.write_if_non_null(task.mm(), &Timespec::from_nanos(rest))?;
            task.set_restart(Box::new(move |task| relative(task, clock, deadline, left)));
            err!(ERESTART_RESTARTBLOCK)
        }
        done => done.map(|()| 0),
    }
}

fn until(task: &Task, clock: &Clock, deadline: u64) -> Result<(), Errno> {
    while clock.now() < deadline {
        match wait::sleep(task, Some(clock.to_monotonic(deadline))) {
            Ok(()) => {}
            // The monotonic deadline has passed; other clocks may have been set meanwhile.
            Err(error) if error == Errno::EAGAIN && (clock.now() >= deadline) => break,
            Err(error) if error == Errno::EAGAIN => {
                husk_machine::thread::park_until(monotonic_ns() + 1000);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
