//! IPv6 addresses that an interface makes itself: the link-local one, and those of the networks that routers advertise (RFC 4861 section 6,
//! RFC 4862; name servers by RFC 8106).

use crate::Result;
use crate::addr::{Cidr, Family, NEVER, Nanos, SECOND, is_link_local};
use crate::icmpv6;
use crate::interface::{Interface, InterfaceIndex};
use crate::ip::Received;
use crate::output::Output;
use crate::route::{Address, Route, RouteOrigin};
use crate::stack::Stack;
use crate::timer::Timer;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use husk_abi::err;

const ROUTER_SOLICITATION: u8 = 133;
/// Where options begin in an advertisement.
const OPTIONS: usize = 16;
const SOURCE_LINK: u8 = 1;
const PREFIX: u8 = 3;
const NAME_SERVERS: u8 = 25;
/// Flags of a prefix: on this link; for making addresses.
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;
/// How long an address is asked for before it is used (RETRANS_TIMER, with one solicitation).
const DETECTION: Nanos = SECOND;
/// Time between solicitations of routers, and how many (RFC 4861, section 10).
const SOLICITATION_INTERVAL: Nanos = 4 * SECOND;
const SOLICITATIONS: u8 = 3;
/// Bounds on what routers can make an interface remember (Linux: max_addresses is 16).
const MAX_ADDRESSES: usize = 16;
const MAX_ROUTERS: usize = 8;
const MAX_NAME_SERVERS: usize = 8;
/// An advertisement nobody has signed may not make a life shorter than this (RFC 4862, section 5.5.3).
const TWO_HOURS: Nanos = 7200 * SECOND;
const ROUTE_METRIC: u32 = 1024;

/// What one interface makes of itself.
#[derive(Default)]
pub(crate) struct Autoconf {
    /// Addresses that are being asked for, and until when.
    tentative: Vec<(Ipv6Addr, Nanos)>,
    solicited: u8,
    solicit_at: Nanos,
    routers: Vec<(IpAddr, Nanos)>,
    name_servers: Vec<(Ipv6Addr, Nanos)>,
    /// When the timer that is set is due.
    timer: Nanos,
}

impl Autoconf {
    fn deadline(&self, addresses: Nanos) -> Nanos {
        let times = self.tentative.iter().map(|entry| entry.1);
        let times = times.chain(self.routers.iter().map(|entry| entry.1));
        let times = times.chain(self.name_servers.iter().map(|entry| entry.1));
        times.chain([self.solicit_at, addresses]).min().unwrap_or(NEVER)
    }
}

