//! What all timers of a process have: a clock, when it shows what they run out, and how often.

use super::ItimerSpec;
use super::clock::Clock;
use super::cpu_clock::{self, CpuTimer};
use super::queue::{self, Expire};
use alloc::sync::Arc;
use husk_abi::Timespec;

/// When a timer runs out.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) clock: Clock,
    /// In nanoseconds of the clock; 0 is never.
    pub(super) deadline: u64,
    /// Nanoseconds from one time to the next; 0 if there is no next.
    pub(super) interval: u64,
    /// What the clock showed when the timer was looked at last, if it is one of CPU time.
    pub(super) seen: u64,
}

impl Setting {
    /// Never.
    pub(super) fn never(clock: Clock) -> Self {
        Self { clock, deadline: 0, interval: 0, seen: 0 }
    }

    /// For a timer on this clock, after `value` nanoseconds or when it shows that; 0 is never.
    pub(super) fn new(clock: &Clock, value: u64, absolute: bool, interval: u64) -> Self {
        let clock = if absolute { clock.clone() } else { clock.clone().for_durations() };
        let deadline = match value {
            0 => 0,
            value if absolute => value,
            value => clock.now().saturating_add(value),
        };
        Self { clock, deadline, interval, seen: 0 }
    }

    /// Goes on to the first time that is to come, or to never; the answer is how many have passed.
    pub(super) fn advance(&mut self) -> u64 {
        let now = self.clock.now();
        if self.deadline == 0 || now < self.deadline {
            return 0;
        }
        if self.interval == 0 {
            self.deadline = 0;
            return 1;
        }
        let passed = (now - self.deadline) / self.interval + 1;
        self.deadline = self.deadline.saturating_add(passed.saturating_mul(self.interval));
        passed
    }

    /// What is left, and the interval. Of a time that has come there is a nanosecond left.
    pub(super) fn spec(&self) -> ItimerSpec {
        let rest = match self.deadline {
            0 => 0,
            deadline => deadline.saturating_sub(self.clock.now()).max(1),
        };
        ItimerSpec { interval: Timespec::from_nanos(self.interval), value: Timespec::from_nanos(rest) }
    }
}

/// Has a timer called when it runs out, or not any more. Called with the setting locked.
pub(super) fn schedule<T: CpuTimer>(timer: &Arc<T>, setting: &mut Setting) {
    if setting.deadline != 0 && matches!(setting.clock, Clock::Cpu(_)) {
        cpu_clock::look_later(timer, setting);
    } else {
        schedule_wall(timer, setting);
    }
}

/// As [`schedule`], for a timer that never goes by CPU time.
pub(super) fn schedule_wall<T: Expire>(timer: &Arc<T>, setting: &mut Setting) {
    match setting.clock.when(setting.deadline) {
        Some(when) if setting.deadline != 0 => queue::arm(timer, when),
        _ => timer.entry().disarm(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_have_passed_are_counted() {
        let now = Clock::MONOTONIC.now();
        let mut setting =
            Setting { deadline: now - 100, interval: 3_600_000_000_000, ..Setting::never(Clock::MONOTONIC) };
        assert_eq!(setting.advance(), 1);
        assert_eq!(setting.deadline, now - 100 + 3_600_000_000_000);
        assert_eq!(setting.advance(), 0);
        setting.interval = 10;
        setting.deadline = now - 1_000_000;
        assert!(setting.advance() > 100_000);
        assert!(setting.deadline > now);
        setting = Setting::new(&Clock::Realtime { coarse: false }, 5, false, 0);
        assert!(
            matches!(setting.clock, Clock::Monotonic { .. }),
            "a duration does not follow the wall clock"
        );
        setting.deadline = 1;
        assert_eq!((setting.advance(), setting.deadline, setting.advance()), (1, 0, 0));
        assert_eq!(Setting::never(Clock::MONOTONIC).spec().value, Timespec::default());
        let absolute = Setting::new(&Clock::Tai, 5, true, 0);
        assert_eq!((absolute.deadline, absolute.spec().value.tv_nsec), (5, 1));
    }
}
