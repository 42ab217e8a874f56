//! Streams of bytes to and from the host.

use alloc::sync::Arc;

/// Called in interrupt context, with no lock of the port held, whenever something about a port may have changed.
pub type Listener = Arc<dyn Fn() + Send + Sync>;

/// One end of a byte stream whose other end is on the host (a port of a virtio-serial device, or a serial line).
///
/// Nothing here waits: who wants to wait sets a listener first and then tries.
pub trait Port: Send + Sync {
    /// Takes as many bytes as there is room for, and says how many; 0 if there is no room.
    fn write(&self, bytes: &[u8]) -> usize;
    /// Gives as many bytes as there are, up to the buffer's length; 0 if there are none now.
    fn read(&self, buffer: &mut [u8]) -> usize;
    /// There are bytes to read.
    fn has_input(&self) -> bool;
    /// `write` would take at least one byte.
    fn can_write(&self) -> bool;
    /// The host closed its end, and all it sent has been read. It may connect again.
    fn peer_closed(&self) -> bool;
    /// The monitor has taken all bytes written.
    fn is_flushed(&self) -> bool;
    /// Sets the one listener; called on input, room after a short `write` or after `can_write` or `is_flushed` said no, the
    /// host opening or closing its end.
    fn set_listener(&self, listener: Listener);
}
