//! The host's clocks.

use crate::frame::Frame;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// What `set_realtime_ns` added to the host's time.
static OFFSET: AtomicI64 = AtomicI64::new(0);

pub(crate) fn monotonic_ns() -> u64 {
    if let Some(now) = super::model::monotonic_ns() {
        return now;
    }
    // The first reading is not 0, as the machine's is not.
    START.elapsed().as_nanos() as u64 + 1
}

pub(crate) fn ticks() -> u64 {
    monotonic_ns()
}

pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    ticks
}

fn host_realtime_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

pub(crate) fn realtime_ns() -> u64 {
    host_realtime_ns().wrapping_add_signed(OFFSET.load(Ordering::Relaxed))
}

pub(crate) fn set_realtime_ns(ns: u64) {
    OFFSET.store(ns.wrapping_sub(host_realtime_ns()).cast_signed(), Ordering::Relaxed);
}

static TAI_OFFSET: AtomicI64 = AtomicI64::new(0);

pub(crate) fn tai_offset_ns() -> i64 {
    TAI_OFFSET.load(Ordering::Relaxed)
}

pub(crate) fn set_tai_offset_ns(offset: i64) {
    TAI_OFFSET.store(offset, Ordering::Relaxed);
}

/// A page of zeros, which tells the vDSO's code to ask the kernel.
pub(crate) fn vdso_data() -> &'static Frame {
    static PAGE: LazyLock<Frame> = LazyLock::new(|| Frame::alloc_zeroed().expect("no simulated memory"));
    &PAGE
}

pub(crate) fn clock_source() -> &'static str {
    "tsc"
}

pub(crate) fn cpu_khz() -> u64 {
    1_000_000
}
