//! Ending the virtual machine.

use core::sync::atomic::Ordering;

use x86_64::VirtAddr;
use x86_64::instructions::port::Port;
use x86_64::instructions::{hlt, interrupts, tables};
use x86_64::structures::DescriptorTablePointer;

use super::{devices, percpu};

/// QEMU's isa-debug-exit: it ends with the status `code << 1 | 1`.
const DEBUG_EXIT: u16 = 0xf4;
/// Command port of the keyboard controller, and the command that resets the machine.
const KEYBOARD: u16 = 0x64;
const KEYBOARD_RESET: u8 = 0xfe;

/// Ends the virtual machine with a code, if the monitor can carry one.
pub(crate) fn power_off(code: u8) -> ! {
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: each step either ends the machine or does nothing; nothing may run after it anyway. The last one is
    // an exception without a table to handle it, which resets every CPU.
    unsafe {
        Port::new(DEBUG_EXIT).write(u32::from(code));
        // Reading ACPI's tables allocates: not after a panic, which may hold the heap's lock.
        if !percpu::current().panicking.load(Ordering::Relaxed)
            && let Some((port, value)) = devices::soft_off()
        {
            Port::new(port).write(value);
        }
        Port::new(KEYBOARD).write(KEYBOARD_RESET);
        tables::lidt(&nothing);
    }
    interrupts::int3();
    loop {
        hlt();
    }
}
