//! KVM's paravirtual clock (Linux, `Documentation/virt/kvm/x86/msr.rst`): the host says how the TSC relates to time.
//!
//! The frequency is taken from it, and the wall clock at boot. Time itself is read from the TSC where the
//! host says that it is stable, which is everywhere but on old hosts: there this clock is not used.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use x86_64::registers::model_specific::Msr;

use super::layout::KERNEL_BASE;
use super::{cpu, tsc};

const SIGNATURE_LEAF: u32 = 0x4000_0000;
const FEATURES_LEAF: u32 = 0x4000_0001;
const FEATURE_CLOCKSOURCE2: u32 = 1 << 3;
const FEATURE_STABLE: u32 = 1 << 24;
const MSR_WALL_CLOCK: Msr = Msr::new(0x4b56_4d00);
const MSR_SYSTEM_TIME: Msr = Msr::new(0x4b56_4d01);
const ENABLE: u64 = 1;

/// `struct pvclock_vcpu_time_info`.
#[repr(C, align(64))]
struct SystemTime {
    version: AtomicU32,
    pad0: u32,
    tsc_timestamp: AtomicU64,
    system_time: AtomicU64,
    tsc_to_system_mul: AtomicU32,
    /// `tsc_shift` (signed, low byte) and `flags` (next byte).
    shift_and_flags: AtomicU32,
}

/// `struct pvclock_wall_clock`.
#[repr(C, align(64))]
struct WallClock {
    version: AtomicU32,
    sec: AtomicU32,
    nsec: AtomicU32,
}

static SYSTEM_TIME: SystemTime = SystemTime {
    version: AtomicU32::new(0),
    pad0: 0,
    tsc_timestamp: AtomicU64::new(0),
    system_time: AtomicU64::new(0),
    tsc_to_system_mul: AtomicU32::new(0),
    shift_and_flags: AtomicU32::new(0),
};
static WALL_CLOCK: WallClock =
    WallClock { version: AtomicU32::new(0), sec: AtomicU32::new(0), nsec: AtomicU32::new(0) };

/// What the host said.
pub(crate) struct Reading {
    /// Nanoseconds that 2^32 TSC ticks take.
    pub(crate) ns_per_2_32_ticks: u64,
    /// Nanoseconds since 1970 now.
    pub(crate) realtime_ns: u64,
}

/// Asks the host; `None` if it is not KVM, or its TSC is not stable.
pub(crate) fn detect() -> Option<Reading> {
    if !cpu::features().hypervisor {
        return None;
    }
    let signature = cpu::cpuid(SIGNATURE_LEAF, 0);
    if [signature.ebx, signature.ecx, signature.edx] != [0x4b4d_564b, 0x564b_4d56, 0x4d] {
        return None;
    }
    let features = cpu::cpuid(FEATURES_LEAF, 0).eax;
    if features & (FEATURE_CLOCKSOURCE2 | FEATURE_STABLE) != FEATURE_CLOCKSOURCE2 | FEATURE_STABLE {
        return None;
    }
    let (mut system_time, mut wall_clock) = (MSR_SYSTEM_TIME, MSR_WALL_CLOCK);
    // SAFETY: the host has the registers (its feature bits say so); it writes to the two structures, which
    // are in the image for ever, are made of atomics, and do not cross a page.
    unsafe {
        system_time.write(((&raw const SYSTEM_TIME) as u64 - KERNEL_BASE) | ENABLE);
        wall_clock.write((&raw const WALL_CLOCK) as u64 - KERNEL_BASE);
    }
    let reading = read_consistently();
    // The clock is not read again: the host need not keep it up to date.
    // SAFETY: as above.
    unsafe { system_time.write(0) };
    reading
}

fn read_consistently() -> Option<Reading> {
    for _ in 0..1000 {
        let version = SYSTEM_TIME.version.load(Ordering::Acquire);
        let timestamp = SYSTEM_TIME.tsc_timestamp.load(Ordering::Relaxed);
        let system_time = SYSTEM_TIME.system_time.load(Ordering::Relaxed);
        let multiplier = u64::from(SYSTEM_TIME.tsc_to_system_mul.load(Ordering::Relaxed));
        let shift = SYSTEM_TIME.shift_and_flags.load(Ordering::Relaxed) as i8;
        fence(Ordering::Acquire);
        if version == 0
            || !version.is_multiple_of(2)
            || SYSTEM_TIME.version.load(Ordering::Relaxed) != version
        {
            core::hint::spin_loop();
            continue;
        }
        let scale = |ticks: u64| {
            let ticks = u128::from(ticks);
            let shifted =
                if shift >= 0 { ticks << shift.min(31) } else { ticks >> shift.unsigned_abs().min(63) };
            ((shifted * u128::from(multiplier)) >> 32) as u64
        };
        let ns_per_2_32_ticks = scale(1 << 32);
        if ns_per_2_32_ticks == 0 {
            return None;
        }
        let since_start = system_time + scale(tsc::read().saturating_sub(timestamp));
        let wall = u64::from(WALL_CLOCK.sec.load(Ordering::Relaxed)) * 1_000_000_000
            + u64::from(WALL_CLOCK.nsec.load(Ordering::Relaxed));
        return Some(Reading { ns_per_2_32_ticks, realtime_ns: wall + since_start });
    }
    None
}
