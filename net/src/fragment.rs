//! Fragments of IP packets: putting them together (RFC 791, RFC 8200 section 4.5, RFC 5722) and making them.

use crate::addr::{Nanos, SECOND};
use crate::interface::{Interface, MAX_PACKET};
use crate::ip::{self, Datagram, Received};
use crate::output::Output;
use crate::packet::{Packet, Sum};
use crate::stack::Stack;
use crate::timer::Timer;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

/// How long parts wait for the rest (net.ipv4.ipfrag_time).
const TIMEOUT: Nanos = 30 * SECOND;
/// Bytes of all parts that wait (Linux's ipfrag_high_thresh is 4 MiB).
const MAX_BYTES: usize = 1 << 20;
/// Packets of which parts wait.
const MAX_PACKETS: usize = 256;
/// Parts of one packet.
const MAX_PARTS: usize = 64;

type Id = (IpAddr, IpAddr, u32, u8);

/// Parts of packets.
#[derive(Default)]
pub(crate) struct Reassembly {
    packets: BTreeMap<Id, Parts>,
    bytes: usize,
    timer: bool,
}

#[derive(Default)]
struct Parts {
    /// Offset and bytes, sorted, not overlapping.
    parts: Vec<(usize, Vec<u8>)>,
    /// Length of the whole payload, once the last part is here.
    total: Option<usize>,
    deadline: Nanos,
    bytes: usize,
}

impl Reassembly {
    /// Takes a part. The answer is the whole payload if this completes it.
    fn add(&mut self, id: Id, offset: usize, more: bool, bytes: &[u8], now: Nanos) -> Option<Vec<u8>> {
        let end = offset + bytes.len();
        if bytes.is_empty() || end > MAX_PACKET || (more && !bytes.len().is_multiple_of(8)) {
            return None;
        }
        while self.bytes + bytes.len() > MAX_BYTES
            || (self.packets.len() >= MAX_PACKETS && !self.packets.contains_key(&id))
        {
            // The oldest gives way.
            let oldest = self.packets.iter().min_by_key(|(_, parts)| parts.deadline).map(|(id, _)| *id)?;
            self.forget(&oldest);
        }
        let parts =
            self.packets.entry(id).or_insert_with(|| Parts { deadline: now + TIMEOUT, ..Parts::default() });
        let at = parts.parts.partition_point(|part| part.0 < offset);
        let same = parts.parts.get(at).is_some_and(|part| part.0 == offset && part.1.len() == bytes.len());
        if same {
            return None;
        }
        let overlaps = parts.parts.get(at).is_some_and(|next| next.0 < end)
            || at > 0 && parts.parts[at - 1].0 + parts.parts[at - 1].1.len() > offset;
        let beyond = parts.total.is_some_and(|total| end > total || (!more && end != total));
        let before_known = !more && parts.parts.last().is_some_and(|last| last.0 + last.1.len() > end);
        if overlaps || beyond || before_known || parts.parts.len() >= MAX_PARTS {
            // Somebody plays tricks: all of it goes (RFC 5722).
            self.forget(&id);
            return None;
        }
        parts.parts.insert(at, (offset, bytes.to_vec()));
        parts.bytes += bytes.len();
        self.bytes += bytes.len();
        if !more {
            parts.total = Some(end);
        }
        if parts.total != Some(parts.bytes) {
            return None;
        }
        let whole = parts.parts.iter().flat_map(|part| part.1.iter().copied()).collect();
        self.forget(&id);
        Some(whole)
    }

    fn forget(&mut self, id: &Id) {
        if let Some(parts) = self.packets.remove(id) {
            self.bytes -= parts.bytes;
        }
    }

    /// Drops what waited too long. The answer is how many, and when the next is due.
    fn expire(&mut self, now: Nanos) -> (usize, Option<Nanos>) {
        let due: Vec<Id> =
            self.packets.iter().filter(|(_, parts)| parts.deadline <= now).map(|(id, _)| *id).collect();
        due.iter().for_each(|id| self.forget(id));
        let next = self.packets.values().map(|parts| parts.deadline).min();
        self.timer = next.is_some();
        (due.len(), next)
    }
}

impl Stack {
    pub(crate) fn receive_fragment(
        &self,
        interface: &Arc<Interface>,
        packet: Datagram<'_>,
        header: &Received,
        now: Nanos,
        out: &mut Output,
    ) {
        let Some(fragment) = header.fragment else { return };
        self.snmp.fragment_received();
        if !self.configuration().is_local(header.to)
            && !header.to.is_multicast()
            && !self.is_broadcast(header.to)
        {
            return;
        }
        let id = (header.from, header.to, fragment.id, header.protocol);
        let bytes = &packet.bytes()[header.start..header.end];
        let (whole, needs_timer) = {
            let mut reassembly = self.reassembly.lock();
            let whole = reassembly.add(id, fragment.offset, fragment.more, bytes, now);
            let waits = !reassembly.packets.is_empty();
            (whole, waits && !core::mem::replace(&mut reassembly.timer, waits))
        };
        if needs_timer {
            self.set_timer(now + TIMEOUT, Timer::Fragments, out);
        }
        let Some(whole) = whole else { return };
        self.snmp.reassembled();
        let info = ip::Header { protocol: header.protocol, ttl: header.ttl, tos: header.tos, flow: 0 };
        let ip_len = ip::header_len(header.to);
        if ip_len + whole.len() > MAX_PACKET {
            return;
        }
        let mut packet = Packet::new(ip_len, whole.len());
        ip::write_header(packet.bytes_mut(), header.from, header.to, whole.len(), &info);
        packet.tail().extend_from_slice(&whole);
        // The checksum goes over the whole, which no card has seen.
        self.receive_ip(interface, Datagram::Owned(packet), false, now, out);
    }

