//! Finding out how fast the clocks go, and the time since the entry point.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use spin::Once;

use super::pit::{self, Sample};
use super::{apic, clock_page, cpu, devices, kvmclock, pvh, tsc};
use crate::frame::Frame;

/// How long the first measurement takes, in ticks of the 8254: a tenth of a millisecond. It is good to about a hundredth,
/// which is enough for later ones, over a longer time, to know how often the count has wrapped.
const FIRST_TICKS: u16 = (pit::FREQUENCY / 10_000) as u16;
/// When the frequency is measured again, over the whole time since the first measurement: besides at the end of boot.
const REFINEMENTS: [u64; 2] = [50_000_000, 2_000_000_000];
/// After that time the 8254's count, which wraps every 55 ms, cannot be told apart from one a turn later.
const REFINE_LIMIT_NS: u64 = 2_500_000_000;

/// The APIC's timer is measured at least so long.
const APIC_NS: u64 = 300_000;

static FIRST_SAMPLE: Once<Sample> = Once::new();
/// TSC and count of the APIC's timer, together.
static APIC_START: Once<(u64, u32)> = Once::new();
static FINISHED: AtomicBool = AtomicBool::new(false);
/// How many of [`REFINEMENTS`] are done; all of them where the frequency was not measured.
static REFINED: AtomicU8 = AtomicU8::new(REFINEMENTS.len() as u8);
/// The wall clock's offset when nobody has set it.
const UNKNOWN: u64 = 0;
static SOURCE: Once<&'static str> = Once::new();

/// Starts the clock: by what the host says, by what the CPU says, or by measurement.
pub(crate) fn start() {
    let entry = pvh::HUSK_ENTRY_TSC.load(Ordering::Relaxed);
    if let Some(reading) = kvmclock::detect() {
        tsc::start(entry, 1 << 32, reading.ns_per_2_32_ticks);
        set_realtime_ns(reading.realtime_ns);
        SOURCE.call_once(|| "kvm-clock");
    } else if let Some(hertz) = frequency_from_cpuid() {
        tsc::start(entry, hertz, 1_000_000_000);
    } else if let Some((first, second)) = measure() {
        let ticks = u64::from(second.ticks.wrapping_sub(first.ticks));
        tsc::start(entry, second.tsc - first.tsc, ticks * 1_000_000_000 / pit::FREQUENCY);
        FIRST_SAMPLE.call_once(|| first);
        REFINED.store(0, Ordering::Relaxed);
    } else {
        log::error!("nothing says how fast the TSC is, and there is no 8254 timer: taking it for 2 GHz");
        tsc::start(entry, 2, 1);
    }
}

/// Lets the APIC's timer count, to be measured by [`finish`].
pub(crate) fn start_apic() {
    apic::count_start();
    APIC_START.call_once(|| (tsc::read(), apic::count()));
}

/// The end of boot, or the first use of the timer: measures over the time since the start, and lets the APIC's timer interrupt.
pub(crate) fn finish() {
    if FINISHED.swap(true, Ordering::Relaxed) {
        return;
    }
    measure_again();
    if apic::needs_calibration()
        && let Some((start, count)) = APIC_START.get()
    {
        // Bounded: the clock goes.
        while tsc::ns_for(tsc::read() - start) < APIC_NS {
            core::hint::spin_loop();
        }
        let (counted, ticks) = (apic::count() - count, tsc::read() - start);
        apic::set_frequency(counted, tsc::ns_for(ticks));
    }
    apic::timer_arm(u64::MAX);
}

/// The TSC's frequency from CPUID leaf 0x15, 0x16 or the hypervisors' 0x40000010.
fn frequency_from_cpuid() -> Option<u64> {
    let ratio = cpu::cpuid(0x15, 0);
    if ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0 {
        return Some(u64::from(ratio.ecx) * u64::from(ratio.ebx) / u64::from(ratio.eax));
    }
    if cpu::features().hypervisor {
        let khz = cpu::cpuid(0x4000_0010, 0).eax;
        if khz != 0 {
            return Some(u64::from(khz) * 1000);
        }
    }
    let mhz = cpu::cpuid(0x16, 0).eax & 0xffff;
    (ratio.ebx != 0 && mhz != 0).then(|| u64::from(mhz) * 1_000_000)
}

