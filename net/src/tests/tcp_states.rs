//! Opening, closing, errors: what programs see.

use super::harness::{MILLISECOND, SECOND};
use super::*;
use crate::tcp::{Shutdown, State};
use crate::{Events, Family};
use husk_abi::Errno;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

fn connect(world: &World, to: &str, port: u16) -> Client {
    let client = world.tcp(0);
    assert_eq!(client.socket.connect(addr(to, port), world.now), Err(Errno::EINPROGRESS));
    client
}

#[test]
fn refused() {
    let mut world = World::new(2, Wire::default());
    for to in ["10.0.0.2", "127.0.0.1"] {
        let client = connect(&world, to, 81);
        world.run(SECOND);
        assert!(client.bell.take().contains(Events::ERROR));
        assert!(client.socket.readiness().contains(Events::ERROR | Events::HANGUP | Events::WRITABLE));
        assert_eq!(client.socket.take_error(), Some(Errno::ECONNREFUSED));
        assert_eq!(client.socket.take_error(), None);
        assert_eq!(client.socket.connect(addr(to, 81), world.now), Err(Errno::ECONNABORTED));
        assert_eq!(client.socket.connect(addr(to, 81), world.now), Err(Errno::EINPROGRESS));
        world.run(SECOND);
        assert_eq!(client.socket.connect(addr(to, 81), world.now), Err(Errno::ECONNREFUSED));
    }
}

#[test]
fn nobody_answers() {
    let mut world = World::new(2, Wire::default());
    let absent = connect(&world, "10.0.0.99", 80);
    assert_eq!(absent.socket.connect(addr("10.0.0.99", 80), world.now), Err(Errno::EALREADY));
    world.run(5 * SECOND);
    assert_eq!(absent.socket.take_error(), Some(Errno::EHOSTUNREACH));
    assert_eq!(world.tcp(0).socket.connect(addr("99.0.0.1", 80), world.now), Err(Errno::ENETUNREACH));

    // One that is there and drops everything: 127 s, as tcp(7) says of tcp_syn_retries.
    world.filter = Box::new(|from, frame| from == 0 || frame[12..14] == [8, 6]);
    let silent = connect(&world, "10.0.0.2", 80);
    world.run(126 * SECOND);
    assert_eq!(silent.socket.take_error(), None);
    world.run(2 * SECOND);
    assert_eq!(silent.socket.take_error(), Some(Errno::ETIMEDOUT));
    assert_eq!(world.stacks[0].flows.len(), 0);
}

#[test]
fn half_close() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    client.write(b"question", world.now).unwrap();
    client.socket.shutdown(Shutdown::Write, world.now).unwrap();
    assert_eq!(client.write(b"x", world.now), Err(Errno::EPIPE));
    world.run(SECOND);
    assert_eq!((client.socket.state(), server.socket.state()), (State::FinWait2, State::CloseWait));
    assert!(server.bell.take().contains(Events::READ_HANGUP));
    assert_eq!(server.read(100, world.now).unwrap(), b"question");
    assert_eq!(server.read(100, world.now).unwrap(), b"", "the end of the stream");
    server.write(b"answer", world.now).unwrap();
    world.run(90 * SECOND);
    assert_eq!(client.socket.state(), State::FinWait2, "a program may wait as long as it likes");
    assert_eq!(client.read(100, world.now).unwrap(), b"answer");
    assert_eq!(client.read(100, world.now), Err(Errno::EAGAIN));
    server.socket.close(world.now);
    world.run(SECOND);
    assert_eq!(client.read(100, world.now).unwrap(), b"");
    assert!(client.socket.readiness().contains(Events::HANGUP));
    let line = world.stacks[0].tcp_sockets();
    assert_eq!(line.iter().map(|line| line.state).collect::<Vec<_>>(), [State::TimeWait]);
    world.run(60 * SECOND);
    assert!(world.stacks[0].tcp_sockets().is_empty());
}