    pub(crate) fn expire_fragments(&self, now: Nanos, out: &mut Output) {
        let (dropped, next) = self.reassembly.lock().expire(now);
        (0..dropped).for_each(|_| self.snmp.reassembly_failed());
        if let Some(next) = next {
            self.set_timer(next, Timer::Fragments, out);
        }
    }
}

/// Cuts a packet that the link cannot carry; `id` is the same for all parts.
pub(crate) fn split(packet: &Packet, limit: usize, id: u32) -> Vec<Packet> {
    let bytes = packet.bytes();
    let Some(header) = ip::parse(bytes) else { return Vec::new() };
    let v6 = header.to.is_ipv6();
    let extra = if v6 { 8 } else { 0 };
    let room = limit.saturating_sub(header.start + extra) / 8 * 8;
    if room == 0 {
        return Vec::new();
    }
    let payload = &bytes[header.start..header.end];
    let mut parts = Vec::new();
    for (index, piece) in payload.chunks(room).enumerate() {
        let offset = index * room;
        let more = offset + piece.len() < payload.len();
        let mut part = Packet::new(header.start + extra, piece.len());
        let head = part.bytes_mut();
        head[..header.start].copy_from_slice(&bytes[..header.start]);
        if v6 {
            head[4..6].copy_from_slice(&((8 + piece.len()) as u16).to_be_bytes());
            head[6] = 44;
            let word = offset as u16 | u16::from(more);
            head[40] = header.protocol;
            head[42..44].copy_from_slice(&word.to_be_bytes());
            head[44..48].copy_from_slice(&id.to_be_bytes());
        } else {
            head[2..4].copy_from_slice(&((header.start + piece.len()) as u16).to_be_bytes());
            head[4..6].copy_from_slice(&(id as u16).to_be_bytes());
            let word = (offset / 8) as u16 | u16::from(more) << 13;
            head[6..8].copy_from_slice(&word.to_be_bytes());
            head[10..12].fill(0);
            let sum = Sum::default().add(&head[..header.start]).complement();
            head[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        part.tail().extend_from_slice(piece);
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOWHERE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
    const ID: Id = (NOWHERE, NOWHERE, 7, 17);

    fn packet(v6: bool, payload: &[u8]) -> Packet {
        let (from, to): (IpAddr, IpAddr) = if v6 {
            ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
        } else {
            ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
        };
        let header = ip::Header { protocol: 17, ttl: 64, tos: 0, flow: 0 };
        let mut packet = ip::packet(from, to, 0, payload.len(), &header);
        let len = payload.len();
        ip::write_header(packet.bytes_mut(), from, to, len, &header);
        packet.tail().extend_from_slice(payload);
        packet
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(v6: bool, len in 1400_usize..9000, order: u64) {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut parts = split(&packet(v6, &payload), 1280, 99);
            prop_assert!(parts.iter().all(|part| part.len() <= 1280));
            let swap = (order as usize) % parts.len();
            parts.rotate_left(swap);
            let mut reassembly = Reassembly::default();
            let mut whole = None;
            for part in &parts {
                let header = ip::parse(part.bytes()).unwrap();
                let fragment = header.fragment.unwrap();
                let bytes = &part.bytes()[header.start..header.end];
                prop_assert!(whole.is_none());
                whole = reassembly.add(ID, fragment.offset, fragment.more, bytes, 0);
            }
            prop_assert_eq!(whole.unwrap(), payload);
            prop_assert_eq!(reassembly.bytes, 0);
        }

        #[test]
        fn any_parts_keep_the_bounds(parts in proptest::collection::vec((0_u32..600, 0_usize..70_000, 0_usize..3000, any::<bool>()), 1..200)) {
            let mut reassembly = Reassembly::default();
            for (id, offset, len, more) in parts {
                let id = (ID.0, ID.1, id, ID.3);
                if let Some(whole) = reassembly.add(id, offset & !7, more, &vec![1; len], 5) {
                    prop_assert!(whole.len() <= MAX_PACKET);
                }
                prop_assert!(reassembly.bytes <= MAX_BYTES && reassembly.packets.len() <= MAX_PACKETS);
                prop_assert_eq!(reassembly.bytes, reassembly.packets.values().map(|p| p.bytes).sum::<usize>());
            }
            reassembly.expire(5 + TIMEOUT);
            prop_assert_eq!((reassembly.bytes, reassembly.packets.len()), (0, 0));
        }
    }

    #[test]
    fn overlapping_parts_are_dropped() {
        let mut reassembly = Reassembly::default();
        assert!(reassembly.add(ID, 0, true, &[1; 16], 0).is_none());
        assert!(reassembly.add(ID, 8, true, &[2; 16], 0).is_none());
        assert!(reassembly.packets.is_empty());
    }
}
