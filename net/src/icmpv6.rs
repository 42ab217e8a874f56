//! ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861).

use crate::addr::Nanos;
use crate::icmp::{Error, HEADER, finish};
use crate::interface::Interface;
use crate::ip::{self, Datagram, Received};
use crate::output::Output;
use crate::packet::{Frame, Packet, Sum};
use crate::route::AddressKind;
use crate::stack::Stack;
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv6Addr};
use husk_abi::Errno;

pub(crate) const UNREACHABLE: u8 = 1;
const TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
pub(crate) const PARAMETER_PROBLEM: u8 = 4;
pub(crate) const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// The hop limit of neighbour discovery: a router would have made it less.
const HOP_LIMIT: u8 = 255;
/// Options: the sender's and the target's link address.
const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;
/// Flags of an advertisement.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

impl Stack {
    pub(crate) fn receive_icmpv6(
        &self,
        interface: &Arc<Interface>,
        packet: Datagram<'_>,
        header: &Received,
        kind: AddressKind,
        now: Nanos,
        out: &mut Output,
    ) {
        self.snmp.icmp_received();
        let message = &packet.bytes()[header.start..header.end];
        let sum = Sum::pseudo_header(header.from, header.to, ip::ICMPV6, message.len()).add(message);
        if message.len() < HEADER || sum.complement() != 0 {
            self.snmp.icmp_error();
            return;
        }
        if kind == AddressKind::Other
            && !(message[0] == NEIGHBOUR_SOLICITATION || message[0] == NEIGHBOUR_ADVERTISEMENT)
        {
            return;
        }
        let discovery = header.ttl == HOP_LIMIT && message[1] == 0 && !interface.is_loopback();
        let word = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
        match message[0] {
            ECHO_REQUEST if self.settings.icmp_echo_ignore_all() == 0 => {
                self.echo(header, message, kind, ECHO_REPLY, out);
            }
            ECHO_REPLY => self.receive_echo_reply(interface.index(), header, message, now, out),
            UNREACHABLE | TOO_BIG | TIME_EXCEEDED | PARAMETER_PROBLEM => {
                if let Some(error) = error_of(message[0], message[1], word as usize) {
                    self.on_icmp_error(&message[HEADER..], error, now, out);
                }
            }
            NEIGHBOUR_SOLICITATION if discovery => self.on_solicitation(interface, header, message, now, out),
            ROUTER_ADVERTISEMENT if discovery => {
                self.on_router_advertisement(interface, header, message, now, out);
            }
            NEIGHBOUR_ADVERTISEMENT if discovery => self.on_advertisement(interface, message, now, out),
            _ => {}
        }
    }

    fn on_solicitation(
        &self,
        interface: &Arc<Interface>,
        header: &Received,
        message: &[u8],
        now: Nanos,
        out: &mut Output,
    ) {
        let Some(target) = target(message) else { return };
        let IpAddr::V6(from) = header.from else { return };
        if from.is_unspecified() && self.on_duplicate_address(interface, target) {
            return;
        }
        let ours = self
            .configuration()
            .addresses_of(interface.index())
            .any(|address| address.cidr.addr == IpAddr::V6(target) && !address.tentative);
        if !ours {
            return;
        }
        let theirs = link_option(message, SOURCE_LINK);
        if from.is_unspecified() {
            // Somebody wants to have the address: everybody is told whose it is.
            let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            interface.transmit(advertisement(interface.mac(), target, all, group_mac(all), OVERRIDE));
            return;
        }
        if let Some(mac) = theirs {
            self.learn(interface, header.from, mac, true, now, out);
            interface.transmit(advertisement(interface.mac(), target, from, mac, SOLICITED | OVERRIDE));
        }
    }

    fn on_advertisement(&self, interface: &Arc<Interface>, message: &[u8], now: Nanos, out: &mut Output) {
        let Some(target) = target(message) else { return };
        if self.on_duplicate_address(interface, target) {
            return;
        }
        if let Some(mac) = link_option(message, TARGET_LINK) {
            self.learn(interface, IpAddr::V6(target), mac, false, now, out);
        }
    }
}

/// The target of a solicitation or an advertisement.
fn target(message: &[u8]) -> Option<Ipv6Addr> {
    let bytes: &[u8; 16] = message.get(HEADER..)?.first_chunk()?;
    let target = Ipv6Addr::from(*bytes);
    (!target.is_multicast()).then_some(target)
}

