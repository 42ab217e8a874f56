//! Setting a device up, over either transport of the crate.
//!
//! The crate's transports know nothing of MSI-X, their PCI notification reads a register first, and acknowledging an
//! interrupt over MMIO reads one too: those registers are ours (see [`Doorbells`]).

use super::buffer_queue::{BufferQueue, Direction};
use super::dma::DmaMemory;
use super::notifier::Notifier;
use super::pci::PciRegisters;
use super::queue::{Layout, VirtQueue};
use super::registers::Registers;
use super::{Features, VirtioError};
use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use virtio_drivers::transport::{DeviceStatus, SomeTransport, Transport as _};

/// Called in interrupt context, with no lock held.
pub(crate) type Handler = Box<dyn Fn() + Send + Sync>;

/// Registers of the MMIO transport (section 4.2.2).
const MMIO_QUEUE_NOTIFY: usize = 0x50;
const MMIO_INTERRUPT_ACK: usize = 0x64;
/// Reads of the status before a device that does not end its reset is given up.
const RESET_PATIENCE: u32 = 1_000_000;

/// The device's interrupts as the architecture delivers them.
pub(crate) trait InterruptLines: Send {
    /// How many different interrupts the device can raise.
    fn count(&self) -> u16;
    /// Has the handler called for the device's interrupt `line`; false if there is no vector left.
    fn connect(&mut self, line: u16, handler: Handler) -> bool;
}

/// The registers that are used beside the crate's transport, which never touches them at the same time.
#[derive(Debug)]
pub(crate) enum Doorbells {
    /// All registers of a device on MMIO.
    Mmio(Registers),
    /// Those of a PCI function.
    Pci(PciRegisters),
}

/// A device being set up (virtio 1.2, section 3.1). Once it runs, the driver needs only its queues. One that is dropped before
/// is reset.
pub(crate) struct Transport {
    device: SomeTransport<'static>,
    doorbells: Doorbells,
    interrupts: Box<dyn InterruptLines>,
}

impl Transport {
    /// A device that was found.
    pub(crate) fn new(
        device: SomeTransport<'static>,
        doorbells: Doorbells,
        interrupts: Box<dyn InterruptLines>,
    ) -> Self {
        Self { device, doorbells, interrupts }
    }

    /// Resets the device and agrees on the features: those `wanted` (VERSION_1 is always wanted) that it offers.
    pub(crate) fn begin(&mut self, wanted: Features) -> Result<Features, VirtioError> {
        self.negotiate(|offered| offered & wanted)
    }

