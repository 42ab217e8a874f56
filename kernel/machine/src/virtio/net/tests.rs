//! The queues against a device that the tests play.

use super::super::fake_device::{FakeDevice, FakeLines, ram_device, write_physical};
use super::super::mmio;
use super::*;
use crate::net::{Checksum, Incoming, Large, LargeKind, MOST_FRAME_BYTES, Partial};
use crate::virtio::queue::Segment;
use header::HEADER_BYTES;
use proptest::prelude::*;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver as Messages, Sender, channel};

const NONE: Offloads = Offloads {
    checksum: false,
    receive_checksum: false,
    tcp4: false,
    tcp6: false,
    receive_tcp4: false,
    receive_tcp6: false,
};
const ALL: Offloads = Offloads {
    checksum: true,
    receive_checksum: true,
    tcp4: true,
    tcp6: true,
    receive_tcp4: true,
    receive_tcp6: true,
};
const PLAIN: Incoming = Incoming { checksum: Checksum::Unknown, large: None };

/// What a receiver was told.
#[derive(Debug, PartialEq)]
enum Told {
    Frame(Vec<u8>, Incoming),
    Room,
    Link(bool),
}

struct Listener(Mutex<Sender<Told>>);

impl Listener {
    fn new() -> (Arc<Self>, Messages<Told>) {
        let (sender, messages) = channel();
        (Arc::new(Self(Mutex::new(sender))), messages)
    }

    fn tell(&self, told: Told) {
        // The test may be over.
        let _ = self.0.lock().unwrap().send(told);
    }
}

impl Receiver for Listener {
    fn frame(&self, bytes: &[u8], incoming: Incoming) {
        self.tell(Told::Frame(bytes.to_vec(), incoming));
    }

    fn room(&self) {
        self.tell(Told::Room);
    }

    fn link_changed(&self, up: bool) {
        self.tell(Told::Link(up));
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8).collect()
}

/// A frame as the device writes it, spread over so many buffers.
fn with_header(flags: u8, gso: u8, segment: u16, buffers: u16, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags, gso, 0, 0];
    bytes.extend(segment.to_le_bytes());
    bytes.extend([34, 0, 16, 0]);
    bytes.extend(buffers.to_le_bytes());
    bytes.extend(frame);
    bytes
}

struct Receive {
    queue: ReceiveQueue,
    device: FakeDevice,
    received: Arc<Received>,
}

impl Receive {
    fn new(size: u16, mode: Mode) -> Self {
        let (mut queue, device) = FakeDevice::queue(size);
        queue.use_event_idx();
        let received = Arc::new(Received::default());
        let mut queue = ReceiveQueue::new(queue, mode, received.clone());
        queue.fill(usize::MAX).unwrap();
        Self { queue, device, received }
    }

    fn merged(size: u16) -> Self {
        Self::new(size, Mode { merged: true, offloads: ALL })
    }

    fn drain(&mut self) -> Vec<(Vec<u8>, Incoming)> {
        let mut frames = Vec::new();
        self.queue.drain(usize::MAX, |frame, incoming| frames.push((frame.to_vec(), incoming)));
        frames
    }

    fn counts(&self) -> (u64, u64, u64) {
        (self.received.packets.read(), self.received.bytes.read(), self.received.errors.read())
    }
}

#[test]
fn frames_come_in_and_buffers_go_back() {
    for merged in [false, true] {
        let mut receive = Receive::new(8, Mode { merged, offloads: NONE });
        assert_eq!(receive.device.kicks(), 1);
        receive.device.request_kick(u16::MAX);
        for number in 0..100u16 {
            let frame = pattern(60 + usize::from(number));
            // Without merging the number of buffers says nothing.
            receive.device.write_all(&with_header(0, 0, 0, if merged { 1 } else { number }, &frame));
            assert_eq!(receive.drain(), [(frame, PLAIN)]);
        }
        assert_eq!(receive.counts(), (100, 100 * 60 + 99 * 50, 0));
        assert_eq!(receive.device.kicks(), 1, "the device never ran out of buffers");
    }
}

