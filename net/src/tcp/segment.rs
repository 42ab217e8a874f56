//! A TCP segment's header as a value (RFC 9293, section 3.1; options of RFC 7323 and RFC 2018).

use super::seq::Seq;
use crate::packet::Sum;
use bitflags::bitflags;
use core::net::IpAddr;
use smoltcp::wire::TcpPacket;

/// Bytes of a header without options.
pub(crate) const HEADER: usize = 20;
/// Bytes of the timestamp option with its padding.
pub(crate) const TIMESTAMP_LEN: usize = 12;
/// Largest shift of a window (RFC 7323, section 2.3).
const MAX_WINDOW_SCALE: u8 = 14;

bitflags! {
    /// The control bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Flags: u8 {
        const FIN = 0x01;
        const SYN = 0x02;
        const RST = 0x04;
        const PSH = 0x08;
        const ACK = 0x10;
    }
}

/// Blocks of a selective acknowledgement; up to four fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SackBlocks {
    blocks: [(Seq, Seq); 4],
    count: u8,
}

impl SackBlocks {
    pub(crate) fn push(&mut self, block: (Seq, Seq)) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.count)) {
            *slot = block;
            self.count += 1;
        }
    }

    pub(crate) fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count as u8);
    }

    pub(crate) fn as_slice(&self) -> &[(Seq, Seq)] {
        &self.blocks[..usize::from(self.count)]
    }
}

/// A header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) from_port: u16,
    pub(crate) to_port: u16,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As in the header, not scaled.
    pub(crate) window: u16,
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// Value and echo.
    pub(crate) timestamp: Option<(u32, u32)>,
    pub(crate) sack: SackBlocks,
    /// Bytes of payload.
    pub(crate) len: usize,
}

impl Segment {
    /// Reads a header; the payload begins at the second part of the answer. The checksum is verified if `verify`
    /// gives the addresses. `None` if the packet is malformed.
    pub(crate) fn parse(bytes: &[u8], verify: Option<(IpAddr, IpAddr)>) -> Option<(Self, usize)> {
        let packet = TcpPacket::new_checked(bytes).ok()?;
        let header = usize::from(packet.header_len());
        if header < HEADER || header > bytes.len() || packet.src_port() == 0 || packet.dst_port() == 0 {
            return None;
        }
        if let Some((from, to)) = verify
            && Sum::pseudo_header(from, to, 6, bytes.len()).add(bytes).complement() != 0
        {
            return None;
        }
        let mut segment = Self {
            from_port: packet.src_port(),
            to_port: packet.dst_port(),
            seq: Seq(packet.seq_number().0 as u32),
            ack: Seq(packet.ack_number().0 as u32),
            flags: Flags::from_bits_truncate(bytes[13]),
            window: packet.window_len(),
            len: bytes.len() - header,
            ..Self::default()
        };
        segment.parse_options(&bytes[HEADER..header]);
        Some((segment, header))
    }

