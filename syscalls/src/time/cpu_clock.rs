//! Clocks of CPU time, and timers that go by them.
//!
//! How fast such a clock goes depends on what the program's threads do, and on how many of them run at once. So a timer is looked at when it could
//! run out at the earliest; and if its clock has not moved since it was looked at last, it is left alone until one of the threads
//! comes by on its way to user mode ([`DormantTimers`]). An idle program's timers cost nothing.

use super::clock::Clock;
use super::queue::{self, Expire, When};
use super::timer::Setting;
use crate::pid;
use crate::process::{CpuTimes, Process};
use crate::task::Task;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;
use husk_machine::time::monotonic_ns;

/// Linux looks at such timers in its tick, of 4 ms at 250 Hz, and says so of clocks that are not of the scheduler.
const TICK_NS: u64 = 4_000_000;
/// With several threads at once a timer is looked at no more often than that.
const STEP_NS: u64 = 1_000_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Time in user mode and in the kernel, as accounted for times(2).
    UserAndSystem,
    /// Time in user mode.
    User,
    /// All time, as the scheduler knows it.
    All,
}

/// A clock of CPU time.
#[derive(Clone, Debug)]
pub(crate) struct CpuClock {
    process: Arc<Process>,
    /// One of its threads, if it is that thread's.
    thread: Option<i32>,
    counts: Counts,
}

impl CpuClock {
    /// That of a process.
    pub(crate) fn of_process(process: Arc<Process>, counts: Counts) -> Self {
        Self { process, thread: None, counts }
    }

    /// That of the calling thread.
    pub(crate) fn of_thread(task: &Task, counts: Counts) -> Self {
        Self { process: task.process().clone(), thread: Some(task.tid()), counts }
    }

    /// By a negative number: the two lowest bits say what is counted (3 is a device), bit 2 whether it is a thread's; the rest is the
    /// id, inverted.
    ///
    /// # Errors
    /// EINVAL if there is no such process, or no such thread in this one.
    pub(super) fn new(task: &Task, number: i32) -> Result<Self, Errno> {
        let id = !(number >> 3);
        let counts = match number & 3 {
            0 => Counts::UserAndSystem,
            1 => Counts::User,
            2 => Counts::All,
            _ => return err!(EINVAL),
        };
        let own = task.process();
        if number & 4 != 0 {
            if id == 0 {
                return Ok(Self::of_thread(task, counts));
            }
            own.thread(id).ok_or(Errno::EINVAL.here())?;
            return Ok(Self { process: own.clone(), thread: Some(id), counts });
        }
        if id == 0 || id == task.tid() {
            return Ok(Self::of_process(own.clone(), counts));
        }
        pid::process(id).map(|process| Self::of_process(process, counts)).ok_or(Errno::EINVAL.here())
    }

    /// Whether it is the clock of this thread, which cannot sleep on it.
    pub(super) fn is_of(&self, task: &Task) -> bool {
        self.thread == Some(task.tid())
    }

    /// Now, in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        let CpuTimes { user, system } = match self.thread {
            None => self.process.cpu_times(),
            // Not by a reference of our own, which could be the last: timers' locks are held here.
            Some(tid) => {
                let of_thread = |task: &Arc<Task>| (task.tid() == tid).then(|| task.cpu_times());
                self.process.find_thread(of_thread).unwrap_or_default()
            }
        };
        match self.counts {
            Counts::User => user,
            Counts::UserAndSystem | Counts::All => user + system,
        }
    }

    pub(super) fn resolution(&self) -> u64 {
        if self.counts == Counts::All { 1 } else { TICK_NS }
    }

    /// The shortest time in which it can go on by `left`, as all threads might run at once; but a step at least, unless one thread
    /// alone needs less.
    pub(super) fn shortest(&self, left: u64) -> u64 {
        let at_once = match self.thread {
            Some(_) => 1,
            None => self.process.thread_count().min(husk_machine::cpu::count()).max(1) as u64,
        };
        (left / at_once).max(left.min(STEP_NS))
    }
}

/// A timer that may go by CPU time.
pub(super) trait CpuTimer: Expire {
    /// A thread whose clock it goes by, if it is set to, runs again: it calls [`look_later`].
    fn resume(self: Arc<Self>);
}

/// With the thread whose clock it goes by, if it is one thread's.
type DormantTimer = (Option<i32>, Weak<dyn CpuTimer>);

/// Timers whose clocks stood still when they were looked at.
#[derive(Default)]
pub(crate) struct DormantTimers(SpinLock<Vec<DormantTimer>>);

impl DormantTimers {
    /// Those that go by this thread's clock or its process's are looked at again.
    fn wake(&self, tid: i32) {
        let woken: Vec<_> = {
            let mut timers = self.0.lock();
            timers.extract_if(.., |(thread, _)| thread.is_none_or(|thread| thread == tid)).collect()
        };
        for (_, timer) in woken {
            if let Some(living) = timer.upgrade() {
                living.resume();
            }
        }
    }
}

/// A thread is about to run its program: its clock goes.
pub(crate) fn resume(task: &Task) {
    // Mostly only read. A full barrier: who sets it after this looks at the clock after that.
    if task.timers_dormant.load(Ordering::Relaxed) && task.timers_dormant.swap(false, Ordering::SeqCst) {
        task.process().timers.dormant.wake(task.tid());
    }
}

/// Arms a timer on a clock of CPU time to be looked at when it could be due. Called with the setting locked.
pub(super) fn look_later<T: CpuTimer>(timer: &Arc<T>, setting: &mut Setting) {
    let now = setting.clock.now();
    setting.seen = now;
    let left = setting.deadline.saturating_sub(now);
    let Clock::Cpu(clock) = &setting.clock else { return };
    if setting.deadline == 0 {
        return;
    }
    queue::arm(timer, When::Monotonic(monotonic_ns().saturating_add(clock.shortest(left))));
}

/// The timer is set and not due: it is looked at again later, or when a thread runs if none does.
pub(super) fn look_again<T: CpuTimer>(timer: &Arc<T>, setting: &mut Setting) {
    let Clock::Cpu(clock) = &setting.clock else { return };
    if clock.now() != setting.seen {
        return look_later(timer, setting);
    }
    let (process, thread) = (clock.process.clone(), clock.thread);
    let weak: Weak<dyn CpuTimer> = Arc::<T>::downgrade(timer);
    process.timers.dormant.0.lock().push((thread, weak));
    process.for_each_thread(|task| {
        if thread.is_none_or(|tid| tid == task.tid()) {
            task.timers_dormant.store(true, Ordering::SeqCst);
        }
    });
    // A thread may have started to run before it could see that.
    if setting.clock.now() != setting.seen {
        look_later(timer, setting);
    }
}
