//! How a PC reaches the configuration space of PCI's bus 0.

use super::{lines, map_registers, platform};
use crate::sync::SpinLock;
use crate::virtio::VirtioFound;
use crate::virtio::config_space::{ConfigSpace, Mechanism};
use crate::virtio::pci;
use crate::virtio::registers::Registers;
use alloc::boxed::Box;
use alloc::vec::Vec;
use virtio_drivers::transport::pci::bus::{Cam, DeviceFunction};
use x86_64::instructions::port::Port;

/// Addresses given to BARs that no firmware has set; free on the machines of QEMU and Cloud Hypervisor.
const BAR_WINDOW: core::ops::Range<u64> = 0xe000_0000..0xf000_0000;
/// Bytes of a bus in memory-mapped configuration space.
const BUS_BYTES: usize = 1 << 20;

enum Config {
    /// Memory-mapped (PCI Express).
    Ecam(Registers),
    /// Through ports; the lock keeps address and data together.
    Ports(SpinLock<Ports>),
}

struct Ports {
    address: Port<u32>,
    data: Port<u32>,
}

impl Ports {
    /// The data port, for a register.
    fn select(&mut self, at: DeviceFunction, register: u8) -> &mut Port<u32> {
        // SAFETY: the address port of a PC's host bridge does nothing but remember.
        unsafe { self.address.write(1 << 31 | Cam::MmioCam.cam_offset(at, register)) };
        &mut self.data
    }
}

impl Mechanism for Config {
    fn read(&self, at: DeviceFunction, register: u8) -> u32 {
        match self {
            Self::Ecam(registers) => registers.read_u32(Cam::Ecam.cam_offset(at, register) as usize),
            // SAFETY: reading configuration space has no side effects on memory.
            Self::Ports(ports) => unsafe { ports.lock().select(at, register).read() },
        }
    }

    fn write(&self, at: DeviceFunction, register: u8, value: u32) {
        match self {
            Self::Ecam(registers) => registers.write_u32(Cam::Ecam.cam_offset(at, register) as usize, value),
            // SAFETY: only BARs, the command register and MSI-X control of virtio functions are written, with addresses where
            // no memory is.
            Self::Ports(ports) => unsafe { ports.lock().select(at, register).write(value) },
        }
    }
}

/// Configuration space, if there is PCI at all: a PC's bus 0 has its host bridge as device 0.
///
/// The ports come first because they need no table: reading ACPI's costs more time at boot than one exit instead of two for
/// each of the few accesses saves.
fn config() -> Option<Config> {
    let host_bridge = DeviceFunction { bus: 0, device: 0, function: 0 };
    let works = |config: &Config| config.read(host_bridge, 0) != u32::MAX;
    let ports = Ports { address: Port::new(0xcf8), data: Port::new(0xcfc) };
    let ecam = || Some(Config::Ecam(map_registers(platform()?.ecam?, BUS_BYTES)));
    Some(Config::Ports(SpinLock::new(ports))).filter(works).or_else(|| ecam().filter(works))
}

/// All virtio functions.
pub(super) fn find() -> Vec<VirtioFound> {
    let Some(config) = config() else { return Vec::new() };
    pci::find(&ConfigSpace::new(config), BAR_WINDOW, &|table| match table {
        Some((table, entries)) => Box::new(lines::Msix::new(table, entries)),
        None => Box::new(lines::NoLines),
    })
}
