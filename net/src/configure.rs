//! Changing interfaces, addresses and routes.

use crate::Result;
use crate::addr::Cidr;
use crate::interface::{Interface, InterfaceIndex, LOOPBACK};
use crate::link::Link;
use crate::route::{Address, Configuration, Route, RouteOrigin};
use crate::stack::Stack;
use crate::tcp::{Flow, TcpSummary};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::Ordering;
use husk_abi::err;

/// The least MTU: IPv4's (RFC 791).
const MIN_MTU: usize = 68;

impl Stack {
    /// Adds a card as the next `ethN`, up and without an address. The answer is its index.
    pub fn add_interface(&self, link: Arc<dyn Link>) -> InterfaceIndex {
        let index = self.configure(|configuration| {
            let index = configuration.interfaces.last().map_or(LOOPBACK, |last| last.index()) + 1;
            let name = format!("eth{}", index - LOOPBACK - 1);
            configuration.interfaces.push(Arc::new(Interface::ethernet(index, name, link)));
            index
        });
        self.waker.configuration_changed();
        index
    }

    /// Sets an interface up or down. Down, it sends and receives nothing and its neighbours are forgotten.
    ///
    /// # Errors
    /// ENODEV.
    pub fn set_up(&self, index: InterfaceIndex, up: bool) -> Result<()> {
        let Some(interface) = self.interface(index) else { return err!(ENODEV) };
        interface.set_up(up);
        if !up {
            interface.neighbours.lock().flush();
        }
        self.touch();
        Ok(())
    }

    /// Sets an interface's MTU in bytes.
    ///
    /// # Errors
    /// ENODEV; EINVAL if it is below 68, or above what the card can.
    pub fn set_mtu(&self, index: InterfaceIndex, mtu: usize) -> Result<()> {
        let Some(interface) = self.interface(index) else { return err!(ENODEV) };
        let most = interface.link().map_or(crate::interface::LOOPBACK_MTU, |link| link.mtu());
        if !(MIN_MTU..=most).contains(&mtu) {
            return err!(EINVAL);
        }
        interface.set_mtu(mtu);
        self.touch();
        Ok(())
    }

    /// A card's carrier has come or gone; called by its driver.
    pub fn link_changed(&self, index: InterfaceIndex) {
        let Some(interface) = self.interface(index) else { return };
        interface.set_carrier(interface.link().is_none_or(|link| link.is_up()));
        self.touch();
    }

    /// A card that was full has room again; called by its driver.
    pub fn transmit_ready(&self, index: InterfaceIndex) {
        if let Some(interface) = self.interface(index) {
            interface.transmit_queued();
        }
    }

    /// The configuration has changed in something that it does not contain itself: ways are looked up anew.
    fn touch(&self) {
        self.configure(|_| ());
        self.waker.configuration_changed();
    }

    /// Adds an address to an interface, and the route to its network.
    ///
    /// # Errors
    /// ENODEV; EEXIST; EINVAL for an address nobody can have.
    pub fn add_address(&self, index: InterfaceIndex, cidr: Cidr) -> Result<()> {
        self.set_address(Address { interface: index, cidr, valid_until: None, tentative: false }, true)
    }

    /// Adds an address, or changes its flags if it is there and `new` is not set.
    pub(crate) fn set_address(&self, address: Address, new: bool) -> Result<()> {
        let addr = address.cidr.addr;
        let is_broadcast = addr == IpAddr::V4(Ipv4Addr::BROADCAST);
        if addr.is_unspecified() || addr.is_multicast() || is_broadcast {
            return err!(EINVAL);
        }
        let result = self.configure(|configuration| {
            if configuration.interface(address.interface).is_none() {
                return err!(ENODEV);
            }
            let same = |other: &Address| other.interface == address.interface && other.cidr.addr == addr;
            if let Some(at) = configuration.addresses.iter().position(same) {
                if new {
                    return err!(EEXIST);
                }
                configuration.addresses[at] = address;
            } else {
                configuration.addresses.push(address);
            }
            let bits = if addr.is_ipv4() { 32 } else { 128 };
            let route = kernel_route(&address);
            if address.cidr.prefix < bits && !configuration.routes.contains(&route) {
                configuration.add_route(route);
            }
            Ok(())
        });
        self.waker.configuration_changed();
        result
    }

