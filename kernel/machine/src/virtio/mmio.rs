//! Virtio over MMIO (virtio 1.2, section 4.2).

use super::VirtioError;
use super::queue::Notifier;
use super::registers::Registers;

const MAGIC: usize = 0x00;
const VERSION: usize = 0x04;
const DEVICE_ID: usize = 0x08;
const DEVICE_FEATURES: usize = 0x10;
const DEVICE_FEATURES_SEL: usize = 0x14;
const DRIVER_FEATURES: usize = 0x20;
const DRIVER_FEATURES_SEL: usize = 0x24;
const QUEUE_SEL: usize = 0x30;
const QUEUE_NUM_MAX: usize = 0x34;
const QUEUE_NUM: usize = 0x38;
const QUEUE_READY: usize = 0x44;
const QUEUE_NOTIFY: usize = 0x50;
const INTERRUPT_ACK: usize = 0x64;
const STATUS: usize = 0x70;
const QUEUE_DESC: usize = 0x80;
const QUEUE_DRIVER: usize = 0x90;
const QUEUE_DEVICE: usize = 0xa0;
const CONFIG_GENERATION: usize = 0xfc;
const CONFIG: usize = 0x100;

/// `virt` in little endian.
const MAGIC_VALUE: u32 = 0x7472_6976;

/// One device's registers.
#[derive(Debug)]
pub(crate) struct Mmio {
    registers: Registers,
}

impl Mmio {
    /// Looks at the registers: the device and its type, `None` if there is none (type 0 is an empty slot).
    pub(crate) fn probe(registers: Registers) -> Option<(u32, Result<Self, VirtioError>)> {
        if registers.len() < CONFIG || registers.read_u32(MAGIC) != MAGIC_VALUE {
            return None;
        }
        let device_type = registers.read_u32(DEVICE_ID);
        if device_type == 0 {
            return None;
        }
        let modern = registers.read_u32(VERSION) == 2;
        Some((device_type, if modern { Ok(Self { registers }) } else { Err(VirtioError::Legacy) }))
    }

    pub(super) fn set_status(&self, status: u8) {
        self.registers.write_u32(STATUS, status.into());
    }

    pub(super) fn status(&self) -> u8 {
        // Only the low byte of the register is defined.
        self.registers.read_u32(STATUS).to_le_bytes()[0]
    }

    pub(super) fn features(&self) -> u64 {
        self.registers.write_u32(DEVICE_FEATURES_SEL, 1);
        let high = self.registers.read_u32(DEVICE_FEATURES);
        self.registers.write_u32(DEVICE_FEATURES_SEL, 0);
        u64::from(high) << 32 | u64::from(self.registers.read_u32(DEVICE_FEATURES))
    }

    pub(super) fn set_features(&self, features: u64) {
        let (low, high) = halves(features);
        self.registers.write_u32(DRIVER_FEATURES_SEL, 1);
        self.registers.write_u32(DRIVER_FEATURES, high);
        self.registers.write_u32(DRIVER_FEATURES_SEL, 0);
        self.registers.write_u32(DRIVER_FEATURES, low);
    }

    pub(super) fn queue_size(&self, queue: u16) -> u16 {
        self.registers.write_u32(QUEUE_SEL, queue.into());
        u16::try_from(self.registers.read_u32(QUEUE_NUM_MAX)).unwrap_or(32768)
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
        let registers = &self.registers;
        registers.write_u32(QUEUE_NUM, size.into());
        for (offset, address) in [(QUEUE_DESC, descriptors), (QUEUE_DRIVER, avail), (QUEUE_DEVICE, used)] {
            let (low, high) = halves(address);
            registers.write_u32(offset, low);
            registers.write_u32(offset + 4, high);
        }
        let notify = registers.part(QUEUE_NOTIFY, 4).ok_or(VirtioError::BadCapability)?;
        Ok(Notifier::Word(notify, queue.into()))
    }

    pub(super) fn enable_queue(&self, queue: u16) {
        self.registers.write_u32(QUEUE_SEL, queue.into());
        self.registers.write_u32(QUEUE_READY, 1);
    }

    /// What an interrupt handler must do first. It does not read the reason: that would be one more exit to the monitor
    /// for each interrupt, and the rings say it anyway. It must come before looking at the rings: what
    /// the device uses after it raises the line anew.
    pub(super) fn acknowledge(&self) -> impl Fn() + Send + Sync + use<> {
        let registers = self.registers;
        move || registers.write_u32(INTERRUPT_ACK, 3)
    }

    pub(super) fn config(&self) -> Option<Registers> {
        self.registers.part(CONFIG, self.registers.len() - CONFIG)
    }

    pub(super) fn config_generation(&self) -> u32 {
        self.registers.read_u32(CONFIG_GENERATION)
    }
}

/// The low and the high half.
pub(super) fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}
