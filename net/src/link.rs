//! What a network card is to the stack.

use crate::packet::Frame;

/// A network card that carries Ethernet frames.
///
/// Its driver gives received frames to [`Stack::receive`](crate::Stack::receive), from a thread, not from an interrupt handler.
pub trait Link: Send + Sync {
    /// The largest IP packet in bytes, without the Ethernet header.
    fn mtu(&self) -> usize;

    /// The Ethernet address.
    fn mac(&self) -> [u8; 6];

    /// What the card does by itself.
    fn offloads(&self) -> Offloads;

    /// Takes a frame for sending. It may keep the buffer until the card has sent it. Called with no lock of the stack held,
    /// from any thread; frames of one call chain are given in order.
    ///
    /// # Errors
    /// The frame, if there is no room. The driver then calls [`Stack::transmit_ready`](crate::Stack::transmit_ready) when there is
    /// again; until then the interface keeps up to [`TX_QUEUE_LEN`](crate::interface::TX_QUEUE_LEN) frames.
    fn transmit(&self, frame: Frame) -> Result<(), Frame>;

    /// Whether the card has a carrier. The driver tells changes by [`Stack::link_changed`](crate::Stack::link_changed).
    fn is_up(&self) -> bool;
}

/// What a card does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// It completes a TCP or UDP checksum of which the pseudo header's part is there ([`TxOffload::checksum`]).
    pub tx_checksum: bool,
    /// The largest IPv4 packet in bytes that it cuts into TCP segments, 0 if it does not. Needs `tx_checksum`.
    pub tso_v4: usize,
    /// The same for IPv6.
    pub tso_v6: usize,
}

/// What the card shall do with a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxOffload {
    /// Sum up from one offset of the frame to its end and put the complement at another.
    pub checksum: Option<PartialChecksum>,
    /// Cut the frame into TCP segments.
    pub segmentation: Option<Segmentation>,
}

/// Where a checksum is to be completed. As `csum_start` and `csum_offset` of virtio (1.2, section 5.1.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Offset in the frame of the first byte to be summed.
    pub start: u16,
    /// Offset of the checksum from `start`.
    pub offset: u16,
}

/// How a frame is to be cut into TCP segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Whether the packet is IPv6.
    pub v6: bool,
    /// Bytes of payload a segment.
    pub mss: u16,
    /// Bytes of all headers, the Ethernet header too.
    pub header_len: u16,
}

/// What the card knows about the checksums of a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: the stack verifies it.
    #[default]
    Unknown,
    /// The TCP or UDP checksum is right, or was never completed because the frame did not leave the host
    /// (virtio's `DATA_VALID` and `NEEDS_CSUM`).
    Good,
}
