//! What this CPU can do, its control registers and model-specific registers.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

use core::sync::atomic::Ordering;

use spin::Once;

use super::percpu;
use crate::sync::level::Held;

/// FS base.
pub(crate) const MSR_FS_BASE: u32 = 0xc000_0100;
/// GS base in use.
pub(crate) const MSR_GS_BASE: u32 = 0xc000_0101;
/// GS base that SWAPGS brings.
pub(crate) const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;
/// Extended features.
pub(crate) const MSR_EFER: u32 = 0xc000_0080;
/// EFER: SYSCALL is enabled.
pub(crate) const EFER_SYSCALL: u64 = 1;
const EFER_NO_EXECUTE: u64 = 1 << 11;
const MSR_TSC_AUX: u32 = 0xc000_0103;

const CR0_MONITOR: u64 = 1 << 1;
const CR0_EMULATION: u64 = 1 << 2;
const CR0_TASK_SWITCHED: u64 = 1 << 3;
const CR0_NUMERIC_ERROR: u64 = 1 << 5;
const CR0_WRITE_PROTECT: u64 = 1 << 16;
const CR0_ALIGNMENT_MASK: u64 = 1 << 18;
const CR4_PGE: u64 = 1 << 7;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
const CR4_PKE: u64 = 1 << 22;

/// What the kernel makes use of, if the CPU has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Features {
    pub(crate) no_execute: bool,
    pub(crate) gigabyte_pages: bool,
    pub(crate) fsgsbase: bool,
    pub(crate) smap: bool,
    pub(crate) xsave: bool,
    pub(crate) xsaveopt: bool,
    pub(crate) pku: bool,
    pub(crate) x2apic: bool,
    pub(crate) tsc_deadline: bool,
    pub(crate) hypervisor: bool,
    /// CPUID.1:EDX, for AT_HWCAP.
    pub(crate) leaf1_edx: u32,
}

static FEATURES: Once<Features> = Once::new();

/// The features in use. Before [`init`] none.
pub(crate) fn features() -> Features {
    FEATURES.get().copied().unwrap_or_default()
}

/// CPUID, zeros for a leaf that the CPU does not have.
pub(crate) fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    let family = leaf & 0xc000_0000;
    let highest = __cpuid(family).eax;
    if leaf <= highest {
        __cpuid_count(leaf, subleaf)
    } else {
        CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 }
    }
}

/// Detects the features and sets the control registers of this CPU accordingly.
pub(crate) fn init() {
    let basic = cpuid(1, 0);
    let structured = cpuid(7, 0);
    let extended = cpuid(0x8000_0001, 0);
    let has = |register: u32, bit: u32| register & 1 << bit != 0;
    let features = *FEATURES.call_once(|| Features {
        no_execute: has(extended.edx, 20),
        gigabyte_pages: has(extended.edx, 26),
        fsgsbase: has(structured.ebx, 0),
        smap: has(structured.ebx, 20),
        xsave: has(basic.ecx, 26),
        xsaveopt: has(basic.ecx, 26) && has(cpuid(13, 1).eax, 0),
        pku: has(basic.ecx, 26) && has(structured.ecx, 3),
        x2apic: has(basic.ecx, 21),
        tsc_deadline: has(basic.ecx, 24),
        hypervisor: has(basic.ecx, 31),
        leaf1_edx: basic.edx,
    });
    let mut cr4 = read_cr4() | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    for (present, bit) in [
        (has(structured.ecx, 2), CR4_UMIP),
        (features.fsgsbase, CR4_FSGSBASE),
        (features.xsave, CR4_OSXSAVE),
        (has(structured.ebx, 7), CR4_SMEP),
        (features.smap, CR4_SMAP),
        (features.pku, CR4_PKE),
    ] {
        if present {
            cr4 |= bit;
        }
    }
    // SAFETY: every bit is one that the CPU has. The kernel never touches user memory except in the copy routines,
    // which open SMAP; no kernel page is a user page, so SMEP changes nothing; EFER's other bits stay. Kernel text
    // and constants are never written, so write protection is as good as off.
    unsafe {
        let cr0 = read_cr0();
        write_cr0(
            (cr0 | CR0_MONITOR | CR0_NUMERIC_ERROR | CR0_WRITE_PROTECT | CR0_ALIGNMENT_MASK)
                & !(CR0_EMULATION | CR0_TASK_SWITCHED),
        );
        write_cr4(cr4);
        if features.no_execute {
            write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NO_EXECUTE);
        }
        // RDTSCP and RDPID read the CPU's number here, as on Linux.
        if has(extended.edx, 27) {
            write_msr(MSR_TSC_AUX, current() as u64);
        }
    }
}

/// CPUs that run.
pub(crate) fn count() -> usize {
    1
}

/// Number of this CPU.
pub(crate) fn current() -> usize {
    percpu::current().index.load(Ordering::Relaxed)
}

/// What a CPU does while it spins.
pub(crate) fn relax() {
    core::hint::spin_loop();
}

/// The record of the spin locks that this CPU holds, for the check of their order.
pub(crate) fn with_held_locks<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    percpu::current().with_held_locks(f)
}

/// Reads a model-specific register.
///
/// # Safety
/// The CPU has the register.
pub(crate) unsafe fn read_msr(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that it exists; reading has no effect on memory.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The CPU has the register, the value is valid for it, and the caller knows why its effect breaks nothing.
pub(crate) unsafe fn write_msr(number: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// The page table in use, with its low bits.
pub(crate) fn read_cr3() -> u64 {
    let value;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Switches to a page table.
///
/// # Safety
/// It maps the kernel half as the running code needs it.
pub(crate) unsafe fn write_cr3(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// The address of the last page fault.
pub(crate) fn read_cr2() -> u64 {
    let value;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Reads DR6 and clears it, as a debug exception's handler must.
pub(crate) fn take_debug_status() -> u64 {
    let value: u64;
    // SAFETY: DR6 only tells what happened; its idle value is written back.
    unsafe {
        asm!("mov {}, dr6", out(reg) value, options(nomem, nostack, preserves_flags));
        asm!("mov dr6, {}", in(reg) 0xffff_0ff0_u64, options(nomem, nostack, preserves_flags));
    }
    value
}

/// The time-stamp counter, not before earlier loads.
pub(crate) fn rdtsc() -> u64 {
    // SAFETY: every 64-bit CPU has both instructions; they have no effect.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

/// Writes a byte to a port.
///
/// # Safety
/// What the device does then breaks nothing.
pub(crate) unsafe fn outb(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Writes two bytes to a port.
///
/// # Safety
/// As for [`outb`].
pub(crate) unsafe fn outw(port: u16, value: u16) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// Writes four bytes to a port.
///
/// # Safety
/// As for [`outb`].
pub(crate) unsafe fn outl(port: u16, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) };
}

/// Reads a byte from a port.
///
/// # Safety
/// As for [`outb`].
pub(crate) unsafe fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Reads four bytes from a port.
///
/// # Safety
/// As for [`outb`].
pub(crate) unsafe fn inl(port: u16) -> u32 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
    value
}

fn read_cr0() -> u64 {
    let value;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
/// The bits are valid and the caller knows what they change.
unsafe fn write_cr0(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) };
}

fn read_cr4() -> u64 {
    let value;
    // SAFETY: reading it has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
/// As for [`write_cr0`].
unsafe fn write_cr4(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) };
}