    /// Removes an address, and the routes that need it.
    ///
    /// # Errors
    /// ENODEV; EADDRNOTAVAIL if the interface does not have it.
    pub fn remove_address(&self, index: InterfaceIndex, addr: IpAddr) -> Result<()> {
        let result = self.configure(|configuration| {
            let found =
                configuration.addresses.iter().position(|a| a.interface == index && a.cidr.addr == addr);
            let Some(at) = found else { return err!(EADDRNOTAVAIL) };
            let removed = configuration.addresses.remove(at);
            let route = kernel_route(&removed);
            let shared = configuration.addresses.iter().any(|other| kernel_route(other) == route);
            configuration.routes.retain(|other| {
                (*other != route || shared) && !(other.interface == index && other.source == Some(addr))
            });
            Ok(())
        });
        self.waker.configuration_changed();
        result
    }

    /// Adds a route.
    ///
    /// # Errors
    /// ENODEV; EEXIST if there is one for the destination with the same metric and interface; ENETUNREACH if the router
    /// cannot be reached directly.
    pub fn add_route(&self, route: Route) -> Result<()> {
        let result = self.configure(|configuration| {
            let Some(interface) = configuration.interface(route.interface) else { return err!(ENODEV) };
            let loopback = interface.is_loopback();
            let route = Route { destination: route.destination.network(), ..route };
            let same = |other: &Route| {
                other.destination == route.destination
                    && other.metric == route.metric
                    && other.interface == route.interface
            };
            if configuration.routes.iter().any(same) {
                return err!(EEXIST);
            }
            if let Some(gateway) = route.gateway
                && !loopback
                && !is_on_link(configuration, gateway, route.interface)
            {
                return err!(ENETUNREACH);
            }
            configuration.add_route(route);
            Ok(())
        });
        self.waker.configuration_changed();
        result
    }

    /// Removes the first route to a destination that also has the given router, interface and metric, where they are given.
    ///
    /// # Errors
    /// ESRCH if there is none.
    pub fn remove_route(
        &self,
        destination: Cidr,
        gateway: Option<IpAddr>,
        interface: Option<InterfaceIndex>,
        metric: Option<u32>,
    ) -> Result<()> {
        let destination = destination.network();
        let result = self.configure(|configuration| {
            let found = configuration.routes.iter().position(|route| {
                route.destination == destination
                    && gateway.is_none_or(|gateway| route.gateway == Some(gateway))
                    && interface.is_none_or(|interface| route.interface == interface)
                    && metric.is_none_or(|metric| route.metric == metric)
            });
            match found {
                Some(at) => {
                    configuration.routes.remove(at);
                    Ok(())
                }
                None => err!(ESRCH),
            }
        });
        self.waker.configuration_changed();
        result
    }

    pub(crate) fn add_loopback_addresses(&self) {
        let addresses =
            [Cidr::new(Ipv4Addr::LOCALHOST.into(), 8), Cidr::new(Ipv6Addr::LOCALHOST.into(), 128)];
        self.configure(|configuration| {
            for cidr in addresses {
                let address = Address { interface: LOOPBACK, cidr, valid_until: None, tentative: false };
                configuration.addresses.push(address);
            }
        });
    }

    /// All TCP sockets and what is left of some, for /proc/net/tcp, tcp6 and socket diagnosis. In no order but that listeners come
    /// first.
    #[must_use]
    pub fn tcp_sockets(&self) -> Vec<TcpSummary> {
        let mut lines = Vec::new();
        for listener in self.listeners.list() {
            lines.push(listener.summary());
            lines.extend(listener.half_open());
        }
        self.flows.for_each(|_, flow| match flow {
            Flow::Socket(socket) => lines.push(socket.summary()),
            Flow::TimeWait(record) => lines.push(record.summary()),
        });
        lines
    }

    /// Connections that no program has open, and those in TIME-WAIT, for /proc/net/sockstat.
    #[must_use]
    pub fn tcp_leftovers(&self) -> (u32, usize) {
        (self.orphans.load(Ordering::Relaxed), self.time_waits.len())
    }
}

/// The route that an address brings.
fn kernel_route(address: &Address) -> Route {
    let v4 = address.cidr.addr.is_ipv4();
    Route {
        destination: address.cidr.network(),
        gateway: None,
        interface: address.interface,
        // Linux's: 0 for IPv4, 256 for IPv6.
        metric: if v4 { 0 } else { 256 },
        source: v4.then_some(address.cidr.addr),
        origin: RouteOrigin::Kernel,
    }
}

fn is_on_link(configuration: &Configuration, gateway: IpAddr, interface: InterfaceIndex) -> bool {
    crate::addr::is_link_local(gateway)
        || configuration.routes.iter().any(|route| {
            route.interface == interface && route.gateway.is_none() && route.destination.contains(gateway)
        })
}
