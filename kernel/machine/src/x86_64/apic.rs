//! The local APIC: interrupts' end, and the one-shot timer. Registers by MSR (x2APIC) where the CPU has that, else by memory.

use core::arch::x86_64::_mm_mfence;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

use super::{cpu, irq, kernel_map, time, tsc};
use crate::thread::MAX_CPUS;

/// The first of the registers in x2APIC mode.
const MSR_X2APIC: u32 = 0x800;
const DEADLINE: Msr = Msr::new(0x6e0);

// Registers (Intel SDM volume 3, table 12-1).
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const EOI: u32 = 0xb0;
const SPURIOUS_VECTOR: u32 = 0xf0;
const ERROR_STATUS: u32 = 0x280;
const COMMAND: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_START: u32 = 6 << 8;
const PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const TSC_DEADLINE_MODE: u32 = 2 << 17;
const DIVIDE_BY_1: u32 = 0b1011;

/// Registers in memory; null in x2APIC mode.
static REGISTERS: AtomicPtr<u32> = AtomicPtr::new(core::ptr::null_mut());
static TSC_DEADLINE: AtomicBool = AtomicBool::new(false);
/// Timer ticks a nanosecond, times 2^32.
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);

/// Physical addresses of CPUs in interrupt messages, by number.
static IDS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// Enables the boot CPU's local APIC with its timer stopped, and silences the old 8259 interrupt controllers.
pub(crate) fn init() {
    mask_8259();
    init_this();
}

/// The same for another CPU, when the boot CPU has measured the timer.
pub(super) fn init_other_cpu() {
    init_this();
    if !TSC_DEADLINE.load(Ordering::Relaxed) {
        write(LVT_TIMER, u32::from(irq::TIMER));
    }
}

fn init_this() {
    // SAFETY: every 64-bit CPU has a local APIC; turning it on delivers nothing yet. The mode is changed from
    // xAPIC to x2APIC only, which is allowed.
    unsafe {
        let (base, flags) = ApicBase::read();
        let flags = flags | ApicBaseFlags::LAPIC_ENABLE;
        if cpu::features().x2apic {
            ApicBase::write(base, flags | ApicBaseFlags::X2APIC_ENABLE);
        } else {
            ApicBase::write(base, flags);
            // All CPUs see their own registers at one address.
            if REGISTERS.load(Ordering::Relaxed).is_null() {
                let registers = kernel_map::map_mmio(base.start_address().as_u64(), 4096);
                REGISTERS.store(registers.cast(), Ordering::Relaxed);
            }
        }
    }
    IDS[cpu::current()].store(id(), Ordering::Relaxed);
    write(TASK_PRIORITY, 0);
    write(SPURIOUS_VECTOR, SOFTWARE_ENABLE | u32::from(irq::SPURIOUS));
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, DELIVER_NMI);
    write(LVT_ERROR, u32::from(irq::APIC_ERROR));
    write(ERROR_STATUS, 0);
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    if cpu::features().tsc_deadline {
        TSC_DEADLINE.store(true, Ordering::Relaxed);
        write(LVT_TIMER, TSC_DEADLINE_MODE | u32::from(irq::TIMER));
        // The switch of the mode must be seen before the first deadline.
        // SAFETY: every 64-bit CPU has SSE2's fence.
        unsafe { _mm_mfence() };
    } else {
        write(LVT_TIMER, u32::from(irq::TIMER) | MASKED);
    }
}

/// Lets the timer count down from the top without an interrupt: for calibration.
pub(crate) fn count_start() {
    if !TSC_DEADLINE.load(Ordering::Relaxed) {
        write(TIMER_INITIAL, u32::MAX);
    }
}

/// Ticks since [`count_start`].
pub(crate) fn count() -> u32 {
    u32::MAX - read(TIMER_CURRENT)
}

/// Whether the timer has to be calibrated: it does not count TSC ticks.
pub(crate) fn needs_calibration() -> bool {
    !TSC_DEADLINE.load(Ordering::Relaxed)
}

/// Tells the timer's frequency, and ends calibration.
pub(crate) fn set_frequency(ticks: u32, ns: u64) {
    TICKS_PER_NS.store((u64::from(ticks) << 32) / ns.max(1), Ordering::Relaxed);
    write(TIMER_INITIAL, 0);
    write(LVT_TIMER, u32::from(irq::TIMER));
}