#[test]
fn merged_buffers_make_one_frame_also_one_at_a_time() {
    let mut receive = Receive::merged(32);
    let frame = pattern(9014);
    receive.device.write_all(&with_header(1, 1, 1448, 3, &frame));
    let large = Some(Large { kind: LargeKind::Tcp4, segment: 1448 });
    let incoming = Incoming { checksum: Checksum::Partial(Partial { start: 34, offset: 16 }), large };
    assert_eq!(receive.drain(), [(frame.clone(), incoming)]);

    let bytes = with_header(2, 0, 0, 3, &frame);
    let parts: Vec<&[u8]> = bytes.chunks(PAGE_SIZE).collect();
    for part in &parts[..2] {
        receive.device.write_all(part);
        assert_eq!(receive.drain(), []);
    }
    receive.device.write_all(parts[2]);
    assert_eq!(receive.drain(), [(frame, Incoming { checksum: Checksum::Right, large: None })]);

    let longest = pattern(MOST_FRAME_BYTES);
    let buffers = (longest.len() + HEADER_BYTES).div_ceil(PAGE_SIZE) as u16;
    receive.device.write_all(&with_header(0, 0, 0, buffers, &longest));
    assert_eq!(receive.drain(), [(longest, PLAIN)]);
}

#[test]
fn what_cannot_be_is_counted_and_dropped() {
    let frame = pattern(60);
    let good = with_header(0, 0, 0, 1, &frame);
    let bad: [(&str, Vec<u8>); 7] = [
        ("no buffers", with_header(0, 0, 0, 0, &frame)),
        ("more buffers than there are", with_header(0, 0, 0, 33, &frame)),
        ("a header cut short", good[..11].to_vec()),
        ("shorter than an Ethernet header", good[..25].to_vec()),
        ("an unknown kind of large frame", with_header(0, 3, 100, 1, &frame)),
        ("a checksum outside of the frame", with_header(1, 0, 0, 1, &frame[..50])),
        ("too long", with_header(0, 0, 0, 18, &pattern(17 * PAGE_SIZE))),
    ];
    for (what, bytes) in bad {
        let mut receive = Receive::merged(32);
        receive.device.write_all(&bytes);
        assert_eq!(receive.drain(), [], "{what}");
        assert_eq!(receive.counts().2, 1, "{what}");
        receive.device.write_all(&good);
        assert_eq!(receive.drain(), [(frame.clone(), PLAIN)], "after {what}");
    }
    let mut receive = Receive::merged(4);
    let (head, _) = receive.device.next().unwrap();
    receive.device.finish(head, 5000);
    assert_eq!(receive.drain(), [], "it wrote more than there is room for");
    receive.device.finish_raw(77, 60);
    assert_eq!(receive.drain(), []);
    assert_eq!(receive.counts().2, 2);
    receive.device.write_all(&good);
    assert_eq!(receive.drain(), [], "a queue that lied is not used any more");
    assert_eq!(receive.counts().2, 2);
}

struct Transmit {
    queue: TransmitQueue,
    device: FakeDevice,
    sent: Arc<Sent>,
}

impl Transmit {
    fn new(size: u16, offloads: Offloads, event_idx: bool) -> Self {
        let (mut queue, device) = FakeDevice::queue(size);
        if event_idx {
            queue.use_event_idx();
        }
        let sent = Arc::new(Sent::default());
        Self { queue: TransmitQueue::new(queue, offloads, 1500, sent.clone()), device, sent }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.queue.transmit(&Outgoing { pieces: &[bytes], ..Outgoing::default() })
    }

    fn take(&mut self) -> Option<(u16, Vec<u8>)> {
        let (head, segments) = self.device.next()?;
        assert!(segments.iter().all(|segment| !segment.device_writes));
        let read = |segment: &Segment| self.device.read(*segment);
        Some((head, segments.iter().flat_map(read).collect()))
    }
}

#[test]
fn a_frame_in_pieces_is_sent_in_one_with_one_kick_for_several() {
    let mut transmit = Transmit::new(64, ALL, true);
    let frame = pattern(40_000);
    let partial = Partial { start: 34, offset: 16 };
    let outgoing = Outgoing {
        pieces: &[&frame[..14], &[], &frame[14..54], &frame[54..30_000], &frame[30_000..]],
        checksum: Some(partial),
        large: Some(Large { kind: LargeKind::Tcp4, segment: 1460 }),
        header_len: 54,
    };
    transmit.queue.transmit(&outgoing).unwrap();
    transmit.send(&pattern(100)).unwrap();
    assert_eq!(transmit.device.kicks(), 0);
    transmit.queue.kick();
    assert_eq!(transmit.device.kicks(), 1);
    let (first, bytes) = transmit.take().unwrap();
    assert_eq!(bytes[..12], [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0]);
    assert!(bytes[12..] == frame[..]);
    let (second, bytes) = transmit.take().unwrap();
    assert_eq!((&bytes[..12], &bytes[12..]), (&[0; 12][..], &pattern(100)[..]));
    transmit.device.finish(second, 0);
    transmit.device.finish(first, 0);
    assert!(!transmit.device.wants_interrupt_after(2));
    assert_eq!((transmit.sent.packets.read(), transmit.sent.bytes.read()), (2, 40_100));
}

