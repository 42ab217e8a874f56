//! nanosleep(2), clock_nanosleep(2).

use super::clock::Clock;
use super::cpu_clock::{self, CpuTimer};
use super::queue::{Entry, Expire};
use super::read_timespec;
use super::timer::Setting;
use crate::args::UserPtr;
use crate::task::Task;
use crate::wait;
use alloc::boxed::Box;
use alloc::sync::Arc;
use husk_abi::{Errno, Timespec, err};
use husk_machine::sync::SpinLock;
use husk_machine::thread::{self, Thread};
use linux_raw_sys::general as raw;

/// nanosleep(2).
pub(crate) fn nanosleep(
    task: &Task,
    request: UserPtr<Timespec>,
    left: UserPtr<Timespec>,
) -> Result<u64, Errno> {
    let wanted = read_timespec(task, request)?;
    relative_for(task, Clock::MONOTONIC, wanted, left)
}

/// clock_nanosleep(2).
pub(crate) fn clock_nanosleep(
    task: &Task,
    clock: i32,
    flags: u32,
    request: UserPtr<Timespec>,
    left: UserPtr<Timespec>,
) -> Result<u64, Errno> {
    let thread_clock = clock == raw::CLOCK_THREAD_CPUTIME_ID as i32;
    let clock = Clock::new(task, clock)?;
    if !clock.has_timers() || thread_clock {
        return err!(EOPNOTSUPP);
    }
    // Its clock stands still while it sleeps.
    if matches!(&clock, Clock::Cpu(clock) if clock.is_of(task)) {
        return err!(EINVAL);
    }
    let wanted = read_timespec(task, request)?;
    if flags & raw::TIMER_ABSTIME == 0 {
        return relative_for(task, clock.for_durations(), wanted, left);
    }
    match until(task, &clock, wanted) {
        Err(error) if error == Errno::ERESTARTSYS => err!(ERESTARTNOHAND),
        done => done.map(|()| 0),
    }
}

fn relative_for(task: &Task, clock: Clock, wanted: u64, left: UserPtr<Timespec>) -> Result<u64, Errno> {
    let deadline = clock.now().saturating_add(wanted);
    relative(task, clock, deadline, left)
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
    if let Clock::Cpu(_) = clock {
        return until_cpu(task, clock, deadline);
    }
    while clock.now() < deadline {
        match wait::sleep(task, Some(clock.to_monotonic(deadline))) {
            // The clock may have been set back while it was looked at.
            Err(error) if error == Errno::EAGAIN => {}
            done => done?,
        }
    }
    Ok(())
}

/// A sleep until CPU time has been used up by others.
struct Sleep {
    setting: SpinLock<Setting>,
    thread: Thread,
    entry: Entry,
}

impl Expire for Sleep {
    fn expired(self: Arc<Self>) {
        {
            let mut setting = self.setting.lock();
            if setting.clock.now() < setting.deadline {
                return cpu_clock::look_again(&self, &mut setting);
            }
        }
        self.thread.unpark();
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl CpuTimer for Sleep {
    fn resume(self: Arc<Self>) {
        cpu_clock::look_later(&self, &mut self.setting.lock());
    }
}

fn until_cpu(task: &Task, clock: &Clock, deadline: u64) -> Result<(), Errno> {
    let setting = SpinLock::new(Setting { deadline, ..Setting::never(clock.clone()) });
    let sleep = Arc::new(Sleep { setting, thread: thread::current(), entry: Entry::new()? });
    cpu_clock::look_later(&sleep, &mut sleep.setting.lock());
    while clock.now() < deadline {
        wait::sleep(task, None)?;
    }
    Ok(())
}
