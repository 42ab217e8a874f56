//! How a virtio device's interrupts reach handlers.

use super::super::{apic, irq};
use super::io_apic;
use crate::virtio::registers::Registers;
use crate::virtio::transport::{Handler, InterruptLines};

/// One input of the I/O APIC.
pub(super) struct Pin {
    input: u32,
}

impl Pin {
    pub(super) fn new(input: u32) -> Self {
        Self { input }
    }
}

impl InterruptLines for Pin {
    fn count(&self) -> u16 {
        1
    }

    fn connect(&mut self, _line: u16, handler: Handler) -> bool {
        irq::register(handler).is_some_and(|vector| io_apic::route(self.input, vector))
    }
}

/// The MSI-X table of a PCI function (PCI Local Bus 3.0, section 6.8.2). Each entry is masked until it is connected.
pub(super) struct Msix {
    table: Registers,
    entries: u16,
}

const ENTRY_BYTES: usize = 16;
/// Messages for local APICs (Intel SDM volume 3, section 11.11.1); the id is in bits 12 to 19.
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;

impl Msix {
    pub(super) fn new(table: Registers, entries: u16) -> Self {
        Self { table, entries }
    }
}

impl InterruptLines for Msix {
    fn count(&self) -> u16 {
        self.entries
    }

    fn connect(&mut self, line: u16, handler: Handler) -> bool {
        if line >= self.entries {
            return false;
        }
        let Some(vector) = irq::register(handler) else { return false };
        let at = usize::from(line) * ENTRY_BYTES;
        self.table.write_u32(at, MESSAGE_ADDRESS | (apic::id() & 0xff) << 12);
        self.table.write_u32(at + 4, 0);
        self.table.write_u32(at + 8, vector.into());
        self.table.write_u32(at + 12, 0);
        true
    }
}

/// No interrupt at all: a PCI function without MSI-X.
pub(super) struct NoLines;

impl InterruptLines for NoLines {
    fn count(&self) -> u16 {
        0
    }

    fn connect(&mut self, _line: u16, _handler: Handler) -> bool {
        false
    }
}
