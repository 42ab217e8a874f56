//! IP headers (RFC 791, RFC 8200).

use crate::addr::FlowKey;
use crate::link::{PartialChecksum, Segmentation};
use crate::packet::{Packet, Sum};
use crate::route::Path;
use crate::tcp::{Chunk, Payload};
use core::net::{IpAddr, Ipv6Addr};
use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;

/// Bytes of an IP header without options.
pub(crate) fn header_len(addr: IpAddr) -> usize {
    if addr.is_ipv4() { V4_HEADER } else { V6_HEADER }
}

/// What an IP header says besides addresses and lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// Tells flows of two hosts apart, for the flow label.
    pub(crate) flow: u16,
}

/// A packet with its IP header; `transport` bytes after it are zero, and there is room for `payload` more.
pub(crate) fn packet(from: IpAddr, to: IpAddr, transport: usize, payload: usize, header: &Header) -> Packet {
    let ip = header_len(to);
    let mut packet = Packet::new(ip + transport, payload);
    write_header(packet.bytes_mut(), from, to, transport + payload, header);
    packet
}

/// Writes an IP header for `len` bytes; do not fragment.
pub(crate) fn write_header(bytes: &mut [u8], from: IpAddr, to: IpAddr, len: usize, header: &Header) {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = (V4_HEADER + len).min(65_535) as u16;
            bytes[0] = 0x45;
            bytes[1] = header.tos;
            bytes[2..4].copy_from_slice(&total.to_be_bytes());
            bytes[4..8].copy_from_slice(&[0, 0, 0x40, 0]);
            bytes[8..12].copy_from_slice(&[header.ttl, header.protocol, 0, 0]);
            bytes[12..16].copy_from_slice(&from.octets());
            bytes[16..20].copy_from_slice(&to.octets());
            let sum = Sum::default().add(&bytes[..V4_HEADER]).complement();
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            let (from, to) = (as_v6(from), as_v6(to));
            let flow = 0x6000_0000 | u32::from(header.tos) << 20 | u32::from(header.flow);
            bytes[0..4].copy_from_slice(&flow.to_be_bytes());
            bytes[4..6].copy_from_slice(&(len.min(65_535) as u16).to_be_bytes());
            bytes[6..8].copy_from_slice(&[header.protocol, header.ttl]);
            bytes[8..24].copy_from_slice(&from.octets());
            bytes[24..40].copy_from_slice(&to.octets());
        }
    }
}

fn as_v6(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    }
}

/// Fills in TCP's checksum, or has the card do it, and says how to cut the packet up.
pub(crate) fn finish_tcp(packet: &mut Packet, path: &Path, key: FlowKey, cut: Option<usize>, header: usize) {
    finish_checksum(packet, path, key.local.addr, key.remote.addr, TCP, 16);
    packet.segmentation = cut.map(|mss| Segmentation {
        v6: key.remote.addr.is_ipv6(),
        mss: mss.min(65_535) as u16,
        header_len: (header_len(key.remote.addr) + header) as u16,
    });
}

/// Fills in UDP's checksum. A datagram that is going to be cut into fragments needs it whole.
pub(crate) fn finish_udp(packet: &mut Packet, path: &Path, from: IpAddr, to: IpAddr, fragments: bool) {
    if !fragments {
        finish_checksum(packet, path, from, to, UDP, 6);
        return;
    }
    let start = header_len(to);
    let bytes = &packet.bytes()[start..];
    let sum = match Sum::pseudo_header(from, to, UDP, bytes.len()).add(bytes).complement() {
        0 => 0xffff,
        sum => sum,
    };
    packet.bytes_mut()[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
}

/// Fills in the checksum of TCP or UDP at `offset` of its header, or has the card do it. Not on loopback: nothing can happen to a
/// packet there.
pub(crate) fn finish_checksum(
    packet: &mut Packet,
    path: &Path,
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    offset: usize,
) {
    if path.interface.is_loopback() {
        return;
    }
    let start = header_len(to);
    let bytes = &mut packet.bytes_mut()[start..];
    let pseudo = Sum::pseudo_header(from, to, protocol, bytes.len());
    let sum = if path.interface.offloads().tx_checksum {
        let at = PartialChecksum { start: start as u16, offset: offset as u16 };
        let sum = pseudo.partial();
        packet.checksum = Some(at);
        sum
    } else {
        match pseudo.add(bytes).complement() {
            // Zero says that a datagram has none (RFC 768).
            0 if protocol == UDP => 0xffff,
            sum => sum,
        }
    };
    packet.bytes_mut()[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
}

/// A received packet: borrowed from the driver, or with its buffer.
pub(crate) enum Datagram<'a> {
    Borrowed(&'a [u8]),
    Owned(Packet),
}

impl<'a> Datagram<'a> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(packet) => packet.bytes(),
        }
    }

    /// A part of it as a payload.
    pub(crate) fn into_payload(self, start: usize, end: usize) -> Payload<'a> {
        match self {
            Self::Borrowed(bytes) => Payload::Borrowed(&bytes[start..end]),
            Self::Owned(packet) => {
                let (mut buffer, at) = packet.into_buffer();
                buffer.truncate(at + end);
                Payload::Owned(Chunk { buffer, start: at + start })
            }
        }
    }
}