#[test]
fn unread_data_resets() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    client.write(b"nobody reads this", world.now).unwrap();
    world.run(SECOND);
    server.socket.close(world.now);
    world.run(SECOND);
    assert_eq!(client.read(10, world.now), Err(Errno::ECONNRESET));
    assert_eq!(client.read(10, world.now), Ok(vec![]));
    assert_eq!(client.write(b"x", world.now), Err(Errno::EPIPE));
    assert_eq!(world.stacks[1].flows.len() + world.stacks[0].flows.len(), 0, "a reset leaves no TIME-WAIT");
}

#[test]
fn lingering_for_no_time_resets() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    server.write(b"before", world.now).unwrap();
    world.run(SECOND);
    server.socket.set_options(world.now, |options| options.linger = Some(0));
    server.socket.close(world.now);
    world.run(SECOND);
    assert_eq!(client.read(10, world.now).unwrap(), b"before", "what has arrived can be read");
    assert_eq!(client.read(10, world.now), Err(Errno::ECONNRESET));
}

#[test]
fn an_orphan_says_what_it_has_to_say() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    let data = pattern(50_000);
    assert_eq!(client.write(&data, world.now), Ok(50_000));
    client.socket.close(world.now);
    assert_eq!(world.stacks[0].tcp_leftovers().0, 1);
    world.run(SECOND);
    assert!(server.read(100_000, world.now).unwrap() == data);
    assert_eq!(server.read(1, world.now).unwrap(), b"");
    // The server does not close: after tcp_fin_timeout nothing is left here, and what it sends then is reset.
    world.run(61 * SECOND);
    assert_eq!((world.stacks[0].flows.len(), world.stacks[0].tcp_leftovers().0), (0, 0));
    server.write(b"late", world.now).unwrap();
    world.run(SECOND);
    assert_eq!(
        server.socket.take_error(),
        Some(Errno::EPIPE),
        "as Linux says to who was told the end before"
    );
}

#[test]
fn data_for_an_orphan_resets() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    client.socket.close(world.now);
    world.run(SECOND);
    server.write(b"more", world.now).unwrap();
    world.run(SECOND);
    assert_eq!(world.stacks[0].flows.len() + world.stacks[1].flows.len(), 0);
}

#[test]
fn backlog() {
    let mut world = World::new(2, Wire::default());
    let listener = world.listen(1, 80, 2);
    let clients: Vec<Client> = (0..5)
        .map(|_| {
            let client = connect(&world, "10.0.0.2", 80);
            world.run(50 * MILLISECOND);
            client
        })
        .collect();
    assert!(listener.bell.take().contains(Events::READABLE));
    let accepted = std::iter::from_fn(|| listener.accept()).count();
    assert_eq!(accepted, 3, "one more than the backlog, as in Linux");
    // The others come by themselves when there is room: their segments are sent again.
    world.run(10 * SECOND);
    let accepted = std::iter::from_fn(|| listener.accept()).count();
    assert_eq!(accepted, 2);
    assert!(clients.iter().all(|client| client.socket.state() == State::Established));
    assert_eq!(listener.socket.accept(0, listener.bell.clone()).err(), Some(Errno::EAGAIN));
}

#[test]
fn closing_a_listener_resets_who_waits() {
    let mut world = World::new(2, Wire::default());
    let listener = world.listen(1, 80, 5);
    let client = connect(&world, "10.0.0.2", 80);
    world.run(SECOND);
    assert_eq!(client.socket.state(), State::Established);
    listener.socket.close(world.now);
    world.run(SECOND);
    assert_eq!(client.read(1, world.now), Err(Errno::ECONNRESET));
    let again = connect(&world, "10.0.0.2", 80);
    world.run(SECOND);
    assert_eq!(again.socket.take_error(), Some(Errno::ECONNREFUSED));
    assert_eq!(world.stacks[1].flows.len(), 0);
}

