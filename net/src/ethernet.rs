//! Sending on an Ethernet link: neighbours, ARP (RFC 826) and the solicitations of neighbour discovery (RFC 4861).

use crate::addr::{Nanos, SECOND};
use crate::interface::{Interface, InterfaceIndex};
use crate::neighbour::{Neighbour, Resolution};
use crate::output::Output;
use crate::packet::{Frame, Packet};
use crate::route::{AddressKind, Path};
use crate::stack::Stack;
use crate::timer::Timer;
use crate::{fragment, icmpv6};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress};

const BROADCAST: [u8; 6] = [0xff; 6];
/// Bytes of an Ethernet header and an ARP packet.
const ARP_FRAME: usize = 14 + 28;

impl Stack {
    /// Sends a packet by a card. No lock is held.
    pub(crate) fn send_on_link(&self, packet: Packet, path: &Path, now: Nanos, out: &mut Output) {
        let limit = path.interface.packet_limit();
        if packet.len() > limit && packet.segmentation.is_none() {
            for part in fragment::split(&packet, limit, self.random.next() as u32) {
                self.snmp.fragment_created();
                self.send_frame(part, path, now, out);
            }
            return;
        }
        self.send_frame(packet, path, now, out);
    }

    fn send_frame(&self, packet: Packet, path: &Path, now: Nanos, out: &mut Output) {
        let interface = &path.interface;
        let from = interface.mac();
        if let Some(to) = self.group_address(path) {
            interface.transmit(packet.into_frame(to, from));
            return;
        }
        let resolution = interface.neighbours.lock().resolve(path.next_hop, packet, now);
        match resolution {
            Resolution::Send { packet, mac, probe } => {
                interface.transmit(packet.into_frame(mac, from));
                if probe {
                    self.solicit(interface, path.next_hop, Some(mac), Some(path.source));
                    self.set_neighbour_timer(interface, now, out);
                }
            }
            Resolution::Wait { ask: true } => {
                self.solicit(interface, path.next_hop, None, Some(path.source));
                self.set_neighbour_timer(interface, now, out);
            }
            Resolution::Wait { ask: false } => {}
        }
    }

    fn set_neighbour_timer(&self, interface: &Interface, now: Nanos, out: &mut Output) {
        let needed = interface.neighbours.lock().needs_timer();
        if needed {
            self.set_timer(now + SECOND, Timer::Neighbours(interface.index()), out);
        }
    }

    /// The Ethernet address of a group (RFC 1112, RFC 2464) or of all.
    fn group_address(&self, path: &Path) -> Option<[u8; 6]> {
        match path.next_hop {
            IpAddr::V4(to) if to.is_multicast() => {
                let [_, b, c, d] = to.octets();
                Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(to) if to.is_multicast() => {
                let bytes = to.octets();
                Some([0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]])
            }
            to @ IpAddr::V4(_) => {
                let kind = self.configuration().kind(to, Some(path.interface.index()));
                (kind == AddressKind::Broadcast).then_some(BROADCAST)
            }
            IpAddr::V6(_) => None,
        }
    }

    /// Asks who has an address: everybody, or the one that is believed to.
    pub(crate) fn solicit(
        &self,
        interface: &Interface,
        addr: IpAddr,
        mac: Option<[u8; 6]>,
        source: Option<IpAddr>,
    ) {
        let configuration = self.configuration();
        // The address that the packet comes from if the interface has it, as Linux announces it (arp_announce 0).
        let own = source.filter(|source| configuration.is_local(*source) && !source.is_loopback());
        let own = own.or_else(|| configuration.source_for(addr, addr, interface.index()));
        match addr {
            IpAddr::V4(addr) => {
                let own = match own {
                    Some(IpAddr::V4(own)) => own,
                    _ => Ipv4Addr::UNSPECIFIED,
                };
                let request = arp(ArpOperation::Request, (interface.mac(), own), ([0; 6], addr));
                interface.transmit(request.into_frame(mac.unwrap_or(BROADCAST), interface.mac()));
            }
            IpAddr::V6(addr) => {
                if let Some(frame) = icmpv6::solicitation(interface.mac(), own, addr, mac) {
                    interface.transmit(frame);
                }
            }
        }
    }