    /// Options of a wrong length end the list, as in Linux; those before count.
    fn parse_options(&mut self, mut rest: &[u8]) {
        while let Some(&kind) = rest.first() {
            if kind == 0 {
                return;
            }
            if kind == 1 {
                rest = &rest[1..];
                continue;
            }
            let Some(&len) = rest.get(1) else { return };
            let len = usize::from(len);
            if len < 2 || len > rest.len() {
                return;
            }
            let body = &rest[2..len];
            match (kind, body) {
                (2, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
                (3, &[shift]) => self.window_scale = Some(shift.min(MAX_WINDOW_SCALE)),
                (4, []) => self.sack_permitted = true,
                (5, blocks) if blocks.len().is_multiple_of(8) => {
                    for block in blocks.as_chunks::<8>().0 {
                        let (left, right) = (word(&block[..4]), word(&block[4..]));
                        self.sack.push((Seq(left), Seq(right)));
                    }
                }
                (8, body) if body.len() == 8 => {
                    self.timestamp = Some((word(&body[..4]), word(&body[4..])));
                }
                _ => {}
            }
            rest = &rest[len..];
        }
    }

    /// Bytes of the header with its options.
    pub(crate) fn header_len(&self) -> usize {
        let mut len = HEADER;
        len += if self.mss.is_some() { 4 } else { 0 };
        len += if self.window_scale.is_some() { 4 } else { 0 };
        len += match (self.sack_permitted, self.timestamp.is_some()) {
            (true, false) => 4,
            // The padding of the timestamp takes it in.
            (_, true) => TIMESTAMP_LEN,
            (false, false) => 0,
        };
        len += match self.sack.as_slice().len() {
            0 => 0,
            count => 4 + 8 * count,
        };
        len
    }

    /// Writes the header to the front of `bytes`, which has [`header_len`](Self::header_len) bytes at least. The checksum is zero.
    pub(crate) fn emit(&self, bytes: &mut [u8]) {
        let header = self.header_len();
        bytes[0..2].copy_from_slice(&self.from_port.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.to_port.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        let ack = if self.flags.contains(Flags::ACK) { self.ack.0 } else { 0 };
        bytes[8..12].copy_from_slice(&ack.to_be_bytes());
        bytes[12] = ((header / 4) << 4) as u8;
        bytes[13] = self.flags.bits();
        bytes[14..16].copy_from_slice(&self.window.to_be_bytes());
        bytes[16..20].fill(0);
        let mut options = Writer { bytes: &mut bytes[HEADER..header], at: 0 };
        if let Some(mss) = self.mss {
            options.put(&[2, 4]);
            options.put(&mss.to_be_bytes());
        }
        if let Some((value, echo)) = self.timestamp {
            options.put(if self.sack_permitted { &[4, 2] } else { &[1, 1] });
            options.put(&[8, 10]);
            options.put(&value.to_be_bytes());
            options.put(&echo.to_be_bytes());
        } else if self.sack_permitted {
            options.put(&[1, 1, 4, 2]);
        }
        if let Some(shift) = self.window_scale {
            options.put(&[1, 3, 3, shift]);
        }
        let blocks = self.sack.as_slice();
        if !blocks.is_empty() {
            options.put(&[1, 1, 5, (2 + 8 * blocks.len()) as u8]);
            for (left, right) in blocks {
                options.put(&left.0.to_be_bytes());
                options.put(&right.0.to_be_bytes());
            }
        }
    }

    /// Sequence numbers it takes: its bytes, SYN and FIN.
    pub(crate) fn space(&self) -> usize {
        self.len + usize::from(self.flags.contains(Flags::SYN)) + usize::from(self.flags.contains(Flags::FIN))
    }

    /// The sequence number after it.
    pub(crate) fn end(&self) -> Seq {
        self.seq + self.space()
    }

    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(core::array::from_fn(|i| bytes[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_parse_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some((segment, at)) = Segment::parse(&bytes, None) {
                prop_assert_eq!(segment.len + at, bytes.len());
            }
        }

        #[test]
        fn emitted_is_parsed(
            seq: u32, ack: u32, flags in 0_u8..32, window: u16, mss: Option<u16>, scale in proptest::option::of(0_u8..15),
            sack_permitted: bool, timestamp: Option<(u32, u32)>, blocks in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..3),
        ) {
            let mut sack = SackBlocks::default();
            // SYN options and blocks never are in one segment; all of them would not fit.
            if mss.is_none() && scale.is_none() {
                blocks.iter().for_each(|&(left, right)| sack.push((Seq(left), Seq(right))));
            }
            let flags = Flags::from_bits_truncate(flags);
            let segment = Segment {
                from_port: 1, to_port: 2, seq: Seq(seq), flags, window, mss, window_scale: scale, sack_permitted, timestamp, sack,
                ack: if flags.contains(Flags::ACK) { Seq(ack) } else { Seq(0) }, len: 3,
            };
            let mut bytes = vec![0; segment.header_len() + 3];
            segment.emit(&mut bytes);
            let (parsed, at) = Segment::parse(&bytes, None).unwrap();
            prop_assert_eq!(at, segment.header_len());
            prop_assert_eq!(parsed, segment);
        }
    }
}
