//! The time-stamp counter as a clock, by the parameters in [`clock_page`].
//!
//! It is assumed that the counters of all CPUs agree, as they do on every machine that a hypervisor's guest is likely to meet. Then time does not
//! go backwards from one CPU to another: a reader takes the counter first and the parameters after it, so that with newer
//! parameters it gets at least the time at which they were made. CPUs compare their counters as they start ([`compare`]): where one is
//! behind, the latest time that anybody was told is kept, and programs have to ask the kernel.

use core::sync::atomic::{AtomicU64, Ordering};

use super::clock_page::{self, Parameters};
use super::cpu;

/// The latest time that was told while the counters were not trusted.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// The counter.
pub(crate) fn read() -> u64 {
    cpu::rdtsc()
}

/// Starts the clock: zero was at `entry`, and `ticks` of the counter take `ns`.
pub(crate) fn start(entry: u64, ticks: u64, ns: u64) {
    clock_page::update(|clock| {
        clock.base_tsc = entry;
        clock.base_ns = 0;
        clock.ns_per_tick = rate(ticks, ns);
    });
}

/// A better measurement: from now on the clock goes at that rate, without a jump.
pub(crate) fn adjust(ticks: u64, ns: u64) {
    clock_page::update(|clock| {
        let now = read();
        clock.base_ns = clock.at(now);
        clock.base_tsc = now.max(clock.base_tsc);
        clock.ns_per_tick = rate(ticks, ns);
    });
}

/// Shows this CPU's counter to the others and looks at what they have shown: it must not be behind. A CPU calls this as it starts,
/// the boot CPU before and after. A difference smaller than the time that a start takes may go unnoticed.
pub(crate) fn compare() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let seen = SEEN.load(Ordering::SeqCst);
    let own = read();
    if own < seen && clock_page::read().usable {
        clock_page::update(|clock| clock.usable = false);
        log::warn!(
            "the TSC of CPU {} is {} ticks behind: clocks are read by system calls",
            cpu::current(),
            seen - own
        );
    }
    SEEN.fetch_max(own, Ordering::SeqCst);
}

fn rate(ticks: u64, ns: u64) -> u64 {
    let rate = (u128::from(ns) << 32) / u128::from(ticks.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX).max(1)
}

impl Parameters {
    /// Monotonic time at a reading of the counter.
    fn at(&self, tsc: u64) -> u64 {
        let ticks = tsc.saturating_sub(self.base_tsc);
        self.base_ns + ((u128::from(ticks) * u128::from(self.ns_per_tick)) >> 32) as u64
    }

    /// Monotonic time at a reading of the counter, which was taken before the parameters were.
    pub(crate) fn monotonic_ns(&self, tsc: u64) -> u64 {
        let now = self.at(tsc);
        if self.usable { now } else { LATEST.fetch_max(now, Ordering::AcqRel).max(now) }
    }
}

/// Nanoseconds since the entry point.
pub(crate) fn now() -> u64 {
    let tsc = read();
    clock_page::read().monotonic_ns(tsc)
}

/// How long so many ticks take, in nanoseconds.
pub(crate) fn ns_for(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(clock_page::read().ns_per_tick)) >> 32) as u64
}

/// The reading of the counter at a time; never one before it.
pub(crate) fn from_monotonic(ns: u64) -> u64 {
    let clock = clock_page::read();
    let ticks = (u128::from(ns.saturating_sub(clock.base_ns)) << 32).div_ceil(u128::from(clock.ns_per_tick));
    clock.base_tsc.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
}

/// Its frequency in kHz.
pub(crate) fn khz() -> u64 {
    ((1_000_000u128 << 32) / u128::from(clock_page::read().ns_per_tick)) as u64
}
