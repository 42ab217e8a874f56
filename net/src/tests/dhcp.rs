//! The DHCP client against a small server.

use super::harness::{ETH0, SECOND};
use super::*;
use crate::udp::SendControl;
use crate::{Cidr, Family, Nanos, UdpSocket};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Gives 10.9.0.77 to whoever asks.
struct Server {
    socket: Arc<UdpSocket>,
    lease: u32,
    seen: Vec<DhcpMessageType>,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const GIVEN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 77);

impl Server {
    fn new(world: &World, lease: u32) -> Self {
        world.stacks[1].add_address(ETH0, Cidr::new(SERVER.into(), 24)).unwrap();
        let socket = world.stacks[1].udp_socket(Family::V4, 0, Arc::new(harness::Bell::default()));
        socket.set_options(|options| options.broadcast = true);
        socket.bind(addr("0.0.0.0", 67), 0).unwrap();
        Self { socket, lease, seen: Vec::new() }
    }

    fn serve(&mut self, now: Nanos) {
        while let Ok(datagram) = self.socket.recv(false) {
            let packet = DhcpPacket::new_checked(datagram.bytes()).unwrap();
            let request = DhcpRepr::parse(&packet).unwrap();
            self.seen.push(request.message_type);
            let answer = match request.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                DhcpMessageType::Request => DhcpMessageType::Ack,
                _ => continue,
            };
            let servers = [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(8, 8, 8, 8)];
            let reply = DhcpRepr {
                message_type: answer,
                your_ip: GIVEN,
                server_ip: SERVER,
                server_identifier: Some(SERVER),
                subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
                router: Some(SERVER),
                dns_servers: Some(servers.into_iter().collect()),
                lease_duration: Some(self.lease),
                client_identifier: None,
                requested_ip: None,
                parameter_request_list: None,
                max_size: None,
                ..request
            };
            let mut bytes = vec![0; reply.buffer_len()];
            reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
            let to = if request.client_ip.is_unspecified() { Ipv4Addr::BROADCAST } else { request.client_ip };
            self.socket
                .send(bytes.len(), Some((to, 68).into()), &SendControl::default(), now, &mut |buffer| {
                    buffer.copy_from_slice(&bytes);
                    Ok(buffer.len())
                })
                .unwrap();
        }
    }

    fn run(&mut self, world: &mut World, time: Nanos) {
        let until = world.now + time;
        while world.step(until) {
            self.serve(world.now);
        }
    }
}

#[test]
fn gets_renews_loses_and_gives_back_an_address() {
    let mut world = World::bare(2, Wire::default());
    let mut server = Server::new(&world, 600);
    world.stacks[0].start_dhcp(ETH0, Some("husk"), world.now).unwrap();
    server.run(&mut world, SECOND);
    let lease = world.stacks[0].dhcp_lease(ETH0).unwrap();
    assert_eq!((lease.address, lease.router), (Cidr::new(GIVEN.into(), 24), Some(SERVER)));
    assert_eq!(
        world.stacks[0].name_servers(),
        [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(8, 8, 8, 8)].map(std::net::IpAddr::from)
    );
    let path = world.stacks[0].path([1, 1, 1, 1].into(), None, None).unwrap();
    assert_eq!((path.next_hop, path.source), (SERVER.into(), GIVEN.into()));
    assert_eq!(server.seen, [DhcpMessageType::Discover, DhcpMessageType::Request]);

    server.run(&mut world, 1500 * SECOND);
    let renewed = world.stacks[0].dhcp_lease(ETH0).unwrap();
    assert!(renewed.until > lease.until && server.seen.len() >= 5, "renewed at half time: {:?}", server.seen);
    assert_eq!(world.stacks[0].configuration().addresses_of(ETH0).count(), 1);

    // The server is silent: rebinding is tried, and at the end of the lease the address goes.
    server.socket.close();
    world.run(700 * SECOND);
    assert_eq!(world.stacks[0].dhcp_lease(ETH0), None);
    assert_eq!(world.stacks[0].configuration().addresses_of(ETH0).count(), 0);
    assert!(world.stacks[0].path([1, 1, 1, 1].into(), None, None).is_err());

    let mut server = Server {
        socket: world.stacks[1].udp_socket(Family::V4, 0, Arc::new(harness::Bell::default())),
        ..server
    };
    server.socket.set_options(|options| options.broadcast = true);
    server.socket.bind(addr("0.0.0.0", 67), 0).unwrap();
    server.run(&mut world, 100 * SECOND);
    assert!(world.stacks[0].dhcp_lease(ETH0).is_some());
    world.stacks[0].stop_dhcp(ETH0, world.now);
    server.run(&mut world, SECOND);
    assert_eq!(server.seen.last(), Some(&DhcpMessageType::Release));
    assert_eq!(world.stacks[0].configuration().addresses_of(ETH0).count(), 0);
}

#[test]
fn asks_ever_more_rarely() {
    let mut world = World::bare(1, Wire::default());
    world.stacks[0].start_dhcp(ETH0, None, world.now).unwrap();
    world.run(600 * SECOND);
    assert!((10..20).contains(&world.frames), "{} messages in ten minutes", world.frames);
}
