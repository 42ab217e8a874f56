//! IPv6 addresses without a program's help.

use super::harness::{ETH0, SECOND};
use super::*;
use crate::icmpv6;
use crate::tcp::State;
use crate::{Cidr, Family};
use std::net::{IpAddr, Ipv6Addr};

fn addresses(world: &World, stack: usize) -> Vec<String> {
    let configuration = world.stacks[stack].configuration();
    let usable = configuration.addresses_of(ETH0).filter(|address| !address.tentative);
    usable.map(|address| format!("{:?}", address.cidr)).collect()
}

/// An advertisement by the router fe80::99, with a prefix and a name server.
fn advertisement(router_life: u16, life: u32) -> Vec<u8> {
    let from = "fe80::99".parse().unwrap();
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut body = vec![0; 8];
    body.extend([3, 4, 64, 0xc0]);
    body.extend(life.to_be_bytes());
    body.extend(life.to_be_bytes());
    body.extend([0; 4]);
    body.extend("2001:db8:1::".parse::<Ipv6Addr>().unwrap().octets());
    body.extend([25, 3, 0, 0]);
    body.extend(life.to_be_bytes());
    body.extend("2001:db8::53".parse::<Ipv6Addr>().unwrap().octets());
    let [high, low] = router_life.to_be_bytes();
    let mut packet = icmpv6::message(from, all, [134, 64, 0, high], &body);
    packet.bytes_mut()[47] = low;
    crate::icmp::finish(&mut packet, from.into(), all.into());
    packet.into_frame([0x33, 0x33, 0, 0, 0, 1], [2, 0, 0, 0, 0, 0x99]).bytes().to_vec()
}

#[test]
fn link_local_addresses_work() {
    let mut world = World::bare(2, Wire::default());
    for stack in &world.stacks {
        stack.start_ipv6(ETH0, world.now).unwrap();
    }
    assert!(addresses(&world, 0).is_empty(), "not before it is known that nobody has it");
    world.run(30 * SECOND);
    assert_eq!(addresses(&world, 0), ["fe80::ff:fe00:1/64"]);
    let before = world.frames;
    world.run(1000 * SECOND);
    assert_eq!(world.frames, before, "routers are asked for three times, then it is quiet");
    assert_eq!(world.stacks[0].timers.len(), 0);
    let listener = Client::new(&world.stacks[1], Family::V6);
    listener.socket.bind(addr("::", 80), 0).unwrap();
    listener.socket.listen(1).unwrap();
    let client = Client::new(&world.stacks[0], Family::V6);
    let to = std::net::SocketAddrV6::new("fe80::ff:fe00:2".parse().unwrap(), 80, 0, ETH0);
    let _ = client.socket.connect(to.into(), world.now);
    world.run(SECOND);
    assert_eq!(client.socket.state(), State::Established);
    assert_eq!(client.socket.peer_addr().unwrap(), to.into());
}

#[test]
fn an_address_that_somebody_has_is_given_up() {
    let mut world = World::bare(2, Wire::default());
    let taken = Cidr::new("fe80::ff:fe00:1".parse().unwrap(), 64);
    world.stacks[1].add_address(ETH0, taken).unwrap();
    world.stacks[0].start_ipv6(ETH0, world.now).unwrap();
    world.run(30 * SECOND);
    assert!(addresses(&world, 0).is_empty());
    assert_eq!(world.stacks[0].configuration().addresses_of(ETH0).count(), 0);
}

#[test]
fn follows_a_router() {
    let mut world = World::bare(1, Wire::default());
    world.stacks[0].start_ipv6(ETH0, world.now).unwrap();
    world.run(2 * SECOND);
    world.receive(0, &advertisement(1800, 10_000));
    world.run(2 * SECOND);
    assert_eq!(addresses(&world, 0), ["fe80::ff:fe00:1/64", "2001:db8:1::ff:fe00:1/64"]);
    assert_eq!(world.stacks[0].name_servers(), ["2001:db8::53".parse::<IpAddr>().unwrap()]);
    let path = world.stacks[0].path("2001:4860::1".parse().unwrap(), None, None).unwrap();
    assert_eq!(path.next_hop, "fe80::99".parse::<IpAddr>().unwrap());
    assert_eq!(path.source, "2001:db8:1::ff:fe00:1".parse::<IpAddr>().unwrap());
    // A forged end of life shortens it to two hours at the most.
    world.receive(0, &advertisement(1800, 1));
    world.run(1000 * SECOND);
    assert_eq!(addresses(&world, 0).len(), 2);
    world.run(900 * SECOND);
    assert!(world.stacks[0].path("2001:4860::1".parse().unwrap(), None, None).is_err(), "the router is gone");
    assert_eq!(addresses(&world, 0).len(), 2);
    world.run(7200 * SECOND);
    assert_eq!(addresses(&world, 0), ["fe80::ff:fe00:1/64"]);
    assert!(world.stacks[0].name_servers().is_empty());
    assert_eq!(world.stacks[0].timers.len(), 0);
}
