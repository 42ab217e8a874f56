//! The clocks a program can name (clock_gettime(2)).

use super::cpu_clock::{Counts, CpuClock};
use super::queue::When;
use crate::task::Task;
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
    /// International atomic time: the time of day without leap seconds.
    Tai,
    /// Time since boot.
    Monotonic {
        /// Goes in steps of [`COARSE_NS`].
        coarse: bool,
        /// CLOCK_MONOTONIC_RAW, which cannot be slept on.
        raw: bool,
    },
    /// CPU time.
    Cpu(CpuClock),
}

impl Clock {
    /// Time since boot, as most timers go by.
    pub(crate) const MONOTONIC: Self = Self::Monotonic { coarse: false, raw: false };

    /// By its number. Those of other processes and threads are negative (clock_getcpuclockid(3)).
    ///
    /// # Errors
    /// EINVAL if there is no such clock.
    pub(crate) fn new(task: &Task, id: i32) -> Result<Self, Errno> {
        if id < 0 {
            return CpuClock::new(task, id).map(Self::Cpu);
        }
        Ok(match id as u32 {
            raw::CLOCK_REALTIME | raw::CLOCK_REALTIME_ALARM => Self::Realtime { coarse: false },
            raw::CLOCK_TAI => Self::Tai,
            raw::CLOCK_REALTIME_COARSE => Self::Realtime { coarse: true },
            raw::CLOCK_MONOTONIC | raw::CLOCK_BOOTTIME | raw::CLOCK_BOOTTIME_ALARM => Self::MONOTONIC,
            raw::CLOCK_MONOTONIC_RAW => Self::Monotonic { coarse: false, raw: true },
            raw::CLOCK_MONOTONIC_COARSE => Self::Monotonic { coarse: true, raw: false },
            raw::CLOCK_PROCESS_CPUTIME_ID => {
                Self::Cpu(CpuClock::of_process(task.process().clone(), Counts::All))
            }
            raw::CLOCK_THREAD_CPUTIME_ID => Self::Cpu(CpuClock::of_thread(task, Counts::All)),
            _ => return err!(EINVAL),
        })
    }

    /// Now, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Realtime { coarse } => step(time::realtime_ns(), *coarse),
            Self::Tai => time::realtime_ns().saturating_add_signed(time::tai_offset_ns()),
            Self::Monotonic { coarse, .. } => step(time::monotonic_ns(), *coarse),
            Self::Cpu(clock) => clock.now(),
        }
    }

    /// Resolution in nanoseconds.
    pub(crate) fn resolution(&self) -> u64 {
        match self {
            Self::Realtime { coarse: true } | Self::Monotonic { coarse: true, .. } => COARSE_NS,
            Self::Cpu(clock) => clock.resolution(),
            _ => 1,
        }
    }

    /// Whether timers know it.
    pub(crate) fn has_timers(&self) -> bool {
        !matches!(
            self,
            Self::Realtime { coarse: true }
                | Self::Monotonic { coarse: true, .. }
                | Self::Monotonic { raw: true, .. }
        )
    }

    /// The clock that a duration by this one is measured with: setting the wall clock makes it neither longer nor shorter.
    pub(crate) fn for_durations(self) -> Self {
        match self {
            Self::Realtime { .. } | Self::Tai => Self::MONOTONIC,
            other => other,
        }
    }

    /// When it shows this time; None for CPU time, which goes as fast as the program runs.
    pub(crate) fn when(&self, time: u64) -> Option<When> {
        match self {
            Self::Realtime { .. } => Some(When::Realtime(time)),
            Self::Tai => {
                Some(When::Realtime(time.saturating_add_signed(time::tai_offset_ns().saturating_neg())))
            }
            Self::Monotonic { .. } => Some(When::Monotonic(time)),
            Self::Cpu(_) => None,
        }
    }

    /// When a time of this clock will come at the earliest, in monotonic nanoseconds, if the wall clock is not set.
    pub(crate) fn to_monotonic(&self, deadline: u64) -> u64 {
        let left = deadline.saturating_sub(self.now());
        match self {
            Self::Monotonic { .. } => deadline,
            Self::Cpu(clock) => time::monotonic_ns().saturating_add(clock.shortest(left)),
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
