//! Timers as descriptors: timerfd_create(2) and its relatives.

use super::clock::Clock;
use super::queue::{self, Expire};
use super::{ItimerSpec, read_timespec};
use crate::args::{Fd, UserPtr};
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

#[derive(Clone, Copy, Debug, Default)]
struct Setting {
    /// In nanoseconds of the clock; 0 is not armed.
    deadline: u64,
    interval: u64,
    /// Expirations not read yet.
    ticks: u64,
    /// The flags of timerfd_settime(2).
    flags: u32,
}

/// A timer read through a descriptor.
struct TimerFd {
    clock: Clock,
    clock_id: i32,
    setting: SpinLock<Setting>,
    waiters: Waiters,
}

impl TimerFd {
    /// Counts what has expired by now.
    fn update(&self, setting: &mut Setting) {
        let now = self.clock.now();
        if setting.deadline == 0 || now < setting.deadline {
            return;
        }
        match setting.interval {
            0 => {
                setting.ticks += 1;
                setting.deadline = 0;
            }
            interval => {
                let expired = (now - setting.deadline) / interval + 1;
                setting.ticks += expired;
                setting.deadline += expired * interval;
            }
        }
    }

    fn spec(&self, setting: &Setting) -> ItimerSpec {
        let rest = match setting.deadline {
            0 => 0,
            deadline => deadline.saturating_sub(self.clock.now()).max(1),
        };
        ItimerSpec { interval: Timespec::from_nanos(setting.interval), value: Timespec::from_nanos(rest) }
    }
}

impl Expire for TimerFd {
    fn expired(&self) -> Option<u64> {
        let mut setting = self.setting.lock();
        let before = setting.ticks;
        self.update(&mut setting);
        let (ready, deadline) = (setting.ticks > before, setting.deadline);
        drop(setting);
        if ready {
            self.waiters.wake(Events::READABLE);
        }
        (deadline != 0).then(|| self.clock.to_monotonic(deadline))
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
            let mut setting = self.setting.lock();
            self.update(&mut setting);
            core::mem::take(&mut setting.ticks)
        };
        if ticks == 0 {
            return err!(EAGAIN);
        }
        sink.push(&ticks.to_ne_bytes())
    }

    fn poll(&self) -> Events {
        let mut setting = self.setting.lock();
        self.update(&mut setting);
        if setting.ticks > 0 { Events::IN } else { Events::empty() }
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.waiters)
    }

    fn fd_info(&self) -> Vec<u8> {
        let setting = *self.setting.lock();
        let spec = self.spec(&setting);
        let pair = |time: Timespec| format!("({}, {})", time.tv_sec, time.tv_nsec);
        format!(
            "clockid: {}\nticks: {}\nsettime flags: 0{:o}\nit_value: {}\nit_interval: {}\n",
            self.clock_id,
            setting.ticks,
            setting.flags,
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
    let timer = TimerFd {
        clock: Clock::new(task, clock)?,
        clock_id: clock,
        setting: SpinLock::new(Setting::default()),
        waiters: Waiters::new(),
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
    let deadline = match (value, flags & raw::TFD_TIMER_ABSTIME != 0) {
        (0, _) => 0,
        (value, true) => value,
        (value, false) => timer.clock.now().saturating_add(value),
    };
    let before = {
        let mut setting = timer.setting.lock();
        timer.update(&mut setting);
        let before = timer.spec(&setting);
        *setting = Setting { deadline, interval, ticks: 0, flags };
        before
    };
    if deadline != 0 {
        queue::arm(timer.clock.to_monotonic(deadline), &timer)?;
    }
    old.write_if_non_null(task.mm(), &before)
}

/// timerfd_gettime(2).
pub(crate) fn timerfd_gettime(task: &Task, fd: Fd, current: UserPtr<ItimerSpec>) -> Result<(), Errno> {
    let timer = get(task, fd)?;
    let spec = {
        let mut setting = timer.setting.lock();
        timer.update(&mut setting);
        timer.spec(&setting)
    };
    current.write(task.mm(), &spec)
}
