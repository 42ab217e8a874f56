//! Timers as descriptors: timerfd_create(2) and its relatives.

use super::clock::Clock;
use super::clock_sets;
use super::queue::{Entry, Expire};
use super::timer::{Setting, schedule_wall};
use super::{ItimerSpec, read_timespec};
use crate::args::{Fd, UserPtr};
use crate::credentials::Capability;
use crate::file::{File, FileDescription, anon, file_limit};
use crate::task::Task;
use crate::wait::{Events, Waiters};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use husk_abi::{Errno, Timespec, err};
use husk_fs::{Metadata, OpenFlags, Sink};
use husk_machine::sync::SpinLock;
use linux_raw_sys::general as raw;

#[derive(Debug)]
struct State {
    setting: Setting,
    /// Expirations not read yet.
    ticks: u64,
    /// The flags of timerfd_settime(2).
    flags: u32,
    /// For TFD_TIMER_CANCEL_ON_SET: how often the wall clock had been set when the timer was.
    clock_sets: Option<u64>,
}

/// A timer read through a descriptor.
struct TimerFd {
    clock: Clock,
    clock_id: i32,
    state: SpinLock<State>,
    waiters: Waiters,
    entry: Entry,
}

impl State {
    /// Counts what has expired by now.
    fn update(&mut self) {
        self.ticks += self.setting.advance();
    }

    /// Whether the wall clock has been set, and the timer wants to be told of that.
    fn is_cancelled(&self) -> bool {
        self.clock_sets.is_some_and(|sets| sets != clock_sets::count())
    }

    /// As [`is_cancelled`](Self::is_cancelled); it is told once for each time.
    fn take_cancelled(&mut self) -> bool {
        let cancelled = self.is_cancelled();
        if cancelled {
            self.clock_sets = Some(clock_sets::count());
        }
        cancelled
    }

    fn is_ready(&self) -> bool {
        self.ticks > 0 || self.is_cancelled()
    }
}

impl Expire for TimerFd {
    fn expired(self: Arc<Self>) {
        let ready = {
            let mut state = self.state.lock();
            let before = state.ticks;
            state.update();
            schedule_wall(&self, &mut state.setting);
            state.ticks > before
        };
        if ready {
            self.waiters.wake(Events::READABLE);
        }
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl clock_sets::Told for TimerFd {
    fn clock_was_set(&self) {
        if self.state.lock().is_cancelled() {
            self.waiters.wake(Events::READABLE);
        }
    }
}

impl File for TimerFd {
    fn metadata(&self) -> Metadata {
        anon::shared_metadata()
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[timerfd]".to_vec()
    }

    fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() < size_of::<u64>() {
            return err!(EINVAL);
        }
        let ticks = {
            let mut state = self.state.lock();
            state.update();
            let ticks = core::mem::take(&mut state.ticks);
            if state.take_cancelled() {
                return err!(ECANCELED);
            }
            ticks
        };
        if ticks == 0 {
            return err!(EAGAIN);
        }
        sink.push(&ticks.to_ne_bytes())
    }

    fn poll(&self) -> Events {
        let mut state = self.state.lock();
        state.update();
        if state.is_ready() { Events::IN } else { Events::empty() }
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.waiters)
    }

    fn fd_info(&self) -> Vec<u8> {
        let (spec, ticks, flags) = {
            let state = self.state.lock();
            (state.setting.spec(), state.ticks, state.flags)
        };
        let pair = |time: Timespec| format!("({}, {})", time.tv_sec, time.tv_nsec);
        format!(
            "clockid: {}\nticks: {}\nsettime flags: 0{:o}\nit_value: {}\nit_interval: {}\n",
            self.clock_id,
            ticks,
            flags,
            pair(spec.value),
            pair(spec.interval)
        )
        .into_bytes()
    }
}

/// timerfd_create(2).
pub(crate) fn timerfd_create(task: &Task, clock: i32, flags: u32) -> Result<Fd, Errno> {
    if flags & !(raw::TFD_CLOEXEC | raw::TFD_NONBLOCK) != 0 {
        return err!(EINVAL);
    }
    let known = [
        raw::CLOCK_REALTIME,
        raw::CLOCK_MONOTONIC,
        raw::CLOCK_BOOTTIME,
        raw::CLOCK_REALTIME_ALARM,
        raw::CLOCK_BOOTTIME_ALARM,
    ];
    if !known.contains(&(clock as u32)) {
        return err!(EINVAL);
    }
    let wakes = [raw::CLOCK_REALTIME_ALARM, raw::CLOCK_BOOTTIME_ALARM].contains(&(clock as u32));
    if wakes && !task.has_capability(Capability::WAKE_ALARM) {
        return err!(EPERM);
    }
    let clock_id = clock;
    let clock = Clock::new(task, clock)?;
    let state = State { setting: Setting::never(clock.clone()), ticks: 0, flags: 0, clock_sets: None };
    let timer = TimerFd {
        clock,
        clock_id,
        state: SpinLock::new(state),
        waiters: Waiters::new(),
        entry: Entry::new()?,
    };
    let status = OpenFlags::RDWR | (OpenFlags::from_bits_retain(flags) & OpenFlags::NONBLOCK);
    let description = FileDescription::new(Arc::new(timer), status);
    task.files().install(description, flags & raw::TFD_CLOEXEC != 0, file_limit(task))
}

fn get(task: &Task, fd: Fd) -> Result<Arc<TimerFd>, Errno> {
    let file: Arc<dyn Any + Send + Sync> = task.files().get(fd)?.file().clone();
    file.downcast().map_err(|_| Errno::EINVAL.here())
}

/// timerfd_settime(2).
pub(crate) fn timerfd_settime(
    task: &Task,
    fd: Fd,
    flags: u32,
    new: UserPtr<ItimerSpec>,
    old: UserPtr<ItimerSpec>,
) -> Result<(), Errno> {
    let interval = read_timespec(task, new.cast())?;
    let value = read_timespec(task, new.cast::<Timespec>().add(1))?;
    if flags & !(raw::TFD_TIMER_ABSTIME | raw::TFD_TIMER_CANCEL_ON_SET) != 0 {
        return err!(EINVAL);
    }
    let timer = get(task, fd)?;
    let absolute = flags & raw::TFD_TIMER_ABSTIME != 0;
    let cancels = absolute
        && flags & raw::TFD_TIMER_CANCEL_ON_SET != 0
        && matches!(timer.clock, Clock::Realtime { .. });
    let setting = Setting::new(&timer.clock, value, absolute, interval);
    let (before, cancelled) = {
        let mut state = timer.state.lock();
        state.update();
        let before = state.setting.spec();
        // The timer is set all the same.
        let cancelled = cancels && value != 0 && state.take_cancelled();
        let clock_sets = cancels.then(|| state.clock_sets.unwrap_or_else(clock_sets::count));
        *state = State { setting, ticks: 0, flags, clock_sets };
        schedule_wall(&timer, &mut state.setting);
        (before, cancelled)
    };
    if cancels {
        clock_sets::tell(&timer);
    }
    if cancelled {
        return err!(ECANCELED);
    }
    old.write_if_non_null(task.mm(), &before)
}

/// timerfd_gettime(2).
pub(crate) fn timerfd_gettime(task: &Task, fd: Fd, current: UserPtr<ItimerSpec>) -> Result<(), Errno> {
    let timer = get(task, fd)?;
    let spec = {
        let mut state = timer.state.lock();
        state.update();
        state.setting.spec()
    };
    current.write(task.mm(), &spec)
}
