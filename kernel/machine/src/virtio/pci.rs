//! Virtio functions on bus 0 of PCI (virtio 1.2, section 4.1): found and opened with the crate, with MSI-X on top.

use super::config_space::{ConfigSpace, Mechanism};
use super::hal::KernelHal;
use super::notifier::Notifier;
use super::registers::Registers;
use super::transport::{Doorbells, InterruptLines, Transport};
use super::{VirtioError, VirtioFound};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, PCI_CAP_ID_VNDR, PciRoot,
};
use virtio_drivers::transport::pci::{
    PciTransport, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_ISR_CFG,
    VIRTIO_PCI_CAP_NOTIFY_CFG, virtio_device_type,
};

const FIRST_BAR: u8 = 0x10;
const CAP_ID_MSIX: u8 = 0x11;
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_MASK_ALL: u32 = 1 << 30;
/// More capabilities do not fit into the 192 bytes there are: a longer list is a ring.
const MOST_CAPABILITIES: usize = 48;
/// Most bytes of a structure; virtio's fit into a few pages.
const MOST_BYTES: u32 = 1 << 20;

// Of the common configuration (section 4.1.4.3).
const CONFIG_MSIX_VECTOR: usize = 16;
const QUEUE_SELECT: usize = 22;
const QUEUE_MSIX_VECTOR: usize = 26;
const QUEUE_NOTIFY_OFF: usize = 30;
const COMMON_LEN: u32 = 56;

/// What makes the interrupts of a function, given its MSI-X table (PCI Local Bus 3.0, section 6.8.2) and its entries, if it has one.
pub(crate) type MakeLines<'a> = &'a dyn Fn(Option<(Registers, u16)>) -> Box<dyn InterruptLines>;

/// Registers for vectors and notifications.
#[derive(Debug)]
pub(crate) struct PciRegisters {
    common: Registers,
    notify: Registers,
    multiplier: u32,
}

impl PciRegisters {
    /// Has queue `index` raise entry `line` of the MSI-X table, and finds out how to notify it.
    pub(super) fn attach(&self, index: u16, line: u16) -> Result<Notifier, VirtioError> {
        self.common.write_u16(QUEUE_SELECT, index);
        self.common.write_u16(QUEUE_MSIX_VECTOR, line);
        // The device answers NO_VECTOR (0xffff) if it could not do it (section 4.1.5.1.2).
        if self.common.read_u16(QUEUE_MSIX_VECTOR) != line {
            return Err(VirtioError::NoInterrupt);
        }
        let offset = u64::from(self.common.read_u16(QUEUE_NOTIFY_OFF)) * u64::from(self.multiplier);
        let register = usize::try_from(offset).ok().and_then(|offset| self.notify.part(offset, 2));
        Ok(Notifier::Half(register.ok_or(VirtioError::BadCapability)?, index))
    }

    /// Has changes of the configuration raise entry `line` of the MSI-X table.
    pub(super) fn attach_configuration(&self, line: u16) -> Result<(), VirtioError> {
        self.common.write_u16(CONFIG_MSIX_VECTOR, line);
        if self.common.read_u16(CONFIG_MSIX_VECTOR) == line { Ok(()) } else { Err(VirtioError::NoInterrupt) }
    }
}

/// A structure inside a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    bar: u8,
    offset: u32,
    len: u32,
}

/// What we need of the list of capabilities.
struct Capabilities {
    common: Place,
    notify: Place,
    notify_multiplier: u32,
    /// Where the MSI-X capability is, and its table.
    msix: Option<(u8, Place)>,
}

fn place(bar: u32, offset: u32, len: u32) -> Result<Place, VirtioError> {
    let valid = bar <= 5 && (1..=MOST_BYTES).contains(&len) && offset.checked_add(len).is_some();
    if valid { Ok(Place { bar: bar as u8, offset, len }) } else { Err(VirtioError::BadCapability) }
}

/// Reads the list. The crate reads it too, but keeps to itself what it finds, and believes it: here the list is checked.
fn capabilities<M: Mechanism>(
    root: &PciRoot<&ConfigSpace<M>>,
    space: &ConfigSpace<M>,
    at: DeviceFunction,
) -> Result<Capabilities, VirtioError> {
    let (mut common, mut notify, mut notify_multiplier, mut msix) = (None, None, 0, None);
    for (number, capability) in root.capabilities(at).enumerate() {
        // The longest structure has 20 bytes.
        if number >= MOST_CAPABILITIES || capability.offset > 0xec {
            return Err(VirtioError::BadCapability);
        }
        let word = |offset| space.read_word(at, capability.offset + offset);
        if capability.id == CAP_ID_MSIX {
            let entries = u32::from(capability.private_header & 0x7ff) + 1;
            msix = Some((capability.offset, place(word(4) & 7, word(4) & !7, entries * 16)?));
        }
        let [length, kind] = capability.private_header.to_le_bytes();
        if capability.id != PCI_CAP_ID_VNDR || length < 16 {
            continue;
        }
        let place = || place(word(4) & 0xff, word(8), word(12));
        // The device may offer a structure more than once: the first one is the best.
        match kind {
            VIRTIO_PCI_CAP_COMMON_CFG if common.is_none() => common = Some(place()?),
            VIRTIO_PCI_CAP_NOTIFY_CFG if notify.is_none() && length >= 20 => {
                notify = Some(place()?);
                notify_multiplier = word(16);
            }
            VIRTIO_PCI_CAP_ISR_CFG | VIRTIO_PCI_CAP_DEVICE_CFG => drop(place()?),
            _ => {}
        }
    }
    let common = common.ok_or(VirtioError::Legacy)?;
    let notify = notify.ok_or(VirtioError::BadCapability)?;
    if common.len < COMMON_LEN {
        return Err(VirtioError::BadCapability);
    }
    Ok(Capabilities { common, notify, notify_multiplier, msix })
}

