//! Virtio functions on bus 0 of PCI.

use super::super::cpu::{inl, outl};
use super::{Found, lines, map, platform};
use crate::sync::SpinLock;
use crate::virtio::VirtioError;
use crate::virtio::capabilities::{self, Place};
use crate::virtio::pci::Pci;
use crate::virtio::registers::Registers;
use crate::virtio::transport::{Interface, InterruptLines, Transport};
use alloc::boxed::Box;
use alloc::vec::Vec;

const VENDOR_VIRTIO: u16 = 0x1af4;
/// Ids of devices that speak the legacy interface too; their type is the subsystem id.
const TRANSITIONAL: core::ops::Range<u16> = 0x1000..0x1040;
const FIRST_MODERN: u16 = 0x1040;

const COMMAND: u16 = 0x04;
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_BUS_MASTER: u32 = 1 << 2;
const COMMAND_NO_INTX: u32 = 1 << 10;
const HEADER_TYPE: u16 = 0x0c;
const HEADER_MULTI_FUNCTION: u32 = 1 << 23;
const FIRST_BAR: u16 = 0x10;
const SUBSYSTEM: u16 = 0x2c;
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_MASK_ALL: u32 = 1 << 30;

/// Most bytes of one BAR that are mapped; virtio's structures fit into a few pages.
const MOST_BAR_BYTES: usize = 1 << 20;
/// Addresses given to BARs that no firmware has set; free on the machines of QEMU and Cloud Hypervisor.
const BAR_WINDOW: core::ops::Range<u64> = 0xe000_0000..0xf000_0000;

/// Configuration space of bus 0.
enum Config {
    /// Memory-mapped (PCI Express).
    Ecam(Registers),
    /// Through ports 0xcf8 and 0xcfc; the lock keeps address and data together.
    Ports(SpinLock<()>),
}

/// A function on bus 0.
#[derive(Clone, Copy)]
struct Function {
    device: u8,
    function: u8,
}

impl Config {
    fn offset(at: Function, register: u16, shift: u32) -> u32 {
        (u32::from(at.device) << 3 | u32::from(at.function)) << shift | u32::from(register & 0xffc)
    }

    fn read(&self, at: Function, register: u16) -> u32 {
        match self {
            Self::Ecam(registers) => registers.read_u32(Self::offset(at, register, 12) as usize),
            Self::Ports(lock) => {
                let _guard = lock.lock();
                // SAFETY: reading configuration space of a PC's host bridge has no side effects on memory.
                unsafe {
                    outl(0xcf8, 1 << 31 | Self::offset(at, register & 0xfc, 8));
                    inl(0xcfc)
                }
            }
        }
    }

    fn write(&self, at: Function, register: u16, value: u32) {
        match self {
            Self::Ecam(registers) => registers.write_u32(Self::offset(at, register, 12) as usize, value),
            Self::Ports(lock) => {
                let _guard = lock.lock();
                // SAFETY: this file writes only BARs, the command register and MSI-X control of virtio functions, with
                // addresses where no memory is.
                unsafe {
                    outl(0xcf8, 1 << 31 | Self::offset(at, register & 0xfc, 8));
                    outl(0xcfc, value);
                }
            }
        }
    }
}

/// Configuration space, if there is PCI at all: a PC's bus 0 has its host bridge as device 0.
///
/// The ports come first because they need no table: reading ACPI's costs more time at boot than one exit instead of two for
/// each of the few accesses saves.
fn config() -> Option<Config> {
    let works = |config: &Config| config.read(Function { device: 0, function: 0 }, 0) != u32::MAX;
    let ecam = || Some(Config::Ecam(map(platform()?.ecam?, 1 << 20)));
    Some(Config::Ports(SpinLock::new(()))).filter(works).or_else(|| ecam().filter(works))
}