/// Options of a message, each with its type.
pub(crate) fn options(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        let len = usize::from(*rest.get(1)?) * 8;
        if len == 0 || len > rest.len() {
            return None;
        }
        let (option, after) = rest.split_at(len);
        rest = after;
        Some((option[0], &option[2..]))
    })
}

fn link_option(message: &[u8], kind: u8) -> Option<[u8; 6]> {
    let rest = message.get(HEADER + 16..)?;
    let (_, body) = options(rest).find(|(found, _)| *found == kind)?;
    let mac = *body.first_chunk::<6>()?;
    (mac[0] & 1 == 0).then_some(mac)
}

/// The group that an address's solicitations go to (RFC 4291, section 2.7.1).
pub(crate) fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let bytes = addr.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(bytes[13]),
        u16::from_be_bytes([bytes[14], bytes[15]]),
    )
}

fn group_mac(group: Ipv6Addr) -> [u8; 6] {
    let bytes = group.octets();
    [0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]]
}

/// A neighbour solicitation as a frame: to the group, or to the one that is believed to have the address.
pub(crate) fn solicitation(
    own_mac: [u8; 6],
    own: Option<IpAddr>,
    target: Ipv6Addr,
    mac: Option<[u8; 6]>,
) -> Option<Frame> {
    let from = match own {
        Some(IpAddr::V6(own)) => own,
        Some(IpAddr::V4(_)) => return None,
        None => Ipv6Addr::UNSPECIFIED,
    };
    let (to, to_mac) = match mac {
        Some(mac) => (target, mac),
        None => (solicited_node(target), group_mac(solicited_node(target))),
    };
    let mut body = [0; 24];
    body[..16].copy_from_slice(&target.octets());
    body[16..18].copy_from_slice(&[SOURCE_LINK, 1]);
    body[18..].copy_from_slice(&own_mac);
    // One that asks whether an address is free says nothing of itself (RFC 4862, section 5.4.2).
    let body = if from.is_unspecified() { &body[..16] } else { &body[..] };
    Some(message(from, to, [NEIGHBOUR_SOLICITATION, 0, 0, 0], body).into_frame(to_mac, own_mac))
}

fn advertisement(own_mac: [u8; 6], target: Ipv6Addr, to: Ipv6Addr, mac: [u8; 6], flags: u8) -> Frame {
    let mut body = [0; 24];
    body[..16].copy_from_slice(&target.octets());
    body[16..18].copy_from_slice(&[TARGET_LINK, 1]);
    body[18..].copy_from_slice(&own_mac);
    message(target, to, [NEIGHBOUR_ADVERTISEMENT, flags, 0, 0], &body).into_frame(mac, own_mac)
}

/// A message of neighbour discovery: its type and the first three bytes after code and checksum.
pub(crate) fn message(from: Ipv6Addr, to: Ipv6Addr, head: [u8; 4], body: &[u8]) -> Packet {
    let (from, to) = (IpAddr::V6(from), IpAddr::V6(to));
    let header = ip::Header { protocol: ip::ICMPV6, ttl: HOP_LIMIT, tos: 0, flow: 0 };
    let mut packet = ip::packet(from, to, HEADER, body.len(), &header);
    packet.bytes_mut()[40] = head[0];
    packet.bytes_mut()[44..47].copy_from_slice(&head[1..]);
    packet.tail().extend_from_slice(body);
    finish(&mut packet, from, to);
    packet
}

/// Linux's table (icmpv6_err_convert).
fn error_of(kind: u8, code: u8, word: usize) -> Option<Error> {
    let (errno, hard) = match (kind, code) {
        (UNREACHABLE, 0) => (Errno::ENETUNREACH, false),
        (UNREACHABLE, 1 | 5 | 6) => (Errno::EACCES, true),
        (UNREACHABLE, 2 | 3) => (Errno::EHOSTUNREACH, false),
        (UNREACHABLE, 4) => (Errno::ECONNREFUSED, true),
        (TOO_BIG, 0) => return Some(Error::TooBig(word.max(1280))),
        (TIME_EXCEEDED, _) => (Errno::EHOSTUNREACH, false),
        (PARAMETER_PROBLEM, _) => (Errno::EPROTO, true),
        _ => return None,
    };
    Some(Error::Unreachable { errno, hard })
}