/// Measures the TSC against the 8254 for a short time.
fn measure() -> Option<(Sample, Sample)> {
    pit::start();
    // The first reading is slow (in emulation, translation), so it is not used.
    pit::sample();
    let first = pit::sample();
    let second = pit::sample_after(first, FIRST_TICKS)?;
    (second.tsc > first.tsc).then_some((first, second))
}

/// When the frequency wants to be measured again; `u64::MAX` if not any more.
pub(crate) fn refine_deadline() -> u64 {
    // One CPU does it.
    if cpu::current() != 0 {
        return u64::MAX;
    }
    REFINEMENTS.get(usize::from(REFINED.load(Ordering::Relaxed))).copied().unwrap_or(u64::MAX)
}

/// At a timer interrupt: measures the frequency again if that is due.
pub(crate) fn refine() {
    let now = monotonic_ns();
    if now < refine_deadline() {
        return;
    }
    let done = REFINEMENTS.iter().filter(|due| **due <= now).count();
    REFINED.store(done as u8, Ordering::Relaxed);
    if now < REFINE_LIMIT_NS {
        measure_again();
    }
}

/// Measures the TSC over the time since the first sample, if it was measured at all.
fn measure_again() {
    let Some(first) = FIRST_SAMPLE.get() else { return };
    let sample = pit::sample();
    let ticks = sample.tsc - first.tsc;
    // What the clock says so far is good enough to know how often the count has wrapped.
    let expected = u128::from(tsc::ns_for(ticks)) * u128::from(pit::FREQUENCY) / 1_000_000_000;
    let Ok(expected) = u64::try_from(expected) else { return };
    let counted = u64::from(sample.ticks.wrapping_sub(first.ticks));
    let turns = (expected + 0x8000).saturating_sub(counted) >> 16;
    let counted = (turns << 16) + counted;
    tsc::adjust(ticks, counted * 1_000_000_000 / pit::FREQUENCY);
}

/// Nanoseconds since the entry point.
pub(crate) fn monotonic_ns() -> u64 {
    tsc::now()
}

/// The time-stamp counter as it is, as soon as it can be had: for spans of time on one CPU.
pub(crate) fn ticks() -> u64 {
    // SAFETY: every 64-bit CPU has the instruction; it has no effect.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// How long so many [`ticks`] are.
pub(crate) fn ticks_to_ns(ticks: u64) -> u64 {
    tsc::ns_for(ticks)
}

/// Nanoseconds since 1970.
///
/// If nobody has set it, the battery-backed clock is asked, to the second; without one it is 1970.
pub(crate) fn realtime_ns() -> u64 {
    let tsc = tsc::read();
    let clock = clock_page::read();
    if clock.realtime_offset != UNKNOWN {
        return clock.monotonic_ns(tsc).wrapping_add(clock.realtime_offset);
    }
    let seconds = devices::rtc::seconds().unwrap_or(0);
    // One that runs on another CPU at the same time sets the same.
    set_realtime_ns(seconds.saturating_mul(1_000_000_000));
    realtime_ns()
}

/// Sets the wall clock.
pub(crate) fn set_realtime_ns(now: u64) {
    clock_page::update(|clock| {
        clock.realtime_offset = match now.wrapping_sub(clock.monotonic_ns(tsc::read())) {
            UNKNOWN => 1,
            offset => offset,
        }
    });
}

/// International atomic time minus realtime, in nanoseconds.
pub(crate) fn tai_offset_ns() -> i64 {
    clock_page::read().tai_offset.cast_signed()
}

/// Sets what [`tai_offset_ns`] gives.
pub(crate) fn set_tai_offset_ns(offset: i64) {
    clock_page::update(|clock| clock.tai_offset = offset.cast_unsigned());
}

/// The page that the vDSO reads.
pub(crate) fn vdso_data() -> &'static Frame {
    clock_page::frame()
}

/// What the frequency is known from.
pub(crate) fn clock_source() -> &'static str {
    SOURCE.get().copied().unwrap_or("tsc")
}

/// Frequency of the TSC.
pub(crate) fn cpu_khz() -> u64 {
    tsc::khz()
}
