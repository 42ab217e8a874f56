//! Runs the code of the vDSO on the host, with a data page of the test's.

use super::{CODE_OFFSET, DATA_DISTANCE, code, functions};
use crate::arch::clock_layout::{ClockPage, by};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::Ordering;

const SECOND_NS: u64 = 1_000_000_000;

/// Two pages: data, and what the kernel maps behind it.
struct Mapped(*mut u8);

impl Mapped {
    fn new() -> Self {
        const LEN: usize = 8192;
        let mut place: isize = 9;
        // SAFETY: mmap(2) of two fresh pages (PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS) touches no memory in use.
        unsafe {
            asm!("syscall", inout("rax") place, in("rdi") 0, in("rsi") LEN, in("rdx") 7, in("r10") 0x22,
                in("r8") -1, in("r9") 0, out("rcx") _, out("r11") _);
        }
        assert!(place > 0, "mmap: {place}");
        let base = place as *mut u8;
        // SAFETY: the pages are new, and large enough for both.
        unsafe {
            base.cast::<ClockPage>().write(ClockPage::new());
            base.add(DATA_DISTANCE + CODE_OFFSET).copy_from_nonoverlapping(code().as_ptr(), code().len());
        }
        Self(base)
    }

    fn page(&self) -> &ClockPage {
        // SAFETY: `new` has made it; the code only reads it.
        unsafe { &*self.0.cast() }
    }

    fn call(&self, name: &str, first: u64, second: u64) -> i64 {
        let at = functions().into_iter().find(|(known, _)| *known == name).unwrap().1;
        // SAFETY: the place holds a function with that many arguments or fewer.
        unsafe {
            let function = self.0.add(DATA_DISTANCE + CODE_OFFSET + at);
            let function: extern "C" fn(u64, u64) -> i64 = core::mem::transmute(function);
            function(first, second)
        }
    }

    /// Stops the counter at a time.
    fn stop_at(&self, monotonic: u64, offset: u64) {
        self.page().ns_per_tick.store(0, Ordering::Relaxed);
        self.page().base_ns.store(monotonic, Ordering::Relaxed);
        self.page().realtime_offset.store(offset, Ordering::Relaxed);
    }

    /// clock_gettime(2), or another call with such arguments.
    fn time_of(&self, name: &str, clock: u64) -> (i64, [u64; 2]) {
        let mut time = [u64::MAX; 2];
        (self.call(name, clock, time.as_mut_ptr() as u64), time)
    }
}

#[test]
fn a_time_is_split_as_by_division() {
    let mapped = Mapped::new();
    let mut time = 1_u64;
    for round in 0..20_000_u64 {
        time = time.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let now = match round {
            0 => 0,
            1 => SECOND_NS - 1,
            2 => SECOND_NS,
            3 => u64::MAX,
            _ => time >> (round % 50),
        };
        mapped.stop_at(now, 0);
        assert_eq!(mapped.time_of("clock_gettime", 1), (0, [now / SECOND_NS, now % SECOND_NS]), "{now}");
        let coarse = now - now % 4_000_000;
        let split = [coarse / SECOND_NS, coarse % SECOND_NS];
        assert_eq!(mapped.time_of("clock_gettime", 6), (0, split), "{now}");
        mapped.stop_at(0, now.max(1));
        let mut pair = [0; 2];
        assert_eq!(mapped.call("gettimeofday", pair.as_mut_ptr() as u64, 0), 0);
        assert_eq!(pair, [now.max(1) / SECOND_NS, now.max(1) % SECOND_NS / 1000], "{now}");
    }
}

#[test]
fn clocks_differ_by_their_offsets() {
    let mapped = Mapped::new();
    let (monotonic, offset) = (5 * SECOND_NS + 7, 1_700_000_000 * SECOND_NS);
    mapped.stop_at(monotonic, offset);
    mapped.page().tai_offset.store(37 * SECOND_NS, Ordering::Relaxed);
    for clock in [1, 4, 7] {
        assert_eq!(mapped.time_of("clock_gettime", clock), (0, [5, 7]));
    }
    assert_eq!(mapped.time_of("clock_gettime", 6), (0, [5, 0]));
    assert_eq!(mapped.time_of("clock_gettime", 0), (0, [1_700_000_005, 7]));
    assert_eq!(mapped.time_of("clock_gettime", 5), (0, [1_700_000_005, 0]));
    assert_eq!(mapped.time_of("clock_gettime", 11), (0, [1_700_000_042, 7]));
    let mut seconds = 0_u64;
    assert_eq!(mapped.call("time", (&raw mut seconds) as u64, 0), 1_700_000_005);
    assert_eq!((seconds, mapped.call("time", 0, 0)), (1_700_000_005, 1_700_000_005));
    // The other half of the register of a clock number means nothing.
    assert_eq!(mapped.time_of("clock_gettime", 1 | 7 << 32), (0, [5, 7]));
}

