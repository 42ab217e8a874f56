//! What ICMP tells, and what it is told.

use super::harness::SECOND;
use super::*;
use crate::icmp;
use crate::ip;
use crate::tcp::State;
use husk_abi::Errno;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

/// An ICMP error about `packet`, from 10.0.0.2 to its sender, as a frame.
fn error(kind: u8, code: u8, mtu: u16, packet: &[u8]) -> Vec<u8> {
    let (from, to): (IpAddr, IpAddr) = ([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
    let quote = &packet[..packet.len().min(28)];
    let header = ip::Header { protocol: ip::ICMP, ttl: 64, tos: 0, flow: 0 };
    let mut message = ip::packet(from, to, icmp::HEADER, quote.len(), &header);
    let [high, low] = mtu.to_be_bytes();
    message.bytes_mut()[20..28].copy_from_slice(&[kind, code, 0, 0, 0, 0, high, low]);
    message.tail().extend_from_slice(quote);
    icmp::finish(&mut message, from, to);
    message.into_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).bytes().to_vec()
}

type Kept = Rc<RefCell<Vec<Vec<u8>>>>;

/// Drops IPv4 packets of stack 0 that are longer than `most`, and keeps them.
fn narrow(world: &mut World, most: usize) -> Kept {
    let kept = Kept::default();
    let keep = kept.clone();
    world.filter = Box::new(move |from, frame| {
        let dropped = from == 0 && frame[12..14] == [8, 0] && frame.len() - 14 > most;
        if dropped {
            keep.borrow_mut().push(frame[14..].to_vec());
        }
        !dropped
    });
    kept
}

#[test]
fn a_narrow_path_is_found() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    let dropped = narrow(&mut world, 900);
    let data = pattern(50_000);
    assert_eq!(client.write(&data, world.now), Ok(50_000));
    let start = world.now;
    let mut got = Vec::new();
    world.run_until(20 * SECOND, |world| {
        for packet in dropped.take() {
            world.receive(0, &error(3, 4, 900, &packet));
        }
        got.extend(server.read(usize::MAX, world.now).unwrap_or_default());
        got.len() == data.len()
    });
    assert!(got == data);
    assert!(world.now - start < SECOND / 5, "no timeout was needed");
    assert_eq!(client.socket.info(world.now).pmtu, 900);
}

#[test]
fn errors_end_an_opening_but_not_a_connection() {
    let mut world = World::new(2, Wire::default());
    world.introduce();
    let (client, server) = world.pair();
    let dropped = narrow(&mut world, 0);
    client.write(b"x", world.now).unwrap();
    let opening = world.tcp(0);
    assert_eq!(opening.socket.connect(addr("10.0.0.2", 81), world.now), Err(Errno::EINPROGRESS));
    world.run(SECOND / 2);
    for packet in dropped.take() {
        world.receive(0, &error(3, 1, 0, &packet));
    }
    assert_eq!(opening.socket.take_error(), Some(Errno::EHOSTUNREACH));
    assert_eq!((client.socket.state(), client.socket.take_error()), (State::Established, None));
    world.filter = Box::new(|_, _| true);
    world.run(5 * SECOND);
    assert_eq!(server.read(10, world.now).unwrap(), b"x");
}

#[test]
fn forged_errors_are_ignored() {
    let mut world = World::new(2, Wire::default());
    let (client, _server) = world.pair();
    let dropped = narrow(&mut world, 900);
    client.write(&pattern(5000), world.now).unwrap();
    world.run(SECOND / 10);
    let mut packet = dropped.borrow()[0].clone();
    // A sequence number that is not under way.
    packet[24] ^= 0x40;
    world.receive(0, &error(3, 4, 600, &packet));
    assert_eq!(client.socket.info(world.now).pmtu, 1500);
}

#[test]
fn echo_is_answered() {
    let mut world = World::new(2, Wire::default());
    for (from, to, protocol, kind) in
        [("10.0.0.1", "10.0.0.2", ip::ICMP, 8), ("fd00::1", "fd00::2", ip::ICMPV6, 128)]
    {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        let path = world.stacks[0].path(to, None, None).unwrap();
        let header = ip::Header { protocol, ttl: 64, tos: 0, flow: 0 };
        let mut request = ip::packet(from, to, icmp::HEADER, 5, &header);
        let at = ip::header_len(to);
        request.bytes_mut()[at..at + 8].copy_from_slice(&[kind, 0, 0, 0, 1, 2, 3, 4]);
        request.tail().extend_from_slice(b"hello");
        icmp::finish(&mut request, from, to);
        let answers = Kept::default();
        let keep = answers.clone();
        world.filter = Box::new(move |from, frame| {
            if from == 1 && frame.ends_with(b"hello") {
                keep.borrow_mut().push(frame[14..].to_vec());
            }
            true
        });
        let mut out = crate::output::Output::default();
        out.send(request, &path);
        world.stacks[0].finish(out, world.now);
        world.run(SECOND);
        let answers = answers.take();
        assert_eq!(answers.len(), 1);
        let answer = ip::parse(&answers[0]).unwrap();
        assert_eq!((answer.from, answer.to), (to, from));
        let expected = if to.is_ipv4() { 0 } else { 129 };
        assert_eq!(answers[0][at..at + 2], [expected, 0]);
        assert_eq!(answers[0][at + 4..], *b"\x01\x02\x03\x04hello");
    }
}

#[test]
fn ping_sockets() {
    let mut world = World::new(2, Wire::default());
    for (to, kind, reply) in [("10.0.0.2", 8, 0), ("fd00::2", 128, 129), ("127.0.0.1", 8, 0)] {
        let to = addr(to, 0);
        let family = if to.is_ipv4() { crate::Family::V4 } else { crate::Family::V6 };
        let bell = std::sync::Arc::new(harness::Bell::default());
        let ping = world.stacks[0].ping_socket(family, bell.clone()).unwrap();
        let other = world.stacks[0].ping_socket(family, bell.clone()).unwrap();
        let send = |kind: u8| {
            ping.send(16, to, world.now, &mut |buffer| {
                buffer.copy_from_slice(&[kind, 0, 0, 0, 9, 9, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8]);
                Ok(16)
            })
        };
        assert_eq!((send(kind), send(reply)), (Ok(16), Err(Errno::EINVAL)));
        world.run(SECOND);
        assert!(bell.take().contains(crate::Events::READABLE));
        let answer = ping.recv(false).unwrap();
        let [high, low] = ping.identifier().to_be_bytes();
        assert_eq!(answer.bytes()[0], reply);
        assert_eq!(answer.bytes()[4..], [high, low, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(answer.from(family).ip(), to.ip());
        assert_eq!(ping.recv(false).err(), Some(Errno::EAGAIN));
        assert_eq!(other.recv(false).err(), Some(Errno::EAGAIN));
        ping.close();
        other.close();
    }
    assert!(world.stacks[0].pings.lock().is_empty());
}