/// Arms the one-shot timer for a monotonic time in nanoseconds; one that has passed fires at once. `u64::MAX` disarms.
///
/// It may fire early when the deadline is further away than the timer counts (seconds): the callback arms it again.
pub(crate) fn timer_arm(deadline_ns: u64) {
    time::finish();
    let deadline_ns = deadline_ns.min(time::refine_deadline());
    if TSC_DEADLINE.load(Ordering::Relaxed) {
        let deadline = if deadline_ns == u64::MAX { 0 } else { tsc::from_monotonic(deadline_ns).max(1) };
        let mut register = DEADLINE;
        // SAFETY: the CPU has the register; it causes a timer interrupt, which is handled.
        unsafe { register.write(deadline) };
        return;
    }
    let ticks = if deadline_ns == u64::MAX {
        0
    } else {
        let wait = deadline_ns.saturating_sub(time::monotonic_ns());
        let ticks = (u128::from(wait) * u128::from(TICKS_PER_NS.load(Ordering::Relaxed))) >> 32;
        u32::try_from(ticks + 1).unwrap_or(u32::MAX)
    };
    write(TIMER_INITIAL, ticks);
}

/// Says that the interrupt in service has been handled.
pub(crate) fn end_of_interrupt() {
    write(EOI, 0);
}

/// This CPU's id in interrupt messages.
pub(crate) fn id() -> u32 {
    let id = read(ID);
    if REGISTERS.load(Ordering::Relaxed).is_null() { id } else { id >> 24 }
}

/// Interrupts another CPU.
pub(super) fn send(number: usize, vector: u8) {
    command(IDS[number].load(Ordering::Relaxed), u32::from(vector));
}

/// Interrupts another CPU, whatever it does.
pub(super) fn send_nmi(number: usize) {
    command(IDS[number].load(Ordering::Relaxed), DELIVER_NMI | ASSERT);
}

/// Resets a CPU, by its id: it then waits for [`send_start`].
pub(super) fn send_init(id: u32) {
    command(id, DELIVER_INIT | ASSERT);
}

/// Starts a CPU that was reset at a page below 1 MiB.
pub(super) fn send_start(id: u32, page: u64) {
    command(id, DELIVER_START | ASSERT | (page >> 12) as u32 & 0xff);
}

/// Whether a CPU with this id can be sent messages.
pub(super) fn reaches(id: u32) -> bool {
    REGISTERS.load(Ordering::Relaxed).is_null() || id < 0xff
}

fn command(id: u32, message: u32) {
    let registers = REGISTERS.load(Ordering::Relaxed);
    if registers.is_null() {
        // What was written before must be seen by who gets the message; this register does not wait for that by itself.
        // SAFETY: every 64-bit CPU has SSE2's fence. In x2APIC mode the command is one register; who gets the message handles it.
        unsafe {
            _mm_mfence();
            Msr::new(MSR_X2APIC + (COMMAND >> 4)).write(u64::from(id) << 32 | u64::from(message));
        }
        return;
    }
    // Interrupts are off, so both halves are this message's. The last one was accepted, or will be soon.
    for _ in 0..1_000_000 {
        if read(COMMAND) & PENDING == 0 {
            break;
        }
        core::hint::spin_loop();
    }
    write(COMMAND_HIGH, id << 24);
    write(COMMAND, message);
}

/// The error bits since the last call.
pub(crate) fn take_error() -> u32 {
    write(ERROR_STATUS, 0);
    read(ERROR_STATUS)
}

fn read(register: u32) -> u32 {
    let registers = REGISTERS.load(Ordering::Relaxed);
    if registers.is_null() {
        // SAFETY: in x2APIC mode each register is at this MSR; reading those used here has no effect.
        unsafe { Msr::new(MSR_X2APIC + (register >> 4)).read() as u32 }
    } else {
        // SAFETY: the page of registers is mapped; offsets are within it.
        unsafe { registers.byte_add(register as usize).read_volatile() }
    }
}

fn write(register: u32, value: u32) {
    let registers = REGISTERS.load(Ordering::Relaxed);
    if registers.is_null() {
        // SAFETY: as in `read`; the callers above write values that the registers accept, and every interrupt that results has
        // a handler.
        unsafe { Msr::new(MSR_X2APIC + (register >> 4)).write(u64::from(value)) };
    } else {
        // SAFETY: as above.
        unsafe { registers.byte_add(register as usize).write_volatile(value) };
    }
}

/// Moves the interrupts of the 8259s away from the exceptions' vectors, and masks them all.
fn mask_8259() {
    // ICW1 to ICW4, then the masks. A spurious interrupt may still come, at 0x27 or 0x2f; it has no handler.
    let steps = [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ];
    for (port, value) in steps {
        // SAFETY: these are the 8259s' ports; with all lines masked they do nothing. Where there are none, writes are ignored.
        unsafe { Port::<u8>::new(port).write(value) };
    }
}
