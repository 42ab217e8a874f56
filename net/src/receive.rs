//! The way of a received packet: link, IP, transport.

use crate::addr::{Endpoint, FlowKey, Nanos};
use crate::interface::{Interface, InterfaceIndex, count};
use crate::ip::{self, Datagram, Received};
use crate::link::RxChecksum;
use crate::output::Output;
use crate::packet::{ETHERNET_HEADER, Packet};
use crate::route::{AddressKind, Path};
use crate::stack::Stack;
use crate::tcp::{Flags, Flow, Found, Segment};
use alloc::sync::Arc;
use smoltcp::wire::{EthernetFrame, EthernetProtocol};

impl Stack {
    /// A frame has come in. Called by the card's driver, from a thread and with no lock held.
    pub fn receive(&self, interface: InterfaceIndex, frame: &[u8], checksum: RxChecksum, now: Nanos) {
        let Some(interface) = self.interface(interface) else { return };
        count(&interface.counters.rx_packets, 1);
        count(&interface.counters.rx_bytes, frame.len());
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
            count(&interface.counters.rx_errors, 1);
            return;
        };
        if !interface.is_up() {
            count(&interface.counters.rx_dropped, 1);
            return;
        }
        let to = ethernet.dst_addr();
        if to.is_multicast() {
            count(&interface.counters.multicast, 1);
        } else if to.0 != interface.mac() {
            return;
        }
        let mut out = Output::default();
        let payload = &frame[ETHERNET_HEADER..];
        match ethernet.ethertype() {
            EthernetProtocol::Arp => self.receive_arp(&interface, payload, now, &mut out),
            EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6 => {
                let trusted = checksum == RxChecksum::Good;
                self.receive_ip(&interface, Datagram::Borrowed(payload), trusted, now, &mut out);
            }
            EthernetProtocol::Unknown(_) => count(&interface.counters.rx_dropped, 1),
        }
        self.finish(out, now);
    }

    /// An IP packet. `trusted` says that the checksum of TCP or UDP is known to be right.
    pub(crate) fn receive_ip(
        &self,
        interface: &Arc<Interface>,
        packet: Datagram<'_>,
        trusted: bool,
        now: Nanos,
        out: &mut Output,
    ) {
        self.snmp.packet_received();
        let Some(header) = ip::parse(packet.bytes()) else {
            self.snmp.header_error();
            return;
        };
        if !interface.is_loopback() && (!ip::is_plausible_source(header.from) || header.to.is_loopback()) {
            self.snmp.address_error();
            return;
        }
        if header.fragment.is_some() {
            self.receive_fragment(interface, packet, &header, now, out);
        } else if header.protocol == ip::TCP {
            self.receive_tcp(interface, packet, &header, trusted, now, out);
        } else {
            self.receive_other(interface, packet, &header, trusted, now, out);
        }
    }

    fn receive_other(
        &self,
        interface: &Arc<Interface>,
        packet: Datagram<'_>,
        header: &Received,
        trusted: bool,
        now: Nanos,
        out: &mut Output,
    ) {
        if header.protocol == ip::UDP
            && self.receive_dhcp(interface, &packet.bytes()[..header.end], header, now, out)
        {
            return;
        }
        let kind = self.configuration().kind(header.to, Some(interface.index()));
        if kind == AddressKind::Other && !(header.protocol == ip::ICMPV6 && header.to.is_ipv6()) {
            self.snmp.address_error();
            return;
        }
        self.snmp.delivered();
        match header.protocol {
            ip::UDP => self.receive_udp(interface, packet, header, kind, trusted, now, out),
            ip::ICMP if header.to.is_ipv4() => self.receive_icmp(interface, packet, header, kind, now, out),
            ip::ICMPV6 if header.to.is_ipv6() => {
                self.receive_icmpv6(interface, packet, header, kind, now, out);
            }
            _ => {
                self.snmp.unknown_protocol();
                if kind == AddressKind::Local {
                    self.send_unreachable(packet.bytes(), header, crate::icmp::Reason::Protocol, now, out);
                }
            }
        }
    }

    fn receive_tcp(
        &self,
        interface: &Arc<Interface>,
        packet: Datagram<'_>,
        header: &Received,
        trusted: bool,
        now: Nanos,
        out: &mut Output,
    ) {
        self.snmp.segment_received();
        let verify = (!trusted).then_some((header.from, header.to));
        let transport = &packet.bytes()[header.start..header.end];
        let Some((segment, at)) = Segment::parse(transport, verify) else {
            self.snmp.segment_error();
            return;
        };
        let key = FlowKey {
            local: Endpoint::new(header.to, segment.to_port),
            remote: Endpoint::new(header.from, segment.from_port),
        };
        let mut least = None;
        match self.flows.find(&key) {
            Found::Socket(socket) => {
                let payload = packet.into_payload(header.start + at, header.end);
                if !socket.input(key, &segment, payload, None, now, out) {
                    self.reset(out, key, &segment);
                }
                return;
            }
            Found::TimeWait => match self.segment_in_time_wait(key, &segment, now, out) {
                Some(sequence) => least = Some(sequence),
                None => return,
            },
            Found::Nobody => {}
        }
        let kind = self.configuration().kind(header.to, Some(interface.index()));
        if kind != AddressKind::Local || header.from.is_unspecified() {
            return;
        }
        let hash = self.flows.hash(&key);
        let listener = self.listeners.find(key.local, interface.index(), hash);
        let payload = packet.into_payload(header.start + at, header.end);
        let taken = listener.is_some_and(|listener| listener.input(key, &segment, payload, least, now, out));
        if !taken {
            self.reset(out, key, &segment);
        }
    }

    /// A segment of a connection in TIME-WAIT. If it begins a new one, the answer is what its sequence numbers must exceed.
    fn segment_in_time_wait(
        &self,
        key: FlowKey,
        segment: &Segment,
        now: Nanos,
        out: &mut Output,
    ) -> Option<crate::tcp::Seq> {
        use crate::tcp::TimeWaitOutcome as Outcome;
        let (outcome, acknowledgement) = self
            .flows
            .with_time_wait(&key, |record| (record.input(segment, now), record.acknowledgement(now)))?;
        match outcome {
            Outcome::Ignore => {}
            Outcome::Acknowledge => {
                if let Ok(path) = self.path(key.remote.addr, None, Some(key.local.addr)) {
                    self.send_segment(out, key, &path, &acknowledgement);
                }
            }
            Outcome::End => {
                self.flows.remove(&key, |flow| matches!(flow, Flow::TimeWait(_)));
            }
            Outcome::Reopen(least) => {
                self.flows.remove(&key, |flow| matches!(flow, Flow::TimeWait(_)));
                return Some(least);
            }
        }
        None
    }

    /// Answers a segment that nobody takes (RFC 9293, section 3.10.7.1).
    fn reset(&self, out: &mut Output, key: FlowKey, segment: &Segment) {
        if !segment.has(Flags::RST) {
            self.send_reset_for(out, key, segment);
        }
    }

    /// Sends a reset that the sender of `segment` takes.
    pub(crate) fn send_reset_for(&self, out: &mut Output, key: FlowKey, segment: &Segment) {
        let Ok(path) = self.path(key.remote.addr, None, Some(key.local.addr)) else { return };
        let mut reset = Segment {
            from_port: key.local.port,
            to_port: key.remote.port,
            flags: Flags::RST,
            ..Segment::default()
        };
        if segment.has(Flags::ACK) {
            reset.seq = segment.ack;
        } else {
            reset.flags |= Flags::ACK;
            reset.ack = segment.end();
        }
        self.snmp.reset_sent();
        self.send_segment(out, key, &path, &reset);
    }

    /// Sends a segment without payload for no connection's account.
    pub(crate) fn send_segment(&self, out: &mut Output, key: FlowKey, path: &Path, segment: &Segment) {
        let tcp = segment.header_len();
        let header =
            ip::Header { protocol: ip::TCP, ttl: self.settings.ttl() as u8, tos: 0, flow: key.local.port };
        let mut packet: Packet = ip::packet(key.local.addr, key.remote.addr, tcp, 0, &header);
        let at = ip::header_len(key.remote.addr);
        segment.emit(&mut packet.bytes_mut()[at..]);
        ip::finish_tcp(&mut packet, path, key, None, tcp);
        self.snmp.segment_sent();
        out.send(packet, path);
    }
}
