//! Segments and the task state segment, with the selectors that Linux uses (programs see those of user mode).
//!
//! There is no 32-bit code segment for user mode: loading 0x23 into CS is a general protection fault, so that
//! compatibility mode, and with it the 32-bit system calls, cannot be reached.

use core::arch::asm;

/// Kernel code.
pub(crate) const KERNEL_CS: u16 = 0x10;
/// Kernel data.
pub(crate) const KERNEL_DS: u16 = 0x18;
/// Base for SYSRET: the CPU takes SS = base + 8 and CS = base + 16.
pub(crate) const SYSRET_BASE: u16 = 0x23;
/// User data, privilege level 3.
pub(crate) const USER_DS: u16 = 0x2b;
/// User 64-bit code, privilege level 3.
pub(crate) const USER_CS: u16 = 0x33;
const TSS_SELECTOR: u16 = 0x40;

/// Numbers in the interrupt stack table of the faults that must not trust the stack pointer.
pub(crate) mod ist {
    pub(crate) const DOUBLE_FAULT: u8 = 1;
    pub(crate) const NMI: u8 = 2;
    pub(crate) const MACHINE_CHECK: u8 = 3;
    pub(crate) const DEBUG: u8 = 4;
}

/// The 64-bit task state segment (Intel SDM volume 3, 9.7).
#[repr(C, packed(4))]
pub(crate) struct Tss {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map_base: u16,
}

impl Tss {
    pub(crate) const fn new() -> Self {
        Self {
            reserved0: 0,
            rsp: [0; 3],
            reserved1: 0,
            ist: [0; 7],
            reserved2: 0,
            reserved3: 0,
            // Beyond the limit: no port is allowed to user mode.
            io_map_base: size_of::<Self>() as u16,
        }
    }

    /// Sets the stacks numbered as in [`ist`]: each is the address that the CPU pushes below.
    pub(crate) fn set_interrupt_stacks(&mut self, tops: [u64; 4]) {
        let mut all = [0; 7];
        all[..4].copy_from_slice(&tops);
        self.ist = all;
    }

    /// Where the CPU reads the stack pointer for interrupts from user mode.
    pub(crate) fn rsp0_address(&self) -> u64 {
        (&raw const self.rsp) as u64
    }
}

/// The global descriptor table.
#[repr(C, align(16))]
pub(crate) struct Gdt([u64; 10]);

impl Gdt {
    pub(crate) const fn new() -> Self {
        Self([
            0,
            0,
            0x00af_9b00_0000_ffff, // 0x10 kernel code, 64-bit
            0x00cf_9300_0000_ffff, // 0x18 kernel data
            0,                     // 0x20 would be 32-bit user code
            0x00cf_f300_0000_ffff, // 0x28 user data
            0x00af_fb00_0000_ffff, // 0x30 user code, 64-bit
            0,
            0, // 0x40 the task state segment, two entries
            0,
        ])
    }

    /// Enters the TSS and makes the CPU use both.
    pub(crate) fn load(&'static mut self, tss: &'static Tss) {
        let base = (&raw const *tss) as u64;
        let limit = size_of::<Tss>() as u64 - 1;
        let slot = TSS_SELECTOR as usize / 8;
        self.0[slot] = limit | (base & 0x00ff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        self.0[slot + 1] = base >> 32;
        let pointer =
            DescriptorPointer { limit: size_of::<Self>() as u16 - 1, base: (&raw const self.0) as u64 };
        // SAFETY: the table is valid and lives for ever; its code and data descriptors are those in use already, so
        // CS and SS stay good; the TSS descriptor describes `tss`, which lives for ever too.
        unsafe {
            asm!(
                "lgdt [{pointer}]",
                "mov {scratch:x}, 0x18",
                "mov ss, {scratch:x}",
                "xor {scratch:e}, {scratch:e}",
                "mov ds, {scratch:x}",
                "mov es, {scratch:x}",
                "mov fs, {scratch:x}",
                "mov gs, {scratch:x}",
                "ltr {tss:x}",
                pointer = in(reg) &raw const pointer,
                tss = in(reg) TSS_SELECTOR,
                scratch = out(reg) _,
                options(nostack),
            );
        }
    }
}

/// Operand of LGDT and LIDT.
#[repr(C, packed)]
pub(crate) struct DescriptorPointer {
    pub(crate) limit: u16,
    pub(crate) base: u64,
}
