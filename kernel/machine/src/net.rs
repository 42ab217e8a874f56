//! Network devices: what carries Ethernet frames. What is in the frames is not known here.

use alloc::sync::Arc;

use crate::frame::OutOfMemory;

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER: usize = 14;
/// Most bytes of a frame: a large one with an IP packet of 65,535 bytes, and a VLAN tag.
pub const MOST_FRAME_BYTES: usize = 65_535 + ETHERNET_HEADER + 4;

/// The device has no room for a frame; [`Receiver::room`] is called when it has again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What a device does so that the stack need not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Fills in the checksum of a frame to send ([`Outgoing::checksum`]).
    pub checksum: bool,
    /// Has checked, or not garbled, the checksums of received frames where [`Incoming::checksum`] says so.
    pub receive_checksum: bool,
    /// Cuts large TCP segments over IPv4 up ([`Outgoing::large`]).
    pub tcp4: bool,
    /// The same over IPv6.
    pub tcp6: bool,
    /// Gives several received TCP segments as one large frame ([`Incoming::large`]), over IPv4.
    pub receive_tcp4: bool,
    /// The same over IPv6.
    pub receive_tcp6: bool,
}

/// Where the device is to store a checksum: as in Linux's `csum_start` and `csum_offset` (virtio 1.2, section 5.1.6.2).
///
/// It is that of all bytes from `start` on, and the sum of the pseudo header is already where it is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Where in the frame the sum begins.
    pub start: u16,
    /// Where it is stored, from `start`.
    pub offset: u16,
}

/// The protocol of a frame that stands for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
}

/// A frame that stands for several TCP segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Large {
    /// Its protocol.
    pub kind: LargeKind,
    /// Bytes of TCP data in each frame but the last.
    pub segment: u16,
}

/// A frame to be sent. The default carries nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The frame from its Ethernet header on (without the check sequence at the end), in pieces.
    pub pieces: &'a [&'a [u8]],
    /// The checksum to be filled in; needs [`Offloads::checksum`].
    pub checksum: Option<Partial>,
    /// The frame is to be cut up; needs the offload for it, and `checksum`.
    pub large: Option<Large>,
    /// Bytes of all headers of a large frame (Ethernet, IP and TCP).
    pub header_len: u16,
}

/// What is known of a received frame's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it is to be checked.
    Unknown,
    /// The device found it to be right.
    Right,
    /// The frame never left the host, and its data needs no check; the checksum is still to be filled in should it go
    /// anywhere else.
    Partial(Partial),
}

/// What is known of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Of the TCP or UDP checksum.
    pub checksum: Checksum,
    /// The frame stands for several.
    pub large: Option<Large>,
}

/// What a device has done so far, in the terms of Linux's `rtnl_link_stats64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames received in a form that cannot be right.
    pub rx_errors: u64,
    /// Frames taken over to be sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that the device cannot send: too long, or with an offload that was not agreed on.
    pub tx_errors: u64,
    /// Frames that were not sent for want of memory.
    pub tx_dropped: u64,
}

/// Who is given what a device receives. All calls come from the device's own threads, of which there is one for each queue, so
/// several calls may run at once. They may sleep, but nothing is received meanwhile.
pub trait Receiver: Send + Sync {
    /// A frame came in, Ethernet header first.
    fn frame(&self, bytes: &[u8], incoming: Incoming);
    /// No more frames for now: what they call for (acknowledgements) can be sent.
    fn end_of_batch(&self) {}
    /// There is room again after a [`Full`].
    fn room(&self);
    /// The link went up or down.
    fn link_changed(&self, up: bool);
}

/// A network device. Frames are Ethernet's.
pub trait NetDevice: Send + Sync {
    /// A short name, as `eth0`.
    fn name(&self) -> &str;
    /// Its address.
    fn mac(&self) -> [u8; 6];
    /// The largest packet in bytes, without the Ethernet header.
    fn mtu(&self) -> u16;
    /// Whether it has a carrier.
    fn link_up(&self) -> bool;
    /// What it does for the stack.
    fn offloads(&self) -> Offloads;
    /// Copies a frame and queues it. The device may not see it before [`flush`](Self::flush).
    ///
    /// A frame that the device cannot send is counted and dropped.
    ///
    /// # Errors
    /// [`Full`] if there is no room.
    fn transmit(&self, frame: &Outgoing<'_>) -> Result<(), Full>;
    /// Tells the device of the frames queued, if it wants to be told.
    fn flush(&self);
    /// Lets it receive. Called once, from a thread; may sleep.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is no memory for threads or buffers.
    fn start(self: Arc<Self>, receiver: Arc<dyn Receiver>) -> Result<(), OutOfMemory>;
    /// What it has done so far.
    fn counters(&self) -> Counters;
}