/// A received packet's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// Where the payload begins and ends; the rest is padding.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// If it is a fragment.
    pub(crate) fragment: Option<Fragment>,
}

/// Which fragment of which packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) id: u32,
    pub(crate) offset: usize,
    pub(crate) more: bool,
}

/// Reads the header of an IP packet. `None` if it is malformed.
pub(crate) fn parse(bytes: &[u8]) -> Option<Received> {
    match bytes.first()? >> 4 {
        4 => parse_v4(bytes),
        6 => parse_v6(bytes),
        _ => None,
    }
}

fn parse_v4(bytes: &[u8]) -> Option<Received> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    let (start, end) = (usize::from(packet.header_len()), usize::from(packet.total_len()));
    if start < V4_HEADER || start > end || end > bytes.len() || !packet.verify_checksum() {
        return None;
    }
    let (offset, more) = (usize::from(packet.frag_offset()), packet.more_frags());
    let fragment = (offset != 0 || more).then(|| Fragment { id: packet.ident().into(), offset, more });
    Some(Received {
        from: IpAddr::V4(packet.src_addr()),
        to: IpAddr::V4(packet.dst_addr()),
        protocol: packet.next_header().into(),
        ttl: packet.hop_limit(),
        tos: bytes[1],
        start,
        end,
        fragment,
    })
}

/// Extension headers of one packet; more are not worth reading.
const MAX_EXTENSIONS: usize = 8;

fn parse_v6(bytes: &[u8]) -> Option<Received> {
    let packet = Ipv6Packet::new_checked(bytes).ok()?;
    let end = packet.total_len();
    if end > bytes.len() {
        return None;
    }
    let mut received = Received {
        from: IpAddr::V6(packet.src_addr()),
        to: IpAddr::V6(packet.dst_addr()),
        protocol: packet.next_header().into(),
        ttl: packet.hop_limit(),
        tos: packet.traffic_class(),
        start: V6_HEADER,
        end,
        fragment: None,
    };
    // Hop-by-hop options, routing, fragment, destination options (RFC 8200, section 4).
    for _ in 0..MAX_EXTENSIONS {
        let rest = &bytes[received.start..end];
        let len = match received.protocol {
            0 | 43 | 60 => 8 * (usize::from(*rest.get(1)?) + 1),
            44 => {
                let header: &[u8; 8] = rest.first_chunk()?;
                let offset = usize::from(u16::from_be_bytes([header[2], header[3]]));
                let fragment = Fragment {
                    id: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                    offset: offset & !7,
                    more: offset & 1 != 0,
                };
                received.fragment = (fragment.offset != 0 || fragment.more).then_some(fragment);
                8
            }
            _ => return Some(received),
        };
        let next = rest.get(..len)?[0];
        let was_fragment = received.protocol == 44;
        received.protocol = next;
        received.start += len;
        if was_fragment && received.fragment.is_some() {
            return Some(received);
        }
    }
    None
}

/// Whether an address may be the source of a packet from outside.
pub(crate) fn is_plausible_source(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => !addr.is_multicast() && !addr.is_broadcast() && !addr.is_loopback(),
        IpAddr::V6(addr) => !addr.is_multicast() && !addr.is_loopback() && addr.to_ipv4_mapped().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_parse_or_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..160), version in 0_u8..3) {
            if let Some(first) = bytes.first_mut() {
                *first = match version { 0 => 0x45, 1 => 0x60, _ => *first };
            }
            if let Some(received) = parse(&bytes) {
                prop_assert!(received.start <= received.end && received.end <= bytes.len());
            }
        }

        #[test]
        fn written_is_parsed(v6: bool, ttl: u8, tos: u8, len in 0_usize..100) {
            let (from, to): (IpAddr, IpAddr) = if v6 {
                ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
            } else {
                ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
            };
            let start = header_len(to);
            let mut bytes = vec![0; start + len + 3];
            write_header(&mut bytes, from, to, len, &Header { protocol: UDP, ttl, tos, flow: 0 });
            let received = parse(&bytes).unwrap();
            prop_assert_eq!(received, Received { from, to, protocol: UDP, ttl, tos, start, end: start + len, fragment: None });
        }
    }
}
