//! What this CPU can do, its control registers and model-specific registers.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use core::sync::atomic::Ordering;

use spin::Once;
use x86_64::PhysAddr;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr3Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::debug::Dr6;
use x86_64::registers::model_specific::Msr;
use x86_64::structures::paging::PhysFrame;

use super::percpu;
use crate::sync::level::Held;

const TSC_AUX: Msr = Msr::new(0xc000_0103);

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
    let mut wanted = Cr4Flags::PAGE_GLOBAL | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    wanted.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, has(structured.ecx, 2));
    wanted.set(Cr4Flags::FSGSBASE, features.fsgsbase);
    wanted.set(Cr4Flags::OSXSAVE, features.xsave);
    wanted.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, has(structured.ebx, 7));
    wanted.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.smap);
    wanted.set(Cr4Flags::PROTECTION_KEY_USER, features.pku);
    // SAFETY: every bit is one that the CPU has. The kernel never touches user memory except in the copy routines,
    // which open SMAP; no kernel page is a user page, so SMEP changes nothing; the other bits stay. Kernel text
    // and constants are never written, so write protection is as good as off.
    unsafe {
        Cr0::update(|cr0| {
            *cr0 |= Cr0Flags::MONITOR_COPROCESSOR
                | Cr0Flags::NUMERIC_ERROR
                | Cr0Flags::WRITE_PROTECT
                | Cr0Flags::ALIGNMENT_MASK;
            *cr0 -= Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED;
        });
        Cr4::update(|cr4| *cr4 |= wanted);
        if features.no_execute {
            Efer::update(|efer| *efer |= EferFlags::NO_EXECUTE_ENABLE);
        }
        // RDTSCP and RDPID read the CPU's number here, as on Linux.
        if has(extended.edx, 27) {
            let mut register = TSC_AUX;
            register.write(current() as u64);
        }
    }
}

/// CPUs that run.
pub(crate) fn count() -> usize {
    super::smp::count()
}

/// Number of this CPU.
pub(crate) fn current() -> usize {
    percpu::current().index.load(Ordering::Relaxed)
}

/// What a CPU does while it spins: another may wait for its answer.
pub(crate) fn relax() {
    core::hint::spin_loop();
    super::tlb::answer();
}

/// The record of the spin locks that this CPU holds, for the check of their order.
pub(crate) fn with_held_locks<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    percpu::current().with_held_locks(f)
}

/// Switches to the page table at a physical address.
///
/// # Safety
/// It maps the kernel half as the running code needs it.
pub(crate) unsafe fn load_page_table(root: u64) {
    let root = PhysFrame::containing_address(PhysAddr::new(root));
    // SAFETY: the caller's promise.
    unsafe { Cr3::write(root, Cr3Flags::empty()) };
}

/// Reads DR6 and clears it, as a debug exception's handler must.
pub(crate) fn take_debug_status() -> u64 {
    let value = Dr6::read_raw();
    // The crate cannot write it.
    // SAFETY: DR6 only tells what happened; this is its idle value.
    unsafe { asm!("mov dr6, {}", in(reg) 0xffff_0ff0_u64, options(nomem, nostack, preserves_flags)) };
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
