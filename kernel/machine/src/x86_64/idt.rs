//! The interrupt descriptor table: one gate a vector, all to the stubs in `trap.rs`.
//!
//! The gates are the `x86_64` crate's, the table is not: its `InterruptDescriptorTable` wants handlers with the
//! `x86-interrupt` calling convention, which stable Rust does not have, and names each exception's field by such a type, whereas
//! all vectors lead to stubs of one kind here. Nor would that convention do for traps from user mode, which go back into a
//! function call (see `user.rs`).

use core::cell::UnsafeCell;

use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::idt::{Entry, HandlerFunc};
use x86_64::{PrivilegeLevel, VirtAddr};

use super::gdt::ist;
use super::trap;

/// Numbers of the exceptions that are treated by name.
pub(crate) mod vector {
    use x86_64::structures::idt::ExceptionVector;
    pub(crate) const DEBUG: u8 = ExceptionVector::Debug as u8;
    pub(crate) const NMI: u8 = ExceptionVector::NonMaskableInterrupt as u8;
    pub(crate) const BREAKPOINT: u8 = ExceptionVector::Breakpoint as u8;
    pub(crate) const OVERFLOW: u8 = ExceptionVector::Overflow as u8;
    pub(crate) const DOUBLE_FAULT: u8 = ExceptionVector::Double as u8;
    pub(crate) const GENERAL_PROTECTION: u8 = ExceptionVector::GeneralProtection as u8;
    pub(crate) const PAGE_FAULT: u8 = ExceptionVector::Page as u8;
    pub(crate) const MACHINE_CHECK: u8 = ExceptionVector::MachineCheck as u8;
    /// First that is not an exception.
    pub(crate) const FIRST_INTERRUPT: u8 = 32;
}

type Gates = [Entry<HandlerFunc>; 256];

#[repr(C, align(4096))]
struct Idt(UnsafeCell<Gates>);

// SAFETY: `init` writes it once, on the boot CPU, before any other CPU runs; after that it is only read, by the CPUs.
unsafe impl Sync for Idt {}

static IDT: Idt = Idt(UnsafeCell::new([Entry::missing(); 256]));

/// Fills the table and loads it on this CPU, whose code segment is the kernel's.
pub(crate) fn init() {
    // SAFETY: this is the boot CPU before the table is in use, so nothing reads it meanwhile.
    let gates: &mut Gates = unsafe { &mut *IDT.0.get() };
    for (number, gate) in (0u8..=255).zip(gates) {
        let stack = match number {
            vector::DOUBLE_FAULT => Some(ist::DOUBLE_FAULT),
            vector::NMI => Some(ist::NMI),
            vector::MACHINE_CHECK => Some(ist::MACHINE_CHECK),
            vector::DEBUG => Some(ist::DEBUG),
            _ => None,
        };
        // SAFETY: the stub takes what the CPU pushes for this vector, and is written for that stack; the stacks are in
        // the TSS of every CPU, each for one vector.
        let options = unsafe {
            let options = gate.set_handler_addr(VirtAddr::new(trap::stub_address(number)));
            if let Some(stack) = stack {
                options.set_stack_index(stack);
            }
            options
        };
        // Only INT3 and INTO may be raised by the program itself: INT 0x80 is a general protection fault, as
        // in a Linux without 32-bit emulation.
        if matches!(number, vector::BREAKPOINT | vector::OVERFLOW) {
            options.set_privilege_level(PrivilegeLevel::Ring3);
        }
    }
    load();
}

/// Loads the table on this CPU.
pub(crate) fn load() {
    let limit = size_of::<Gates>() as u16 - 1;
    let pointer = DescriptorTablePointer { limit, base: VirtAddr::from_ptr(IDT.0.get()) };
    // SAFETY: the table is complete and lives for ever.
    unsafe { lidt(&pointer) };
}