#[test]
fn what_the_device_cannot_send_is_counted_and_dropped() {
    let frame = pattern(2000);
    let large = Some(Large { kind: LargeKind::Tcp4, segment: 500 });
    let checksum = Some(Partial { start: 34, offset: 16 });
    let base = Outgoing { pieces: &[&frame], ..Outgoing::default() };
    let short = Outgoing { pieces: &[&frame[..13]], ..base };
    let outside = Outgoing { pieces: &[&frame[..51]], checksum, ..base };
    let no_checksum = Outgoing { large, ..base };
    let (of_no_size, with_checksum) =
        (Some(Large { segment: 0, kind: LargeKind::Tcp4 }), Outgoing { checksum, ..base });
    let mut all = Transmit::new(8, ALL, true);
    for bad in [base, short, outside, no_checksum, Outgoing { large: of_no_size, ..with_checksum }] {
        all.queue.transmit(&bad).unwrap();
    }
    all.queue.transmit(&Outgoing { large, ..with_checksum }).unwrap();
    assert_eq!((all.sent.errors.read(), all.sent.packets.read()), (5, 1));
    let mut none = Transmit::new(8, NONE, true);
    none.queue.transmit(&Outgoing { large, ..with_checksum }).unwrap();
    none.queue.transmit(&Outgoing { pieces: &[&frame[..60]], checksum, ..base }).unwrap();
    assert_eq!((none.sent.errors.read(), none.sent.packets.read()), (2, 0));
    none.send(&frame[..1518]).unwrap();
    assert_eq!(none.sent.packets.read(), 1);
}

#[test]
fn a_full_ring_says_so_and_when_there_is_room_again() {
    for event_idx in [false, true] {
        let mut transmit = Transmit::new(16, NONE, event_idx);
        let mut sent = 0;
        for _ in 0..10 {
            while transmit.send(&pattern(60 + sent % 1000)).is_ok() {
                sent += 1;
            }
            assert!(transmit.queue.someone_waits().load(Ordering::Relaxed));
            assert!(!transmit.queue.has_room_again());
            // All have been told of, though nobody kicked.
            let held: Vec<u16> = core::iter::from_fn(|| transmit.take()).map(|(head, _)| head).collect();
            assert_eq!(held.len(), 16);
            let mut interrupts = 0;
            for head in held {
                transmit.device.finish(head, 0);
                let wanted = match event_idx {
                    true => transmit.device.wants_interrupt_after(1),
                    false => transmit.device.wants_interrupts(),
                };
                if wanted && transmit.queue.has_room_again() {
                    interrupts += 1;
                }
            }
            assert_eq!(interrupts, 1);
            assert!(!transmit.queue.has_room_again());
        }
        assert_eq!(transmit.sent.packets.read(), 160);
    }
}

#[test]
fn what_was_sent_makes_room_without_an_interrupt() {
    let mut transmit = Transmit::new(4, NONE, true);
    for _ in 0..1000 {
        transmit.send(&pattern(200)).unwrap();
        let (head, _) = transmit.take().unwrap();
        transmit.device.finish(head, 0);
        assert!(!transmit.device.wants_interrupt_after(1));
    }
}

#[test]
fn without_memory_frames_are_dropped_or_wait() {
    let mut transmit = Transmit::new(16, NONE, true);
    let limit = crate::hosted::limit_frames(0);
    transmit.send(&pattern(60)).unwrap();
    assert_eq!((transmit.sent.dropped.read(), transmit.sent.packets.read()), (1, 0));
    drop(limit);
    transmit.send(&pattern(60)).unwrap();
    let limit = crate::hosted::limit_frames(0);
    assert_eq!(transmit.send(&pattern(60)), Err(Full));
    let (head, _) = transmit.take().unwrap();
    transmit.device.finish(head, 0);
    assert!(transmit.device.wants_interrupt_after(1));
    assert!(transmit.queue.has_room_again());
    assert_eq!(transmit.send(&pattern(60)), Ok(()), "in the page of the first");
    drop(limit);
}

fn pair(size: u16) -> (Arc<Pair>, FakeDevice, FakeDevice) {
    let (mut receive, receive_device) = FakeDevice::queue(size);
    let (mut transmit, transmit_device) = FakeDevice::queue(size);
    receive.use_event_idx();
    transmit.use_event_idx();
    let pair = new_pair(receive, transmit, Mode { merged: true, offloads: NONE }, 1500);
    (Arc::new(pair), receive_device, transmit_device)
}