#[test]
fn time_wait_gives_way_to_a_newer_connection() {
    let mut world = World::new(2, Wire::default());
    let listener = world.listen(1, 80, 5);
    for round in 0..3 {
        let client = world.tcp(0);
        client.socket.set_options(world.now, |options| options.reuse_addr = true);
        client.socket.bind(addr("0.0.0.0", 4444), 0).unwrap();
        assert_eq!(client.socket.connect(addr("10.0.0.2", 80), world.now), Err(Errno::EINPROGRESS));
        world.run(SECOND);
        let server = listener.accept().unwrap_or_else(|| panic!("round {round}"));
        // The server closes first and so is in TIME-WAIT.
        server.socket.close(world.now);
        world.run(SECOND);
        client.socket.close(world.now);
        world.run(SECOND);
        assert_eq!(world.stacks[1].tcp_leftovers().1.min(1), 1);
    }
    // The port is taken by TIME-WAIT for who does not set SO_REUSEADDR.
    listener.socket.close(world.now);
    let next = world.tcp(1);
    assert_eq!(next.socket.bind(addr("0.0.0.0", 80), 0), Err(Errno::EADDRINUSE));
    next.socket.set_options(world.now, |options| options.reuse_addr = true);
    assert_eq!(next.socket.bind(addr("0.0.0.0", 80), 0), Err(Errno::EADDRINUSE), "nor did the listener");
    world.run(61 * SECOND);
    assert_eq!(next.socket.bind(addr("0.0.0.0", 80), 0), Ok(()));
}

#[test]
fn ports_of_connections_run_out() {
    let world = World::new(2, Wire::default());
    world.stacks[0].settings.port_range_start.store(50_000, Ordering::Relaxed);
    world.stacks[0].settings.port_range_end.store(50_003, Ordering::Relaxed);
    let _clients: Vec<Client> = (0..4).map(|_| connect(&world, "10.0.0.2", 80)).collect();
    assert_eq!(world.tcp(0).socket.connect(addr("10.0.0.2", 80), world.now), Err(Errno::EADDRNOTAVAIL));
    connect(&world, "10.0.0.2", 81);
}

#[test]
fn keepalive_finds_a_dead_peer() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    client.socket.set_options(world.now, |options| {
        options.keepalive = true;
        options.keepalive_idle = Some(10);
        options.keepalive_interval = Some(2);
        options.keepalive_count = Some(3);
    });
    world.run(100 * SECOND);
    assert_eq!(client.socket.state(), State::Established, "a live peer answers");
    assert!(world.frames > 12);
    world.filter = Box::new(|_, _| false);
    world.run(5 * SECOND);
    assert_eq!(client.socket.take_error(), None);
    world.run(12 * SECOND);
    assert_eq!(client.socket.take_error(), Some(Errno::ETIMEDOUT));
    assert_eq!(server.socket.state(), State::Established);
}

#[test]
fn user_timeout() {
    let mut world = World::new(2, Wire::default());
    let (client, _server) = world.pair();
    client.socket.set_options(world.now, |options| options.user_timeout = 5 * SECOND);
    world.filter = Box::new(|_, _| false);
    client.write(b"into the void", world.now).unwrap();
    world.run(4 * SECOND);
    assert_eq!(client.socket.take_error(), None);
    world.run(2 * SECOND);
    assert_eq!(client.read(1, world.now), Err(Errno::ETIMEDOUT));
}

