//! Virtio devices (virtio 1.2), the part that is the same on every architecture.
//!
//! The queue and the transports are our own and not those of the crate `virtio-drivers`, for these reasons: that
//! crate's queue takes `&mut [u8]` for the device's buffers, and no Rust reference to a page which a
//! program may have mapped can be sound; its size is fixed at compile time; it allocates an indirect
//! table on the heap for each request; its PCI transport has no MSI-X and reads a register for every kick.
//!
//! Only the modern interface (VIRTIO_F_VERSION_1) and split queues. EVENT_IDX is not negotiated, so the
//! flags of the rings alone say who wants to be told.

pub(crate) mod block;
pub(crate) mod block_queue;
pub(crate) mod capabilities;
pub(crate) mod command_line;
pub(crate) mod console;
pub(crate) mod dma;
pub(crate) mod entropy;
pub(crate) mod mmio;
pub(crate) mod pci;
pub(crate) mod queue;
pub(crate) mod registers;
pub(crate) mod transport;

#[cfg(test)]
pub(crate) mod fake_device;

/// Device types (virtio 1.2, section 5).
pub(crate) mod device_type {
    pub(crate) const BLOCK: u32 = 2;
    pub(crate) const CONSOLE: u32 = 3;
    pub(crate) const ENTROPY: u32 = 4;
}

/// Feature bits common to all devices (virtio 1.2, section 6).
pub(crate) mod feature {
    pub(crate) const INDIRECT_DESC: u64 = 1 << 28;
    pub(crate) const VERSION_1: u64 = 1 << 32;
}

/// Bits of the device status (virtio 1.2, section 2.1).
pub(crate) mod status {
    pub(crate) const ACKNOWLEDGE: u8 = 1;
    pub(crate) const DRIVER: u8 = 2;
    pub(crate) const DRIVER_OK: u8 = 4;
    pub(crate) const FEATURES_OK: u8 = 8;
    pub(crate) const FAILED: u8 = 128;
}

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
