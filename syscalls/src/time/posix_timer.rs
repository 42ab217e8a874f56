//! POSIX timers: timer_create(2) and its relatives.

use super::clock::Clock;
use super::queue::{self, Expire};
use super::{ItimerSpec, read_timespec};
use crate::args::UserPtr;
use crate::process::Process;
use crate::signal::{Pending, SigFields, SigInfo, Signal, send_to_process, send_to_task};
use crate::task::Task;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use husk_abi::{Errno, Timespec, err};
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `si_code` of a signal sent by a timer.
const SI_TIMER: i32 = -2;

/// `struct sigevent` as far as timers use it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct SigEvent {
    value: u64,
    signal: i32,
    notify: i32,
    tid: i32,
    padding: [u32; 11],
}

const _: () = assert!(size_of::<SigEvent>() == size_of::<raw::sigevent>());

#[derive(Clone, Copy, Debug, Default)]
struct Setting {
    /// In nanoseconds of the clock; 0 is not armed.
    deadline: u64,
    interval: u64,
    /// Expirations beyond the one that the last signal stands for.
    overrun: i32,
}

struct Timer {
    id: i32,
    clock: Clock,
    process: Weak<Process>,
    /// The signal, and the thread it goes to if not to the process; `None` for SIGEV_NONE.
    notify: Option<(Signal, Option<i32>)>,
    value: u64,
    setting: SpinLock<Setting>,
}

/// A process's timers.
#[derive(Default)]
pub(crate) struct PosixTimers {
    timers: SpinLock<(i32, BTreeMap<i32, Arc<Timer>>)>,
}

impl PosixTimers {
    /// Deletes them.
    pub(super) fn cancel(&self) {
        let timers = core::mem::take(&mut self.timers.lock().1);
        drop(timers);
    }

    /// The signal of a timer is taken, which stood for so many expirations besides its own: those until now are added.
    pub(crate) fn overrun_at_delivery(&self, id: i32, overrun: i32) -> i32 {
        let timer = self.timers.lock().1.get(&id).cloned();
        timer.map_or(overrun, |timer| {
            let mut setting = timer.setting.lock();
            // Its interrupt may be late; a timer that runs out once has run out already.
            if setting.interval != 0 && timer.update(&mut setting) {
                setting.overrun = overrun.saturating_add(setting.overrun).saturating_add(1);
                return setting.overrun;
            }
            overrun
        })
    }
}

impl Timer {
    fn update(&self, setting: &mut Setting) -> bool {
        let now = self.clock.now();
        if setting.deadline == 0 || now < setting.deadline {
            return false;
        }
        let extra = match setting.interval {
            0 => {
                setting.deadline = 0;
                0
            }
            interval => {
                let expired = (now - setting.deadline) / interval + 1;
                setting.deadline += expired * interval;
                expired - 1
            }
        };
        setting.overrun = i32::try_from(extra).unwrap_or(i32::MAX);
        true
    }

    /// If the signal of an earlier expiration has not been delivered yet, it stands for this one too.
    fn joined(&self, pending: &SpinLock<Pending>, extra: i32) -> bool {
        let joined = pending.lock().add_overrun(self.id, extra.saturating_add(1));
        if let Some(overrun) = joined {
            self.setting.lock().overrun = overrun;
        }
        joined.is_some()
    }

    fn spec(&self, setting: &Setting) -> ItimerSpec {
        let rest = match setting.deadline {
            0 => 0,
            deadline => deadline.saturating_sub(self.clock.now()).max(1),
        };
        ItimerSpec { interval: Timespec::from_nanos(setting.interval), value: Timespec::from_nanos(rest) }
    }
}

impl Expire for Timer {
    fn expired(&self) -> Option<u64> {
        let process = self.process.upgrade()?;
        let (due, setting) = {
            let mut setting = self.setting.lock();
            (self.update(&mut setting), *setting)
        };
        if due && let Some((signal, thread)) = self.notify {
            let fields = SigFields::Timer { id: self.id, overrun: setting.overrun, value: self.value };
            let info = SigInfo { signal, errno: 0, code: SI_TIMER, fields };
            // A queue of signals that is full loses the expiration, as on Linux.
            let _ = match thread.map(|tid| process.thread(tid)) {
                None if self.joined(&process.pending, setting.overrun) => Ok(()),
                None => send_to_process(&process, info),
                Some(Some(task)) if self.joined(&task.pending, setting.overrun) => Ok(()),
                Some(Some(task)) => send_to_task(&task, info),
                Some(None) => Ok(()),
            };
        }
        (setting.deadline != 0).then(|| self.clock.to_monotonic(setting.deadline))
    }
}

