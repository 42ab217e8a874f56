//! Interval timers: setitimer(2), getitimer(2), alarm(2).

use super::queue::{self, Expire};
use crate::args::UserPtr;
use crate::process::Process;
use crate::signal::{SigInfo, Signal, send_to_process};
use crate::task::Task;
use alloc::sync::{Arc, Weak};
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;
use husk_machine::time::monotonic_ns;
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes};

const SECOND_NS: u64 = 1_000_000_000;

/// `struct itimerval`: seconds and microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ItimerVal {
    interval: [i64; 2],
    value: [i64; 2],
}

/// Which clock a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// ITIMER_REAL: the wall; SIGALRM.
    Real,
    /// ITIMER_VIRTUAL: the process's CPU time; SIGVTALRM. Time in the kernel is not told apart.
    Virtual,
    /// ITIMER_PROF: the process's CPU time; SIGPROF.
    Prof,
}

impl Kind {
    fn signal(self) -> Signal {
        match self {
            Self::Real => Signal::SIGALRM,
            Self::Virtual => Signal::SIGVTALRM,
            Self::Prof => Signal::SIGPROF,
        }
    }

    fn now(self, process: &Process) -> u64 {
        match self {
            Self::Real => monotonic_ns(),
            Self::Virtual | Self::Prof => process.cpu_time_ns(),
        }
    }
}

/// When a timer expires, in nanoseconds of its clock; 0 is not armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Setting {
    deadline: u64,
    interval: u64,
}

struct Timer {
    kind: Kind,
    process: Weak<Process>,
    setting: SpinLock<Setting>,
}

/// The three timers of a process, made when first set.
#[derive(Default)]
pub(crate) struct IntervalTimers {
    timers: SpinLock<[Option<Arc<Timer>>; 3]>,
}

impl IntervalTimers {
    /// Stops them.
    pub(super) fn cancel(&self) {
        let timers = core::mem::take(&mut *self.timers.lock());
        drop(timers);
    }
}

impl Expire for Timer {
    fn expired(&self) -> Option<u64> {
        let process = self.process.upgrade()?;
        let now = self.kind.now(&process);
        let mut setting = self.setting.lock();
        let due = setting.deadline != 0 && setting.deadline <= now;
        if due {
            setting.deadline = match setting.interval {
                0 => 0,
                interval => setting.deadline + interval * ((now - setting.deadline) / interval + 1),
            };
        }
        let next = setting.deadline;
        drop(setting);
        if due {
            // It is no real-time signal, so it cannot be refused.
            let _ = send_to_process(&process, SigInfo::kernel(self.kind.signal()));
        }
        // CPU time goes no faster than the wall on one CPU: look again when the rest could have been used up.
        (next != 0).then(|| monotonic_ns().saturating_add(next.saturating_sub(now)))
    }
}

fn timer(task: &Task, which: u32) -> Result<Arc<Timer>, Errno> {
    let kind = match which {
        raw::ITIMER_REAL => Kind::Real,
        raw::ITIMER_VIRTUAL => Kind::Virtual,
        raw::ITIMER_PROF => Kind::Prof,
        _ => return err!(EINVAL),
    };
    let process = task.process();
    let new = || {
        let setting = SpinLock::new(Setting::default());
        Arc::new(Timer { kind, process: Arc::downgrade(process), setting })
    };
    let mut timers = process.timers.interval.timers.lock();
    Ok(timers[which as usize].get_or_insert_with(new).clone())
}

/// Sets a timer; the answer is what it was before: interval and rest, in nanoseconds.
fn set(task: &Task, which: u32, interval: u64, value: u64) -> Result<(u64, u64), Errno> {
    let timer = timer(task, which)?;
    let now = timer.kind.now(task.process());
    let deadline = if value == 0 { 0 } else { now.saturating_add(value) };
    let old = core::mem::replace(&mut *timer.setting.lock(), Setting { deadline, interval });
    if deadline != 0 {
        queue::arm(monotonic_ns().saturating_add(value), &timer)?;
    }
    Ok((old.interval, rest(old, now)))
}

/// What is left of a setting; an armed timer that is due still has a microsecond.
fn rest(setting: Setting, now: u64) -> u64 {
    match setting.deadline {
        0 => 0,
        deadline => deadline.saturating_sub(now).max(1000),
    }
}

fn to_nanos([seconds, micros]: [i64; 2]) -> Result<u64, Errno> {
    match (u64::try_from(seconds), micros) {
        (Ok(seconds), 0..1_000_000) => {
            Ok(seconds.saturating_mul(SECOND_NS).saturating_add(micros as u64 * 1000))
        }
        _ => err!(EINVAL),
    }
}

fn from_nanos((interval, value): (u64, u64)) -> ItimerVal {
    let pair = |nanos: u64| [(nanos / SECOND_NS) as i64, (nanos % SECOND_NS / 1000) as i64];
    ItimerVal { interval: pair(interval), value: pair(value) }
}

/// getitimer(2).
pub(crate) fn getitimer(task: &Task, which: u32, value: UserPtr<ItimerVal>) -> Result<(), Errno> {
    let timer = timer(task, which)?;
    let setting = *timer.setting.lock();
    let rest = rest(setting, timer.kind.now(task.process()));
    value.write(task.mm(), &from_nanos((setting.interval, rest)))
}

/// setitimer(2). A null new value disarms the timer, as on Linux.
pub(crate) fn setitimer(
    task: &Task,
    which: u32,
    new: UserPtr<ItimerVal>,
    old: UserPtr<ItimerVal>,
) -> Result<(), Errno> {
    let new = match new.non_null() {
        Some(new) => new.read(task.mm())?,
        None => ItimerVal::default(),
    };
    let before = set(task, which, to_nanos(new.interval)?, to_nanos(new.value)?)?;
    old.write_if_non_null(task.mm(), &from_nanos(before))
}

/// alarm(2): the answer is the rest of the old alarm in seconds, rounded to the nearest, but at least 1.
pub(crate) fn alarm(task: &Task, seconds: u32) -> Result<u64, Errno> {
    let (_, rest) = set(task, raw::ITIMER_REAL, 0, u64::from(seconds) * SECOND_NS)?;
    let rounded = (rest + SECOND_NS / 2) / SECOND_NS;
    Ok(if rest > 0 { rounded.max(1) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_there_and_back() {
        assert_eq!(to_nanos([1, 500_000]), Ok(1_500_000_000));
        assert_eq!(to_nanos([0, 1_000_000]), Err(Errno::EINVAL));
        assert_eq!(to_nanos([-1, 0]), Err(Errno::EINVAL));
        let val = from_nanos((2_000_003_000, 7_999));
        assert_eq!((val.interval, val.value), ([2, 3], [0, 7]));
        assert_eq!(rest(Setting { deadline: 5, interval: 0 }, 10), 1000);
        assert_eq!(rest(Setting::default(), 10), 0);
    }
}
