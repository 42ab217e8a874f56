//! The parameters of the clocks: a page that the kernel writes and that programs read, too (the data of the vDSO).
//!
//! `monotonic = base_ns + (tsc - base_tsc) * ns_per_tick / 2^32` and `realtime = monotonic + realtime_offset`, all under one sequence
//! lock, because the frequency may be measured better later and the wall clock may be set.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering, fence};

use spin::Once;

use super::clock_layout::{ClockPage, by};
use super::cpu;
use crate::frame::Frame;
use crate::sync::SpinLock;

/// The clocks' parameters at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters {
    /// Programs may read the clocks without a system call; the counters of all CPUs agree.
    pub(crate) usable: bool,
    /// A reading of the counter...
    pub(crate) base_tsc: u64,
    /// ...and the time then.
    pub(crate) base_ns: u64,
    /// Nanoseconds a tick, times 2^32.
    pub(crate) ns_per_tick: u64,
    /// Realtime minus monotonic time; 0 if nobody has set it.
    pub(crate) realtime_offset: u64,
    /// International atomic time minus realtime, in nanoseconds (two's complement).
    pub(crate) tai_offset: u64,
}

impl ClockPage {
    fn load(&self) -> Parameters {
        Parameters {
            usable: self.usable.load(Ordering::Relaxed) != 0,
            base_tsc: self.base_tsc.load(Ordering::Relaxed),
            base_ns: self.base_ns.load(Ordering::Relaxed),
            ns_per_tick: self.ns_per_tick.load(Ordering::Relaxed),
            realtime_offset: self.realtime_offset.load(Ordering::Relaxed),
            tai_offset: self.tai_offset.load(Ordering::Relaxed),
        }
    }

    fn store(&self, parameters: &Parameters) {
        self.sequence.fetch_add(1, Ordering::Acquire);
        self.usable.store(parameters.usable.into(), Ordering::Relaxed);
        self.base_tsc.store(parameters.base_tsc, Ordering::Relaxed);
        self.base_ns.store(parameters.base_ns, Ordering::Relaxed);
        self.ns_per_tick.store(parameters.ns_per_tick, Ordering::Relaxed);
        self.realtime_offset.store(parameters.realtime_offset, Ordering::Relaxed);
        self.tai_offset.store(parameters.tai_offset, Ordering::Relaxed);
        self.sequence.fetch_add(1, Ordering::Release);
    }
}

/// What is used until there is memory for a page.
static EARLY: ClockPage = ClockPage::new();
static PAGE: AtomicPtr<ClockPage> = AtomicPtr::new(ptr::null_mut());
static FRAME: Once<Frame> = Once::new();
static WRITERS: SpinLock<()> = SpinLock::new(());

fn page() -> &'static ClockPage {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: if not null, it is the start of the page that `FRAME` holds for ever, which was zeroed, of which a `ClockPage` may be
    // made, and in which nobody else writes: programs have it read-only.
    if page.is_null() { &EARLY } else { unsafe { &*page } }
}

/// Moves the parameters to a page of their own. No other CPU runs yet.
pub(crate) fn init() {
    let frame = FRAME.call_once(|| Frame::alloc_zeroed().expect("no memory for the page of the clocks"));
    PAGE.store(frame.as_ptr().as_ptr().cast(), Ordering::Release);
    page().store(&EARLY.load());
    let has = |register: u32, bit: u32| register & 1 << bit != 0;
    let by = if has(cpu::cpuid(7, 0).ecx, 22) {
        by::RDPID
    } else if has(cpu::cpuid(0x8000_0001, 0).edx, 27) {
        by::RDTSCP
    } else {
        0
    };
    page().cpu_number.store(by, Ordering::Relaxed);
}

/// The page, which programs may map to read.
pub(crate) fn frame() -> &'static Frame {
    FRAME.get().expect("the page of the clocks is made at boot")
}

/// All parameters, of one moment.
pub(crate) fn read() -> Parameters {
    let page = page();
    loop {
        let before = page.sequence.load(Ordering::Acquire);
        let parameters = page.load();
        fence(Ordering::Acquire);
        // The writer is a few instructions from the end, on another CPU.
        if before.is_multiple_of(2) && page.sequence.load(Ordering::Relaxed) == before {
            return parameters;
        }
        core::hint::spin_loop();
    }
}

/// Changes parameters; all readers see all changes or none.
pub(crate) fn update(change: impl FnOnce(&mut Parameters)) {
    let _writer = WRITERS.lock();
    let mut parameters = page().load();
    change(&mut parameters);
    page().store(&parameters);
}
