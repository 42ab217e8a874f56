//! Tests of the queue against a device that the tests play.

use super::super::fake_device::FakeDevice;
use super::*;
use proptest::prelude::*;

fn segment(address: u64, len: u32, device_writes: bool) -> Segment {
    Segment { address, len, device_writes }
}

#[test]
fn chains_reach_the_device_and_come_back() {
    let (mut queue, mut device) = FakeDevice::queue(4);
    let chain = [segment(0x1000, 16, false), segment(0x2000, 512, true), segment(0x3000, 1, true)];
    let head = queue.add(&chain).unwrap();
    assert_eq!(queue.add(&chain), None, "only one descriptor is left");
    assert_eq!(device.kicks(), 0);
    queue.kick();
    queue.kick();
    assert_eq!(device.kicks(), 1);
    assert_eq!(device.next(), Some((head, chain.to_vec())));
    assert_eq!(device.next(), None);
    assert_eq!(queue.pop(), None);
    device.finish(head, 513);
    assert_eq!(queue.pop(), Some(Used { head, written: 513 }));
    assert_eq!(queue.free(), 4);
}

#[test]
fn an_indirect_table_takes_one_descriptor() {
    let (mut queue, mut device) = FakeDevice::queue(2);
    let table = DmaMemory::alloc(1).unwrap();
    let chain = [segment(0x1000, 16, false), segment(0x2000, 512, true), segment(0x3000, 1, true)];
    for (index, segment) in (0..).zip(chain) {
        write_indirect(&table, index, segment, index == 2);
    }
    let head = queue.add_indirect(table.physical(0), chain.len()).unwrap();
    assert_eq!(queue.free(), 1);
    assert_eq!(device.next(), Some((head, chain.to_vec())));
    device.finish(head, 0);
    assert!(queue.pop().is_some());
}

#[test]
fn no_kick_when_the_device_does_not_want_one() {
    let (mut queue, device) = FakeDevice::queue(2);
    device.suppress_kicks(true);
    queue.add(&[segment(1, 1, true)]).unwrap();
    queue.kick();
    assert_eq!(device.kicks(), 0);
    device.suppress_kicks(false);
    queue.add(&[segment(2, 1, true)]).unwrap();
    queue.kick();
    assert_eq!(device.kicks(), 1);
}

#[test]
fn a_lying_device_stops_the_queue_but_not_the_kernel() {
    for wrong in [1, 7, u32::MAX] {
        let (mut queue, mut device) = FakeDevice::queue(4);
        queue.add(&[segment(1, 1, true)]).unwrap();
        device.finish_raw(wrong, 0);
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.add(&[segment(1, 1, true)]), None);
    }
}

proptest! {
    // Any order of adding and finishing (the device may finish out of order) loses and doubles nothing.
    #[test]
    fn nothing_is_lost(steps in prop::collection::vec((any::<bool>(), 1usize..4, any::<prop::sample::Index>()), 1..400)) {
        let (mut queue, mut device) = FakeDevice::queue(8);
        let mut held: Vec<(u16, usize)> = Vec::new();
        let mut descriptors = 0;
        for (add, len, pick) in steps {
            if add {
                let chain: Vec<Segment> = (0..len).map(|i| segment(i as u64 + 1, 1, i % 2 == 1)).collect();
                let head = queue.add(&chain);
                prop_assert_eq!(head.is_some(), descriptors + len <= 8);
                if let Some(head) = head {
                    prop_assert_eq!(device.next(), Some((head, chain)));
                    held.push((head, len));
                    descriptors += len;
                }
            } else if !held.is_empty() {
                let (head, len) = held.swap_remove(pick.index(held.len()));
                device.finish(head, 3);
                prop_assert_eq!(queue.pop(), Some(Used { head, written: 3 }));
                descriptors -= len;
            }
            prop_assert_eq!(usize::from(queue.free()), 8 - descriptors);
        }
    }
}

#[test]
fn a_kick_when_the_index_passes_the_one_wanted() {
    let (mut queue, mut device) = FakeDevice::queue(4);
    queue.use_event_idx();
    device.suppress_kicks(true);
    let mut kicks = 0;
    // Twice around the 16-bit index.
    for number in 0..40_000u32 {
        let index = (2 * number) as u16;
        // Before, at, between, and after the two that are added.
        let (event, wanted) = match number % 5 {
            0 => (index.wrapping_sub(1), false),
            1 => (index, true),
            2 => (index.wrapping_add(1), true),
            3 => (index.wrapping_add(2), false),
            _ => (index.wrapping_add(0x8000), false),
        };
        device.request_kick(event);
        for _ in 0..2 {
            queue.add(&[segment(1, 1, true)]).unwrap();
        }
        queue.kick();
        queue.kick();
        kicks += usize::from(wanted);
        assert_eq!(device.kicks(), kicks, "index {index}, event {event}");
        for _ in 0..2 {
            let (head, _) = device.next().unwrap();
            device.finish(head, 1);
            queue.pop().unwrap();
        }
    }
}

#[test]
fn interrupts_are_asked_for_and_off_otherwise() {
    for event_idx in [false, true] {
        let (mut queue, mut device) = FakeDevice::queue(8);
        if event_idx {
            queue.use_event_idx();
        }
        let wants = |device: &FakeDevice| match event_idx {
            true => device.wants_interrupt_after(1),
            false => device.wants_interrupts(),
        };
        for _ in 0..20_000 {
            queue.suppress_interrupts();
            let head = queue.add(&[segment(1, 1, true)]).unwrap();
            device.next().unwrap();
            device.finish(head, 1);
            assert!(!wants(&device));
            assert!(!queue.request_interrupt(1), "one is there already");
            queue.pop().unwrap();
            assert!(queue.request_interrupt(1));
            for _ in 0..3 {
                let head = queue.add(&[segment(1, 1, true)]).unwrap();
                device.next().unwrap();
                device.finish(head, 1);
                if queue.unseen() == 1 {
                    assert!(wants(&device));
                }
            }
            assert_eq!(queue.unseen(), 3);
            assert!((0..3).all(|_| queue.pop().is_some()));
        }
    }
}

#[test]
fn an_interrupt_after_several() {
    let (mut queue, mut device) = FakeDevice::queue(8);
    queue.use_event_idx();
    let heads: Vec<u16> = (0..6).map(|_| queue.add(&[segment(1, 1, true)]).unwrap()).collect();
    assert!(queue.request_interrupt(4));
    let wanted: Vec<bool> = heads
        .iter()
        .map(|head| {
            device.finish(*head, 1);
            device.wants_interrupt_after(1)
        })
        .collect();
    assert_eq!(wanted, [false, false, false, true, false, false]);
    assert!(!queue.request_interrupt(6));
    assert!(queue.request_interrupt(7));
}
