//! ICMP (RFC 792, RFC 1122) and what ICMP of both versions shares: errors for sockets, and how many are sent.

use crate::addr::{Endpoint, FlowKey, Nanos, SECOND};
use crate::interface::Interface;
use crate::ip::{self, Datagram, Received};
use crate::output::Output;
use crate::packet::{Packet, Sum};
use crate::route::AddressKind;
use crate::stack::Stack;
use crate::tcp::{Found, Seq};
use core::net::IpAddr;
use husk_abi::Errno;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
pub(crate) const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
/// Bytes of an ICMP header.
pub(crate) const HEADER: usize = 8;
/// Most messages sent at once (net.ipv4.icmp_msgs_burst).
const BURST: u64 = 50;
/// Bytes of an error with what it quotes: as Linux, up to 576.
const MAX_ERROR: usize = 576;

/// What an error says to the socket whose packet it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Packets of the path have at most so many bytes.
    TooBig(usize),
    /// `hard` says that Linux reports it at once also where an error may pass.
    Unreachable { errno: Errno, hard: bool },
}

/// Why a packet cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Port,
    Protocol,
}

/// A bucket of tokens: how many messages may still be sent.
#[derive(Default)]
pub(crate) struct RateLimit {
    tokens: u64,
    since: Nanos,
}

