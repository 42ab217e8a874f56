//! POSIX timers: timer_create(2) and its relatives.
//!
//! A timer has at most one signal on the way. While that is pending the timer is not in its queue: it goes on when the signal is taken, and the
//! times that have passed meanwhile are its overrun. So a program that blocks the signal, or ignores it, costs nothing.

use super::clock::Clock;
use super::cpu_clock::{self, CpuTimer};
use super::queue::{Entry, Expire};
use super::timer::{Setting, schedule};
use super::{ItimerSpec, read_timespec};
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::limits::Resource;
use crate::process::Process;
use crate::signal::{SigFields, SigInfo, Signal, send_to_process, send_to_task};
use crate::task::Task;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
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

/// Whom a timer tells, and how.
#[derive(Clone, Copy, Debug)]
struct Notify {
    signal: Signal,
    /// The thread it goes to, if not to the process.
    thread: Option<i32>,
    value: u64,
}

#[derive(Debug)]
struct State {
    /// While a signal is on the way, the time it is for.
    setting: Setting,
    /// A signal was sent and not taken yet.
    signalled: bool,
    /// Changes when the timer is set: signals from before do not count any more.
    generation: u32,
    /// Times that passed without a signal of their own before the last one was taken.
    overrun: i32,
}

struct Timer {
    id: i32,
    clock: Clock,
    process: Weak<Process>,
    /// None for SIGEV_NONE.
    notify: Option<Notify>,
    state: SpinLock<State>,
    entry: Entry,
}

/// A process's timers: the number for the next one, and those there are.
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

    fn get(&self, id: i32) -> Option<Arc<Timer>> {
        self.timers.lock().1.get(&id).cloned()
    }

    /// A timer's signal has been taken from its queue: the timer goes on. The answer is the overrun; None if the timer has been set or
    /// deleted since, so that the signal does not count.
    pub(crate) fn taken(&self, id: i32, generation: u32) -> Option<i32> {
        self.get(id)?.taken(generation)
    }

    /// The program does not ignore a signal any more: timers that would have sent it meanwhile do so now.
    pub(crate) fn heed(&self, signal: Signal) {
        let timers: Vec<_> = self.timers.lock().1.values().cloned().collect();
        for timer in timers {
            if timer.notify.is_some_and(|notify| notify.signal == signal) {
                timer.heed();
            }
        }
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.timers.lock().1.len()
    }
}

impl Timer {
    /// The time has come: sends the signal. It is on its way until it is taken.
    fn signal(&self, generation: u32) {
        let (Some(process), Some(Notify { signal, thread, value })) = (self.process.upgrade(), self.notify)
        else {
            return;
        };
        let fields = SigFields::Timer { id: self.id, generation, overrun: 0, value };
        let info = SigInfo { signal, errno: 0, code: SI_TIMER, fields };
        // A timer's signal is not refused. Of one that is sent to a thread which has ended nothing comes.
        let _ = match thread {
            None => send_to_process(&process, info),
            Some(tid) => process.thread(tid).map_or(Ok(()), |task| send_to_task(&task, info)),
        };
    }

    fn taken(self: &Arc<Self>, generation: u32) -> Option<i32> {
        let mut state = self.state.lock();
        if !state.signalled || state.generation != generation {
            return None;
        }
        state.signalled = false;
        if state.setting.interval == 0 {
            state.setting.deadline = 0;
            return Some(0);
        }
        let passed = state.setting.advance();
        state.overrun = i32::try_from(passed.saturating_sub(1)).unwrap_or(i32::MAX);
        let overrun = state.overrun;
        schedule(self, &mut state.setting);
        Some(overrun)
    }

    /// Sends again a signal that was dropped because the program ignored it.
    fn heed(&self) {
        let Some(process) = self.process.upgrade() else { return };
        let generation = {
            let state = self.state.lock();
            if !state.signalled {
                return;
            }
            state.generation
        };
        let thread = self.notify.and_then(|notify| notify.thread);
        let waiting = match thread {
            None => process.pending.lock().has_timer(self.id),
            Some(tid) => process.thread(tid).is_none_or(|task| task.pending.lock().has_timer(self.id)),
        };
        if !waiting {
            self.signal(generation);
        }
    }

    /// As timer_gettime(2) says it: the next time to come, even while a signal is on the way.
    fn spec(&self, state: &State) -> ItimerSpec {
        let mut setting = state.setting.clone();
        let waits = state.signalled || self.notify.is_none();
        if waits {
            let past = setting.advance();
            if past > 0 && setting.interval == 0 {
                setting.deadline = 0;
            }
        }
        setting.spec()
    }
}

