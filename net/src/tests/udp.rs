//! Datagrams.

use super::harness::{Bell, ETH0, SECOND};
use super::*;
use crate::udp::SendControl;
use crate::{Cidr, Events, Family, UdpSocket};
use husk_abi::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

struct Udp {
    socket: Arc<UdpSocket>,
    bell: Arc<Bell>,
}

impl Udp {
    fn new(world: &World, stack: usize, family: Family) -> Self {
        let bell = Arc::new(Bell::default());
        Self { socket: world.stacks[stack].udp_socket(family, 1, bell.clone()), bell }
    }

    fn bound(world: &World, stack: usize, to: SocketAddr) -> Self {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let udp = Self::new(world, stack, family);
        udp.socket.bind(to, 0).unwrap();
        udp
    }

    fn send(&self, world: &World, bytes: &[u8], to: Option<SocketAddr>) -> Result<usize, Errno> {
        self.socket.send(bytes.len(), to, &SendControl::default(), world.now, &mut |buffer| {
            buffer.copy_from_slice(bytes);
            Ok(buffer.len())
        })
    }

    fn receive(&self) -> Result<(Vec<u8>, SocketAddr), Errno> {
        let datagram = self.socket.recv(false)?;
        Ok((datagram.bytes().to_vec(), datagram.from(self.socket.family())))
    }
}

#[test]
fn there_and_back_with_fragments() {
    let mut world = World::new(2, Wire::default());
    for (one, two) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        let a = Udp::bound(&world, 0, addr(one, 1000));
        let b = Udp::bound(&world, 1, addr(two, 2000));
        for len in [0, 1, 1400, 1473, 9000, 65_000] {
            let data = pattern(len);
            assert_eq!(a.send(&world, &data, Some(addr(two, 2000))), Ok(len));
            world.run(SECOND);
            assert_eq!(b.receive(), Ok((data, addr(one, 1000))));
            assert!(b.bell.take().contains(Events::READABLE));
        }
        assert_eq!(a.send(&world, &pattern(65_530), Some(addr(two, 2000))), Err(Errno::EMSGSIZE));
        assert_eq!(b.receive(), Err(Errno::EAGAIN));
        [a, b].iter().for_each(|udp| udp.socket.close());
    }
}

#[test]
fn nobody_there() {
    let mut world = World::new(2, Wire::default());
    for (one, two) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"), ("127.0.0.1", "127.0.0.1")] {
        let a = Udp::bound(&world, 0, addr(one, 0));
        a.send(&world, b"x", Some(addr(two, 9))).unwrap();
        world.run(SECOND);
        assert_eq!(a.socket.take_error(), None, "without a connection nobody is told");
        a.socket.connect(addr(two, 9)).unwrap();
        a.send(&world, b"x", None).unwrap();
        world.run(SECOND);
        assert!(a.socket.readiness().contains(Events::ERROR));
        assert!(a.bell.take().contains(Events::ERROR));
        assert_eq!(a.receive(), Err(Errno::ECONNREFUSED));
        assert_eq!(a.receive(), Err(Errno::EAGAIN));
        a.socket.close();
    }
}

#[test]
fn a_silent_neighbour() {
    let mut world = World::new(2, Wire::default());
    let a = Udp::bound(&world, 0, addr("10.0.0.1", 0));
    a.socket.set_options(|options| options.receive_errors = true);
    a.socket.connect(addr("10.0.0.77", 9)).unwrap();
    a.send(&world, b"x", None).unwrap();
    world.run(2 * SECOND);
    assert_eq!(a.socket.take_error(), None);
    world.run(2 * SECOND);
    assert_eq!(a.socket.take_error(), Some(Errno::EHOSTUNREACH));
    assert_eq!(world.stacks[0].timers.len(), 0, "and no timer goes on");
}

#[test]
fn connected_sockets_get_only_their_peer() {
    let mut world = World::new(3, Wire::default());
    let all = Udp::bound(&world, 0, addr("0.0.0.0", 53));
    let one = Udp::new(&world, 0, Family::V4);
    one.socket.set_options(|options| options.reuse_addr = true);
    assert_eq!(one.socket.bind(addr("10.0.0.1", 53), 0), Err(Errno::EADDRINUSE));
    all.socket.set_options(|options| options.reuse_addr = true);
    one.socket.bind(addr("10.0.0.1", 53), 0).unwrap();
    one.socket.connect(addr("10.0.0.2", 7)).unwrap();
    let peer = Udp::bound(&world, 1, addr("10.0.0.2", 7));
    let other = Udp::bound(&world, 2, addr("10.0.0.3", 7));
    for from in [&peer, &other] {
        from.send(&world, b"hello", Some(addr("10.0.0.1", 53))).unwrap();
    }
    world.run(SECOND);
    assert_eq!(one.receive().unwrap().1, addr("10.0.0.2", 7));
    assert_eq!(all.receive().unwrap().1, addr("10.0.0.3", 7));
    assert_eq!((one.receive(), all.receive()), (Err(Errno::EAGAIN), Err(Errno::EAGAIN)));
}

