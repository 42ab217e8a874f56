//! Interval timers: setitimer(2), getitimer(2), alarm(2).

use super::clock::Clock;
use super::cpu_clock::{self, Counts, CpuClock, CpuTimer};
use super::queue::{Entry, Expire};
use super::timer::{Setting, schedule};
use crate::args::UserPtr;
use crate::process::Process;
use crate::signal::{SigInfo, Signal, send_to_process, send_to_task};
use crate::task::Task;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;
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
    /// ITIMER_VIRTUAL: the process's time in user mode; SIGVTALRM.
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

    fn clock(self, process: &Arc<Process>) -> Clock {
        match self {
            Self::Real => Clock::MONOTONIC,
            Self::Virtual => Clock::Cpu(CpuClock::of_process(process.clone(), Counts::User)),
            Self::Prof => Clock::Cpu(CpuClock::of_process(process.clone(), Counts::UserAndSystem)),
        }
    }
}

struct Timer {
    kind: Kind,
    process: Weak<Process>,
    setting: SpinLock<Setting>,
    entry: Entry,
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

    /// A SIGALRM has been taken from its queue: the timer of the wall that sent it goes on then, so that one whose signal is blocked or
    /// ignored costs nothing.
    pub(crate) fn alarm_taken(&self) {
        let timer = self.timers.lock()[raw::ITIMER_REAL as usize].clone();
        if let Some(timer) = timer {
            let mut setting = timer.setting.lock();
            if setting.interval != 0 && setting.advance() > 0 {
                schedule(&timer, &mut setting);
            }
        }
    }
}

impl Expire for Timer {
    fn expired(self: Arc<Self>) {
        {
            let mut setting = self.setting.lock();
            if setting.deadline == 0 {
                return;
            }
            let due = setting.clock.now() >= setting.deadline;
            match self.kind {
                // It has been set anew since.
                Kind::Real if !due => return schedule(&self, &mut setting),
                // The next time begins when the signal is taken.
                Kind::Real if setting.interval != 0 => {}
                _ if !due => return cpu_clock::look_again(&self, &mut setting),
                _ => {
                    setting.advance();
                    schedule(&self, &mut setting);
                }
            }
        }
        let Some(process) = self.process.upgrade() else { return };
        let info = SigInfo::kernel(self.kind.signal());
        let user = match self.kind {
            Kind::Real => None,
            Kind::Virtual | Kind::Prof => most_indebted(&process, self.kind.signal()),
        };
        // It is no real-time signal, so it cannot be refused.
        let _ = match user {
            Some(task) => send_to_task(&task, info),
            None => send_to_process(&process, info),
        };
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// The thread that has used most CPU time since it got such a signal last: over time each gets as many as it has used CPU time, which
/// is what profilers count on. (Linux sends the signal to the thread that runs when the timer is found to be due.)
fn most_indebted(process: &Process, signal: Signal) -> Option<Arc<Task>> {
    let takers = process.threads().into_iter().filter(|task| !task.blocked().contains(signal));
    let debts = takers.map(|task| (task.cpu_time_ns(), task));
    let (used, task) =
        debts.max_by_key(|(used, task)| used.saturating_sub(task.profiled_ns.load(Ordering::Relaxed)))?;
    task.profiled_ns.store(used, Ordering::Relaxed);
    Some(task)
}

impl CpuTimer for Timer {
    fn resume(self: Arc<Self>) {
        cpu_clock::look_later(&self, &mut self.setting.lock());
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
    if let Some(timer) = &process.timers.interval.timers.lock()[which as usize] {
        return Ok(timer.clone());
    }
    let setting = SpinLock::new(Setting::never(kind.clock(process)));
    let new = Arc::new(Timer { kind, process: Arc::downgrade(process), setting, entry: Entry::new()? });
    Ok(process.timers.interval.timers.lock()[which as usize].get_or_insert(new).clone())
}

/// Sets a timer; the answer is what it was before: interval and rest, in nanoseconds.
fn set(task: &Task, which: u32, interval: u64, value: u64) -> Result<(u64, u64), Errno> {
    let timer = timer(task, which)?;
    let clock = timer.kind.clock(task.process());
    // Of the timer of the wall, an interval without a value is forgotten.
    let interval = if value == 0 && timer.kind == Kind::Real { 0 } else { interval };
    let new = Setting::new(&clock, value, false, interval);
    let mut setting = timer.setting.lock();
    let before = (setting.interval, rest(&setting));
    *setting = new;
    schedule(&timer, &mut setting);
    Ok(before)
}

/// What is left of a setting; an armed timer that is due still has a microsecond.
fn rest(setting: &Setting) -> u64 {
    match setting.deadline {
        0 => 0,
        deadline => deadline.saturating_sub(setting.clock.now()).max(1000),
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
    let shown = {
        let setting = timer.setting.lock();
        from_nanos((setting.interval, rest(&setting)))
    };
    value.write(task.mm(), &shown)
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
        let mut setting = Setting::never(Clock::MONOTONIC);
        assert_eq!(rest(&setting), 0);
        setting.deadline = 1;
        assert_eq!(rest(&setting), 1000);
    }
}
