//! Starting the machine.

use alloc::string::String;
use alloc::vec::Vec;

/// What the monitor told.
#[derive(Clone, Debug, Default)]
pub struct BootInfo {
    /// The kernel's command line.
    pub command_line: String,
    /// The boot modules' bytes (QEMU's `-initrd`).
    pub modules: Vec<&'static [u8]>,
    /// RAM of the machine in bytes.
    pub memory_bytes: u64,
}

impl BootInfo {
    /// The value of the last `name=value` on the command line.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut words = self.command_line.split_ascii_whitespace().rev();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Starts everything up to a machine with memory, interrupts, clocks and devices. Called once, first of all.
pub fn init() -> BootInfo {
    crate::arch::boot::init()
}

/// Names the function that the machine calls when the kernel is entered: `entry!(main);` with `fn main() -> !`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn husk_main() -> ! {
            let main: fn() -> ! = $main;
            main()
        }
    };
}