    /// Resets the device and agrees on the features that are chosen of those that it offers (VERSION_1 always is).
    pub(crate) fn negotiate(
        &mut self,
        choose: impl FnOnce(Features) -> Features,
    ) -> Result<Features, VirtioError> {
        if let Doorbells::Pci(_) = self.doorbells {
            // The reset is over when the status reads as 0 (section 4.1.4.3.2). One that never does fails at the next step.
            self.device.set_status(DeviceStatus::empty());
            for _ in 0..RESET_PATIENCE {
                if self.device.get_status().is_empty() {
                    break;
                }
                core::hint::spin_loop();
            }
        }
        // Section 3.1.1, as the crate's `begin_init` does it, which cannot choose.
        self.device.set_status(DeviceStatus::empty());
        self.device.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
        let offered = Features::from_bits_retain(self.device.read_device_features());
        if !offered.contains(Features::VERSION_1) {
            return Err(VirtioError::Legacy);
        }
        let agreed = choose(offered) | Features::VERSION_1;
        self.device.write_driver_features(agreed.bits());
        self.device.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK);
        if !self.device.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(VirtioError::FeaturesRefused);
        }
        Ok(agreed)
    }

    /// How many different interrupts the device can raise.
    pub(crate) fn lines(&self) -> u16 {
        self.interrupts.count()
    }

    /// Has queue `index` raise the interrupt `line`, and finds out how to notify it.
    fn attach(&self, index: u16, line: u16) -> Result<Notifier, VirtioError> {
        match &self.doorbells {
            Doorbells::Mmio(registers) => {
                let notify = registers.part(MMIO_QUEUE_NOTIFY, 4).ok_or(VirtioError::BadCapability)?;
                Ok(Notifier::Word(notify, index.into()))
            }
            Doorbells::Pci(registers) => registers.attach(index, line),
        }
    }

    /// Has changes of the configuration raise the interrupt `line`. Over MMIO there is only one.
    pub(crate) fn attach_configuration(&mut self, line: u16) -> Result<(), VirtioError> {
        match &self.doorbells {
            Doorbells::Mmio(_) => Ok(()),
            Doorbells::Pci(registers) => registers.attach_configuration(line),
        }
    }

    /// Makes queue `index`, of at most `most` entries, which raises the interrupt `line`.
    pub(crate) fn queue(&mut self, index: u16, most: u16, line: u16) -> Result<VirtQueue, VirtioError> {
        let offered = u16::try_from(self.device.max_queue_size(index)).unwrap_or(32768);
        if offered == 0 {
            return Err(VirtioError::NoQueue(index));
        }
        let notifier = self.attach(index, line)?;
        // The largest power of two that both sides accept.
        let size = 1u16 << offered.min(most).ilog2();
        let layout = Layout::new(size);
        let rings = DmaMemory::alloc(layout.bytes())?;
        self.device.queue_set(
            index,
            size.into(),
            rings.physical(0),
            rings.physical(layout.avail()),
            rings.physical(layout.used()),
        );
        Ok(VirtQueue::new(rings, size, notifier))
    }

    /// Makes queue `index`, of single buffers, which raises the interrupt `line`.
    pub(crate) fn buffer_queue<const SIZE: usize>(
        &mut self,
        index: u16,
        direction: Direction,
        line: u16,
    ) -> Result<BufferQueue<SIZE>, VirtioError> {
        let notifier = self.attach(index, line)?;
        BufferQueue::new(&mut self.device, index, direction, notifier).map_err(|error| match error {
            virtio_drivers::Error::DmaError => VirtioError::OutOfMemory,
            _ => VirtioError::NoQueue(index),
        })
    }

    /// Has `handler` called for the interrupt `line`. It looks at the rings to find out why.
    pub(crate) fn connect(&mut self, line: u16, handler: Handler) -> Result<(), VirtioError> {
        let handler: Handler = match &self.doorbells {
            Doorbells::Mmio(registers) => {
                let acknowledge = registers.part(MMIO_INTERRUPT_ACK, 4).ok_or(VirtioError::BadCapability)?;
                Box::new(move || {
                    // Without reading the reason: that would be one more exit to the monitor for each interrupt, and
                    // the rings say it anyway. It comes before looking at the rings: what the device uses
                    // after it raises the line anew.
                    acknowledge.write_u32(0, 3);
                    handler();
                })
            }
            Doorbells::Pci(_) => handler,
        };
        if self.interrupts.connect(line, handler) { Ok(()) } else { Err(VirtioError::NoInterrupt) }
    }

    /// The device runs from here on, until power-off.
    pub(crate) fn finish(self) {
        self.finish_and_keep();
    }

    /// The same, for a device whose configuration changes while it runs.
    pub(crate) fn finish_and_keep(self) -> Configuration {
        let Self { mut device, .. } = self;
        device.finish_init();
        Configuration(ManuallyDrop::new(device))
    }

    /// A 16-bit field of the device's configuration; 0 if the configuration is too short.
    pub(crate) fn config_u16(&self, offset: usize) -> u16 {
        self.device.read_config_space(offset).unwrap_or(0)
    }

    /// A 32-bit field of the device's configuration; 0 if the configuration is too short.
    pub(crate) fn config_u32(&self, offset: usize) -> u32 {
        self.device.read_config_space(offset).unwrap_or(0)
    }

    /// A 64-bit field of the device's configuration, read again if the device changed it meanwhile; 0 if the configuration is
    /// too short.
    pub(crate) fn config_u64(&self, offset: usize) -> u64 {
        let halves = || {
            Ok([self.device.read_config_space::<u32>(offset)?, self.device.read_config_space(offset + 4)?])
        };
        self.device.read_consistent(halves).map_or(0, |[low, high]| u64::from(low) | u64::from(high) << 32)
    }
}

