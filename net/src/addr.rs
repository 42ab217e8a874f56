//! Addresses: endpoints, flows, networks.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Monotonic time in nanoseconds.
pub type Nanos = u64;

/// One second.
pub(crate) const SECOND: Nanos = 1_000_000_000;
/// One millisecond.
pub(crate) const MILLISECOND: Nanos = 1_000_000;
/// Later than any time.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// An address family of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AF_INET.
    V4,
    /// AF_INET6; carries IPv4 too, as mapped addresses, unless IPV6_V6ONLY is set.
    V6,
}

impl Family {
    /// The wildcard address.
    #[must_use]
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

/// An address and a port. IPv4 is always [`IpAddr::V4`] here, never a mapped address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) addr: IpAddr,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn new(addr: IpAddr, port: u16) -> Self {
        Self { addr, port }
    }

    /// As the program of a socket of `family` sees it.
    pub(crate) fn present(self, family: Family, scope: u32) -> SocketAddr {
        match (family, self.addr) {
            (Family::V6, IpAddr::V4(addr)) => SocketAddr::new(IpAddr::V6(addr.to_ipv6_mapped()), self.port),
            (_, IpAddr::V6(addr)) if is_link_local(self.addr) => {
                SocketAddr::V6(SocketAddrV6::new(addr, self.port, 0, scope))
            }
            _ => SocketAddr::new(self.addr, self.port),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", SocketAddr::new(self.addr, self.port))
    }
}

/// The two ends of a flow, as this machine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
}

impl FlowKey {
    /// What the keyed hash goes over.
    pub(crate) fn words(&self) -> [u64; 5] {
        let [a, b] = halves(self.local.addr);
        let [c, d] = halves(self.remote.addr);
        [a, b, c, d, u64::from(self.local.port) << 16 | u64::from(self.remote.port)]
    }
}

/// An address as two words, IPv4 as a mapped address.
pub(crate) fn halves(addr: IpAddr) -> [u64; 2] {
    let bits = match addr {
        IpAddr::V4(addr) => u128::from(addr.to_ipv6_mapped()),
        IpAddr::V6(addr) => u128::from(addr),
    };
    [(bits >> 64) as u64, bits as u64]
}

/// An address without the distinction that a mapped IPv6 address makes.
pub(crate) fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

/// Whether the address is only good on one link (169.254.0.0/16 is not meant: IPv4 has no scopes).
pub(crate) fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(_) => false,
        IpAddr::V6(addr) => {
            addr.is_unicast_link_local() || (addr.is_multicast() && addr.octets()[1] & 0xf == 2)
        }
    }
}

/// A network: an address and the number of leading bits that count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address; for an interface's own the host part is kept.
    pub addr: IpAddr,
    /// Leading bits of the network: up to 32 or 128.
    pub prefix: u8,
}

impl Cidr {
    /// A network, its prefix limited to the address's bits.
    #[must_use]
    pub fn new(addr: IpAddr, prefix: u8) -> Self {
        Self { addr, prefix: prefix.min(bits(addr)) }
    }

    /// Everything (0.0.0.0/0 or ::/0).
    #[must_use]
    pub fn everything(family: Family) -> Self {
        Self { addr: family.unspecified(), prefix: 0 }
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(net), IpAddr::V4(addr)) => {
                let shift = 32 - u32::from(self.prefix);
                (u32::from(net) ^ u32::from(addr)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(addr)) => {
                let shift = 128 - u32::from(self.prefix);
                (u128::from(net) ^ u128::from(addr)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The network without its host part.
    #[must_use]
    pub fn network(&self) -> Self {
        let addr = match self.addr {
            IpAddr::V4(addr) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(addr) & mask))
            }
            IpAddr::V6(addr) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(addr) & mask))
            }
        };
        Self { addr, prefix: self.prefix }
    }

    /// The broadcast address of an IPv4 network that has one.
    #[must_use]
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.addr {
            IpAddr::V4(addr) if self.prefix <= 30 => {
                Some(Ipv4Addr::from(u32::from(addr) | u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)))
            }
            _ => None,
        }
    }
}

fn bits(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(addr: &str, prefix: u8) -> Cidr {
        Cidr::new(addr.parse().unwrap(), prefix)
    }

    #[test]
    fn networks() {
        let net = cidr("10.1.2.3", 24);
        assert!(net.contains("10.1.2.255".parse().unwrap()) && !net.contains("10.1.3.0".parse().unwrap()));
        assert_eq!(net.network(), cidr("10.1.2.0", 24));
        assert_eq!(net.broadcast(), Some(Ipv4Addr::new(10, 1, 2, 255)));
        assert!(cidr("0.0.0.0", 0).contains("255.1.2.3".parse().unwrap()));
        assert!(!cidr("0.0.0.0", 0).contains("::1".parse().unwrap()));
        assert!(cidr("::", 0).contains("ff02::1".parse().unwrap()));
        assert!(cidr("fe80::1", 128).contains("fe80::1".parse().unwrap()));
        assert_eq!(cidr("10.1.2.3", 32).network(), cidr("10.1.2.3", 32));
        assert_eq!(cidr("10.1.2.3", 0).network(), cidr("0.0.0.0", 0));
        assert_eq!(cidr("10.1.2.3", 0).broadcast(), Some(Ipv4Addr::BROADCAST));
        assert_eq!(cidr("10.1.2.3", 31).broadcast(), None);
    }

    #[test]
    fn dual_stack_sockets_see_mapped_addresses() {
        let end = Endpoint::new("10.0.0.1".parse().unwrap(), 80);
        assert_eq!(end.present(Family::V6, 0).to_string(), "[::ffff:10.0.0.1]:80");
        assert_eq!(end.present(Family::V4, 0).to_string(), "10.0.0.1:80");
        let end = Endpoint::new("fe80::1".parse().unwrap(), 80);
        assert_eq!(end.present(Family::V6, 2).to_string(), "[fe80::1%2]:80");
    }
}