    pub(crate) fn receive_arp(&self, interface: &Arc<Interface>, bytes: &[u8], now: Nanos, out: &mut Output) {
        let Ok(packet) = ArpPacket::new_checked(bytes) else { return };
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) = ArpRepr::parse(&packet)
        else {
            return;
        };
        let mac = source_hardware_addr.0;
        if !source_hardware_addr.is_unicast() || mac == interface.mac() {
            return;
        }
        let configuration = self.configuration();
        let target = IpAddr::V4(target_protocol_addr);
        // Linux answers for the addresses of all interfaces (arp_ignore 0), but not for loopback ones.
        let ours = configuration.is_local(target) && !target.is_loopback();
        if !source_protocol_addr.is_unspecified() && !source_protocol_addr.is_multicast() {
            let source = IpAddr::V4(source_protocol_addr);
            if !configuration.is_local(source) {
                let create = ours && operation == ArpOperation::Request;
                self.learn(interface, source, mac, create, now, out);
            }
        }
        if ours && operation == ArpOperation::Request {
            let reply = arp(
                ArpOperation::Reply,
                (interface.mac(), target_protocol_addr),
                (mac, source_protocol_addr),
            );
            interface.transmit(reply.into_frame(mac, interface.mac()));
        }
    }

    /// Notes a neighbour, and sends what waited for it.
    pub(crate) fn learn(
        &self,
        interface: &Interface,
        addr: IpAddr,
        mac: [u8; 6],
        create: bool,
        now: Nanos,
        _out: &mut Output,
    ) {
        let waiting: VecDeque<Packet> = interface.neighbours.lock().learn(addr, mac, now, create);
        for packet in waiting {
            interface.transmit(packet.into_frame(mac, interface.mac()));
        }
    }

    pub(crate) fn expire_neighbours(&self, index: InterfaceIndex, now: Nanos, out: &mut Output) {
        let Some(interface) = self.interface(index) else { return };
        let due = interface.neighbours.lock().expire(now);
        for (addr, mac) in due.ask {
            self.solicit(&interface, addr, mac, None);
        }
        for packet in due.failed {
            self.on_unreachable_neighbour(packet.bytes(), now, out);
        }
        if due.next != crate::addr::NEVER {
            self.set_timer(due.next, Timer::Neighbours(index), out);
        }
    }

    /// The neighbours of an interface, for netlink and /proc/net/arp.
    #[must_use]
    pub fn neighbours(&self, index: InterfaceIndex, now: Nanos) -> Vec<Neighbour> {
        self.interface(index).map_or_else(Vec::new, |interface| interface.neighbours.lock().list(now))
    }

    /// Sets a neighbour by hand, or removes it if `mac` is `None`. False if there was nothing to remove.
    pub fn set_neighbour(&self, index: InterfaceIndex, addr: IpAddr, mac: Option<[u8; 6]>) -> bool {
        self.interface(index).is_some_and(|interface| interface.neighbours.lock().set(addr, mac))
    }
}

/// An ARP packet in a frame whose header is still to be written.
struct Arp(Vec<u8>);

fn arp(operation: ArpOperation, source: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Arp {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(source.0),
        source_protocol_addr: source.1,
        target_hardware_addr: EthernetAddress(target.0),
        target_protocol_addr: target.1,
    };
    let mut bytes = alloc::vec![0; ARP_FRAME];
    repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[14..]));
    Arp(bytes)
}

impl Arp {
    fn into_frame(mut self, to: [u8; 6], from: [u8; 6]) -> Frame {
        self.0[..6].copy_from_slice(&to);
        self.0[6..12].copy_from_slice(&from);
        self.0[12..14].copy_from_slice(&[0x08, 0x06]);
        Frame::from_bytes(&self.0)
    }
}
