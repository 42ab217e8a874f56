//! The clocks.

use crate::arch::time;

/// Nanoseconds since the kernel was entered. Never goes backwards.
#[must_use]
pub fn monotonic_ns() -> u64 {
    time::monotonic_ns()
}

/// Nanoseconds since 1970.
#[must_use]
pub fn realtime_ns() -> u64 {
    time::realtime_ns()
}

/// Sets the wall clock, in nanoseconds since 1970.
pub fn set_realtime_ns(now: u64) {
    time::set_realtime_ns(now);
}

/// International atomic time minus realtime, in nanoseconds; 0 until it is set.
#[must_use]
pub fn tai_offset_ns() -> i64 {
    time::tai_offset_ns()
}

/// Sets what [`tai_offset_ns`] gives.
pub fn set_tai_offset_ns(offset: i64) {
    time::set_tai_offset_ns(offset);
}

/// What the clock's frequency is known from, by Linux's names: `tsc` or `kvm-clock`.
#[must_use]
pub fn clock_source() -> &'static str {
    time::clock_source()
}

/// Frequency of the CPU's time-stamp counter in kHz.
#[must_use]
pub fn cpu_khz() -> u64 {
    time::cpu_khz()
}
