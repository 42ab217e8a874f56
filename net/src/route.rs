//! The configuration that packets are routed by: interfaces, addresses, routes.

use crate::Result;
use crate::addr::{Cidr, is_link_local};
use crate::interface::{Interface, InterfaceIndex, LOOPBACK};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use husk_abi::err;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub destination: Cidr,
    /// The router; without one the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub interface: InterfaceIndex,
    /// Of several for one destination the lowest counts.
    pub metric: u32,
    /// The source address for packets of sockets that are bound to none.
    pub source: Option<IpAddr>,
    /// Who made it.
    pub origin: RouteOrigin,
}

/// Who made a route (rtnetlink(7), `rtm_protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteOrigin {
    /// The kernel, for an address's network (RTPROT_KERNEL, 2).
    Kernel,
    /// Configuration or a program (RTPROT_BOOT, 3, or RTPROT_STATIC, 4).
    Static,
    /// A router's advertisement (RTPROT_RA, 9).
    RouterAdvertisement,
    /// DHCP (RTPROT_DHCP, 16).
    Dhcp,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub interface: InterfaceIndex,
    /// The address with its network's prefix.
    pub cidr: Cidr,
    /// When it ends, in monotonic time; `None` for permanent.
    pub valid_until: Option<u64>,
    /// Duplicate address detection is not done yet (IFA_F_TENTATIVE): not used.
    pub tentative: bool,
}

/// Interfaces, addresses and routes at one time. Never changed: a change makes a new one.
#[derive(Clone, Default)]
pub struct Configuration {
    /// Sorted by index.
    pub interfaces: Vec<Arc<Interface>>,
    /// In the order in which they were added.
    pub addresses: Vec<Address>,
    /// Longest prefix first, then lowest metric.
    pub routes: Vec<Route>,
    pub(crate) generation: u64,
}

/// Where packets to a destination go.
#[derive(Clone)]
pub(crate) struct Path {
    pub(crate) interface: Arc<Interface>,
    pub(crate) next_hop: IpAddr,
    pub(crate) source: IpAddr,
    /// Of the configuration by which it was found.
    pub(crate) generation: u64,
}

/// What an address is to this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressKind {
    Local,
    Broadcast,
    Multicast,
    Other,
}

impl Configuration {
    /// The interface with this index.
    #[must_use]
    pub fn interface(&self, index: InterfaceIndex) -> Option<&Arc<Interface>> {
        self.interfaces.iter().find(|interface| interface.index() == index)
    }