impl Expire for Timer {
    fn expired(self: Arc<Self>) {
        let generation = {
            let mut state = self.state.lock();
            let State { setting, signalled, generation, .. } = &mut *state;
            if *signalled || setting.deadline == 0 {
                return;
            }
            if setting.clock.now() < setting.deadline {
                return match setting.clock {
                    Clock::Cpu(_) => cpu_clock::look_again(&self, setting),
                    // The wall clock has been set back since.
                    _ => schedule(&self, setting),
                };
            }
            *signalled = true;
            *generation
        };
        self.signal(generation);
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl CpuTimer for Timer {
    fn resume(self: Arc<Self>) {
        let mut state = self.state.lock();
        if !state.signalled {
            cpu_clock::look_later(&self, &mut state.setting);
        }
    }
}

/// timer_create(2).
pub(crate) fn timer_create(
    task: &Task,
    number: i32,
    event: UserPtr<SigEvent>,
    id: UserPtr<i32>,
) -> Result<(), Errno> {
    let event = event.non_null().map(|event| event.read(task.mm())).transpose()?;
    let clock = Clock::new(task, number)?;
    if !clock.has_timers() {
        return err!(EOPNOTSUPP);
    }
    let process = task.process();
    if process.timers.posix.count() as u64 >= process.limit(Resource::SIGPENDING).soft {
        return err!(EAGAIN);
    }
    let notify = notify(task, event.as_ref())?;
    let wakes = [raw::CLOCK_REALTIME_ALARM as i32, raw::CLOCK_BOOTTIME_ALARM as i32].contains(&number);
    if wakes && !task.has_capability(Capability::WAKE_ALARM) {
        return err!(EPERM);
    }
    let entry = Entry::new()?;
    let id_of = {
        let mut timers = process.timers.posix.timers.lock();
        while timers.1.contains_key(&timers.0) {
            timers.0 = timers.0.wrapping_add(1) & i32::MAX;
        }
        let number = timers.0;
        timers.0 = number.wrapping_add(1) & i32::MAX;
        // Without an event the value is the timer's number.
        let default = Notify { signal: Signal::SIGALRM, thread: None, value: number as u64 };
        let state =
            State { setting: Setting::never(clock.clone()), signalled: false, generation: 0, overrun: 0 };
        let timer = Timer {
            id: number,
            clock,
            process: Arc::downgrade(process),
            notify: if event.is_some() { notify } else { Some(default) },
            state: SpinLock::new(state),
            entry,
        };
        timers.1.insert(number, Arc::new(timer));
        number
    };
    let copied = id.write(task.mm(), &id_of);
    if copied.is_err() {
        let removed = process.timers.posix.timers.lock().1.remove(&id_of);
        drop(removed);
    }
    copied
}

/// Whom to tell, as `event` says.
fn notify(task: &Task, event: Option<&SigEvent>) -> Result<Option<Notify>, Errno> {
    let Some(event) = event else { return Ok(None) };
    let signal = || Signal::new(event.signal).map_err(|_| Errno::EINVAL.here());
    let notify = |thread| Ok(Some(Notify { signal: signal()?, thread, value: event.value }));
    match event.notify as u32 {
        raw::SIGEV_NONE => Ok(None),
        raw::SIGEV_SIGNAL | raw::SIGEV_THREAD => notify(None),
        raw::SIGEV_THREAD_ID => {
            task.process().thread(event.tid).ok_or(Errno::EINVAL.here())?;
            notify(Some(event.tid))
        }
        _ => err!(EINVAL),
    }
}

fn get(task: &Task, id: i32) -> Result<Arc<Timer>, Errno> {
    task.process().timers.posix.get(id).ok_or(Errno::EINVAL.here())
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
    let absolute = flags & raw::TIMER_ABSTIME != 0;
    // A timer that is switched off has no interval either.
    let interval = if value == 0 { 0 } else { interval };
    let setting = Setting::new(&timer.clock, value, absolute, interval);
    let before = {
        let mut state = timer.state.lock();
        let before = timer.spec(&state);
        state.setting = setting;
        state.signalled = false;
        state.generation = state.generation.wrapping_add(1);
        state.overrun = 0;
        // Nobody is told by one that only counts.
        if timer.notify.is_some() {
            schedule(&timer, &mut state.setting);
        }
        before
    };
    old.write_if_non_null(task.mm(), &before)
}

/// timer_gettime(2).
pub(crate) fn timer_gettime(task: &Task, id: i32, current: UserPtr<ItimerSpec>) -> Result<(), Errno> {
    let timer = get(task, id)?;
    let spec = timer.spec(&timer.state.lock());
    current.write(task.mm(), &spec)
}

/// timer_getoverrun(2).
pub(crate) fn timer_getoverrun(task: &Task, id: i32) -> Result<i32, Errno> {
    Ok(get(task, id)?.state.lock().overrun)
}

/// timer_delete(2).
pub(crate) fn timer_delete(task: &Task, id: i32) -> Result<(), Errno> {
    let removed = task.process().timers.posix.timers.lock().1.remove(&id);
    let timer = removed.ok_or(Errno::EINVAL.here())?;
    // What is on the way does not count any more.
    let mut state = timer.state.lock();
    state.signalled = false;
    state.setting.deadline = 0;
    Ok(())
}
