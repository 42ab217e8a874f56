//! The devices that were found.

use crate::block::BlockDevice;
use crate::net::NetDevice;
use crate::port::Port;
use crate::sync::SpinLock;
use alloc::sync::Arc;
use alloc::vec::Vec;

static BLOCKS: SpinLock<Vec<Arc<dyn BlockDevice>>> = SpinLock::new(Vec::new());
static NETS: SpinLock<Vec<Arc<dyn NetDevice>>> = SpinLock::new(Vec::new());
/// A handful at most, by number.
static PORTS: SpinLock<Vec<(u32, Arc<dyn Port>)>> = SpinLock::new(Vec::new());
static SERIAL: SpinLock<Option<Arc<dyn Port>>> = SpinLock::new(None);

/// The disks, in the order found: on the command line, or by PCI device number.
#[must_use]
pub fn blocks() -> Vec<Arc<dyn BlockDevice>> {
    BLOCKS.lock().clone()
}

/// The network devices, in the order found, as [`blocks`]. Which is which, their addresses tell.
#[must_use]
pub fn nets() -> Vec<Arc<dyn NetDevice>> {
    NETS.lock().clone()
}

/// The virtio-serial port with this number.
#[must_use]
pub fn port(number: u32) -> Option<Arc<dyn Port>> {
    PORTS.lock().iter().find(|port| port.0 == number).map(|port| port.1.clone())
}

/// The first serial line (COM1), for a console where there is no virtio-serial device. From the first call on, it
/// receives.
#[must_use]
pub fn serial_port() -> Option<Arc<dyn Port>> {
    let mut serial = SERIAL.lock();
    if serial.is_none() {
        *serial = crate::arch::devices::serial_port();
    }
    serial.clone()
}

/// Adds a disk.
pub fn add_block(device: Arc<dyn BlockDevice>) {
    BLOCKS.lock().push(device);
}

/// Adds a network device.
pub fn add_net(device: Arc<dyn NetDevice>) {
    NETS.lock().push(device);
}

/// Adds a port, in place of an earlier one of the same number.
pub fn add_port(number: u32, port: Arc<dyn Port>) {
    let mut ports = PORTS.lock();
    ports.retain(|port| port.0 != number);
    ports.push((number, port));
}
