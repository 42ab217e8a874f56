//! The load averages (proc_loadavg(5)): how many threads run or wait for a CPU, averaged with weights that fall off in 1, 5 and
//! 15 minutes.
//!
//! There is no periodic tick. Whoever is about to change the number of such threads, or wants to know the averages, first
//! brings them up to date: the number was the same in all periods that have gone by meanwhile.

use crate::sync::SpinLock;
use core::sync::atomic::{AtomicU64, Ordering};

/// The averages take a sample each so many nanoseconds.
const PERIOD_NS: u64 = 5_000_000_000;
/// Bits behind the point.
pub(crate) const FRACTION: u32 = 16;
const ONE: u64 = 1 << FRACTION;
/// What is left of an old value after one period: exp(-5/60), exp(-5/300), exp(-5/900).
const DECAY: [u64; 3] = [60_296, 64_453, 65_173];
/// After so many periods nothing is left of the old value.
const FORGOTTEN: u64 = 10_000;

/// The averages.
pub(crate) struct Load {
    next_ns: AtomicU64,
    averages: SpinLock<[u64; 3]>,
}

impl Load {
    pub(crate) const fn new() -> Self {
        Self { next_ns: AtomicU64::new(PERIOD_NS), averages: SpinLock::new([0; 3]) }
    }

    /// Takes the samples that are due; `active` gives how many threads run or wait for a CPU.
    pub(crate) fn update(&self, now: u64, active: impl FnOnce() -> usize) {
        if now >= self.next_ns.load(Ordering::Relaxed) {
            self.sample(now, active() as u64);
        }
    }

    #[cold]
    fn sample(&self, now: u64, active: u64) {
        let mut averages = self.averages.lock();
        let next = self.next_ns.load(Ordering::Relaxed);
        if now < next {
            return;
        }
        let periods = (now - next) / PERIOD_NS + 1;
        self.next_ns.store(next + periods * PERIOD_NS, Ordering::Relaxed);
        for (average, decay) in averages.iter_mut().zip(DECAY) {
            for _ in 0..periods.min(FORGOTTEN) {
                let sum = *average * decay + active * ONE * (ONE - decay);
                // Rounded up on the way up, so that it gets there.
                let rising = active * ONE >= *average;
                *average = (sum + if rising { ONE - 1 } else { 0 }) >> FRACTION;
            }
        }
    }

    /// The averages, in units of 2^-16.
    pub(crate) fn averages(&self) -> [u64; 3] {
        *self.averages.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_comes_near_after_its_time() {
        let load = Load::new();
        for second in 0..=60 {
            load.update(second * 1_000_000_000, || 2);
        }
        let [one, five, fifteen] = load.averages().map(|average| average as f64 / ONE as f64);
        // 2 * (1 - 1/e) for a minute.
        assert!((one - 1.264).abs() < 0.01, "{one}");
        assert!((five - 0.363).abs() < 0.01, "{five}");
        assert!((fifteen - 0.129).abs() < 0.01, "{fifteen}");
    }

    #[test]
    fn periods_without_a_look_count_as_well() {
        let (often, seldom) = (Load::new(), Load::new());
        for period in 1..=100 {
            often.update(period * PERIOD_NS, || 3);
        }
        seldom.update(100 * PERIOD_NS, || 3);
        assert_eq!(often.averages(), seldom.averages());
        seldom.update(1_000_000 * PERIOD_NS, || 0);
        assert_eq!(seldom.averages(), [0; 3]);
        seldom.update(2_000_000 * PERIOD_NS, || 4);
        assert_eq!(seldom.averages(), [4 * ONE; 3]);
    }
}
