//! Buffers for packets, and the Internet checksum.

use crate::link::{PartialChecksum, Segmentation, TxOffload};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// Bytes before the IP header that are kept free: for the Ethernet header and a header of the driver's before that.
pub(crate) const HEADROOM: usize = 32;

/// A frame to be sent: Ethernet header and IP packet in one buffer, with room before it.
#[derive(Debug)]
pub struct Frame {
    buffer: Vec<u8>,
    start: usize,
    offload: TxOffload,
}

impl Frame {
    /// The bytes, from the Ethernet header on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// What the card shall do with it.
    #[must_use]
    pub fn offload(&self) -> TxOffload {
        self.offload
    }

    /// Puts `header` before the bytes, in place if it has up to 16 bytes (a virtio-net header has 12).
    pub fn prepend(&mut self, header: &[u8]) {
        if let Some(start) = self.start.checked_sub(header.len()) {
            self.buffer[start..self.start].copy_from_slice(header);
            self.start = start;
        } else {
            self.buffer.splice(..self.start, header.iter().copied());
            self.start = 0;
        }
    }

    /// The buffer, and where in it the bytes begin.
    #[must_use]
    pub fn into_buffer(self) -> (Vec<u8>, usize) {
        (self.buffer, self.start)
    }

    /// A frame around bytes that are one already.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut buffer = Vec::with_capacity(HEADROOM + bytes.len());
        buffer.resize(HEADROOM - ETHERNET_HEADER, 0);
        buffer.extend_from_slice(bytes);
        Self { buffer, start: HEADROOM - ETHERNET_HEADER, offload: TxOffload::default() }
    }
}

/// An IP packet with room before it.
#[derive(Debug)]
pub(crate) struct Packet {
    buffer: Vec<u8>,
    start: usize,
    /// Relative to the IP header.
    pub(crate) checksum: Option<PartialChecksum>,
    pub(crate) segmentation: Option<Segmentation>,
}

impl Packet {
    /// A packet whose first `header` bytes are zero; the buffer has room for `payload` more.
    pub(crate) fn new(header: usize, payload: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADROOM + header + payload);
        buffer.resize(HEADROOM + header, 0);
        Self { buffer, start: HEADROOM, checksum: None, segmentation: None }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The end of the packet, to which payload is appended.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The buffer, and where in it the packet begins.
    pub(crate) fn into_buffer(self) -> (Vec<u8>, usize) {
        (self.buffer, self.start)
    }

    /// The packet behind an Ethernet header.
    pub(crate) fn into_frame(mut self, to: [u8; 6], from: [u8; 6]) -> Frame {
        let ethertype: [u8; 2] =
            if self.bytes().first().is_some_and(|byte| byte >> 4 == 6) { [0x86, 0xdd] } else { [0x08, 0x00] };
        let start = self.start - ETHERNET_HEADER;
        let header = &mut self.buffer[start..self.start];
        header[..6].copy_from_slice(&to);
        header[6..12].copy_from_slice(&from);
        header[12..].copy_from_slice(&ethertype);
        let moved = ETHERNET_HEADER as u16;
        Frame {
            buffer: self.buffer,
            start,
            offload: TxOffload {
                checksum: self.checksum.map(|at| PartialChecksum { start: at.start + moved, ..at }),
                segmentation: self
                    .segmentation
                    .map(|s| Segmentation { header_len: s.header_len + moved, ..s }),
            },
        }
    }
}

/// The sum of 16-bit words (RFC 1071), not yet folded or complemented.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The sum over the pseudo header of TCP, UDP (RFC 9293, section 3.1) and ICMPv6 (RFC 8200, section 8.1).
    pub(crate) fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> Self {
        let sum = Self(len as u64 + u64::from(protocol));
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => sum.add(&from.octets()).add(&to.octets()),
            (from, to) => sum.add(&v6(from)).add(&v6(to)),
        }
    }

    /// Adds bytes that begin at an even offset.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        // In native order, eight bytes at a time; the byte order is mended once at the end (RFC 1071, section 2).
        let mut sum = 0_u64;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_ne_bytes(*word);
            sum += (word & 0xffff_ffff) + (word >> 32);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let word = u64::from_ne_bytes(last);
        sum += (word & 0xffff_ffff) + (word >> 32);
        Self(self.0 + u64::from(u16::from_be(fold(sum))))
    }

    /// The folded sum: what a card that completes the checksum starts from.
    pub(crate) fn partial(self) -> u16 {
        fold(self.0)
    }

    /// The checksum.
    pub(crate) fn complement(self) -> u16 {
        !fold(self.0)
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn v6(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn checksum_is_rfc_1071(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Sum::default().add(&bytes).complement(), slow(&bytes));
        }
    }

    #[test]
    fn frame_has_room_for_a_header() {
        let mut packet = Packet::new(20, 0);
        packet.bytes_mut()[0] = 0x45;
        packet.checksum = Some(PartialChecksum { start: 20, offset: 16 });
        let mut frame = packet.into_frame([1; 6], [2; 6]);
        assert_eq!(frame.bytes()[..14], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0]);
        assert_eq!(frame.offload().checksum.unwrap().start, 34);
        frame.prepend(&[9; 12]);
        assert_eq!(frame.bytes().len(), 12 + 14 + 20);
        frame.prepend(&[8; 40]);
        assert_eq!(frame.bytes().len(), 40 + 12 + 14 + 20);
        assert_eq!(frame.bytes()[39..41], [8, 9]);
    }
}
