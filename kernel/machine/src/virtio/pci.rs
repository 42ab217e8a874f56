//! Virtio over PCI (virtio 1.2, section 4.1): the structures inside the BARs.

use super::VirtioError;
use super::mmio::halves;
use super::queue::Notifier;
use super::registers::Registers;

const DEVICE_FEATURE_SELECT: usize = 0;
const DEVICE_FEATURE: usize = 4;
const DRIVER_FEATURE_SELECT: usize = 8;
const DRIVER_FEATURE: usize = 12;
const DEVICE_STATUS: usize = 20;
const CONFIG_GENERATION: usize = 21;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_MSIX_VECTOR: usize = 26;
const QUEUE_ENABLE: usize = 28;
const QUEUE_NOTIFY_OFF: usize = 30;
const QUEUE_DESC: usize = 32;
const QUEUE_DRIVER: usize = 40;
const QUEUE_DEVICE: usize = 48;
const COMMON_LEN: usize = 56;

/// Types of the vendor capabilities.
pub(crate) const CAP_COMMON_CFG: u8 = 1;
pub(crate) const CAP_NOTIFY_CFG: u8 = 2;
pub(crate) const CAP_DEVICE_CFG: u8 = 4;

/// One device's structures.
#[derive(Debug)]
pub(crate) struct Pci {
    common: Registers,
    notify: Registers,
    notify_multiplier: u32,
    config: Option<Registers>,
}

impl Pci {
    /// A device whose capabilities gave these windows.
    pub(crate) fn new(
        common: Registers,
        notify: Registers,
        notify_multiplier: u32,
        config: Option<Registers>,
    ) -> Result<Self, VirtioError> {
        if common.len() < COMMON_LEN || !notify_multiplier.is_multiple_of(2) {
            return Err(VirtioError::BadCapability);
        }
        Ok(Self { common, notify, notify_multiplier, config })
    }

    pub(super) fn set_status(&self, status: u8) {
        self.common.write_u8(DEVICE_STATUS, status);
        if status == 0 {
            // The reset is over when the device reads as 0 (section 4.1.4.3.2). Bounded: one that never answers
            // fails at the next step.
            for _ in 0..1_000_000 {
                if self.status() == 0 {
                    break;
                }
                core::hint::spin_loop();
            }
        }
    }

    pub(super) fn status(&self) -> u8 {
        self.common.read_u8(DEVICE_STATUS)
    }

    pub(super) fn features(&self) -> u64 {
        self.common.write_u32(DEVICE_FEATURE_SELECT, 1);
        let high = self.common.read_u32(DEVICE_FEATURE);
        self.common.write_u32(DEVICE_FEATURE_SELECT, 0);
        u64::from(high) << 32 | u64::from(self.common.read_u32(DEVICE_FEATURE))
    }

    pub(super) fn set_features(&self, features: u64) {
        let (low, high) = halves(features);
        self.common.write_u32(DRIVER_FEATURE_SELECT, 1);
        self.common.write_u32(DRIVER_FEATURE, high);
        self.common.write_u32(DRIVER_FEATURE_SELECT, 0);
        self.common.write_u32(DRIVER_FEATURE, low);
    }

    pub(super) fn queue_size(&self, queue: u16) -> u16 {
        self.common.write_u16(QUEUE_SELECT, queue);
        self.common.read_u16(QUEUE_SIZE)
    }

    /// The queue must be the one `queue_size` was asked about last.
    pub(super) fn set_queue(
        &self,
        queue: u16,
        size: u16,
        descriptors: u64,
        avail: u64,
        used: u64,
    ) -> Result<Notifier, VirtioError> {
        let common = &self.common;
        common.write_u16(QUEUE_SIZE, size);
        for (offset, address) in [(QUEUE_DESC, descriptors), (QUEUE_DRIVER, avail), (QUEUE_DEVICE, used)] {
            let (low, high) = halves(address);
            common.write_u32(offset, low);
            common.write_u32(offset + 4, high);
        }
        let offset = u64::from(common.read_u16(QUEUE_NOTIFY_OFF)) * u64::from(self.notify_multiplier);
        let register = usize::try_from(offset).ok().and_then(|offset| self.notify.part(offset, 2));
        Ok(Notifier::Half(register.ok_or(VirtioError::BadCapability)?, queue))
    }

    /// Has the queue that was set up last raise entry `line` of the MSI-X table.
    pub(super) fn set_queue_vector(&self, line: u16) -> Result<(), VirtioError> {
        self.common.write_u16(QUEUE_MSIX_VECTOR, line);
        // The device answers NO_VECTOR (0xffff) if it could not do it (section 4.1.5.1.2).
        if self.common.read_u16(QUEUE_MSIX_VECTOR) == line { Ok(()) } else { Err(VirtioError::NoInterrupt) }
    }

    pub(super) fn enable_queue(&self, queue: u16) {
        self.common.write_u16(QUEUE_SELECT, queue);
        self.common.write_u16(QUEUE_ENABLE, 1);
    }

    pub(super) fn config(&self) -> Option<Registers> {
        self.config
    }

    pub(super) fn config_generation(&self) -> u32 {
        self.common.read_u8(CONFIG_GENERATION).into()
    }
}