impl RateLimit {
    fn allow(&mut self, now: Nanos, per_second: u64) -> bool {
        let interval = SECOND / per_second.max(1);
        let earned = now.saturating_sub(self.since) / interval;
        if earned > 0 || self.since == 0 {
            self.tokens = if self.since == 0 { BURST } else { (self.tokens + earned).min(BURST) };
            self.since = now.max(1);
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

impl Stack {
    pub(crate) fn receive_icmp(
        &self,
        interface: &Interface,
        packet: Datagram<'_>,
        header: &Received,
        kind: AddressKind,
        now: Nanos,
        out: &mut Output,
    ) {
        self.snmp.icmp_received();
        let message = &packet.bytes()[header.start..header.end];
        if message.len() < HEADER || Sum::default().add(message).complement() != 0 {
            self.snmp.icmp_error();
            return;
        }
        match message[0] {
            ECHO_REQUEST => {
                let ignored = self.settings.icmp_echo_ignore_all() != 0
                    || (kind != AddressKind::Local && self.settings.icmp_echo_ignore_broadcasts() != 0);
                if !ignored {
                    self.echo(header, message, kind, ECHO_REPLY, out);
                }
            }
            ECHO_REPLY => self.receive_echo_reply(interface.index(), header, message, now, out),
            UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM => {
                let mtu = usize::from(u16::from_be_bytes([message[6], message[7]]));
                if let Some(error) = error_of(message[0], message[1], mtu) {
                    self.on_icmp_error(&message[HEADER..], error, now, out);
                }
            }
            _ => {}
        }
    }

    /// Answers an echo request of either version.
    pub(crate) fn echo(
        &self,
        header: &Received,
        message: &[u8],
        kind: AddressKind,
        reply: u8,
        out: &mut Output,
    ) {
        if header.from.is_unspecified() {
            return;
        }
        let source = (kind == AddressKind::Local).then_some(header.to);
        let Ok(path) = self.path(header.from, None, source) else { return };
        let from = path.source;
        let info = ip::Header {
            protocol: header.protocol,
            ttl: self.settings.ttl() as u8,
            tos: header.tos,
            flow: 0,
        };
        let mut packet = ip::packet(from, header.from, 0, message.len(), &info);
        packet.tail().extend_from_slice(message);
        let at = ip::header_len(header.from);
        packet.bytes_mut()[at..at + 4].copy_from_slice(&[reply, 0, 0, 0]);
        finish(&mut packet, from, header.from);
        self.snmp.icmp_sent();
        out.send(packet, &path);
    }

    /// Tells the sender of a packet that it cannot be delivered.
    pub(crate) fn send_unreachable(
        &self,
        bytes: &[u8],
        header: &Received,
        reason: Reason,
        now: Nanos,
        out: &mut Output,
    ) {
        if header.from.is_unspecified() || header.from.is_multicast() || self.is_broadcast(header.from) {
            return;
        }
        let per_second = self.settings.icmp_messages_per_second().into();
        if !header.from.is_loopback() && !self.icmp_limit.lock().allow(now, per_second) {
            return;
        }
        let Ok(path) = self.path(header.from, None, Some(header.to)) else { return };
        let (protocol, kind, code, most) = match (header.to, reason) {
            (IpAddr::V4(_), Reason::Port) => (ip::ICMP, UNREACHABLE, 3, MAX_ERROR),
            (IpAddr::V4(_), Reason::Protocol) => (ip::ICMP, UNREACHABLE, 2, MAX_ERROR),
            (IpAddr::V6(_), Reason::Port) => (ip::ICMPV6, crate::icmpv6::UNREACHABLE, 4, 1280),
            (IpAddr::V6(_), Reason::Protocol) => (ip::ICMPV6, crate::icmpv6::PARAMETER_PROBLEM, 1, 1280),
        };
        let at = ip::header_len(header.from);
        let quote = &bytes[..header.end.min(most - at - HEADER)];
        let info = ip::Header { protocol, ttl: self.settings.ttl() as u8, tos: 0, flow: 0 };
        let mut packet = ip::packet(header.to, header.from, HEADER, quote.len(), &info);
        packet.bytes_mut()[at..at + 2].copy_from_slice(&[kind, code]);
        packet.tail().extend_from_slice(quote);
        finish(&mut packet, header.to, header.from);
        self.snmp.icmp_sent();
        out.send(packet, &path);
    }

    /// A neighbour does not answer: the same as if a router had said that the host is unreachable.
    pub(crate) fn on_unreachable_neighbour(&self, packet: &[u8], now: Nanos, out: &mut Output) {
        self.on_icmp_error(packet, Error::Unreachable { errno: Errno::EHOSTUNREACH, hard: false }, now, out);
    }

    /// Gives an error to the socket that sent the packet which it quotes.
    pub(crate) fn on_icmp_error(&self, quote: &[u8], error: Error, now: Nanos, out: &mut Output) {
        let Some((from, to, protocol, transport)) = quoted(quote) else { return };
        let Some(&[a, b, c, d]) = transport.first_chunk::<4>() else { return };
        let key = FlowKey {
            local: Endpoint::new(from, u16::from_be_bytes([a, b])),
            remote: Endpoint::new(to, u16::from_be_bytes([c, d])),
        };
        match protocol {
            ip::TCP => {
                let Some(&[e, f, g, h]) = transport.get(4..8).and_then(|bytes| bytes.first_chunk::<4>())
                else {
                    return;
                };
                if let Found::Socket(socket) = self.flows.find(&key) {
                    socket.on_icmp(Seq(u32::from_be_bytes([e, f, g, h])), error, now, out);
                }
            }
            ip::UDP => self.udp_error(key, error, out),
            ip::ICMP | ip::ICMPV6 => self.ping_error(to.is_ipv6(), transport, error, out),
            _ => {}
        }
    }
}

/// Fills in the checksum of an ICMP message.
pub(crate) fn finish(packet: &mut Packet, from: IpAddr, to: IpAddr) {
    let at = ip::header_len(to);
    let message = &mut packet.bytes_mut()[at..];
    message[2..4].fill(0);
    let sum =
        if to.is_ipv4() { Sum::default() } else { Sum::pseudo_header(from, to, ip::ICMPV6, message.len()) };
    let sum = sum.add(message).complement();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// The packet that an error quotes, of which the end may be missing: source, destination, protocol, and what is there of its payload.
fn quoted(bytes: &[u8]) -> Option<(IpAddr, IpAddr, u8, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let header = bytes.get(..20)?;
            let len = usize::from(header[0] & 0xf) * 4;
            // Only a first fragment has ports.
            let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
            let addr = |at: usize| IpAddr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            (len >= 20 && offset == 0).then_some((addr(12), addr(16), header[9], bytes.get(len..)?))
        }
        6 => {
            let header = bytes.get(..40)?;
            let addr = |at: usize| IpAddr::from(core::array::from_fn::<u8, 16, _>(|i| header[at + i]));
            Some((addr(8), addr(24), header[6], &bytes[40..]))
        }
        _ => None,
    }
}

/// Linux's table (icmp_err_convert) and what goes beside it.
fn error_of(kind: u8, code: u8, mtu: usize) -> Option<Error> {
    let (errno, hard) = match (kind, code) {
        (UNREACHABLE, 0) => (Errno::ENETUNREACH, false),
        (UNREACHABLE, 1) => (Errno::EHOSTUNREACH, false),
        (UNREACHABLE, 2) => (Errno::ENOPROTOOPT, true),
        (UNREACHABLE, 3) => (Errno::ECONNREFUSED, true),
        (UNREACHABLE, 4) if mtu >= 68 => return Some(Error::TooBig(mtu)),
        (UNREACHABLE, 4) => return Some(Error::TooBig(576)),
        (UNREACHABLE, 5) => (Errno::EOPNOTSUPP, false),
        (UNREACHABLE, 6 | 9) => (Errno::ENETUNREACH, true),
        (UNREACHABLE, 7) => (Errno::EHOSTDOWN, true),
        (UNREACHABLE, 8) => (Errno::ENONET, true),
        (UNREACHABLE, 10 | 13..=15) => (Errno::EHOSTUNREACH, true),
        (UNREACHABLE, 11) => (Errno::ENETUNREACH, false),
        (UNREACHABLE, 12) => (Errno::EHOSTUNREACH, false),
        (TIME_EXCEEDED, _) => (Errno::EHOSTUNREACH, false),
        (PARAMETER_PROBLEM, _) => (Errno::EPROTO, true),
        _ => return None,
    };
    Some(Error::Unreachable { errno, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_limited() {
        let mut limit = RateLimit::default();
        let sent = (0..200).filter(|_| limit.allow(SECOND, 1000)).count();
        assert_eq!(sent, BURST as usize);
        assert!(limit.allow(SECOND + SECOND / 1000, 1000));
        assert!(!limit.allow(SECOND + SECOND / 1000, 1000));
    }

    #[test]
    fn quotes_of_later_fragments_are_no_use() {
        let mut bytes = [0; 28];
        (bytes[0], bytes[9]) = (0x45, 17);
        assert!(quoted(&bytes).is_some());
        bytes[7] = 1;
        assert!(quoted(&bytes).is_none());
        assert!(quoted(&bytes[..19]).is_none());
    }
}