#[test]
fn what_comes_before_the_sleep_is_seen() {
    let (pair, mut device, _) = pair(8);
    let (listener, messages) = Listener::new();
    let mut receive = pair.take_receive().unwrap();
    receive.fill(8).unwrap();
    assert!(!pair.turn(&mut receive, &*listener));
    // Between the last look and the request for interrupts.
    device.write_all(&with_header(0, 0, 0, 1, &pattern(60)));
    assert_eq!(pair.settle(&mut receive, &*listener, None), None);
    assert!(!pair.turn(&mut receive, &*listener));
    assert_eq!(messages.try_recv(), Ok(Told::Frame(pattern(60), PLAIN)));
    assert_eq!(pair.settle(&mut receive, &*listener, None), Some(u64::MAX));
    assert!(!pair.interrupt(), "nothing came");
    device.write_all(&with_header(0, 0, 0, 1, &pattern(61)));
    assert!(device.wants_interrupt_after(1) && pair.interrupt());
}

#[test]
fn a_long_queue_is_taken_in_turns() {
    let (pair, mut device, _) = pair(128);
    let (listener, messages) = Listener::new();
    let mut receive = pair.take_receive().unwrap();
    receive.fill(128).unwrap();
    (0..100).for_each(|_| assert!(device.write_all(&with_header(0, 0, 0, 1, &pattern(60)))));
    assert!(pair.turn(&mut receive, &*listener));
    assert_eq!(messages.try_iter().count(), 64);
    assert!(!pair.turn(&mut receive, &*listener));
    assert_eq!(messages.try_iter().count(), 36);
}

#[test]
fn a_thread_misses_nothing_with_interrupts_only_where_it_asked() {
    let (pair, mut device, mut transmit_device) = pair(16);
    let (listener, messages) = Listener::new();
    let server = pair.clone();
    let receiver = listener.clone();
    std::thread::spawn(move || {
        server.served_by(crate::thread::current());
        let mut receive = server.take_receive().unwrap();
        receive.fill(16).unwrap();
        server.serve(receive, &*receiver, None)
    });
    let mut interrupts = 0;
    for number in 0..20_000u32 {
        let mut frame = pattern(60);
        frame[..4].copy_from_slice(&number.to_le_bytes());
        while !device.write_all(&with_header(0, 0, 0, 1, &frame)) {
            std::thread::yield_now();
        }
        if device.wants_interrupt_after(1) {
            interrupts += 1;
            pair.interrupt();
        }
        if number % 64 == 0 {
            std::thread::yield_now();
        }
    }
    let patience = std::time::Duration::from_secs(20);
    for number in 0..20_000u32 {
        match messages.recv_timeout(patience) {
            Ok(Told::Frame(bytes, _)) => assert_eq!(bytes[..4], number.to_le_bytes()),
            other => panic!("frame {number}: {other:?}, {interrupts} interrupts"),
        }
    }
    // And so for room to send.
    let mut rounds = 0;
    let frame = pattern(60);
    while rounds < 200 {
        let outgoing = Outgoing { pieces: &[&frame], ..Outgoing::default() };
        if pair.transmit.lock().transmit(&outgoing).is_ok() {
            continue;
        }
        while let Some((head, _)) = transmit_device.next() {
            transmit_device.finish(head, 0);
            if transmit_device.wants_interrupt_after(1) {
                pair.interrupt();
            }
        }
        assert_eq!(messages.recv_timeout(patience), Ok(Told::Room));
        rounds += 1;
    }
}