#[test]
fn dual_stack() {
    let mut world = World::new(2, Wire::default());
    let six = Udp::bound(&world, 1, addr("::", 7));
    let four = Udp::bound(&world, 0, addr("10.0.0.1", 8));
    four.send(&world, b"4", Some(addr("10.0.0.2", 7))).unwrap();
    world.run(SECOND);
    let (_, from) = six.receive().unwrap();
    assert_eq!(from, addr("::ffff:10.0.0.1", 8));
    six.send(&world, b"6", Some(from)).unwrap();
    world.run(SECOND);
    assert_eq!(four.receive().unwrap(), (b"6".to_vec(), addr("10.0.0.2", 7)));
}

#[test]
fn balancing_by_reuse_port() {
    let mut world = World::new(2, Wire::default());
    let workers: Vec<Udp> = (0..4)
        .map(|_| {
            let udp = Udp::new(&world, 1, Family::V4);
            udp.socket.set_options(|options| options.reuse_port = true);
            udp.socket.bind(addr("0.0.0.0", 53), 0).unwrap();
            udp
        })
        .collect();
    for port in 1..=200 {
        let from = Udp::bound(&world, 0, addr("0.0.0.0", port));
        from.send(&world, b"x", Some(addr("10.0.0.2", 53))).unwrap();
        world.run(SECOND / 100);
        from.socket.close();
    }
    world.run(SECOND);
    let counts: Vec<usize> =
        workers.iter().map(|worker| std::iter::from_fn(|| worker.receive().ok()).count()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 200);
    assert!(counts.iter().all(|count| (25..=80).contains(count)), "{counts:?}");
}

#[test]
fn broadcast_and_groups() {
    let mut world = World::new(3, Wire::default());
    let from = Udp::bound(&world, 0, addr("10.0.0.1", 5));
    let others: Vec<Udp> = (0..3).map(|i| Udp::bound(&world, i, addr("0.0.0.0", 6))).collect();
    let to = addr("10.0.0.255", 6);
    assert_eq!(from.send(&world, b"x", Some(to)), Err(Errno::EACCES));
    from.socket.set_options(|options| options.broadcast = true);
    for to in [to, addr("255.255.255.255", 6)] {
        from.send(&world, b"all", Some(to)).unwrap();
        world.run(SECOND);
        assert!(others.iter().all(|other| other.receive() == Ok((b"all".to_vec(), addr("10.0.0.1", 5)))));
    }
    let group = "224.1.2.3".parse().unwrap();
    world.stacks.iter().for_each(|stack| {
        let route = crate::Route {
            destination: Cidr::new([224, 0, 0, 0].into(), 4),
            gateway: None,
            interface: ETH0,
            metric: 0,
            source: None,
            origin: crate::RouteOrigin::Static,
        };
        stack.add_route(route).unwrap();
    });
    others[0].socket.join(group, None).unwrap();
    others[2].socket.join(group, Some(ETH0)).unwrap();
    assert_eq!(others[2].socket.join(group, Some(ETH0)), Err(Errno::EADDRINUSE));
    from.send(&world, b"group", Some(SocketAddr::new(group, 6))).unwrap();
    world.run(SECOND);
    let got: Vec<bool> = others.iter().map(|other| other.receive().is_ok()).collect();
    assert_eq!(got, [true, false, true]);
    others[2].socket.leave(group, None).unwrap();
    from.send(&world, b"group", Some(SocketAddr::new(group, 6))).unwrap();
    world.run(SECOND);
    assert!(others[2].receive().is_err());
}

#[test]
fn the_buffer_has_a_bound() {
    let mut world = World::new(1, Wire::default());
    let to = Udp::bound(&world, 0, addr("127.0.0.1", 5));
    let from = Udp::bound(&world, 0, addr("127.0.0.1", 6));
    for _ in 0..1000 {
        from.send(&world, &[0; 1000], Some(addr("127.0.0.1", 5))).unwrap();
    }
    world.run(SECOND);
    let summary = world.stacks[0].udp_sockets().into_iter().find(|line| line.drops > 0).unwrap();
    assert!(summary.receive_queue < 215_000);
    let count = std::iter::from_fn(|| to.receive().ok()).count();
    assert_eq!(count as u64 + summary.drops, 1000);
    assert!(count > 100);
}

#[test]
fn control_messages_and_peeking() {
    let mut world = World::new(2, Wire::default());
    world.stacks[0].add_address(ETH0, Cidr::new([10, 0, 0, 9].into(), 24)).unwrap();
    let (a, b) = (Udp::bound(&world, 0, addr("0.0.0.0", 5)), Udp::bound(&world, 1, addr("0.0.0.0", 6)));
    let control = SendControl {
        source: Some([10, 0, 0, 9].into()),
        ttl: Some(3),
        tos: Some(0x10),
        ..SendControl::default()
    };
    a.socket.send(1, Some(addr("10.0.0.2", 6)), &control, world.now, &mut |buffer| Ok(buffer.len())).unwrap();
    world.run(SECOND);
    let peeked = b.socket.recv(true).unwrap();
    let datagram = b.socket.recv(false).unwrap();
    assert_eq!(peeked.bytes(), datagram.bytes());
    assert_eq!(datagram.from(Family::V4), addr("10.0.0.9", 5));
    assert_eq!((datagram.to, datagram.ttl, datagram.tos), ([10, 0, 0, 2].into(), 3, 0x10));
    let control = SendControl { source: Some([10, 0, 0, 77].into()), ..SendControl::default() };
    let refused = a.socket.send(0, Some(addr("10.0.0.2", 6)), &control, world.now, &mut |_| Ok(0));
    assert_eq!(refused, Err(Errno::EINVAL));
}
