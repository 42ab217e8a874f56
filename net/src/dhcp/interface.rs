//! The client of an interface: its messages, and the configuration that follows from its lease.

use super::{Action, CLIENT_PORT, Client, Lease, Message, SERVER_PORT, v4};
use crate::Result;
use crate::addr::{Cidr, Family, NEVER, Nanos};
use crate::interface::{Interface, InterfaceIndex};
use crate::ip::{self, Received};
use crate::output::Output;
use crate::packet::Packet;
use crate::route::{Address, Path, Route, RouteOrigin};
use crate::stack::Stack;
use crate::timer::Timer;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use husk_abi::err;
use smoltcp::wire::DhcpMessageType;

impl Stack {
    /// Starts a DHCP client on an interface.
    ///
    /// # Errors
    /// ENODEV; EBUSY if one is running.
    pub fn start_dhcp(&self, index: InterfaceIndex, host_name: Option<&str>, now: Nanos) -> Result<()> {
        if self.interface(index).is_none_or(|interface| interface.is_loopback()) {
            return err!(ENODEV);
        }
        let client = Client::new(host_name.map(String::from), self.random.next() as u32, now);
        {
            let mut clients = self.dhcp.lock();
            if clients.contains_key(&index) {
                return err!(EBUSY);
            }
            clients.insert(index, client);
        }
        let mut out = Output::default();
        self.expire_dhcp(index, now, &mut out);
        self.finish(out, now);
        Ok(())
    }

    /// Stops the client, gives the lease back and takes the address away.
    pub fn stop_dhcp(&self, index: InterfaceIndex, now: Nanos) {
        let Some(client) = self.dhcp.lock().remove(&index) else { return };
        let mut out = Output::default();
        if let (Some(lease), Some(interface)) = (client.lease(), self.interface(index)) {
            let release = Message {
                kind: DhcpMessageType::Release,
                client: v4(lease.address.addr),
                requested: None,
                server: Some(lease.server),
                to: lease.server,
            };
            self.send_dhcp(&interface, &release, client.emit(&release, interface.mac(), now), &mut out);
            self.finish(out, now);
            self.change_lease(index, Some(lease), None);
        }
    }

    /// What the DHCP client of an interface has been given.
    #[must_use]
    pub fn dhcp_lease(&self, index: InterfaceIndex) -> Option<Lease> {
        self.dhcp.lock().get(&index)?.lease().cloned()
    }

    /// The name servers of all leases and router advertisements, for resolv.conf.
    #[must_use]
    pub fn name_servers(&self) -> Vec<IpAddr> {
        let mut servers: Vec<IpAddr> = {
            let clients = self.dhcp.lock();
            let leases = clients.values().filter_map(Client::lease);
            leases.flat_map(|lease| lease.name_servers.iter().copied().map(IpAddr::V4)).collect()
        };
        servers.extend(self.advertised_name_servers());
        servers
    }

    pub(crate) fn expire_dhcp(&self, index: InterfaceIndex, now: Nanos, out: &mut Output) {
        let random = self.random.next();
        self.run_dhcp(index, now, out, |client, _| client.expire(now, random));
    }

    /// Takes a datagram that is for the client. It may have no address yet, so sockets do not see it.
    pub(crate) fn receive_dhcp(
        &self,
        interface: &Arc<Interface>,
        packet: &[u8],
        header: &Received,
        now: Nanos,
        out: &mut Output,
    ) -> bool {
        let datagram = &packet[header.start..];
        let ports = [SERVER_PORT.to_be_bytes(), CLIENT_PORT.to_be_bytes()].concat();
        if header.to.is_ipv6() || datagram.get(..4) != Some(&ports[..]) || datagram.len() < 8 {
            return false;
        }
        if !self.dhcp.lock().contains_key(&interface.index()) {
            return false;
        }
        let random = self.random.next();
        self.run_dhcp(interface.index(), now, out, |client, mac| {
            client.receive(&datagram[8..], mac, now, random)
        });
        true
    }

    fn run_dhcp(
        &self,
        index: InterfaceIndex,
        now: Nanos,
        out: &mut Output,
        step: impl FnOnce(&mut Client, [u8; 6]) -> Action,
    ) {
        let Some(interface) = self.interface(index) else { return };
        let (message, change, next) = {
            let mut clients = self.dhcp.lock();
            let Some(client) = clients.get_mut(&index) else { return };
            let before = client.next;
            let action = step(client, interface.mac());
            let message = action.send.map(|message| (client.emit(&message, interface.mac(), now), message));
            (message, action.change, (client.next != before && client.next != NEVER).then_some(client.next))
        };
        if let Some((bytes, message)) = message {
            self.send_dhcp(&interface, &message, bytes, out);
        }
        if let Some((old, new)) = change {
            self.change_lease(index, old.as_ref(), new.as_ref());
        }
        if let Some(next) = next {
            self.set_timer(next, Timer::Dhcp(index), out);
        }
    }

    fn send_dhcp(&self, interface: &Arc<Interface>, message: &Message, bytes: Vec<u8>, out: &mut Output) {
        if bytes.is_empty() {
            return;
        }
        let (from, to) = (IpAddr::V4(message.client), IpAddr::V4(message.to));
        let path = match self.path(to, Some(interface.index()), Some(from)) {
            Ok(path) => Path { source: from, ..path },
            Err(_) => return,
        };
        let info = ip::Header { protocol: ip::UDP, ttl: 64, tos: 0, flow: 0 };
        let mut packet: Packet = ip::packet(from, to, 8, bytes.len(), &info);
        let at = ip::header_len(to);
        let udp = &mut packet.bytes_mut()[at..];
        udp[0..2].copy_from_slice(&CLIENT_PORT.to_be_bytes());
        udp[2..4].copy_from_slice(&SERVER_PORT.to_be_bytes());
        udp[4..6].copy_from_slice(&((8 + bytes.len()) as u16).to_be_bytes());
        packet.tail().extend_from_slice(&bytes);
        // Whole, as some servers look at raw frames.
        ip::finish_udp(&mut packet, &path, from, to, true);
        out.send(packet, &path);
    }

    /// Configures the interface by a lease that has come, changed or gone.
    fn change_lease(&self, index: InterfaceIndex, old: Option<&Lease>, new: Option<&Lease>) {
        let everything = Cidr::everything(Family::V4);
        if let Some(old) = old
            && new.is_none_or(|new| (new.address, new.router) != (old.address, old.router))
        {
            // They may have been taken away by hand meanwhile.
            if let Some(router) = old.router {
                let _ = self.remove_route(everything, Some(router.into()), Some(index), None);
            }
            let _ = self.remove_address(index, old.address.addr);
        }
        if let Some(new) = new {
            let address = Address {
                interface: index,
                cidr: new.address,
                valid_until: (new.until != NEVER).then_some(new.until),
                tentative: false,
            };
            // The interface is there; that the address is already is what renewing means.
            let _ = self.set_address(address, false);
            if let Some(router) = new.router {
                let _ = self.add_route(Route {
                    destination: everything,
                    gateway: Some(router.into()),
                    interface: index,
                    metric: 0,
                    source: None,
                    origin: RouteOrigin::Dhcp,
                });
            }
        }
    }
}
