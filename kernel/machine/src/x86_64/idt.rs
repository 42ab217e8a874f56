//! The interrupt descriptor table: one gate a vector, all to the stubs in `trap.rs`.

use core::arch::asm;
use core::cell::UnsafeCell;

use super::gdt::{DescriptorPointer, KERNEL_CS, ist};
use super::trap;

/// Numbers of the exceptions that are treated by name.
pub(crate) mod vector {
    pub(crate) const DEBUG: u8 = 1;
    pub(crate) const NMI: u8 = 2;
    pub(crate) const BREAKPOINT: u8 = 3;
    pub(crate) const OVERFLOW: u8 = 4;
    pub(crate) const DOUBLE_FAULT: u8 = 8;
    pub(crate) const GENERAL_PROTECTION: u8 = 13;
    pub(crate) const PAGE_FAULT: u8 = 14;
    pub(crate) const MACHINE_CHECK: u8 = 18;
    /// First that is not an exception.
    pub(crate) const FIRST_INTERRUPT: u8 = 32;
}

/// A 64-bit interrupt gate (Intel SDM volume 3, 7.14.1).
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    ist: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

#[repr(C, align(4096))]
struct Idt(UnsafeCell<[Gate; 256]>);

// SAFETY: `init` writes it once, on the boot CPU, before any other CPU runs; after that it is only read, by the CPUs.
unsafe impl Sync for Idt {}

const EMPTY: Gate =
    Gate { offset_low: 0, selector: 0, ist: 0, kind: 0, offset_middle: 0, offset_high: 0, reserved: 0 };
static IDT: Idt = Idt(UnsafeCell::new([EMPTY; 256]));

/// Fills the table and loads it on this CPU.
pub(crate) fn init() {
    let gates: [Gate; 256] = core::array::from_fn(|number| {
        let number = number as u8;
        let offset = trap::stub_address(number);
        // Only INT3 and INTO may be raised by the program itself: INT 0x80 is a general protection fault, as
        // in a Linux without 32-bit emulation.
        let privilege = if matches!(number, vector::BREAKPOINT | vector::OVERFLOW) { 3 } else { 0 };
        Gate {
            offset_low: offset as u16,
            selector: KERNEL_CS,
            ist: match number {
                vector::DOUBLE_FAULT => ist::DOUBLE_FAULT,
                vector::NMI => ist::NMI,
                vector::MACHINE_CHECK => ist::MACHINE_CHECK,
                vector::DEBUG => ist::DEBUG,
                _ => 0,
            },
            kind: 0x8e | privilege << 5,
            offset_middle: (offset >> 16) as u16,
            offset_high: (offset >> 32) as u32,
            reserved: 0,
        }
    });
    // SAFETY: this is the boot CPU before the table is in use, so nothing reads it meanwhile.
    unsafe { IDT.0.get().write(gates) };
    load();
}

/// Loads the table on this CPU.
pub(crate) fn load() {
    let pointer = DescriptorPointer { limit: size_of::<Idt>() as u16 - 1, base: IDT.0.get() as u64 };
    // SAFETY: the table is complete and lives for ever.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, readonly, preserves_flags)) };
}