    /// The interface with this name.
    #[must_use]
    pub fn interface_named(&self, name: &str) -> Option<&Arc<Interface>> {
        self.interfaces.iter().find(|interface| interface.name() == name)
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, index: InterfaceIndex) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.interface == index)
    }

    pub(crate) fn add_route(&mut self, route: Route) {
        let at = self.routes.partition_point(|other| {
            (core::cmp::Reverse(other.destination.prefix), other.metric)
                <= (core::cmp::Reverse(route.destination.prefix), route.metric)
        });
        self.routes.insert(at, route);
    }

    /// Whether packets for this address are for this machine.
    pub(crate) fn is_local(&self, addr: IpAddr) -> bool {
        self.local_interface(addr).is_some()
    }

    /// The interface that has the address.
    pub(crate) fn local_interface(&self, addr: IpAddr) -> Option<InterfaceIndex> {
        if addr.is_loopback() {
            return Some(LOOPBACK);
        }
        self.addresses
            .iter()
            .find(|address| address.cidr.addr == addr && !address.tentative)
            .map(|address| address.interface)
    }

    /// What the address is; `interface` is where the packet came in, if it did.
    pub(crate) fn kind(&self, addr: IpAddr, interface: Option<InterfaceIndex>) -> AddressKind {
        if addr.is_multicast() {
            return AddressKind::Multicast;
        }
        if self.is_local(addr) {
            return AddressKind::Local;
        }
        if let IpAddr::V4(v4) = addr {
            let of_a_network = || {
                self.addresses
                    .iter()
                    .filter(|address| interface.is_none_or(|index| index == address.interface))
                    .any(|address| address.cidr.broadcast() == Some(v4))
            };
            if v4.is_broadcast() || of_a_network() {
                return AddressKind::Broadcast;
            }
        }
        AddressKind::Other
    }

    /// Where a packet to `to` goes.
    ///
    /// # Errors
    /// ENETUNREACH if there is no route, or none by the interface asked for; EINVAL for an address nobody can have; ENETDOWN if
    /// the interface is down; EADDRNOTAVAIL if this machine has no address to send from.
    pub(crate) fn path(
        &self,
        to: IpAddr,
        bound: Option<InterfaceIndex>,
        source: Option<IpAddr>,
    ) -> Result<Path> {
        let (interface, next_hop, preferred) = self.route(to, bound)?;
        if !interface.is_up() {
            return err!(ENETDOWN);
        }
        let source = match source {
            Some(source) => source,
            None if self.is_local(to) => to,
            None => match preferred.or_else(|| self.source_for(to, next_hop, interface.index())) {
                Some(source) => source,
                // DHCP, and programs that do the like, send without an address.
                None if matches!(to, IpAddr::V4(v4) if v4.is_broadcast() || v4.is_multicast()) => {
                    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                }
                None => return err!(EADDRNOTAVAIL),
            },
        };
        Ok(Path { interface: Arc::clone(interface), next_hop, source, generation: self.generation })
    }

    fn route(
        &self,
        to: IpAddr,
        bound: Option<InterfaceIndex>,
    ) -> Result<(&Arc<Interface>, IpAddr, Option<IpAddr>)> {
        if to.is_unspecified() {
            return err!(EINVAL);
        }
        if self.is_local(to)
            && bound.is_none_or(|bound| bound == LOOPBACK || self.local_interface(to) == Some(bound))
        {
            return match self.interface(LOOPBACK) {
                Some(interface) => Ok((interface, to, None)),
                None => err!(ENETUNREACH),
            };
        }
        let on_link = to.is_multicast() || is_link_local(to) || to == IpAddr::V4(Ipv4Addr::BROADCAST);
        if on_link && let Some(bound) = bound {
            return match self.interface(bound) {
                Some(interface) => Ok((interface, to, None)),
                None => err!(ENODEV),
            };
        }
        for route in &self.routes {
            if !route.destination.contains(to) || bound.is_some_and(|bound| bound != route.interface) {
                continue;
            }
            let Some(interface) = self.interface(route.interface) else { continue };
            if interface.is_up() {
                let next_hop = if on_link { to } else { route.gateway.unwrap_or(to) };
                return Ok((interface, next_hop, route.source));
            }
        }
        if on_link && let Some(interface) = self.interfaces.iter().find(|i| !i.is_loopback() && i.is_up()) {
            return Ok((interface, to, None));
        }
        // Bound to a device, everything is on its link, as in Linux.
        if let Some(interface) = bound.and_then(|bound| self.interface(bound))
            && !interface.is_loopback()
        {
            return Ok((interface, to, None));
        }
        err!(ENETUNREACH)
    }

    /// The address to send from: one of the interface in the next hop's network if there is one, else of the same scope.
    pub(crate) fn source_for(&self, to: IpAddr, next_hop: IpAddr, index: InterfaceIndex) -> Option<IpAddr> {
        let usable = |address: &&Address| address.cidr.addr.is_ipv4() == to.is_ipv4() && !address.tentative;
        let scope = is_link_local(to);
        let score = |address: &&Address| {
            let on_interface = address.interface == index;
            let same_scope = is_link_local(address.cidr.addr) == scope;
            (same_scope, on_interface, address.cidr.contains(next_hop), address.cidr.contains(to))
        };
        let mut best: Option<&Address> = None;
        for address in self.addresses.iter().filter(usable) {
            let other = address.interface != index;
            if other && (is_link_local(address.cidr.addr) || address.cidr.addr.is_loopback()) {
                continue;
            }
            // The first of equals, as it is the primary one.
            if best.as_ref().is_none_or(|best| score(&address) > score(best)) {
                best = Some(address);
            }
        }
        best.map(|address| address.cidr.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Family;
    use crate::link::{Link, Offloads};
    use crate::packet::Frame;
    use husk_abi::Errno;

    struct NoLink;
    impl Link for NoLink {
        fn mtu(&self) -> usize {
            1500
        }
        fn mac(&self) -> [u8; 6] {
            [2, 0, 0, 0, 0, 1]
        }
        fn offloads(&self) -> Offloads {
            Offloads::default()
        }
        fn transmit(&self, frame: Frame) -> core::result::Result<(), Frame> {
            Err(frame)
        }
        fn is_up(&self) -> bool {
            true
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn configuration() -> Configuration {
        let mut config = Configuration::default();
        config.interfaces.push(Arc::new(Interface::loopback()));
        config.interfaces.push(Arc::new(Interface::ethernet(2, "eth0".into(), Arc::new(NoLink))));
        config.interfaces.push(Arc::new(Interface::ethernet(3, "eth1".into(), Arc::new(NoLink))));
        for (interface, addr, prefix) in [
            (1, "127.0.0.1", 8),
            (2, "10.0.0.2", 24),
            (3, "10.1.0.2", 16),
            (2, "fe80::2", 64),
            (2, "fd00::2", 64),
        ] {
            let cidr = Cidr::new(ip(addr), prefix);
            config.addresses.push(Address { interface, cidr, valid_until: None, tentative: false });
            config.add_route(Route {
                destination: cidr.network(),
                gateway: None,
                interface,
                metric: 0,
                source: None,
                origin: RouteOrigin::Kernel,
            });
        }
        config.add_route(Route {
            destination: Cidr::everything(Family::V4),
            gateway: Some(ip("10.0.0.1")),
            interface: 2,
            metric: 0,
            source: None,
            origin: RouteOrigin::Static,
        });
        config
    }

    fn path(to: &str) -> (u32, String, String) {
        let path = configuration().path(ip(to), None, None).unwrap();
        (path.interface.index(), path.next_hop.to_string(), path.source.to_string())
    }

    #[test]
    fn longest_prefix_and_source() {
        assert_eq!(path("10.0.0.9"), (2, "10.0.0.9".into(), "10.0.0.2".into()));
        assert_eq!(path("10.1.9.9"), (3, "10.1.9.9".into(), "10.1.0.2".into()));
        assert_eq!(path("8.8.8.8"), (2, "10.0.0.1".into(), "10.0.0.2".into()));
        assert_eq!(path("10.0.0.2"), (1, "10.0.0.2".into(), "10.0.0.2".into()));
        assert_eq!(path("127.1.2.3"), (1, "127.1.2.3".into(), "127.1.2.3".into()));
        assert_eq!(path("fd00::9"), (2, "fd00::9".into(), "fd00::2".into()));
        assert_eq!(path("fe80::9"), (2, "fe80::9".into(), "fe80::2".into()));
        assert_eq!(path("ff02::1"), (2, "ff02::1".into(), "fe80::2".into()));
        let config = configuration();
        assert_eq!(config.path(ip("2001:db8::1"), None, None).err(), Some(Errno::ENETUNREACH));
        assert_eq!(config.path(ip("0.0.0.0"), None, None).err(), Some(Errno::EINVAL));
        let bound = config.path(ip("8.8.8.8"), Some(3), None).unwrap();
        assert_eq!((bound.interface.index(), bound.next_hop), (3, ip("8.8.8.8")));
    }

    #[test]
    fn kinds() {
        let config = configuration();
        assert_eq!(config.kind(ip("10.0.0.255"), Some(2)), AddressKind::Broadcast);
        assert_eq!(config.kind(ip("10.0.0.255"), Some(3)), AddressKind::Other);
        assert_eq!(config.kind(ip("255.255.255.255"), None), AddressKind::Broadcast);
        assert_eq!(config.kind(ip("224.0.0.1"), None), AddressKind::Multicast);
        assert_eq!(config.kind(ip("10.1.0.2"), Some(2)), AddressKind::Local);
        assert_eq!(config.kind(ip("::1"), None), AddressKind::Local);
    }
}
