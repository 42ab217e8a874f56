//! The time-stamp counter as a clock: `ns = base_ns + (tsc - base_tsc) * ns_per_tick`, in a sequence lock, because the frequency
//! may be measured better later.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::cpu;

static SEQUENCE: AtomicU64 = AtomicU64::new(0);
static BASE_TSC: AtomicU64 = AtomicU64::new(0);
static BASE_NS: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds a tick, times 2^32. Until the frequency is known: 1 GHz.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(1 << 32);

/// The counter.
pub(crate) fn read() -> u64 {
    cpu::rdtsc()
}

fn parameters() -> (u64, u64, u64) {
    loop {
        let before = SEQUENCE.load(Ordering::Acquire);
        let values = (
            BASE_TSC.load(Ordering::Relaxed),
            BASE_NS.load(Ordering::Relaxed),
            NS_PER_TICK.load(Ordering::Relaxed),
        );
        fence(Ordering::Acquire);
        // The writer is a few instructions from the end, on another CPU.
        if before.is_multiple_of(2) && SEQUENCE.load(Ordering::Relaxed) == before {
            return values;
        }
        core::hint::spin_loop();
    }
}

fn set(base_tsc: u64, base_ns: u64, ns_per_tick: u64) {
    SEQUENCE.fetch_add(1, Ordering::Acquire);
    BASE_TSC.store(base_tsc, Ordering::Relaxed);
    BASE_NS.store(base_ns, Ordering::Relaxed);
    NS_PER_TICK.store(ns_per_tick, Ordering::Relaxed);
    SEQUENCE.fetch_add(1, Ordering::Release);
}

/// Starts the clock: zero was at `entry`, and `ticks` of the counter take `ns`.
pub(crate) fn start(entry: u64, ticks: u64, ns: u64) {
    set(entry, 0, rate(ticks, ns));
}

/// A better measurement: from now on the clock goes at that rate, without a jump.
pub(crate) fn adjust(ticks: u64, ns: u64) {
    let now = read();
    set(now, at(now), rate(ticks, ns));
}

fn rate(ticks: u64, ns: u64) -> u64 {
    let rate = (u128::from(ns) << 32) / u128::from(ticks.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX).max(1)
}

/// Nanoseconds since the entry point at a reading of the counter.
pub(crate) fn at(tsc: u64) -> u64 {
    let (base_tsc, base_ns, ns_per_tick) = parameters();
    let ticks = tsc.saturating_sub(base_tsc);
    base_ns + ((u128::from(ticks) * u128::from(ns_per_tick)) >> 32) as u64
}

/// How long so many ticks take, in nanoseconds.
pub(crate) fn ns_for(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(parameters().2)) >> 32) as u64
}

/// The reading of the counter at a time; never one before it.
pub(crate) fn from_monotonic(ns: u64) -> u64 {
    let (base_tsc, base_ns, ns_per_tick) = parameters();
    let ticks = (u128::from(ns.saturating_sub(base_ns)) << 32).div_ceil(u128::from(ns_per_tick));
    base_tsc.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
}

/// Its frequency in kHz.
pub(crate) fn khz() -> u64 {
    ((1_000_000u128 << 32) / u128::from(parameters().2)) as u64
}