/// The configuration of a device that runs. Dropping the crate's transport would reset it.
pub(crate) struct Configuration(ManuallyDrop<SomeTransport<'static>>);

impl Configuration {
    /// A 16-bit field; 0 if the configuration is too short.
    pub(crate) fn u16(&self, offset: usize) -> u16 {
        self.0.read_config_space(offset).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_device::{FakeLines, ram_device};
    use super::super::{VirtioFound, mmio};
    use super::*;
    use virtio_drivers::transport::DeviceType;

    const FIRST: Features = Features::from_bits_retain(1);
    const BOTH: Features = Features::from_bits_retain(3);

    fn open(memory: &DmaMemory) -> VirtioFound {
        mmio::open(memory.registers(), || Box::new(FakeLines::default())).unwrap()
    }

    #[test]
    fn the_handshake_over_mmio() {
        let memory = ram_device(2);
        memory.write_u64(0x100, 0x0102_0304_0506_0708);
        let (kind, transport) = open(&memory);
        let mut transport = transport.unwrap();
        assert_eq!(kind, DeviceType::Block);
        // Plain memory offers the same bits in both halves.
        assert_eq!(transport.begin(BOTH), Ok(FIRST | Features::VERSION_1));
        assert_eq!(memory.read_u32(0x70), 1 | 2 | 8);
        assert_eq!(transport.config_u64(0), 0x0102_0304_0506_0708);
        assert_eq!(transport.config_u16(2), 0x0506);
        assert_eq!(transport.config_u32(0x10_0000), 0);
        let queue = transport.queue(3, 4, 0).unwrap();
        assert_eq!((queue.size(), memory.read_u32(0x30), memory.read_u32(0x44)), (4, 3, 1));
        transport.finish();
        assert_eq!(memory.read_u32(0x70), 1 | 2 | 4 | 8);
    }

    #[test]
    fn interrupts_are_acknowledged_before_the_handler() {
        let memory = ram_device(2);
        let lines = FakeLines::default();
        let (_, transport) = mmio::open(memory.registers(), || Box::new(lines.clone())).unwrap();
        let mut transport = transport.unwrap();
        let seen = alloc::sync::Arc::new(core::sync::atomic::AtomicU32::new(0));
        let acknowledged = seen.clone();
        let handler =
            move || acknowledged.store(memory.read_u32(0x64), core::sync::atomic::Ordering::Relaxed);
        transport.connect(0, Box::new(handler)).unwrap();
        lines.raise(0);
        assert_eq!(seen.load(core::sync::atomic::Ordering::Relaxed), 3);
    }

    #[test]
    fn devices_that_cannot_be_used() {
        let legacy = ram_device(1);
        assert_eq!(open(&legacy).1.err(), Some(VirtioError::Legacy));
        let old = ram_device(2);
        old.write_u32(0x10, 0);
        let mut transport = open(&old).1.unwrap();
        assert_eq!(transport.begin(BOTH), Err(VirtioError::Legacy));
        drop(transport);
        assert_eq!(old.read_u32(0x70), 0, "reset when given up");
        let no_queue = ram_device(2);
        no_queue.write_u32(0x34, 0);
        let mut transport = open(&no_queue).1.unwrap();
        assert_eq!(transport.queue(0, 4, 0).err(), Some(VirtioError::NoQueue(0)));
        let nothing = ram_device(2);
        nothing.write_u32(0x08, 0);
        assert!(mmio::open(nothing.registers(), || Box::new(FakeLines::default())).is_none());
        nothing.write_u32(0x00, 0);
        assert!(mmio::open(nothing.registers(), || Box::new(FakeLines::default())).is_none());
    }
}
