//! Many connections, and those who want to be many.

use super::harness::{MILLISECOND, SECOND};
use super::*;
use crate::addr::{Endpoint, FlowKey};
use crate::ip;
use crate::packet::Sum;
use crate::tcp::{Flags, Segment, Seq, State};
use husk_abi::Errno;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A segment as a frame to stack 1.
fn frame(key: FlowKey, segment: &Segment) -> Vec<u8> {
    let header = ip::Header { protocol: ip::TCP, ttl: 64, tos: 0, flow: 0 };
    let mut packet = ip::packet(key.local.addr, key.remote.addr, segment.header_len(), 0, &header);
    segment.emit(&mut packet.bytes_mut()[20..]);
    let tcp = &packet.bytes()[20..];
    let sum = Sum::pseudo_header(key.local.addr, key.remote.addr, ip::TCP, tcp.len()).add(tcp).complement();
    packet.bytes_mut()[36..38].copy_from_slice(&sum.to_be_bytes());
    packet.into_frame([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).bytes().to_vec()
}

fn syn(from: [u8; 4], port: u16) -> Vec<u8> {
    let key = FlowKey {
        local: Endpoint::new(IpAddr::from(from), port),
        remote: Endpoint::new([10, 0, 0, 2].into(), 80),
    };
    let segment = Segment {
        from_port: port,
        to_port: 80,
        seq: Seq(u32::from(port) << 8),
        flags: Flags::SYN,
        window: 1000,
        mss: Some(1460),
        ..Segment::default()
    };
    frame(key, &segment)
}

fn connect(world: &World) -> Client {
    let client = world.tcp(0);
    assert_eq!(client.socket.connect(addr("10.0.0.2", 80), world.now), Err(Errno::EINPROGRESS));
    client
}

#[test]
fn an_idle_connection_is_small() {
    let size = crate::tcp::size_of_connection();
    println!("{size} bytes a connection, and no buffers");
    assert!(size < 1300, "{size} bytes");
}

#[test]
fn a_syn_flood_neither_costs_memory_nor_locks_others_out() {
    let mut world = World::new(2, Wire::default());
    let listener = world.listen(1, 80, 128);
    let first = connect(&world);
    world.run(SECOND);
    listener.accept().unwrap();
    // Nobody at those addresses answers.
    for i in 0..50_000_u32 {
        world.receive(1, &syn([10, 0, 0, 100 + (i % 131) as u8], 1 + (i % 60_000) as u16));
        if i % 10_000 == 0 {
            world.cut();
        }
    }
    world.cut();
    let lines = world.stacks[1].tcp_sockets();
    let half_open = lines.iter().filter(|line| line.state == State::SynReceived).count();
    assert_eq!(half_open, 128);
    assert!(world.stacks[1].snmp.syn_cookies_sent.load(Ordering::Relaxed) > 40_000);
    assert!(world.stacks[1].timers.len() < 10);

    // Others still get in, by a cookie, and it works as any other.
    let clients: Vec<Client> = (0..20).map(|_| connect(&world)).collect();
    world.run(SECOND / 2);
    for client in &clients {
        assert_eq!(client.socket.state(), State::Established);
        client.write(b"hello", world.now).unwrap();
    }
    world.run(SECOND / 4);
    for _ in &clients {
        let server = listener.accept().expect("by a cookie");
        assert_eq!(server.read(10, world.now).unwrap(), b"hello");
        let info = server.socket.info(world.now);
        assert_eq!((info.options & 7, info.snd_wscale > 0), (7, true), "the options are in the timestamp");
        let data = pattern(30_000);
        assert_eq!(server.write(&data, world.now), Ok(30_000));
    }
    world.run(SECOND);
    let data = pattern(30_000);
    assert!(clients.iter().all(|client| client.read(usize::MAX, world.now).unwrap() == data));
    assert_eq!(first.socket.state(), State::Established);

    // When the flood is over nothing of it stays.
    world.run(70 * SECOND);
    let lines = world.stacks[1].tcp_sockets();
    assert!(lines.iter().all(|line| line.state != State::SynReceived));
    assert_eq!(world.stacks[1].timers.len(), 0);
}

#[test]
fn forged_cookies_are_refused() {
    let mut world = World::new(2, Wire::default());
    let listener = world.listen(1, 80, 1);
    for port in 1..20 {
        world.receive(1, &syn([10, 0, 0, 1], port));
    }
    for i in 0..10_000_u32 {
        let key = FlowKey {
            local: Endpoint::new([10, 0, 0, 1].into(), 5000),
            remote: Endpoint::new([10, 0, 0, 2].into(), 80),
        };
        let segment = Segment {
            from_port: 5000,
            to_port: 80,
            seq: Seq(1000),
            ack: Seq(i.wrapping_mul(2_654_435_761)),
            flags: Flags::ACK,
            window: 100,
            ..Segment::default()
        };
        world.receive(1, &frame(key, &segment));
    }
    assert!(listener.accept().is_none());
    assert_eq!(world.stacks[1].flows.len(), 0);
}

/// The time of a thousand requests and answers by loopback while `idle` connections wait.
fn requests_with(idle: usize) -> f64 {
    let mut world = World::new(1, Wire::default());
    world.stacks[0].settings.port_range_start.store(1024, Ordering::Relaxed);
    let listener = world.listen(0, 80, 4096);
    let pair = |world: &World| {
        let client = world.tcp(0);
        assert_eq!(client.socket.connect(addr("127.0.0.1", 80), world.now), Err(Errno::EINPROGRESS));
        (client, listener.accept().unwrap())
    };
    let waiting: Vec<_> = (0..idle).map(|_| pair(&world)).collect();
    let (client, server) = pair(&world);
    // What the handshakes left is over after a while: nothing that waits has a timer.
    world.run(SECOND);
    assert_eq!(world.stacks[0].timers.len(), 0);
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..1000 {
            client.write(b"request", world.now).unwrap();
            assert_eq!(server.read(100, world.now).unwrap(), b"request");
            server.write(b"answer", world.now).unwrap();
            assert_eq!(client.read(100, world.now).unwrap(), b"answer");
            world.now += MILLISECOND;
            world.stacks[0].expire(world.now);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    drop(waiting);
    best
}

#[test]
fn ten_thousand_idle_connections_cost_nothing() {
    let (few, many) = (requests_with(10), requests_with(10_000));
    println!("1000 requests: {:.2} ms among 10, {:.2} ms among 10,000", few * 1e3, many * 1e3);
    // The caches are colder; anything that looked at each connection would take a hundred times as long.
    assert!(many < few * 5.0, "{few} s among 10 connections, {many} s among 10,000");
}

#[test]
fn opening_and_closing_leaves_nothing() {
    let mut world = World::new(2, Wire { delay: MILLISECOND / 10, ..Wire::default() });
    let listener = world.listen(1, 80, 128);
    for round in 0..1000 {
        let client = connect(&world);
        world.run(MILLISECOND);
        let server = listener.accept().unwrap();
        client.write(b"x", world.now).unwrap();
        world.run(MILLISECOND);
        assert_eq!(server.read(10, world.now).unwrap(), b"x");
        let (first, second) = if round % 2 == 0 { (&client, &server) } else { (&server, &client) };
        first.socket.close(world.now);
        world.run(MILLISECOND);
        second.socket.close(world.now);
        world.run(MILLISECOND);
    }
    listener.socket.close(world.now);
    world.run(61 * SECOND);
    for stack in &world.stacks {
        assert_eq!((stack.flows.len(), stack.timers.len(), stack.tcp_leftovers()), (0, 0, (0, 0)));
    }
}
