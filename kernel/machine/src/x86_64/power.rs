//! Ending the virtual machine.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use super::cpu;
use super::gdt::DescriptorPointer;

/// QEMU's isa-debug-exit: it ends with the status `code << 1 | 1`.
const DEBUG_EXIT: u16 = 0xf4;
/// Command port of the keyboard controller, and the command that resets the machine.
const KEYBOARD: u16 = 0x64;
const KEYBOARD_RESET: u8 = 0xfe;

/// PM1a control port, and in the upper half the value that powers off; 0 where ACPI said nothing.
static ACPI_OFF: AtomicU32 = AtomicU32::new(0);

/// How ACPI powers off: by writing `value` to the PM1a control port.
pub(crate) fn set_acpi_off(port: u16, value: u16) {
    ACPI_OFF.store(u32::from(value) << 16 | u32::from(port), Ordering::Relaxed);
}

/// Ends the virtual machine with a code, if the monitor can carry one.
pub(crate) fn power_off(code: u8) -> ! {
    let acpi = ACPI_OFF.load(Ordering::Relaxed);
    let nothing = DescriptorPointer { limit: 0, base: 0 };
    // SAFETY: each step either ends the machine or does nothing; nothing may run after it anyway. The last one is
    // an exception without a table to handle it, which resets every CPU.
    unsafe {
        cpu::outl(DEBUG_EXIT, u32::from(code));
        if acpi != 0 {
            cpu::outw(acpi as u16, (acpi >> 16) as u16);
        }
        cpu::outb(KEYBOARD, KEYBOARD_RESET);
        asm!("lidt [{}]", "ud2", in(reg) &raw const nothing, options(noreturn));
    }
}