#[test]
fn a_full_receiver_stops_the_sender_and_a_probe_finds_it_open() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    server.socket.set_options(world.now, |options| options.receive_buffer = Some(20_000));
    let data = pattern(400_000);
    let mut sent = 0;
    for _ in 0..20 {
        while let Ok(count) = client.write(&data[sent..], world.now) {
            sent += count;
        }
        world.run(SECOND);
    }
    assert!(sent < data.len() && !client.socket.readiness().contains(Events::WRITABLE));
    client.bell.take();
    world.run(300 * SECOND);
    assert_eq!(client.socket.state(), State::Established);
    // The update of the window is lost: probing must find out.
    world.filter = Box::new(|_, _| false);
    let first = server.read(usize::MAX, world.now).unwrap();
    world.cut();
    world.filter = Box::new(|_, _| true);
    let mut got = first;
    world.run_until(200 * SECOND, |world| {
        if let Ok(bytes) = server.read(usize::MAX, world.now) {
            got.extend(bytes);
        }
        got.len() == sent
    });
    assert!(got == data[..sent]);
    assert!(client.bell.take().contains(Events::WRITABLE), "who ran out of room is told that there is some");
}

#[test]
fn nagle_and_cork() {
    let mut world = World::new(2, Wire { delay: 20 * MILLISECOND, ..Wire::default() });
    let (client, server) = world.pair();
    world.run(SECOND);
    let data_frames = Rc::new(Cell::new(0));
    let count = data_frames.clone();
    world.filter = Box::new(move |from, frame| {
        let len =
            usize::from(u16::from_be_bytes([frame[16], frame[17]])) - 20 - usize::from(frame[46] >> 4) * 4;
        count.set(count.get() + u32::from(from == 0 && frame[12..14] == [8, 0] && len > 0));
        true
    });
    let write = |world: &World, times: usize| {
        (0..times).for_each(|_| {
            client.write(b"x", world.now).unwrap();
        });
    };
    write(&world, 10);
    world.run(SECOND);
    assert_eq!(data_frames.take(), 2, "the first at once, the others together");
    client.socket.set_options(world.now, |options| options.no_delay = true);
    write(&world, 10);
    world.run(SECOND);
    assert_eq!(data_frames.take(), 10);
    client.socket.set_options(world.now, |options| options.cork = true);
    write(&world, 10);
    world.run(100 * MILLISECOND);
    assert_eq!(data_frames.take(), 0);
    client.socket.set_options(world.now, |options| options.cork = false);
    world.run(SECOND);
    assert_eq!(data_frames.take(), 1);
    client.socket.set_options(world.now, |options| options.cork = true);
    write(&world, 10);
    world.run(SECOND);
    assert_eq!(data_frames.take(), 1, "a cork holds back for 200 ms at the most");
    assert_eq!(server.read(100, world.now).unwrap().len(), 40);
}

#[test]
fn peek_discard_and_failing_programs() {
    use crate::tcp::RecvFlags;
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    client.write(b"0123456789", world.now).unwrap();
    world.run(SECOND);
    let mut peeked = Vec::new();
    let mut peek = |len| {
        server.socket.recv(len, RecvFlags::PEEK, world.now, &mut |piece| {
            peeked.extend_from_slice(piece);
            Ok(piece.len())
        })
    };
    assert_eq!((peek(3), peek(3)), (Ok(3), Ok(3)));
    assert_eq!(peeked, b"012012");
    let failed = server.socket.recv(5, RecvFlags::empty(), world.now, &mut |_| Err(Errno::EFAULT));
    assert_eq!(failed, Err(Errno::EFAULT));
    assert_eq!(server.socket.unread(), 10, "nothing is lost");
    let partly = server.socket.recv(5, RecvFlags::empty(), world.now, &mut |_| Ok(2));
    assert_eq!(partly, Ok(2));
    let discarded = server.socket.recv(2, RecvFlags::DISCARD, world.now, &mut |_| Err(Errno::EFAULT));
    assert_eq!(discarded, Ok(2));
    assert_eq!(server.read(100, world.now).unwrap(), b"456789");
    let failed = client.socket.send(10, false, world.now, &mut |_| Err(Errno::EFAULT));
    assert_eq!(failed, Err(Errno::EFAULT));
    let partly = client.socket.send(10, false, world.now, &mut |_| Ok(4));
    assert_eq!(partly, Ok(4));
    world.run(SECOND);
    assert_eq!(server.socket.unread(), 4);
}

