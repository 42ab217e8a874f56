//! The header before each frame, `struct virtio_net_hdr` (virtio 1.2, section 5.1.6).

use super::features::receives;
use crate::net::{Checksum, ETHERNET_HEADER, Incoming, Large, LargeKind, Offloads, Outgoing, Partial};

/// Its bytes: with VIRTIO_F_VERSION_1 the number of buffers is always there.
pub(super) const HEADER_BYTES: usize = 12;

const F_NEEDS_CSUM: u8 = 1;
const F_DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// An addition to the type; not to be expected, but harmless.
const GSO_ECN: u8 = 0x80;

/// The header of a frame to be sent.
pub(super) fn encode(frame: &Outgoing<'_>) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let mut put = |at: usize, value: u16| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    if let Some(Partial { start, offset }) = frame.checksum {
        put(6, start);
        put(8, offset);
    }
    if let Some(large) = frame.large {
        put(2, frame.header_len);
        put(4, large.segment);
    }
    bytes[0] = if frame.checksum.is_some() { F_NEEDS_CSUM } else { 0 };
    bytes[1] = match frame.large {
        None => GSO_NONE,
        Some(Large { kind: LargeKind::Tcp4, .. }) => GSO_TCPV4,
        Some(Large { kind: LargeKind::Tcp6, .. }) => GSO_TCPV6,
    };
    bytes
}

/// A received header, not yet checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header([u8; HEADER_BYTES]);

impl Header {
    pub(super) fn new(bytes: [u8; HEADER_BYTES]) -> Self {
        Self(bytes)
    }

    fn field(self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    /// Over how many buffers the frame is spread, if VIRTIO_NET_F_MRG_RXBUF was agreed on.
    pub(super) fn buffers(self) -> u16 {
        self.field(10)
    }

    /// What it says of a frame of `len` bytes; `None` if that cannot be.
    pub(super) fn check(self, offloads: Offloads, len: usize) -> Option<Incoming> {
        if len < ETHERNET_HEADER {
            return None;
        }
        let flags = if offloads.receive_checksum { self.0[0] } else { 0 };
        let checksum = if flags & F_NEEDS_CSUM != 0 {
            let partial = Partial { start: self.field(6), offset: self.field(8) };
            let end = usize::from(partial.start) + usize::from(partial.offset) + 2;
            if usize::from(partial.start) < ETHERNET_HEADER || end > len {
                return None;
            }
            Checksum::Partial(partial)
        } else if flags & F_DATA_VALID != 0 {
            Checksum::Right
        } else {
            Checksum::Unknown
        };
        let kind = match self.0[1] & !GSO_ECN {
            GSO_NONE => return Some(Incoming { checksum, large: None }),
            GSO_TCPV4 => LargeKind::Tcp4,
            GSO_TCPV6 => LargeKind::Tcp6,
            _ => return None,
        };
        let large = Large { kind, segment: self.field(4) };
        let possible = receives(offloads, kind) && large.segment > 0;
        possible.then_some(Incoming { checksum, large: Some(large) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offloads = Offloads {
        checksum: true,
        receive_checksum: true,
        tcp4: true,
        tcp6: true,
        receive_tcp4: true,
        receive_tcp6: true,
    };

    #[test]
    fn a_large_frame_there_and_back() {
        let large = Large { kind: LargeKind::Tcp6, segment: 1440 };
        let partial = Partial { start: 54, offset: 16 };
        let frame =
            Outgoing { checksum: Some(partial), large: Some(large), header_len: 74, ..Outgoing::default() };
        let bytes = encode(&frame);
        assert_eq!(bytes, [1, 4, 74, 0, 0xa0, 5, 54, 0, 16, 0, 0, 0]);
        let expected = Incoming { checksum: Checksum::Partial(partial), large: Some(large) };
        assert_eq!(Header::new(bytes).check(ALL, 2000), Some(expected));
        assert_eq!(Header::new(bytes).check(ALL, 71), None, "the checksum is outside of the frame");
        assert_eq!(Header::new(bytes).check(Offloads { receive_tcp6: false, ..ALL }, 2000), None);
        assert_eq!(encode(&Outgoing::default()), [0; HEADER_BYTES]);
    }

    #[test]
    fn flags_that_were_not_agreed_on_say_nothing() {
        let unknown = Incoming { checksum: Checksum::Unknown, large: None };
        let bytes = [3, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0];
        assert_eq!(Header::new(bytes).check(Offloads::default(), 60), Some(unknown));
        let right = Header::new([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]).check(ALL, 60);
        assert_eq!(right, Some(Incoming { checksum: Checksum::Right, large: None }));
        assert_eq!(Header::new([0; 12]).check(ALL, 13), None, "shorter than an Ethernet header");
        assert_eq!(
            Header::new([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]).check(ALL, 60),
            None,
            "segments of 0 bytes"
        );
    }
}
