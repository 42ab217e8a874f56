//! Whatever comes in, nothing breaks and nothing grows.

use super::harness::SECOND;
use super::*;
use crate::Family;
use crate::packet::Sum;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Frames of all kinds as two stacks exchange them, from stack 0 to stack 1.
fn samples() -> Vec<Vec<u8>> {
    let mut world = World::new(2, Wire::default());
    let kept = Rc::new(RefCell::new(Vec::new()));
    let keep = kept.clone();
    world.filter = Box::new(move |from, frame| {
        if from == 0 {
            keep.borrow_mut().push(frame.to_vec());
        }
        true
    });
    busy(&mut world);
    world.run(SECOND);
    kept.take()
}

/// A listener, a connection and UDP sockets on stack 1, with traffic from stack 0.
fn busy(world: &mut World) {
    let (client, _server) = world.pair();
    let _ = world.listen(1, 81, 4);
    client.write(&pattern(5000), world.now).unwrap();
    world.stacks[0].start_dhcp(harness::ETH0, Some("x"), world.now).unwrap();
    for (family, any, to) in [(Family::V4, "0.0.0.0", "10.0.0.2"), (Family::V6, "::", "fd00::2")] {
        let bell = || std::sync::Arc::new(harness::Bell::default());
        let (a, b) =
            (world.stacks[0].udp_socket(family, 0, bell()), world.stacks[1].udp_socket(family, 0, bell()));
        b.set_options(|options| options.v6_only = family == Family::V6);
        b.bind(addr(any, 53), 0).unwrap();
        for (len, port) in [(10, 53), (4000, 53), (10, 54)] {
            let control = crate::udp::SendControl::default();
            a.send(len, Some(addr(to, port)), &control, world.now, &mut |buffer| Ok(buffer.len())).unwrap();
        }
    }
    world.run(SECOND / 10);
}

/// Makes the checksums right, so that what was changed is looked at.
fn mend(frame: &mut [u8]) {
    let Some(bytes) = frame.get_mut(14..) else { return };
    if bytes.len() >= 20 && bytes[0] == 0x45 {
        bytes[10..12].fill(0);
        let sum = Sum::default().add(&bytes[..20]).complement();
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let Some(header) = crate::ip::parse(bytes) else { return };
    let at = match header.protocol {
        6 => 16,
        17 => 6,
        1 | 58 => 2,
        _ => return,
    };
    let message = &mut bytes[header.start..header.end];
    if message.len() < at + 2 {
        return;
    }
    message[at..at + 2].fill(0);
    let sum = if header.protocol == 1 {
        Sum::default()
    } else {
        Sum::pseudo_header(header.from, header.to, header.protocol, message.len())
    };
    let sum = sum.add(message).complement();
    message[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn check(world: &mut World) {
    // Answers to answers come to an end.
    let before = world.frames;
    world.run(SECOND);
    assert!(world.frames - before < 3000, "{} frames", world.frames - before);
    world.run(300 * SECOND);
    for stack in &world.stacks {
        assert!(stack.timers.len() < 20, "{} timers", stack.timers.len());
        assert!(stack.flows.len() < 200, "{} flows", stack.flows.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn changed_frames(
        changes in proptest::collection::vec((any::<usize>(), proptest::collection::vec((0_usize..140, any::<u8>()), 0..4), any::<bool>(), 0_usize..1600), 1..200)
    ) {
        thread_local!(static SAMPLES: Vec<Vec<u8>> = samples());
        let mut world = World::new(2, Wire::default());
        busy(&mut world);
        SAMPLES.with(|samples| {
            for (which, edits, mended, len) in changes {
                let mut frame = samples[which % samples.len()].clone();
                for (at, value) in edits {
                    if let Some(byte) = frame.get_mut(at) {
                        *byte = value;
                    }
                }
                if len < 200 {
                    frame.truncate(len);
                }
                if mended {
                    mend(&mut frame);
                }
                world.receive(1, &frame);
            }
        });
        check(&mut world);
    }

    #[test]
    fn any_bytes(frames in proptest::collection::vec((0_u8..5, proptest::collection::vec(any::<u8>(), 0..200)), 1..200)) {
        let mut world = World::new(2, Wire::default());
        for (kind, bytes) in frames {
            let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
            match kind {
                0 => frame.extend([8, 0, 0x45]),
                1 => frame.extend([0x86, 0xdd, 0x60]),
                2 => frame.extend([8, 6]),
                3 => frame.clear(),
                _ => {}
            }
            frame.extend(bytes);
            mend(&mut frame);
            world.receive(1, &frame);
        }
        check(&mut world);
    }
}
