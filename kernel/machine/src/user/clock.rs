//! How long a thread has been in user mode.

use crate::arch::time;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// The time that a thread has spent in user mode. Its own CPU writes it, at each entry and exit; others read it.
#[derive(Debug, Default)]
pub struct UserClock {
    /// Odd while the thread's CPU moves time from `since` to `ticks`.
    sequence: AtomicU64,
    /// Ticks of the CPU's counter, up to the last exit.
    ticks: AtomicU64,
    /// What the counter showed at the entry; 0 in the kernel.
    since: AtomicU64,
}

impl UserClock {
    /// The thread, which runs this, enters user mode.
    pub(crate) fn enter(&self) {
        self.since.store(time::ticks(), Ordering::Release);
    }

    /// It is back.
    pub(crate) fn leave(&self) {
        let spent = time::ticks().saturating_sub(self.since.load(Ordering::Relaxed));
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.since.store(0, Ordering::Relaxed);
        self.ticks.store(self.ticks.load(Ordering::Relaxed) + spent, Ordering::Relaxed);
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// Nanoseconds in user mode so far.
    #[must_use]
    pub fn ns(&self) -> u64 {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let (ticks, since) = (self.ticks.load(Ordering::Relaxed), self.since.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                let now = if since == 0 { 0 } else { time::ticks().saturating_sub(since) };
                return time::ticks_to_ns(ticks + now);
            }
            // The other CPU is a few instructions from the end.
            core::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_ns(ns: u64) {
        let end = crate::time::monotonic_ns() + ns;
        while crate::time::monotonic_ns() < end {
            core::hint::spin_loop();
        }
    }

    #[test]
    fn it_goes_in_user_mode_only() {
        let clock = UserClock::default();
        wait_ns(1000);
        assert_eq!(clock.ns(), 0);
        clock.enter();
        wait_ns(100_000);
        let inside = clock.ns();
        assert!(inside >= 100_000);
        clock.leave();
        let after = clock.ns();
        wait_ns(100_000);
        assert!(after >= inside && clock.ns() == after);
        clock.enter();
        assert!(clock.ns() >= after);
        clock.leave();
    }

    #[test]
    fn readers_never_see_it_go_back() {
        let clock = UserClock::default();
        let stop = core::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut before = 0;
                while !stop.load(Ordering::Relaxed) {
                    let now = clock.ns();
                    assert!(now >= before);
                    before = now;
                }
            });
            for _ in 0..20_000 {
                clock.enter();
                clock.leave();
            }
            stop.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
    }
}
