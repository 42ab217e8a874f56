//! The clocks a program can name (clock_gettime(2)).

use crate::pid;
use crate::process::Process;
use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use husk_machine::time;
use linux_raw_sys::general as raw;

/// Resolution of the coarse clocks in nanoseconds: Linux's at 250 Hz.
const COARSE_NS: u64 = husk_machine::vdso::COARSE_NS as u64;

/// A clock.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The time of day; coarse if so said.
    Realtime {
        /// Goes in steps of [`COARSE_NS`].
        coarse: bool,
    },
    /// Time since boot.
    Monotonic {
        /// Goes in steps of [`COARSE_NS`].
        coarse: bool,
        /// CLOCK_MONOTONIC_RAW, which cannot be slept on.
        raw: bool,
    },
    /// CPU time of a process.
    Process(Arc<Process>),
    /// CPU time of a thread.
    Thread(Arc<Process>, i32),
}

impl Clock {
    /// By its number. Those of other processes are negative (clock_getcpuclockid(3)).
    ///
    /// # Errors
    /// EINVAL if there is no such clock.
    pub(crate) fn new(task: &Task, id: i32) -> Result<Self, Errno> {
        if id < 0 {
            return Self::of_cpu(task, id);
        }
        Ok(match id as u32 {
            raw::CLOCK_REALTIME | raw::CLOCK_REALTIME_ALARM | raw::CLOCK_TAI => {
                Self::Realtime { coarse: false }
            }
            raw::CLOCK_REALTIME_COARSE => Self::Realtime { coarse: true },
            raw::CLOCK_MONOTONIC | raw::CLOCK_BOOTTIME | raw::CLOCK_BOOTTIME_ALARM => {
                Self::Monotonic { coarse: false, raw: false }
            }
            raw::CLOCK_MONOTONIC_RAW => Self::Monotonic { coarse: false, raw: true },
            raw::CLOCK_MONOTONIC_COARSE => Self::Monotonic { coarse: true, raw: false },
            raw::CLOCK_PROCESS_CPUTIME_ID => Self::Process(task.process().clone()),
            raw::CLOCK_THREAD_CPUTIME_ID => Self::Thread(task.process().clone(), task.tid()),
            _ => return err!(EINVAL),
        })
    }

    /// The three lowest bits say what is counted (2 is all CPU time, which is all that is told apart here; 3 is a device), bit 2 whether
    /// it is a thread's; the rest is the pid, inverted.
    fn of_cpu(task: &Task, id: i32) -> Result<Self, Errno> {
        let pid = !(id >> 3);
        if id & 3 == 3 {
            return err!(EINVAL);
        }
        if id & 4 != 0 {
            let tid = if pid == 0 { task.tid() } else { pid };
            task.process().thread(tid).ok_or(Errno::EINVAL.here())?;
            return Ok(Self::Thread(task.process().clone(), tid));
        }
        if pid == 0 {
            return Ok(Self::Process(task.process().clone()));
        }
        pid::process(pid).map(Self::Process).ok_or(Errno::EINVAL.here())
    }

    /// Now, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Realtime { coarse } => step(time::realtime_ns(), *coarse),
            Self::Monotonic { coarse, .. } => step(time::monotonic_ns(), *coarse),
            Self::Process(process) => process.cpu_time_ns(),
            Self::Thread(process, tid) => process.thread(*tid).map_or(0, |task| task.cpu_time_ns()),
        }
    }

    /// Resolution in nanoseconds.
    pub(crate) fn resolution(&self) -> u64 {
        match self {
            Self::Realtime { coarse: true } | Self::Monotonic { coarse: true, .. } => COARSE_NS,
            _ => 1,
        }
    }

    /// Whether it follows the wall: it goes on whatever the program does.
    pub(crate) fn is_wall(&self) -> bool {
        matches!(self, Self::Realtime { .. } | Self::Monotonic { .. })
    }

    /// Whether timers and sleeping know it.
    pub(crate) fn has_timers(&self) -> bool {
        matches!(
            self,
            Self::Realtime { coarse: false }
                | Self::Monotonic { coarse: false, raw: false }
                | Self::Process(_)
        )
    }

    /// When a time of this clock will come at the earliest, in monotonic nanoseconds.
    pub(crate) fn to_monotonic(&self, deadline: u64) -> u64 {
        let left = deadline.saturating_sub(self.now());
        match self {
            Self::Monotonic { .. } => deadline,
            _ => time::monotonic_ns().saturating_add(left),
        }
    }
}

fn step(now: u64, coarse: bool) -> u64 {
    if coarse { now - now % COARSE_NS } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_clocks_go_in_steps() {
        assert_eq!(step(9_999_999, true), 8_000_000);
        assert_eq!(step(9_999_999, false), 9_999_999);
        assert_eq!(Clock::Realtime { coarse: true }.resolution(), 4_000_000);
        assert!(!Clock::Monotonic { coarse: false, raw: true }.has_timers());
    }
}
