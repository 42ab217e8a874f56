//! What a driver needs from the transport, whichever it is.

use super::dma::DmaMemory;
use super::mmio::Mmio;
use super::pci::Pci;
use super::queue::{Layout, VirtQueue};
use super::{VirtioError, feature, status};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Called in interrupt context, with no lock held.
pub(crate) type Handler = Box<dyn Fn() + Send + Sync>;

/// The device's interrupts as the architecture delivers them.
pub(crate) trait InterruptLines: Send {
    /// How many different interrupts the device can raise.
    fn count(&self) -> u16;
    /// Has the handler called for the device's interrupt `line`; false if there is no vector left.
    fn connect(&mut self, line: u16, handler: Handler) -> bool;
}

/// The registers behind either transport.
#[derive(Debug)]
pub(crate) enum Interface {
    /// Virtio over MMIO.
    Mmio(Mmio),
    /// Virtio over PCI.
    Pci(Pci),
}

macro_rules! either {
    ($self:ident, $inner:ident => $call:expr) => {
        match &$self.interface {
            Interface::Mmio($inner) => $call,
            Interface::Pci($inner) => $call,
        }
    };
}

/// A device being set up (virtio 1.2, section 3.1). Once it runs, the driver needs only its queues.
pub(crate) struct Transport {
    interface: Interface,
    interrupts: Box<dyn InterruptLines>,
    queues: Vec<u16>,
}

impl Transport {
    /// A device that was found.
    pub(crate) fn new(interface: Interface, interrupts: Box<dyn InterruptLines>) -> Self {
        Self { interface, interrupts, queues: Vec::new() }
    }

    /// Resets the device and agrees on the features: those `wanted` (VERSION_1 is always wanted) that it offers.
    pub(crate) fn begin(&mut self, wanted: u64) -> Result<u64, VirtioError> {
        either!(self, device => {
            device.set_status(0);
            device.set_status(status::ACKNOWLEDGE | status::DRIVER);
            let offered = device.features();
            if offered & feature::VERSION_1 == 0 {
                device.set_status(status::FAILED);
                return Err(VirtioError::Legacy);
            }
            let chosen = offered & (wanted | feature::VERSION_1);
            device.set_features(chosen);
            device.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
            if device.status() & status::FEATURES_OK == 0 {
                device.set_status(status::FAILED);
                return Err(VirtioError::FeaturesRefused);
            }
            Ok(chosen)
        })
    }

    /// How many different interrupts the device can raise.
    pub(crate) fn lines(&self) -> u16 {
        self.interrupts.count()
    }

    /// Makes queue `index`, of at most `most` entries, which raises the interrupt `line`.
    pub(crate) fn queue(&mut self, index: u16, most: u16, line: u16) -> Result<VirtQueue, VirtioError> {
        let offered = either!(self, device => device.queue_size(index));
        if offered == 0 {
            return Err(VirtioError::NoQueue(index));
        }
        // The largest power of two that both sides accept.
        let size = 1u16 << offered.min(most).ilog2();
        let layout = Layout::new(size);
        let rings = DmaMemory::alloc(layout.bytes())?;
        let (descriptors, avail, used) =
            (rings.physical(0), rings.physical(layout.avail()), rings.physical(layout.used()));
        let notifier = either!(self, device => device.set_queue(index, size, descriptors, avail, used))?;
        if let Interface::Pci(device) = &self.interface {
            device.set_queue_vector(line)?;
        }
        self.queues.push(index);
        Ok(VirtQueue::new(rings, size, notifier))
    }

    /// Has `handler` called for the interrupt `line`. It looks at the rings to find out why.
    pub(crate) fn connect(&mut self, line: u16, handler: Handler) -> Result<(), VirtioError> {
        let handler: Handler = match &self.interface {
            Interface::Mmio(device) => {
                let acknowledge = device.acknowledge();
                Box::new(move || {
                    acknowledge();
                    handler();
                })
            }
            Interface::Pci(_) => handler,
        };
        if self.interrupts.connect(line, handler) { Ok(()) } else { Err(VirtioError::NoInterrupt) }
    }

    /// The device may run from here on.
    pub(crate) fn finish(&self) {
        either!(self, device => {
            for queue in &self.queues {
                device.enable_queue(*queue);
            }
            device.set_status(
                status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK,
            );
        });
    }

    /// A 16-bit field of the device's configuration; 0 if the configuration is too short.
    pub(crate) fn config_u16(&self, offset: usize) -> u16 {
        let config = either!(self, device => device.config());
        config.filter(|config| offset + 2 <= config.len()).map_or(0, |config| config.read_u16(offset))
    }

    /// A 32-bit field of the device's configuration; 0 if the configuration is too short.
    pub(crate) fn config_u32(&self, offset: usize) -> u32 {
        let config = either!(self, device => device.config());
        config.filter(|config| offset + 4 <= config.len()).map_or(0, |config| config.read_u32(offset))
    }

    /// A 64-bit field of the device's configuration, read again if the device changed it meanwhile.
    pub(crate) fn config_u64(&self, offset: usize) -> u64 {
        // A device that changes its configuration all the time is given up on after a few tries.
        let mut value = 0;
        for _ in 0..8 {
            let before = either!(self, device => device.config_generation());
            value = u64::from(self.config_u32(offset)) | u64::from(self.config_u32(offset + 4)) << 32;
            if before == either!(self, device => device.config_generation()) {
                break;
            }
        }
        value
    }
}
