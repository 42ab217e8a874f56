//! Against a bus with one device, laid out as QEMU does it.

use super::super::Features;
use super::super::dma::DmaMemory;
use super::super::fake_device::FakeLines;
use super::*;
use core::cell::{Cell, RefCell};
use proptest::prelude::*;
use virtio_drivers::transport::DeviceType;

const SLOT: u8 = 2;
const BAR_BYTES: u32 = 0x4000;

struct Bus {
    config: RefCell<[u8; 256]>,
    accesses: Cell<usize>,
    /// The device decodes memory accesses; counts the changes.
    switched: Cell<usize>,
}

impl Mechanism for &Bus {
    fn read(&self, at: DeviceFunction, register: u8) -> u32 {
        self.accesses.set(self.accesses.get() + 1);
        if (at.device, at.function) != (SLOT, 0) {
            return u32::MAX;
        }
        let bytes = self.config.borrow();
        u32::from_le_bytes(bytes[usize::from(register)..][..4].try_into().unwrap())
    }

    fn write(&self, at: DeviceFunction, register: u8, value: u32) {
        self.accesses.set(self.accesses.get() + 1);
        assert_eq!((at.device, at.function), (SLOT, 0));
        let value = match register {
            0x04 => {
                let old = self.config.borrow()[4];
                self.switched.set(self.switched.get() + usize::from((old ^ value as u8) & 2 != 0));
                value & 0xffff | 0x10 << 16
            }
            // BAR 1 has 32 bits, BAR 4 has 64 together with 5; the others are not there.
            0x14 => value & !0xfff,
            0x20 => value & !(BAR_BYTES - 1) | 0xc,
            0x24 => value,
            0x10..0x28 => 0,
            _ => value,
        };
        self.config.borrow_mut()[usize::from(register)..][..4].copy_from_slice(&value.to_le_bytes());
    }
}

/// BAR 4 with the structures, BAR 1 with the MSI-X table.
fn bus(structures: u64, table: u64) -> Bus {
    let mut config = [0; 256];
    config[..4].copy_from_slice(&[0xf4, 0x1a, 0x42, 0x10]);
    config[4..8].copy_from_slice(&[3, 0, 0x10, 0]);
    config[0x34] = 0x98;
    let mut put = |at: usize, bytes: &[u8]| config[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x14, &(table as u32).to_le_bytes());
    put(0x20, &(structures | 0xc).to_le_bytes());
    put(0x98, &[0x11, 0x84, 2, 0, 1, 0, 0, 0, 1, 8, 0, 0]);
    put(0x84, &[9, 0x70, 20, 5, 0, 0, 0, 0]);
    put(0x70, &[9, 0x60, 20, 2, 4, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0]);
    put(0x60, &[9, 0x50, 16, 4, 4, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x10, 0, 0]);
    put(0x50, &[9, 0x40, 16, 3, 4, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0]);
    put(0x40, &[9, 0, 16, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    Bus { config: RefCell::new(config), accesses: Cell::new(0), switched: Cell::new(0) }
}

/// Memory aligned to its length, as BARs are.
fn bar(len: usize) -> DmaMemory {
    let memory = DmaMemory::alloc(2 * len).unwrap();
    let offset = memory.physical(0).next_multiple_of(len as u64) - memory.physical(0);
    memory.part(offset as usize, len)
}

fn search(bus: &Bus, free: Range<u64>) -> Vec<VirtioFound> {
    find(&ConfigSpace::new(bus), free, &|table| {
        let entries = table.map_or(0, |(_, entries)| entries);
        Box::new(FakeLines::with_count(entries))
    })
}

#[test]
fn a_device_is_found_and_set_up() {
    let (structures, table) = (bar(BAR_BYTES as usize), bar(4096));
    let bus = bus(structures.physical(0), table.physical(0));
    let mut found = search(&bus, 0..0);
    let (kind, transport) = found.pop().unwrap();
    assert!(found.is_empty());
    assert_eq!(kind, DeviceType::Block);
    let mut transport = transport.unwrap();
    assert_eq!(transport.lines(), 3);
    assert_eq!(bus.config.borrow()[4..6], [7, 4], "memory, bus master, no INTx");
    assert_eq!(bus.config.borrow()[0x9b], 0x80, "MSI-X on, not masked");
    assert_eq!(bus.switched.get(), 0, "firmware has switched decoding on, and it stays on");
    assert!(bus.accesses.get() < 80, "{} accesses", bus.accesses.get());

    structures.write_u32(4, 1);
    assert_eq!(transport.begin(Features::empty()), Ok(Features::VERSION_1));
    structures.write_u16(24, 64);
    structures.write_u16(30, 3);
    let mut queue = transport.queue(5, 16, 2).unwrap();
    let common = |offset| structures.read_u16(offset);
    assert_eq!((common(22), common(24), common(26), common(28)), (5, 16, 2, 1));
    let segment = super::super::queue::Segment { address: 1, len: 1, device_writes: true };
    queue.add(&[segment]).unwrap();
    queue.kick();
    assert_eq!(structures.read_u16(0x3000 + 3 * 4), 5, "the notification");
    transport.finish();
    assert_eq!(structures.read_u32(20) & 0xff, 15);
}

#[test]
fn a_bar_without_an_address_gets_one() {
    let window = bar(0x10_0000);
    let bus = bus(0, 0);
    let free = window.physical(0)..window.physical(0) + 0x10_0000;
    assert!(search(&bus, free.clone())[0].1.is_ok());
    let address = |at: usize| u32::from_le_bytes(bus.config.borrow()[at..at + 4].try_into().unwrap());
    let (structures, table) = (u64::from(address(0x20) & !0xf), u64::from(address(0x14)));
    assert!(free.contains(&structures) && structures.is_multiple_of(BAR_BYTES.into()));
    assert!(free.contains(&table) && table.abs_diff(structures) >= 4096);
    let none = super::tests::bus(0, 0);
    assert_eq!(search(&none, 0..0)[0].1.as_ref().err(), Some(&VirtioError::BadCapability));
}

#[test]
fn lists_that_are_wrong() {
    let damaged = |at: usize, byte| {
        let bus = bus(bar(BAR_BYTES as usize).physical(0), bar(4096).physical(0));
        bus.config.borrow_mut()[at] = byte;
        search(&bus, 0..0).pop().map(|(_, outcome)| outcome.err())
    };
    assert_eq!(damaged(0x41, 0x98), Some(Some(VirtioError::BadCapability)), "a ring ends");
    assert_eq!(damaged(0x06, 0), Some(Some(VirtioError::Legacy)), "no list");
    assert_eq!(damaged(0x44, 6), Some(Some(VirtioError::BadCapability)), "no such BAR");
    assert_eq!(damaged(0x4b, 0xff), Some(Some(VirtioError::BadCapability)), "outside of any BAR");
    assert_eq!(damaged(0x03, 0x20), None, "no type that is known");
}

proptest! {
    #[test]
    fn never_panics(damage in prop::collection::vec((0x30usize..256, any::<u8>()), 0..40)) {
        let bus = bus(bar(BAR_BYTES as usize).physical(0), bar(4096).physical(0));
        for (at, byte) in damage {
            // Offsets and lengths stay below 256 MiB: the simulated memory, where the registers are, ends at 2 GiB.
            bus.config.borrow_mut()[at] = if at % 4 == 3 { byte & 0x0f } else { byte };
        }
        search(&bus, 0..0);
    }
}
