//! Ending the virtual machine.

/// The code that a kernel panic ends with.
pub const PANIC_CODE: u8 = 99;

/// Ends the virtual machine. The monitor passes the code on where it can: QEMU's isa-debug-exit ends with `code << 1 | 1`.
pub fn power_off(code: u8) -> ! {
    crate::arch::power::power_off(code)
}