/// All virtio functions, in the order of their device numbers.
pub(super) fn find() -> Vec<Found> {
    let Some(config) = config() else { return Vec::new() };
    let mut free = BAR_WINDOW;
    let mut found = Vec::new();
    for device in 0..32 {
        let mut functions = 1;
        let mut function = 0;
        while function < functions {
            let at = Function { device, function };
            let [v0, v1, d0, d1] = config.read(at, 0).to_le_bytes();
            let (vendor, id) = (u16::from_le_bytes([v0, v1]), u16::from_le_bytes([d0, d1]));
            if vendor == 0xffff {
                if function == 0 {
                    break;
                }
            } else if function == 0 && config.read(at, HEADER_TYPE) & HEADER_MULTI_FUNCTION != 0 {
                functions = 8;
            }
            if vendor == VENDOR_VIRTIO {
                let kind = if TRANSITIONAL.contains(&id) {
                    config.read(at, SUBSYSTEM) >> 16
                } else {
                    u32::from(id.saturating_sub(FIRST_MODERN))
                };
                found.push((kind, open(&config, at, &mut free)));
            }
            function += 1;
        }
    }
    found
}

fn open(config: &Config, at: Function, free: &mut core::ops::Range<u64>) -> Result<Transport, VirtioError> {
    let caps = capabilities::read(&|register| config.read(at, register.into()));
    let common = caps.common.ok_or(VirtioError::Legacy)?;
    let notify = caps.notify.ok_or(VirtioError::BadCapability)?;
    let wanted = [Some(common), Some(notify), caps.device, caps.msix.map(|msix| msix.table)];

    // A BAR is mapped once, as far as anything in it is needed.
    let mut bars: [Option<Registers>; 6] = [None; 6];
    for bar in 0..6u8 {
        let ends = wanted.iter().flatten().filter(|place| place.bar == bar);
        let Some(end) = ends.map(|place| place.offset as usize + place.len as usize).max() else { continue };
        if end > MOST_BAR_BYTES {
            return Err(VirtioError::BadCapability);
        }
        let base = bar_address(config, at, bar, free).ok_or(VirtioError::BadCapability)?;
        bars[usize::from(bar)] = Some(map(base, end));
    }
    let window = |place: Place| {
        bars[usize::from(place.bar)]
            .and_then(|bar| bar.part(place.offset as usize, place.len as usize))
            .ok_or(VirtioError::BadCapability)
    };

    // The status half of the register clears bits by writing ones: write zeros there.
    let command = config.read(at, COMMAND) & 0xffff;
    let command = command | COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_NO_INTX;
    config.write(at, COMMAND, command);
    let lines: Box<dyn InterruptLines> = match caps.msix {
        Some(place) => {
            let control = config.read(at, place.control.into());
            config.write(at, place.control.into(), control & !MSIX_MASK_ALL | MSIX_ENABLE);
            Box::new(lines::Msix::new(window(place.table)?, place))
        }
        None => Box::new(lines::NoLines),
    };
    let device = caps.device.map(window).transpose()?;
    let pci = Pci::new(window(common)?, window(notify)?, caps.notify_multiplier, device)?;
    Ok(Transport::new(Interface::Pci(pci), lines))
}

/// The physical address of a memory BAR; one that firmware left at 0 gets an address of its own.
fn bar_address(config: &Config, at: Function, bar: u8, free: &mut core::ops::Range<u64>) -> Option<u64> {
    let register = FIRST_BAR + 4 * u16::from(bar);
    let low = config.read(at, register);
    let wide = match low & 7 {
        0b000 => false,
        0b100 => true,
        // I/O ports, or a reserved kind.
        _ => return None,
    };
    if wide && bar == 5 {
        return None;
    }
    let high = if wide { config.read(at, register + 4) } else { 0 };
    let address = u64::from(high) << 32 | u64::from(low & !0xf);
    if address != 0 {
        return Some(address);
    }
    config.write(at, register, u32::MAX);
    let size = u64::from(!(config.read(at, register) & !0xf)) + 1;
    let start = free.start.next_multiple_of(size.max(4096));
    let end = start + size;
    if end > free.end {
        return None;
    }
    free.start = end;
    // The window is below 4 GiB.
    config.write(at, register, start as u32);
    if wide {
        config.write(at, register + 4, 0);
    }
    Some(start)
}
