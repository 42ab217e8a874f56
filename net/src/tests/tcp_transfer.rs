//! Bytes arrive as they were sent, whatever the wire does.

use super::harness::{MILLISECOND, SECOND};
use super::*;
use crate::Offloads;
use husk_abi::Errno;

/// Sends `len` bytes both ways at once and checks them.
fn transfer(world: &mut World, ends: [&Client; 2], len: usize, most: u64) {
    let data = pattern(len);
    let (mut sent, mut got) = ([0; 2], [Vec::new(), Vec::new()]);
    let mut closed = [false; 2];
    world.run_until(most, |world| {
        for (i, end) in ends.iter().enumerate() {
            while sent[i] < len {
                match end.write(&data[sent[i]..(sent[i] + 50_000).min(len)], world.now) {
                    Ok(count) => sent[i] += count,
                    Err(error) if error == Errno::EAGAIN => break,
                    Err(error) => panic!("writing: {error:?}"),
                }
            }
            if sent[i] == len && !closed[i] {
                end.socket.shutdown(crate::tcp::Shutdown::Write, world.now).unwrap();
                closed[i] = true;
            }
            loop {
                match end.read(30_000, world.now) {
                    Ok(bytes) if bytes.is_empty() => break,
                    Ok(bytes) => got[i].extend(bytes),
                    Err(error) if error == Errno::EAGAIN => break,
                    Err(error) => panic!("reading: {error:?}"),
                }
            }
        }
        got.iter().all(|got| got.len() >= len)
    });
    assert!(got.iter().all(|got| *got == data), "the bytes are not those that were sent");
}

fn over(wire: Wire, len: usize, most: u64) -> World {
    let mut world = World::new(2, wire);
    let (client, server) = world.pair();
    let start = world.now;
    transfer(&mut world, [&client, &server], len, most);
    let took = world.now - start;
    world.run(2 * SECOND);
    for end in [client, server] {
        end.socket.close(world.now);
    }
    world.run(70 * SECOND);
    println!("{} kB both ways with {} ‰ lost: {} ms", len >> 10, wire.lost, took / MILLISECOND);
    for stack in &world.stacks {
        assert_eq!(stack.flows.len(), 0, "nothing is left of the connection");
        assert_eq!(stack.timers.len(), 0);
        assert_eq!(stack.tcp_leftovers(), (0, 0));
    }
    world
}

#[test]
fn over_a_good_wire() {
    let world = over(Wire::default(), 1 << 20, 10 * SECOND);
    let sent = world.stacks[0].snmp.tcp_retransmitted.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(sent, 0, "nothing was lost, so nothing is sent again");
}

#[test]
fn with_loss() {
    over(Wire { lost: 50, ..Wire::default() }, 1 << 20, 120 * SECOND);
}

#[test]
fn with_everything_that_can_happen() {
    over(Wire { lost: 50, doubled: 50, late: 100, ..Wire::default() }, 1 << 20, 200 * SECOND);
}

#[test]
fn with_a_long_fat_wire_the_buffers_grow() {
    let wire = Wire { delay: 50 * MILLISECOND, ..Wire::default() };
    let mut world = World::new(2, wire);
    let (client, server) = world.pair();
    let start = world.now;
    transfer(&mut world, [&client, &server], 16 << 20, 60 * SECOND);
    let took = world.now - start;
    // With 64 KiB a round trip it would take 25 s.
    assert!(took < 6 * SECOND, "it took {} ms", took / MILLISECOND);
}

#[test]
fn with_offloads() {
    let offloads = Offloads { tx_checksum: true, tso_v4: 65_535, tso_v6: 65_535 };
    let world = over(Wire { offloads, ..Wire::default() }, 1 << 20, 10 * SECOND);
    assert!(world.frames < 400, "{} frames for 2 MiB", world.frames);
}

#[test]
fn by_loopback() {
    let mut world = World::new(1, Wire::default());
    for ip in ["127.0.0.1", "::1", "10.0.0.1", "fd00::1"] {
        let family = if ip.contains(':') { crate::Family::V6 } else { crate::Family::V4 };
        let listener = Client::new(&world.stacks[0], family);
        listener.socket.bind(addr(ip, 0), 0).unwrap();
        listener.socket.listen(5).unwrap();
        let client = Client::new(&world.stacks[0], family);
        let to = listener.socket.local_addr();
        assert_eq!(client.socket.connect(to, world.now), Err(Errno::EINPROGRESS));
        assert_eq!(client.socket.connect(to, world.now), Ok(()), "by loopback it is done at once");
        let server = listener.accept().unwrap();
        assert_eq!(server.socket.peer_addr().unwrap(), client.socket.local_addr());
        transfer(&mut world, [&client, &server], 4 << 20, SECOND);
        [&listener, &client, &server].iter().for_each(|end| end.socket.close(world.now));
    }
    assert_eq!(world.frames, 0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    #[test]
    fn over_any_wire(lost in 0_u64..200, doubled in 0_u64..300, late in 0_u64..500, delay in 1_u64..100, len in 0_usize..200_000, seed in 1_u64..) {
        let wire = Wire { lost, doubled, late, delay: delay * MILLISECOND, ..Wire::default() };
        let mut world = World::new(2, wire);
        world.seed(seed);
        world.introduce();
        let (client, server) = world.pair();
        transfer(&mut world, [&client, &server], len, 3600 * SECOND);
    }
}