#[test]
fn the_device_over_mmio() {
    let memory = ram_device(2);
    memory.write_u32(0x08, 1);
    // Both halves of the features are the same.
    let offered = features::CSUM | features::MAC | features::MTU | features::STATUS | features::MRG_RXBUF;
    memory.write_u32(0x10, offered.bits() as u32);
    for (at, byte) in (0x100..).zip([0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0]) {
        memory.write_u8(at, byte);
    }
    memory.write_u16(0x10a, 9000);
    let lines = FakeLines::with_count(1);
    let (_, transport) = mmio::open(memory.registers(), || Box::new(lines.clone())).unwrap();
    let device = VirtioNet::start(transport.unwrap(), "eth0".into()).unwrap();
    assert_eq!(device.mac(), [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    assert_eq!((device.mtu(), device.link_up()), (9000, true));
    assert_eq!(device.offloads(), Offloads { checksum: true, tcp4: false, ..NONE });
    assert_eq!(memory.read_u32(0x70), 1 | 2 | 4 | 8);

    // The transmit queue was set up last.
    memory.write_u32(0x50, 77);
    let frame = pattern(9014);
    device.transmit(&Outgoing { pieces: &[&frame], ..Outgoing::default() }).unwrap();
    assert_eq!(memory.read_u32(0x50), 77);
    device.flush();
    assert_eq!(memory.read_u32(0x50), 1);
    memory.write_u32(0x50, 77);
    device.flush();
    assert_eq!(memory.read_u32(0x50), 77, "there is nothing to tell");
    assert_eq!(device.counters(), Counters { tx_packets: 1, tx_bytes: 9014, ..Counters::default() });

    let (listener, messages) = Listener::new();
    device.clone().start(listener.clone()).unwrap();
    device.clone().start(listener).unwrap();
    memory.write_u16(0x106, 0);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while device.link_up() && std::time::Instant::now() < patience {
        lines.raise(0);
        std::thread::yield_now();
    }
    assert_eq!(messages.recv_timeout(std::time::Duration::from_secs(20)), Ok(Told::Link(false)));
    assert!(!device.link_up());
}

#[test]
fn the_number_of_pairs_is_agreed_on() {
    for (answer, agreed) in [(0, true), (1, false)] {
        let (queue, mut device) = FakeDevice::queue(4);
        let control = Arc::new(ControlQueue::new(queue).unwrap());
        let driver = control.clone();
        let asks = std::thread::spawn(move || driver.use_pairs(3));
        let (head, segments) = loop {
            match device.next() {
                Some(command) => break command,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(device.read(segments[0]), [4, 0, 3, 0]);
        assert_eq!((segments[1].len, segments[1].device_writes), (1, true));
        write_physical(segments[1].address, &[answer]);
        device.finish(head, 1);
        control.interrupt();
        assert_eq!(asks.join().unwrap(), agreed);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Header(Vec<u8>, u32),
    Finish(u32, u32),
    Kick(u16),
    Drain(usize),
    Send(usize, Option<Partial>, Option<Large>),
    Room,
}

fn step() -> impl Strategy<Value = Step> {
    let header = prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), any::<u8>()], 12);
    let len = prop_oneof![0u32..80, 4090u32..4100, any::<u32>()];
    let partial =
        prop::option::of((0u16..80, 0u16..80).prop_map(|(start, offset)| Partial { start, offset }));
    let large = (0u16..2000).prop_map(|segment| Large { kind: LargeKind::Tcp4, segment });
    prop_oneof![
        4 => (header, len.clone()).prop_map(|(header, len)| Step::Header(header, len)),
        1 => (0u32..9, len).prop_map(|(id, len)| Step::Finish(id, len)),
        1 => any::<u16>().prop_map(Step::Kick),
        3 => (1usize..20).prop_map(Step::Drain),
        3 => (0usize..70_000, partial, prop::option::of(large)).prop_map(|(len, partial, large)| Step::Send(len, partial, large)),
        1 => Just(Step::Room),
    ]
}

proptest! {
    // Whatever the device says, nothing panics, every frame given out is within bounds, and every buffer is accounted for.
    #[test]
    fn a_hostile_device(steps in prop::collection::vec(step(), 1..200), merged in any::<bool>()) {
        let mut receive = Receive::new(8, Mode { merged, offloads: ALL });
        let mut transmit = Transmit::new(32, ALL, true);
        let longest = pattern(70_000);
        let (mut given, mut sends) = (0u64, 0u64);
        for step in steps {
            match step {
                Step::Header(header, len) => {
                    if let Some((head, segments)) = receive.device.next() {
                        write_physical(segments[0].address, &header);
                        receive.device.finish(head, len);
                    }
                    if let Some((head, _)) = transmit.take() {
                        transmit.device.finish(head, len);
                    }
                }
                Step::Finish(id, len) => {
                    receive.device.finish_raw(id, len);
                    if len % 4 == 0 {
                        transmit.device.finish_raw(id, len);
                    }
                }
                Step::Kick(index) => {
                    receive.device.request_kick(index);
                    transmit.device.request_kick(index);
                }
                Step::Drain(budget) => {
                    receive.queue.drain(budget, |frame, _| {
                        given += 1;
                        assert!((14..=MOST_FRAME_BYTES).contains(&frame.len()));
                    });
                }
                Step::Send(len, checksum, large) => {
                    sends += 1;
                    let outgoing = Outgoing { pieces: &[&longest[..len]], checksum, large, header_len: 54 };
                    if transmit.queue.transmit(&outgoing).is_err() {
                        sends -= 1;
                    }
                }
                Step::Room => drop(transmit.queue.has_room_again()),
            }
        }
        prop_assert_eq!(receive.counts().0, given);
        let sent = &transmit.sent;
        prop_assert_eq!(sent.packets.read() + sent.errors.read() + sent.dropped.read(), sends);
    }
}
