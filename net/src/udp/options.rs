//! What a program sets on a UDP socket.

use crate::interface::InterfaceIndex;
use core::net::IpAddr;

/// Options of a UDP socket (socket(7), udp(7), ip(7), ipv6(7)). Plain values: the caller checks what setsockopt(2) would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// SO_REUSEADDR.
    pub reuse_addr: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// SO_BROADCAST.
    pub broadcast: bool,
    /// IPV6_V6ONLY.
    pub v6_only: bool,
    /// SO_BINDTODEVICE.
    pub device: Option<InterfaceIndex>,
    /// SO_RCVBUF as getsockopt(2) shows it; `None` for the default.
    pub receive_buffer: Option<usize>,
    /// SO_SNDBUF likewise. A datagram leaves at once, so it only bounds the size of one.
    pub send_buffer: Option<usize>,
    /// IP_TTL or IPV6_UNICAST_HOPS; `None` for the default.
    pub ttl: Option<u8>,
    /// IP_TOS or IPV6_TCLASS.
    pub tos: u8,
    /// IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS.
    pub multicast_ttl: u8,
    /// IP_MULTICAST_LOOP.
    pub multicast_loop: bool,
    /// IP_MULTICAST_ALL.
    pub multicast_all: bool,
    /// IP_MULTICAST_IF or IPV6_MULTICAST_IF: the interface.
    pub multicast_interface: Option<InterfaceIndex>,
    /// IP_MULTICAST_IF: the source address.
    pub multicast_source: Option<IpAddr>,
    /// IP_RECVERR: errors that may pass are reported too.
    pub receive_errors: bool,
    /// IP_MTU_DISCOVER is IP_PMTUDISC_DO or PROBE: datagrams are never cut into fragments.
    pub no_fragments: bool,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self {
            reuse_addr: false,
            reuse_port: false,
            broadcast: false,
            v6_only: false,
            device: None,
            receive_buffer: None,
            send_buffer: None,
            ttl: None,
            tos: 0,
            multicast_ttl: 1,
            multicast_loop: true,
            multicast_all: true,
            multicast_interface: None,
            multicast_source: None,
            receive_errors: false,
            no_fragments: false,
        }
    }
}
