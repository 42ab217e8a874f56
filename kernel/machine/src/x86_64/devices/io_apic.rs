//! The I/O APICs (Intel 82093AA): from interrupt inputs to vectors.

use super::super::apic;
use super::{map_registers, platform};
use crate::acpi::{Madt, Override};
use crate::sync::SpinLock;
use crate::virtio::registers::Registers;
use alloc::vec::Vec;

/// Where the one I/O APIC is if no table says so (microvm without ACPI, Firecracker).
const DEFAULT_BASE: u64 = 0xfec0_0000;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
const REGISTER_VERSION: u32 = 1;
const REGISTER_REDIRECTION: u32 = 0x10;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;

struct IoApic {
    registers: Registers,
    first: u32,
    inputs: u32,
}

/// Empty until the first one is needed.
static IO_APICS: SpinLock<Vec<IoApic>> = SpinLock::new(Vec::new());

impl IoApic {
    fn new(base: u64, first: u32) -> Self {
        let registers = map_registers(base, 0x20);
        registers.write_u32(SELECT, REGISTER_VERSION);
        let inputs = (registers.read_u32(WINDOW) >> 16 & 0xff) + 1;
        Self { registers, first, inputs }
    }

    fn write(&self, register: u32, value: u32) {
        self.registers.write_u32(SELECT, register);
        self.registers.write_u32(WINDOW, value);
    }
}

fn madt() -> Option<&'static Madt> {
    if super::has_tables() { platform()?.madt.as_ref() } else { None }
}

/// Delivers an interrupt input to a vector on this CPU; false if no I/O APIC has such an input.
///
/// Edge-triggered: virtio's MMIO devices hold their line until they are acknowledged, which happens before the rings are
/// looked at, so nothing is lost, and no end-of-interrupt has to reach the I/O APIC.
pub(super) fn route(input: u32, vector: u8) -> bool {
    set(input, vector, 0)
}

/// The same for an ISA interrupt, which may be wired to another input.
pub(super) fn route_isa(irq: u8, vector: u8) -> bool {
    let rewired = madt()
        .and_then(|madt| madt.overrides.iter().find(|entry| entry.source == irq).copied())
        .unwrap_or(Override { source: irq, gsi: u32::from(irq), flags: 0 });
    // The bus's own meaning is "high" and "edge".
    let polarity = if rewired.flags & 3 == 3 { ACTIVE_LOW } else { 0 };
    let trigger = if rewired.flags >> 2 & 3 == 3 { LEVEL } else { 0 };
    set(rewired.gsi, vector, polarity | trigger)
}

fn set(input: u32, vector: u8, mode: u32) -> bool {
    let mut chips = IO_APICS.lock();
    if chips.is_empty() {
        let listed = madt().map_or(&[][..], |madt| &madt.io_apics);
        chips.extend(listed.iter().map(|&(base, first)| IoApic::new(base.into(), first)));
        if chips.is_empty() {
            chips.push(IoApic::new(DEFAULT_BASE, 0));
        }
    }
    let chip = chips.iter().find(|chip| input.checked_sub(chip.first).is_some_and(|pin| pin < chip.inputs));
    let Some(chip) = chip else { return false };
    let register = REGISTER_REDIRECTION + 2 * (input - chip.first);
    // First the destination: the low half is masked at reset, and writing it lets interrupts through.
    chip.write(register + 1, apic::id() << 24);
    chip.write(register, u32::from(vector) | mode);
    true
}
