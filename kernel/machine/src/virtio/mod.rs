//! Virtio devices (virtio 1.2), the part that is the same on every architecture.
//!
//! The crate `virtio-drivers` finds the devices and speaks to them: PCI's configuration space, BARs and capabilities, both
//! transports, status, features and configuration, and the queues of the console and the entropy device
//! ([`buffer_queue`]). Ours are:
//!
//! - MSI-X, which the crate does not have, and the registers for notifying and acknowledging ([`transport`]): its PCI transport
//!   reads a register for every notification, its MMIO transport one for every interrupt, and each is an exit;
//! - the queue of disks and network devices ([`queue`]). The crate's takes the device's buffers as `&mut [u8]`, and a disk reads into pages that
//!   programs may have mapped, to which no Rust reference can be sound. Besides, it allocates an indirect table on the heap
//!   for each request, or without its `alloc` feature has no indirect tables at all, so that a request of 62 pages
//!   would take a quarter of the queue; and its size is fixed at compile time, where a device may offer less.
//!
//! Only the modern interface (VIRTIO_F_VERSION_1) and split queues. EVENT_IDX is negotiated by network devices only, where our own
//! queue does the arithmetic; for the others the flags of the rings say who wants to be told.

pub(crate) mod block;
pub(crate) mod block_queue;
pub(crate) mod buffer;
pub(crate) mod buffer_queue;
pub(crate) mod command_line;
pub(crate) mod config_space;
pub(crate) mod console;
pub(crate) mod dma;
pub(crate) mod entropy;
pub(crate) mod hal;
pub(crate) mod mmio;
pub(crate) mod net;
pub(crate) mod notifier;
pub(crate) mod pci;
pub(crate) mod queue;
pub(crate) mod registers;
pub(crate) mod transport;

#[cfg(test)]
pub(crate) mod fake_device;

use transport::Transport;
use virtio_drivers::transport::DeviceType;

bitflags::bitflags! {
    /// Feature bits: those common to all devices (virtio 1.2, section 6). Each driver names its device's own.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Features: u64 {
        /// Indirect tables of descriptors.
        const INDIRECT_DESC = 1 << 28;
        /// Both sides say after how many buffers they want to hear from the other.
        const EVENT_IDX = 1 << 29;
        /// The modern interface.
        const VERSION_1 = 1 << 32;
        const _ = !0;
    }
}

/// A device that was found: its type, and the transport or why it cannot be used.
pub(crate) type VirtioFound = (DeviceType, Result<Transport, VirtioError>);

/// Why a virtio device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VirtioError {
    /// The device does not offer VIRTIO_F_VERSION_1 (QEMU: `-global virtio-mmio.force-legacy=false`).
    Legacy,
    /// The device refused the features we chose.
    FeaturesRefused,
    /// A queue that the device type must have is missing, or is in use.
    NoQueue(u16),
    /// A structure of the PCI transport is missing or lies outside its BAR.
    BadCapability,
    /// The device has no interrupt we can use (on PCI: no MSI-X).
    NoInterrupt,
    /// No memory for the rings.
    OutOfMemory,
}

impl core::fmt::Display for VirtioError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Legacy => f.write_str(
                "only the legacy interface is offered (QEMU: -global virtio-mmio.force-legacy=false)",
            ),
            Self::FeaturesRefused => f.write_str("the device refused the features chosen"),
            Self::NoQueue(queue) => write!(f, "queue {queue} is missing or in use"),
            Self::BadCapability => f.write_str("a PCI capability is missing or damaged"),
            Self::NoInterrupt => f.write_str("no usable interrupt (MSI-X is needed on PCI)"),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl From<crate::frame::OutOfMemory> for VirtioError {
    fn from(_: crate::frame::OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}
