//! Finding out how fast the clocks go, and the time since the entry point.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use spin::Once;

use super::pit::{self, Sample};
use super::{apic, cpu, devices, kvmclock, pvh, tsc};

/// How long the first measurement takes, in ticks of the 8254: a millisecond.
const FIRST_TICKS: u16 = (pit::FREQUENCY / 1000) as u16;
/// When the frequency is measured again, over the whole time since the first measurement.
const REFINEMENTS: [u64; 2] = [50_000_000, 2_000_000_000];
/// After that time the 8254's count, which wraps every 55 ms, cannot be told apart from one a turn later.
const REFINE_LIMIT_NS: u64 = 8_000_000_000;

static FIRST_SAMPLE: Once<Sample> = Once::new();
/// How many of [`REFINEMENTS`] are done; all of them where the frequency was not measured.
static REFINED: AtomicU8 = AtomicU8::new(REFINEMENTS.len() as u8);
/// Realtime minus monotonic time.
static REALTIME_OFFSET: AtomicU64 = AtomicU64::new(UNKNOWN);
const UNKNOWN: u64 = 0;
static SOURCE: Once<&'static str> = Once::new();

/// Starts the clock: by what the host says, by what the CPU says, or by measurement.
pub(crate) fn init() {
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
        measure_by_apic(entry);
        return;
    }
    if apic::needs_calibration() && FIRST_SAMPLE.get().is_none() {
        calibrate_apic();
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

/// Measures the TSC, and the APIC's timer with it, against the 8254 for a millisecond.
fn measure() -> Option<(Sample, Sample)> {
    pit::start();
    apic::count_start();
    // The first reading is slow (in emulation, translation), so it is not used.
    pit::sample();
    let first = pit::sample();
    let count = apic::count();
    let second = pit::sample_after(first, FIRST_TICKS)?;
    let counted = apic::count().wrapping_sub(count);
    let ticks = u64::from(second.ticks.wrapping_sub(first.ticks));
    if apic::needs_calibration() {
        apic::set_frequency(counted, ticks * 1_000_000_000 / pit::FREQUENCY);
    }
    (second.tsc > first.tsc).then_some((first, second))
}

/// Measures the APIC's timer against the TSC for a fifth of a millisecond.
fn calibrate_apic() {
    apic::count_start();
    let (start, count) = (tsc::read(), apic::count());
    let end = start + tsc::from_monotonic(200_000).saturating_sub(tsc::from_monotonic(0));
    // Bounded: the TSC counts.
    while tsc::read() < end {
        core::hint::spin_loop();
    }
    apic::set_frequency(apic::count().wrapping_sub(count), tsc::ns_for(tsc::read() - start));
}

/// Nothing says how fast the TSC is, and there is no 8254: the APIC's timer runs at 1 GHz in the hypervisors that do so.
fn measure_by_apic(entry: u64) {
    apic::count_start();
    let (start, count) = (tsc::read(), apic::count());
    let mut counted = 0;
    for _ in 0..1_000_000 {
        counted = apic::count().wrapping_sub(count);
        if counted >= 1_000_000 {
            break;
        }
    }
    let ticks = tsc::read() - start;
    log::warn!("no clock to measure the TSC against: taking the APIC timer's frequency for 1 GHz");
    tsc::start(entry, ticks, u64::from(counted.max(1)));
    if apic::needs_calibration() {
        apic::set_frequency(1, 1);
    }
}

/// When the frequency wants to be measured again; `u64::MAX` if not any more.
pub(crate) fn refine_deadline() -> u64 {
    REFINEMENTS.get(usize::from(REFINED.load(Ordering::Relaxed))).copied().unwrap_or(u64::MAX)
}

/// At a timer interrupt: measures the frequency again if that is due.
pub(crate) fn refine() {
    let now = monotonic_ns();
    if now < refine_deadline() {
        return;
    }
    let Some(first) = FIRST_SAMPLE.get() else { return };
    let done = REFINEMENTS.iter().filter(|due| **due <= now).count();
    REFINED.store(done as u8, Ordering::Relaxed);
    if now > REFINE_LIMIT_NS {
        return;
    }
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
    tsc::at(tsc::read())
}

/// Nanoseconds since 1970.
///
/// If nobody has set it, the battery-backed clock is asked, to the second; without one it is 1970.
pub(crate) fn realtime_ns() -> u64 {
    if REALTIME_OFFSET.load(Ordering::Relaxed) == UNKNOWN {
        let seconds = devices::rtc::seconds().unwrap_or(0);
        // One that runs on another CPU at the same time sets the same.
        set_realtime_ns(seconds.saturating_mul(1_000_000_000));
    }
    monotonic_ns().wrapping_add(REALTIME_OFFSET.load(Ordering::Relaxed))
}

/// Sets the wall clock.
pub(crate) fn set_realtime_ns(now: u64) {
    REALTIME_OFFSET.store(now.wrapping_sub(monotonic_ns()), Ordering::Relaxed);
}

/// What the frequency is known from.
pub(crate) fn clock_source() -> &'static str {
    SOURCE.get().copied().unwrap_or("tsc")
}

/// Frequency of the TSC.
pub(crate) fn cpu_khz() -> u64 {
    tsc::khz()
}