/// The physical address of a memory BAR. One without an address gets one from `free`.
fn bar_address<M: Mechanism>(
    root: &mut PciRoot<&ConfigSpace<M>>,
    space: &ConfigSpace<M>,
    at: DeviceFunction,
    bar: u8,
    free: &mut Range<u64>,
) -> Option<u64> {
    let register = FIRST_BAR + 4 * bar;
    let low = space.read_word(at, register);
    let wide = match low & 7 {
        0b000 => false,
        0b100 if bar < 5 => true,
        // I/O ports, or a reserved kind.
        _ => return None,
    };
    let high = if wide { space.read_word(at, register + 4) } else { 0 };
    let address = u64::from(high) << 32 | u64::from(low & !0xf);
    if address != 0 {
        return Some(address);
    }
    let (_, size) = root.bar_info(at, bar).ok()??.memory_address_size()?;
    let start = free.start.next_multiple_of(size.max(4096));
    free.start = start.checked_add(size).filter(|end| *end <= free.end)?;
    // The window is below 4 GiB.
    if wide {
        root.set_bar_64(at, bar, start);
    } else {
        root.set_bar_32(at, bar, start as u32);
    }
    Some(start)
}

/// Maps a structure in the BAR at an address.
fn map(bar: u64, place: Place) -> Result<Registers, VirtioError> {
    let start = bar.checked_add(place.offset.into()).ok_or(VirtioError::BadCapability)?;
    let start = crate::arch::devices::map(start, place.len as usize);
    // SAFETY: it was mapped for ever, as device registers; accesses check their own alignment.
    Ok(unsafe { Registers::new(start, place.len as usize) })
}

/// All virtio functions of a known type on bus 0, in the order of their device numbers. `free` are addresses for BARs that no
/// firmware has set.
pub(crate) fn find<M: Mechanism>(
    space: &ConfigSpace<M>,
    mut free: Range<u64>,
    lines: MakeLines<'_>,
) -> Vec<VirtioFound> {
    let mut root = PciRoot::new(space);
    let mut found = Vec::new();
    for (at, info) in root.enumerate_bus(0) {
        if let Some(kind) = virtio_device_type(&info) {
            found.push((kind, open(&mut root, space, at, &mut free, lines)));
        }
    }
    found
}

fn open<M: Mechanism>(
    root: &mut PciRoot<&ConfigSpace<M>>,
    space: &ConfigSpace<M>,
    at: DeviceFunction,
    free: &mut Range<u64>,
    lines: MakeLines<'_>,
) -> Result<Transport, VirtioError> {
    let capabilities = capabilities(root, space, at)?;
    let mut address = |bar| bar_address(root, space, at, bar, free).ok_or(VirtioError::BadCapability);
    let (common, notify) = (address(capabilities.common.bar)?, address(capabilities.notify.bar)?);
    let table = capabilities.msix.map(|(_, table)| address(table.bar)).transpose()?;

    let device = space.with_lengths_by_alignment(|| PciTransport::new::<KernelHal, _>(root, at));
    let device = device.map_err(|error| {
        log::warn!("virtio: {at}: {error}");
        VirtioError::BadCapability
    })?;
    let (_, command) = root.get_status_command(at);
    root.set_command(at, command | Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE);
    let registers = PciRegisters {
        common: map(common, capabilities.common)?,
        notify: map(notify, capabilities.notify)?,
        multiplier: capabilities.notify_multiplier,
    };
    let lines = match (capabilities.msix, table) {
        (Some((control, place)), Some(table)) => {
            let mut space = space;
            let word = space.read_word(at, control);
            space.write_word(at, control, word & !MSIX_MASK_ALL | MSIX_ENABLE);
            // At most 2048 entries.
            lines(Some((map(table, place)?, (place.len / 16) as u16)))
        }
        _ => lines(None),
    };
    Ok(Transport::new(device.into(), Doorbells::Pci(registers), lines))
}

#[cfg(test)]
mod tests;
