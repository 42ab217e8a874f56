//! A received datagram, and what is said beside one to be sent.

use crate::addr::{Endpoint, Family, FlowKey, Nanos};
use crate::interface::InterfaceIndex;
use crate::ip::Received;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// A received datagram.
pub struct Datagram {
    pub(super) from: Endpoint,
    /// The address it was sent to, for IP_PKTINFO.
    pub to: IpAddr,
    /// The interface it came by.
    pub interface: InterfaceIndex,
    /// The TTL or hop limit it arrived with.
    pub ttl: u8,
    /// The type of service or traffic class.
    pub tos: u8,
    /// When it came, in monotonic time.
    pub time: Nanos,
    pub(super) buffer: Vec<u8>,
    start: usize,
}

impl Datagram {
    pub(crate) fn new(
        key: &FlowKey,
        header: &Received,
        interface: InterfaceIndex,
        buffer: Vec<u8>,
        start: usize,
        time: Nanos,
    ) -> Self {
        Self {
            from: key.remote,
            to: key.local.addr,
            interface,
            ttl: header.ttl,
            tos: header.tos,
            time,
            buffer,
            start,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Where it came from, as the program of a socket of `family` sees it.
    #[must_use]
    pub fn from(&self, family: Family) -> SocketAddr {
        self.from.present(family, self.interface)
    }
}

/// What control messages say about a datagram to be sent (IP_PKTINFO, IPV6_PKTINFO, IP_TTL, IP_TOS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendControl {
    /// The source address.
    pub source: Option<IpAddr>,
    /// The interface.
    pub interface: Option<InterfaceIndex>,
    /// The TTL or hop limit.
    pub ttl: Option<u8>,
    /// The type of service or traffic class.
    pub tos: Option<u8>,
}

/// A line of /proc/net/udp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpSummary {
    /// The own end, as the socket's program sees it.
    pub local: SocketAddr,
    /// The peer if it is connected.
    pub remote: Option<SocketAddr>,
    /// What waits to be read costs so much of the buffer.
    pub receive_queue: usize,
    /// Datagrams dropped because the buffer was full.
    pub drops: u64,
    /// The number given at [`Stack::udp_socket`](crate::Stack::udp_socket).
    pub cookie: u64,
}