#[test]
fn the_counter_goes_on() {
    let mapped = Mapped::new();
    let start = counter();
    mapped.page().base_tsc.store(start, Ordering::Relaxed);
    mapped.page().base_ns.store(3 * SECOND_NS, Ordering::Relaxed);
    mapped.page().ns_per_tick.store(1 << 31, Ordering::Relaxed);
    let mut before = 0;
    for _ in 0..1000 {
        let (result, [seconds, nanos]) = mapped.time_of("clock_gettime", 1);
        let now = seconds * SECOND_NS + nanos;
        let most = 3 * SECOND_NS + (counter() - start).div_ceil(2);
        assert!(result == 0 && now >= before.max(3 * SECOND_NS) && now <= most, "{before} {now} {most}");
        before = now;
    }
    // A counter that is behind the base stands still there.
    mapped.page().base_tsc.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(mapped.time_of("clock_gettime", 1), (0, [3, 0]));
}

#[test]
fn resolutions() {
    let mapped = Mapped::new();
    for clock in [0, 1, 4, 7, 11] {
        assert_eq!(mapped.time_of("clock_getres", clock), (0, [0, 1]));
    }
    for clock in [5, 6] {
        assert_eq!(mapped.time_of("clock_getres", clock), (0, [0, 4_000_000]));
    }
    assert_eq!(mapped.call("clock_getres", 1, 0), 0);
}

/// The host's kernel answers then, so that no number is expected.
#[test]
fn what_is_not_known_is_asked_of_the_kernel() {
    let mapped = Mapped::new();
    let einval = -22;
    for name in ["clock_gettime", "clock_getres"] {
        for clock in [12, 31, 32, 100, u64::from(u32::MAX)] {
            assert_eq!(mapped.time_of(name, clock).0, einval, "{name} {clock}");
        }
        // CPU time of this process.
        let (result, time) = mapped.time_of(name, 2);
        assert!(result == 0 && time[1] < SECOND_NS);
    }
    // Nobody has set the wall clock: the host's.
    mapped.stop_at(5, 0);
    let (result, time) = mapped.time_of("clock_gettime", 0);
    assert!(result == 0 && time[0] > 1_000_000_000);
    assert!(mapped.call("time", 0, 0) > 1_000_000_000);
    let mut pair = [0_u64; 2];
    assert_eq!(mapped.call("gettimeofday", pair.as_mut_ptr() as u64, 0), 0);
    assert!(pair[0] > 1_000_000_000);
    // The counters are not to be used.
    mapped.page().usable.store(0, Ordering::Relaxed);
    let (result, time) = mapped.time_of("clock_gettime", 1);
    assert!(result == 0 && time != [0, 5]);
}

#[test]
fn the_cpus_number() {
    let mapped = Mapped::new();
    let rdtscp = __cpuid_count(0x8000_0001, 0).edx & 1 << 27 != 0;
    let rdpid = __cpuid_count(7, 0).ecx & 1 << 22 != 0;
    let ways = [(0, true), (by::RDTSCP, rdtscp), (by::RDPID, rdpid)];
    for (how, _) in ways.into_iter().filter(|(_, there)| *there) {
        mapped.page().cpu_number.store(how, Ordering::Relaxed);
        let mut numbers = [u32::MAX; 2];
        let place = numbers.as_mut_ptr() as u64;
        assert_eq!(mapped.call("getcpu", place, place + 4), 0, "{how}");
        assert!(numbers[0] < 4096 && numbers[1] < 1024, "{how}: {numbers:?}");
        assert_eq!(mapped.call("getcpu", 0, 0), 0);
    }
}

fn counter() -> u64 {
    // SAFETY: every 64-bit CPU has both instructions; they have no effect.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}
