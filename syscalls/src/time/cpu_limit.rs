//! RLIMIT_CPU: SIGXCPU for each second that a process runs beyond its soft limit, SIGKILL at the hard one (setrlimit(2)).

use super::clock::Clock;
use super::cpu_clock::{self, Counts, CpuClock, CpuTimer};
use super::queue::{Entry, Expire};
use super::timer::{Setting, schedule};
use crate::limits::{INFINITY, Limit, Resource};
use crate::process::Process;
use crate::signal::{SigInfo, Signal, send_to_process};
use alloc::sync::{Arc, Weak};
use husk_abi::Errno;
use husk_machine::sync::SpinLock;

const SECOND_NS: u64 = 1_000_000_000;

struct Timer {
    process: Weak<Process>,
    setting: SpinLock<Setting>,
    entry: Entry,
}

/// The timer of a process that has such a limit.
#[derive(Default)]
pub(crate) struct CpuLimit(SpinLock<Option<Arc<Timer>>>);

impl CpuLimit {
    pub(super) fn cancel(&self) {
        let timer = self.0.lock().take();
        drop(timer);
    }
}

/// The limit has been set.
///
/// # Errors
/// ENOMEM.
pub(crate) fn changed(process: &Arc<Process>) -> Result<(), Errno> {
    let limit = process.limit(Resource::CPU);
    let slot = &process.timers.cpu_limit.0;
    let known = slot.lock().clone();
    let timer = match known {
        Some(timer) => timer,
        None if limit.soft == INFINITY && limit.hard == INFINITY => return Ok(()),
        None => {
            let clock = Clock::Cpu(CpuClock::of_process(process.clone(), Counts::UserAndSystem));
            let setting = SpinLock::new(Setting::never(clock));
            let new = Arc::new(Timer { process: Arc::downgrade(process), setting, entry: Entry::new()? });
            slot.lock().get_or_insert(new).clone()
        }
    };
    let mut setting = timer.setting.lock();
    setting.deadline = next(limit);
    schedule(&timer, &mut setting);
    Ok(())
}

/// CPU time at which something is to be done; 0 is never.
fn next(limit: Limit) -> u64 {
    match limit.soft.min(limit.hard) {
        INFINITY => 0,
        // Never would be the wrong answer.
        seconds => seconds.saturating_mul(SECOND_NS).max(1),
    }
}

impl Expire for Timer {
    fn expired(self: Arc<Self>) {
        let Some(process) = self.process.upgrade() else { return };
        let signal = {
            let mut setting = self.setting.lock();
            if setting.deadline == 0 {
                return;
            }
            let now = setting.clock.now();
            if now < setting.deadline {
                return cpu_clock::look_again(&self, &mut setting);
            }
            let limit = process.limit(Resource::CPU);
            if limit.hard != INFINITY && now >= limit.hard.saturating_mul(SECOND_NS) {
                setting.deadline = 0;
                Signal::SIGKILL
            } else {
                // The next one a second later.
                let limit = process.raise_cpu_limit();
                setting.deadline = next(limit);
                schedule(&self, &mut setting);
                Signal::SIGXCPU
            }
        };
        // Neither is a real-time signal, so they cannot be refused.
        let _ = send_to_process(&process, SigInfo::kernel(signal));
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl CpuTimer for Timer {
    fn resume(self: Arc<Self>) {
        cpu_clock::look_later(&self, &mut self.setting.lock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_limit_comes_first() {
        assert_eq!(next(Limit { soft: INFINITY, hard: INFINITY }), 0);
        assert_eq!(next(Limit { soft: 2, hard: INFINITY }), 2 * SECOND_NS);
        assert_eq!(next(Limit { soft: 3, hard: 3 }), 3 * SECOND_NS);
        assert_eq!(next(Limit { soft: 0, hard: 3 }), 1);
    }
}
