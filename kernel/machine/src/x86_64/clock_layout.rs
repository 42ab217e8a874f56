//! What is where on the page of [`clock_page`](super::clock_page): the code of the vDSO needs to know.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// The page. What the fields mean is said at [`Parameters`](super::clock_page::Parameters).
#[repr(C)]
pub(crate) struct ClockPage {
    pub(super) sequence: AtomicU32,
    /// 1 if programs may read the counter themselves, 0 if they have to ask.
    pub(super) usable: AtomicU32,
    pub(super) base_tsc: AtomicU64,
    pub(super) base_ns: AtomicU64,
    pub(super) ns_per_tick: AtomicU64,
    pub(super) realtime_offset: AtomicU64,
    pub(super) tai_offset: AtomicU64,
    /// How a program finds out on which CPU it runs: one of [`by`].
    pub(super) cpu_number: AtomicU32,
}

/// How a program finds out on which CPU it runs.
pub(crate) mod by {
    pub(crate) const RDTSCP: u32 = 1;
    pub(crate) const RDPID: u32 = 2;
}

/// Offsets for the code in `vdso.rs`.
pub(crate) mod offset {
    use super::{ClockPage, offset_of};
    pub(crate) const USABLE: usize = offset_of!(ClockPage, usable);
    pub(crate) const BASE_TSC: usize = offset_of!(ClockPage, base_tsc);
    pub(crate) const BASE_NS: usize = offset_of!(ClockPage, base_ns);
    pub(crate) const NS_PER_TICK: usize = offset_of!(ClockPage, ns_per_tick);
    pub(crate) const REALTIME_OFFSET: usize = offset_of!(ClockPage, realtime_offset);
    pub(crate) const TAI_OFFSET: usize = offset_of!(ClockPage, tai_offset);
    pub(crate) const CPU_NUMBER: usize = offset_of!(ClockPage, cpu_number);
    const _: () = assert!(offset_of!(ClockPage, sequence) == 0);
}

impl ClockPage {
    /// Until the frequency is known: 1 GHz.
    pub(super) const fn new() -> Self {
        Self {
            sequence: AtomicU32::new(0),
            usable: AtomicU32::new(1),
            base_tsc: AtomicU64::new(0),
            base_ns: AtomicU64::new(0),
            ns_per_tick: AtomicU64::new(1 << 32),
            realtime_offset: AtomicU64::new(0),
            tai_offset: AtomicU64::new(0),
            cpu_number: AtomicU32::new(0),
        }
    }
}