/// timer_create(2).
pub(crate) fn timer_create(
    task: &Task,
    clock: i32,
    event: UserPtr<SigEvent>,
    id: UserPtr<i32>,
) -> Result<(), Errno> {
    let clock = Clock::new(task, clock)?;
    if !clock.has_timers() && clock.is_wall() {
        return err!(EOPNOTSUPP);
    }
    let event = event.non_null().map(|event| event.read(task.mm())).transpose()?;
    let notify = match event {
        None => Some((Signal::SIGALRM, None)),
        Some(event) => match event.notify as u32 {
            raw::SIGEV_NONE => None,
            raw::SIGEV_SIGNAL | raw::SIGEV_THREAD => Some((Signal::new(event.signal)?, None)),
            raw::SIGEV_THREAD_ID => {
                task.process().thread(event.tid).ok_or(Errno::EINVAL.here())?;
                Some((Signal::new(event.signal)?, Some(event.tid)))
            }
            _ => return err!(EINVAL),
        },
    };
    let process = task.process();
    let number = {
        let mut timers = process.timers.posix.timers.lock();
        let number = timers.0;
        timers.0 = number.wrapping_add(1) & i32::MAX;
        let value = event.map_or(number as u64, |event| event.value);
        let setting = SpinLock::new(Setting::default());
        let timer = Timer { id: number, clock, process: Arc::downgrade(process), notify, value, setting };
        timers.1.insert(number, Arc::new(timer));
        number
    };
    let copied = id.write(task.mm(), &number);
    if copied.is_err() {
        let removed = process.timers.posix.timers.lock().1.remove(&number);
        drop(removed);
    }
    copied
}

fn get(task: &Task, id: i32) -> Result<Arc<Timer>, Errno> {
    task.process().timers.posix.timers.lock().1.get(&id).cloned().ok_or(Errno::EINVAL.here())
}

/// timer_settime(2).
pub(crate) fn timer_settime(
    task: &Task,
    id: i32,
    flags: u32,
    new: UserPtr<ItimerSpec>,
    old: UserPtr<ItimerSpec>,
) -> Result<(), Errno> {
    if new.is_null() {
        return err!(EINVAL);
    }
    let interval = read_timespec(task, new.cast())?;
    let value = read_timespec(task, new.cast::<Timespec>().add(1))?;
    let timer = get(task, id)?;
    let deadline = match (value, flags & raw::TIMER_ABSTIME != 0) {
        (0, _) => 0,
        (value, true) => value,
        (value, false) => timer.clock.now().saturating_add(value),
    };
    let before = {
        let mut setting = timer.setting.lock();
        let before = timer.spec(&setting);
        *setting = Setting { deadline, interval, overrun: 0 };
        before
    };
    if deadline != 0 {
        queue::arm(timer.clock.to_monotonic(deadline), &timer)?;
    }
    old.write_if_non_null(task.mm(), &before)
}

/// timer_gettime(2).
pub(crate) fn timer_gettime(task: &Task, id: i32, current: UserPtr<ItimerSpec>) -> Result<(), Errno> {
    let timer = get(task, id)?;
    let spec = timer.spec(&timer.setting.lock());
    current.write(task.mm(), &spec)
}

/// timer_getoverrun(2).
pub(crate) fn timer_getoverrun(task: &Task, id: i32) -> Result<i32, Errno> {
    Ok(get(task, id)?.setting.lock().overrun)
}

/// timer_delete(2).
pub(crate) fn timer_delete(task: &Task, id: i32) -> Result<(), Errno> {
    let removed = task.process().timers.posix.timers.lock().1.remove(&id);
    removed.map(drop).ok_or(Errno::EINVAL.here())
}