#[test]
fn forged_segments_do_no_harm() {
    let mut world = World::new(2, Wire::default());
    let (client, server) = world.pair();
    let captured = Rc::new(Cell::new(Vec::new()));
    let keep = captured.clone();
    world.filter = Box::new(move |from, frame| {
        if from == 0 && frame[12..14] == [8, 0] {
            keep.set(frame.to_vec());
        }
        true
    });
    client.write(b"x", world.now).unwrap();
    world.run(SECOND);
    let good = captured.take();
    for flags in [0x04_u8, 0x02, 0x14, 0x12, 0x11, 0x00, 0x3f] {
        for shift in [1_000_u32, 100_000_000] {
            let mut frame = good.clone();
            let seq = u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]).wrapping_add(shift);
            frame[38..42].copy_from_slice(&seq.to_be_bytes());
            frame[47] = flags;
            frame[50..52].fill(0);
            let len = frame.len() - 34;
            let sum = crate::packet::Sum::pseudo_header([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6, len);
            let sum = sum.add(&frame[34..]).complement();
            frame[50..52].copy_from_slice(&sum.to_be_bytes());
            world.receive(1, &frame);
        }
    }
    world.run(SECOND);
    assert_eq!(server.socket.state(), State::Established);
    assert_eq!(server.read(10, world.now).unwrap(), b"x");
    server.write(b"still here", world.now).unwrap();
    world.run(SECOND);
    assert_eq!(client.read(100, world.now).unwrap(), b"still here");
}

#[test]
fn simultaneous_opening() {
    let mut world = World::new(2, Wire::default());
    // Neighbours are known, so that the SYNs cross.
    world.introduce();
    let (a, b) = (world.tcp(0), world.tcp(1));
    a.socket.bind(addr("10.0.0.1", 1000), 0).unwrap();
    b.socket.bind(addr("10.0.0.2", 1000), 0).unwrap();
    assert_eq!(a.socket.connect(addr("10.0.0.2", 1000), world.now), Err(Errno::EINPROGRESS));
    assert_eq!(b.socket.connect(addr("10.0.0.1", 1000), world.now), Err(Errno::EINPROGRESS));
    world.run(SECOND);
    assert_eq!((a.socket.state(), b.socket.state()), (State::Established, State::Established));
    a.write(b"hello", world.now).unwrap();
    world.run(SECOND);
    assert_eq!(b.read(10, world.now).unwrap(), b"hello");
}

#[test]
fn dual_stack_listener() {
    let mut world = World::new(2, Wire::default());
    let listener = Client::new(&world.stacks[1], Family::V6);
    listener.socket.bind(addr("::", 80), 0).unwrap();
    listener.socket.listen(5).unwrap();
    let four = connect(&world, "10.0.0.2", 80);
    let six = Client::new(&world.stacks[0], Family::V6);
    assert_eq!(six.socket.connect(addr("fd00::2", 80), world.now), Err(Errno::EINPROGRESS));
    world.run(SECOND);
    let peers: Vec<_> = std::iter::from_fn(|| listener.accept())
        .map(|server| server.socket.peer_addr().unwrap().ip())
        .collect();
    assert_eq!(peers.len(), 2);
    assert!(
        peers.contains(&"::ffff:10.0.0.1".parse().unwrap()) && peers.contains(&"fd00::1".parse().unwrap())
    );
    assert_eq!(four.socket.peer_addr().unwrap(), addr("10.0.0.2", 80));
    let mapped = Client::new(&world.stacks[0], Family::V6);
    assert_eq!(mapped.socket.connect(addr("::ffff:10.0.0.2", 80), world.now), Err(Errno::EINPROGRESS));
    world.run(SECOND);
    assert_eq!(mapped.socket.peer_addr().unwrap(), addr("::ffff:10.0.0.2", 80));
}
