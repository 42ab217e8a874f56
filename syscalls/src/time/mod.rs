//! Time: clocks, sleeping, and timers of every kind.

pub(crate) mod adjtime;
pub(crate) mod clock;
pub(crate) mod clock_calls;
mod clock_sets;
pub(crate) mod cpu_clock;
pub(crate) mod cpu_limit;
pub(crate) mod itimer;
pub(crate) mod posix_timer;
mod queue;
pub(crate) mod sleep;
mod timer;
pub(crate) mod timerfd;

use crate::args::UserPtr;
use crate::task::Task;
use cpu_clock::DormantTimers;
use cpu_limit::CpuLimit;
use husk_abi::{Errno, Timespec};
use itimer::IntervalTimers;
use posix_timer::PosixTimers;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A process's timers: setitimer(2), alarm(2), timer_create(2), RLIMIT_CPU.
#[derive(Default)]
pub(crate) struct ProcessTimers {
    pub(crate) interval: IntervalTimers,
    pub(crate) posix: PosixTimers,
    pub(crate) cpu_limit: CpuLimit,
    /// Those of them that go by CPU time and were found not to.
    dormant: DormantTimers,
}

impl ProcessTimers {
    /// Stops all timers: the process has ended.
    pub(crate) fn cancel(&self) {
        self.interval.cancel();
        self.posix.cancel();
        self.cpu_limit.cancel();
    }
}

/// `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ItimerSpec {
    pub(crate) interval: Timespec,
    pub(crate) value: Timespec,
}

/// Reads a `struct timespec` that has to be valid.
///
/// # Errors
/// EFAULT; EINVAL.
pub(crate) fn read_timespec(task: &Task, pointer: UserPtr<Timespec>) -> Result<u64, Errno> {
    pointer.read(task.mm())?.to_nanos().ok_or(Errno::EINVAL.here())
}
