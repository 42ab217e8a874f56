//! CPU time, in user mode and in the kernel.

use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering};

/// How much CPU time was used, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    /// In user mode.
    pub(crate) user: u64,
    /// In the kernel.
    pub(crate) system: u64,
}

impl CpuTimes {
    /// Both together.
    pub(crate) fn total(self) -> u64 {
        self.user + self.system
    }
}

impl Add for CpuTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

/// A pair of counters that only grow.
#[derive(Debug, Default)]
struct Counters {
    user: AtomicU64,
    system: AtomicU64,
}

/// What is counted for a process beside its threads.
#[derive(Debug, Default)]
pub(crate) struct ProcessTimes {
    /// Of threads that have ended.
    ended: Counters,
    /// The latest that was told. Threads end, and use up time, while their times are added up.
    latest: Counters,
}

impl ProcessTimes {
    /// A thread has ended.
    pub(crate) fn add_ended(&self, times: CpuTimes) {
        self.ended.user.fetch_add(times.user, Ordering::Relaxed);
        self.ended.system.fetch_add(times.system, Ordering::Relaxed);
    }

    /// Time of threads that have ended.
    pub(crate) fn ended(&self) -> CpuTimes {
        CpuTimes {
            user: self.ended.user.load(Ordering::Relaxed),
            system: self.ended.system.load(Ordering::Relaxed),
        }
    }

    /// What `sum` gives, but never less than before.
    pub(crate) fn now(&self, sum: impl FnOnce() -> CpuTimes) -> CpuTimes {
        let now = sum();
        let latest = |counter: &AtomicU64, now: u64| counter.fetch_max(now, Ordering::AcqRel).max(now);
        CpuTimes {
            user: latest(&self.latest.user, now.user),
            system: latest(&self.latest.system, now.system),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_s_time_does_not_go_back() {
        let times = ProcessTimes::default();
        let one = CpuTimes { user: 10, system: 5 };
        assert_eq!(times.now(|| one), one);
        assert_eq!(times.now(|| CpuTimes { user: 8, system: 6 }), CpuTimes { user: 10, system: 6 });
        times.add_ended(one);
        times.add_ended(one);
        assert_eq!(times.ended(), one + one);
        assert_eq!((one + one).total(), 30);
    }
}