impl Stack {
    /// Has an interface make its link-local address, ask for routers, and follow what they advertise.
    ///
    /// # Errors
    /// ENODEV; EBUSY if it does so already.
    pub fn start_ipv6(&self, index: InterfaceIndex, now: Nanos) -> Result<()> {
        let Some(interface) = self.interface(index).filter(|interface| !interface.is_loopback()) else {
            return err!(ENODEV);
        };
        {
            let mut all = self.autoconf.lock();
            if all.contains_key(&index) {
                return err!(EBUSY);
            }
            all.insert(index, Autoconf { solicit_at: NEVER, timer: NEVER, ..Autoconf::default() });
        }
        let own = from_prefix(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), interface.mac());
        let mut out = Output::default();
        self.make_address(&interface, own, 64, None, now);
        self.set_autoconf_timer(index, now, &mut out);
        self.finish(out, now);
        Ok(())
    }

    /// Adds an address that is not used until nobody has objected.
    fn make_address(
        &self,
        interface: &Interface,
        addr: Ipv6Addr,
        prefix: u8,
        until: Option<Nanos>,
        now: Nanos,
    ) {
        let cidr = Cidr::new(addr.into(), prefix);
        let address = Address { interface: interface.index(), cidr, valid_until: until, tentative: true };
        if self.set_address(address, true).is_err() {
            return;
        }
        if let Some(auto) = self.autoconf.lock().get_mut(&interface.index()) {
            auto.tentative.push((addr, now + DETECTION));
        }
        if let Some(frame) = icmpv6::solicitation(interface.mac(), None, addr, None) {
            interface.transmit(frame);
        }
    }

    /// Somebody else has the address, or wants it at the same time. True if it was being asked for and is given up.
    pub(crate) fn on_duplicate_address(&self, interface: &Interface, addr: Ipv6Addr) -> bool {
        let index = interface.index();
        let was_tentative = self.autoconf.lock().get_mut(&index).is_some_and(|auto| {
            let before = auto.tentative.len();
            auto.tentative.retain(|entry| entry.0 != addr);
            auto.tentative.len() != before
        });
        if was_tentative {
            // It is there: it was added with the entry.
            let _ = self.remove_address(index, addr.into());
        }
        was_tentative
    }

    pub(crate) fn on_router_advertisement(
        &self,
        interface: &Arc<Interface>,
        header: &Received,
        message: &[u8],
        now: Nanos,
        out: &mut Output,
    ) {
        let index = interface.index();
        if !is_link_local(header.from)
            || message.len() < OPTIONS
            || !self.autoconf.lock().contains_key(&index)
        {
            return;
        }
        let lifetime = u64::from(u16::from_be_bytes([message[6], message[7]])) * SECOND;
        self.set_router(index, header.from, (lifetime > 0).then_some(now + lifetime));
        for (kind, body) in icmpv6::options(&message[OPTIONS..]) {
            match kind {
                SOURCE_LINK => {
                    if let Some(mac) = body.first_chunk::<6>() {
                        self.learn(interface, header.from, *mac, true, now, out);
                    }
                }
                PREFIX => self.on_prefix(interface, body, now),
                NAME_SERVERS => self.on_name_servers(index, body, now),
                _ => {}
            }
        }
        if let Some(auto) = self.autoconf.lock().get_mut(&index) {
            auto.solicit_at = NEVER;
        }
        self.set_autoconf_timer(index, now, out);
    }

    /// A router is there until the time given, or no more.
    fn set_router(&self, index: InterfaceIndex, router: IpAddr, until: Option<Nanos>) {
        let (was, is) = {
            let mut all = self.autoconf.lock();
            let Some(auto) = all.get_mut(&index) else { return };
            let was = auto.routers.iter().any(|entry| entry.0 == router);
            auto.routers.retain(|entry| entry.0 != router);
            let room = auto.routers.len() < MAX_ROUTERS;
            if let Some(until) = until
                && room
            {
                auto.routers.push((router, until));
            }
            (was, until.is_some() && room)
        };
        let everything = Cidr::everything(Family::V6);
        // A program may have changed the routes meanwhile; then there is nothing to do.
        if is && !was {
            let _ = self.add_route(Route {
                destination: everything,
                gateway: Some(router),
                interface: index,
                metric: ROUTE_METRIC,
                source: None,
                origin: RouteOrigin::RouterAdvertisement,
            });
        } else if was && !is {
            let _ = self.remove_route(everything, Some(router), Some(index), Some(ROUTE_METRIC));
        }
    }

    fn on_prefix(&self, interface: &Interface, body: &[u8], now: Nanos) {
        let (Some(head), Some(prefix)) = (body.first_chunk::<6>(), body.get(14..30)) else { return };
        let (len, flags) = (head[0], head[1]);
        let seconds = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let prefix = Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(|i| prefix[i]));
        if is_link_local(prefix.into()) || prefix.is_multicast() || len != 64 || flags & ON_LINK == 0 {
            // Linux makes addresses of 64 bits only; a network that is not on the link would need a route of its own.
            return;
        }
        let until = if seconds == u32::MAX { None } else { Some(now + u64::from(seconds) * SECOND) };
        let own = from_prefix(prefix, interface.mac());
        let configuration = self.configuration();
        let mut ours = configuration.addresses_of(interface.index());
        if let Some(address) = ours.find(|address| address.cidr.addr == IpAddr::V6(own)) {
            let left = address.valid_until.unwrap_or(NEVER).saturating_sub(now);
            let given = until.unwrap_or(NEVER).saturating_sub(now);
            let until = if given > TWO_HOURS || given > left {
                until
            } else if left <= TWO_HOURS {
                address.valid_until
            } else {
                Some(now + TWO_HOURS)
            };
            // It is there, so this cannot fail.
            let _ = self.set_address(Address { valid_until: until, ..*address }, false);
            return;
        }
        let count = configuration.addresses_of(interface.index()).count();
        if flags & AUTONOMOUS != 0 && seconds > 0 && count < MAX_ADDRESSES {
            self.make_address(interface, own, 64, until, now);
        }
    }

    fn on_name_servers(&self, index: InterfaceIndex, body: &[u8], now: Nanos) {
        let (Some(life), Some(list)) = (body.get(2..6), body.get(6..)) else { return };
        let seconds = u64::from(u32::from_be_bytes([life[0], life[1], life[2], life[3]]));
        let mut all = self.autoconf.lock();
        let Some(auto) = all.get_mut(&index) else { return };
        for bytes in list.as_chunks::<16>().0 {
            let server = Ipv6Addr::from(*bytes);
            auto.name_servers.retain(|entry| entry.0 != server);
            if seconds > 0 && auto.name_servers.len() < MAX_NAME_SERVERS {
                auto.name_servers.push((server, now + seconds * SECOND));
            }
        }
    }

    pub(crate) fn expire_autoconfiguration(&self, index: InterfaceIndex, now: Nanos, out: &mut Output) {
        let Some(interface) = self.interface(index) else { return };
        let (usable, routers, solicit) = {
            let mut all = self.autoconf.lock();
            let Some(auto) = all.get_mut(&index) else { return };
            auto.timer = NEVER;
            let usable: Vec<Ipv6Addr> =
                auto.tentative.extract_if(.., |entry| entry.1 <= now).map(|entry| entry.0).collect();
            let routers: Vec<IpAddr> =
                auto.routers.iter().filter(|entry| entry.1 <= now).map(|entry| entry.0).collect();
            auto.name_servers.retain(|entry| entry.1 > now);
            if usable.iter().any(|addr| is_link_local((*addr).into())) {
                auto.solicit_at = now;
            }
            let solicit = auto.solicit_at <= now;
            if solicit {
                auto.solicited += 1;
                let again = auto.solicited < SOLICITATIONS;
                auto.solicit_at = if again { now + SOLICITATION_INTERVAL } else { NEVER };
            }
            (usable, routers, solicit)
        };
        let ours: Vec<Address> = self.configuration().addresses_of(index).copied().collect();
        for address in
            ours.iter().filter(|address| usable.iter().any(|addr| address.cidr.addr == IpAddr::V6(*addr)))
        {
            // It is there, so this cannot fail.
            let _ = self.set_address(Address { tentative: false, ..*address }, false);
        }
        let over = |address: &&Address| {
            address.cidr.addr.is_ipv6() && address.valid_until.is_some_and(|until| until <= now)
        };
        for address in ours.iter().filter(over) {
            let _ = self.remove_address(index, address.cidr.addr);
        }
        for router in routers {
            self.set_router(index, router, None);
        }
        if solicit {
            self.solicit_routers(&interface);
        }
        self.set_autoconf_timer(index, now, out);
    }

    fn solicit_routers(&self, interface: &Interface) {
        let own = self.configuration().addresses_of(interface.index()).find_map(|address| {
            match address.cidr.addr {
                IpAddr::V6(addr) if addr.is_unicast_link_local() && !address.tentative => Some(addr),
                _ => None,
            }
        });
        let Some(own) = own else { return };
        let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
        let mut option = [SOURCE_LINK, 1, 0, 0, 0, 0, 0, 0];
        option[2..].copy_from_slice(&interface.mac());
        let packet = icmpv6::message(own, all_routers, [ROUTER_SOLICITATION, 0, 0, 0], &option);
        interface.transmit(packet.into_frame([0x33, 0x33, 0, 0, 0, 2], interface.mac()));
    }

    fn set_autoconf_timer(&self, index: InterfaceIndex, now: Nanos, out: &mut Output) {
        let lives = self.configuration();
        let lives = lives.addresses_of(index).filter(|address| address.cidr.addr.is_ipv6());
        let addresses = lives.filter_map(|address| address.valid_until).min().unwrap_or(NEVER);
        let at = {
            let mut all = self.autoconf.lock();
            let Some(auto) = all.get_mut(&index) else { return };
            let at = auto.deadline(addresses).max(now);
            if at >= auto.timer {
                return;
            }
            auto.timer = at;
            at
        };
        self.set_timer(at, Timer::Autoconfiguration(index), out);
    }

    /// Name servers that routers have advertised on an interface.
    pub(crate) fn advertised_name_servers(&self) -> Vec<IpAddr> {
        let all = self.autoconf.lock();
        all.values().flat_map(|auto| auto.name_servers.iter().map(|entry| IpAddr::V6(entry.0))).collect()
    }
}

/// An address of a network, with the interface's identifier made of its Ethernet address (RFC 4291, appendix A).
fn from_prefix(prefix: Ipv6Addr, mac: [u8; 6]) -> Ipv6Addr {
    let mut bytes = prefix.octets();
    bytes[8..].copy_from_slice(&[mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]]);
    Ipv6Addr::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifier() {
        let addr = from_prefix("fe80::".parse().unwrap(), [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!(addr.to_string(), "fe80::5054:ff:fe12:3456");
    }
}
