//! Devices on the MMIO transport (virtio 1.2, section 4.2).

use super::registers::Registers;
use super::transport::{Doorbells, InterruptLines, Transport};
use super::{VirtioError, VirtioFound};
use alloc::boxed::Box;
use virtio_drivers::transport::mmio::{MmioError, MmioTransport, MmioVersion};
use virtio_drivers::transport::{DeviceTypeError, Transport as _};

/// Looks at registers: the device and its type, `None` if there is none (type 0 is an empty slot), or none of a known type.
pub(crate) fn open(
    registers: Registers,
    lines: impl FnOnce() -> Box<dyn InterruptLines>,
) -> Option<VirtioFound> {
    // SAFETY: the registers stay mapped for ever. Of those that the crate's transport uses, ours are only written by us.
    let device = match unsafe { MmioTransport::new(registers.start().cast(), registers.len()) } {
        Ok(device) => device,
        Err(MmioError::InvalidDeviceID(DeviceTypeError::InvalidDeviceType(0)) | MmioError::BadMagic(_)) => {
            return None;
        }
        Err(error) => {
            log::info!("virtio: {error}");
            return None;
        }
    };
    let kind = device.device_type();
    if device.version() == MmioVersion::Legacy {
        return Some((kind, Err(VirtioError::Legacy)));
    }
    Some((kind, Ok(Transport::new(device.into(), Doorbells::Mmio(registers), lines()))))
}
