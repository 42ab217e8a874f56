//! The wire, the clock and small programs.

use crate::tcp::RecvFlags;
use crate::{
    Cidr, Events, Family, Frame, InterfaceIndex, Link, Nanos, Notify, Offloads, RxChecksum, Stack, TcpSocket,
    Waker,
};
use husk_abi::Errno;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(super) const MILLISECOND: Nanos = 1_000_000;
pub(super) const SECOND: Nanos = 1_000_000_000;

/// How a wire treats frames.
#[derive(Clone, Copy)]
pub(super) struct Wire {
    pub(super) delay: Nanos,
    /// Of 1000 frames.
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Of 1000 frames, this many are late by up to three delays.
    pub(super) late: u64,
    pub(super) offloads: Offloads,
    pub(super) mtu: usize,
}

impl Default for Wire {
    fn default() -> Self {
        Self { delay: MILLISECOND, lost: 0, doubled: 0, late: 0, offloads: Offloads::default(), mtu: 1500 }
    }
}

/// A card whose frames a world carries.
pub(super) struct Card {
    mac: [u8; 6],
    wire: Wire,
    sent: Mutex<VecDeque<Frame>>,
}

impl Link for Card {
    fn mtu(&self) -> usize {
        self.wire.mtu
    }
    fn mac(&self) -> [u8; 6] {
        self.mac
    }
    fn offloads(&self) -> Offloads {
        self.wire.offloads
    }
    fn transmit(&self, frame: Frame) -> Result<(), Frame> {
        self.sent.lock().unwrap().push_back(frame);
        Ok(())
    }
    fn is_up(&self) -> bool {
        true
    }
}

/// Remembers the earliest deadline that it was told.
#[derive(Default)]
pub(super) struct Alarm(AtomicU64);

impl Waker for Alarm {
    fn deadline(&self, at: Nanos) {
        self.0.store(at, Ordering::Relaxed);
    }
}

/// When, a number, to whom, what.
type Flying = (Nanos, u64, usize, Vec<u8>);
type Filter = Box<dyn FnMut(usize, &[u8]) -> bool>;

/// Stacks on one wire.
pub(super) struct World {
    pub(super) now: Nanos,
    pub(super) stacks: Vec<Arc<Stack>>,
    cards: Vec<Arc<Card>>,
    wire: Wire,
    random: u64,
    flying: BinaryHeap<Reverse<Flying>>,
    count: u64,
    /// Everything that was sent.
    pub(super) frames: u64,
    /// Looks at each frame before it flies; false drops it.
    pub(super) filter: Filter,
}

/// The index of the only card.
pub(super) const ETH0: InterfaceIndex = 2;

impl World {
    /// `count` stacks with the addresses 10.0.0.1, 10.0.0.2, ... and fd00::1, ...
    pub(super) fn new(count: usize, wire: Wire) -> Self {
        let world = Self::bare(count, wire);
        for (i, stack) in world.stacks.iter().enumerate() {
            let last = i as u8 + 1;
            stack.add_address(ETH0, Cidr::new([10, 0, 0, last].into(), 24)).unwrap();
            let v6 = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into());
            stack.add_address(ETH0, Cidr::new(v6.into(), 64)).unwrap();
        }
        world
    }

    /// Without addresses.
    pub(super) fn bare(count: usize, wire: Wire) -> Self {
        let mut stacks = Vec::new();
        let mut cards = Vec::new();
        for i in 0..count {
            let stack = Stack::new([i as u8 + 7; 32], Arc::new(Alarm::default()));
            let card = Arc::new(Card { mac: [2, 0, 0, 0, 0, i as u8 + 1], wire, sent: Mutex::default() });
            assert_eq!(stack.add_interface(card.clone()), ETH0);
            stacks.push(stack);
            cards.push(card);
        }
        Self {
            now: SECOND,
            stacks,
            cards,
            wire,
            random: 0x9e37_79b9_7f4a_7c15,
            flying: BinaryHeap::new(),
            count: 0,
            frames: 0,
            filter: Box::new(|_, _| true),
        }
    }

    /// The first two know each other's Ethernet address and need not ask, which a bad wire may prevent.
    pub(super) fn introduce(&self) {
        for (stack, other) in self.stacks.iter().zip([2, 1]) {
            stack.set_neighbour(ETH0, [10, 0, 0, other].into(), Some([2, 0, 0, 0, 0, other]));
        }
    }

    /// Other luck.
    pub(super) fn seed(&mut self, seed: u64) {
        self.random = seed;
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.random() % 1000 < of_thousand
    }

    /// Takes what the cards have sent and lets it fly.
    fn collect(&mut self) {
        for from in 0..self.cards.len() {
            loop {
                let Some(frame) = self.cards[from].sent.lock().unwrap().pop_front() else { break };
                self.frames += 1;
                let bytes = frame.bytes().to_vec();
                assert!(
                    bytes.len() <= self.wire.mtu + 14 || frame.offload().segmentation.is_some(),
                    "a frame of {} bytes",
                    bytes.len()
                );
                if !(self.filter)(from, &bytes) || self.chance(self.wire.lost) {
                    continue;
                }
                let copies = 1 + usize::from(self.chance(self.wire.doubled));
                for _ in 0..copies {
                    let late =
                        if self.chance(self.wire.late) { self.random() % (3 * self.wire.delay) } else { 0 };
                    for to in (0..self.cards.len()).filter(|&to| to != from) {
                        self.count += 1;
                        let at = self.now + self.wire.delay + late;
                        self.flying.push(Reverse((at, self.count, to, bytes.clone())));
                    }
                }
            }
        }
    }

    /// Goes on to the next thing that happens, or by `most`. False if nothing is going to happen by then.
    pub(super) fn step(&mut self, until: Nanos) -> bool {
        self.collect();
        let timers = self.stacks.iter().filter_map(|stack| stack.next_deadline()).min();
        let frame = self.flying.peek().map(|Reverse(first)| first.0);
        let next = timers.into_iter().chain(frame).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        while self.flying.peek().is_some_and(|Reverse(first)| first.0 <= self.now) {
            let Some(Reverse((_, _, to, bytes))) = self.flying.pop() else { break };
            let checksum =
                if self.wire.offloads.tx_checksum { RxChecksum::Good } else { RxChecksum::Unknown };
            self.stacks[to].receive(ETH0, &bytes, checksum, self.now);
        }
        for stack in &self.stacks {
            stack.expire(self.now);
        }
        true
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Nanos) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Lets time pass until `done`, for `most` at the most.
    pub(super) fn run_until(&mut self, most: Nanos, mut done: impl FnMut(&mut Self) -> bool) {
        let until = self.now + most;
        loop {
            if done(self) {
                return;
            }
            assert!(self.step(until), "it did not happen within {most} ns");
        }
    }

    /// Frames not yet delivered are lost.
    pub(super) fn cut(&mut self) {
        self.collect();
        self.flying.clear();
    }

    pub(super) fn receive(&mut self, to: usize, frame: &[u8]) {
        self.stacks[to].receive(ETH0, frame, RxChecksum::Unknown, self.now);
    }

    /// A socket of one of the stacks.
    pub(super) fn tcp(&self, stack: usize) -> Client {
        Client::new(&self.stacks[stack], Family::V4)
    }

    /// A listener at `10.0.0.x:port`.
    pub(super) fn listen(&self, stack: usize, port: u16, backlog: usize) -> Client {
        let listener = self.tcp(stack);
        listener.socket.bind(addr("0.0.0.0", port), 0).unwrap();
        listener.socket.listen(backlog).unwrap();
        listener
    }

    /// A connection from stack 0 to stack 1, both ends.
    pub(super) fn pair(&mut self) -> (Client, Client) {
        let listener = self.listen(1, 80, 16);
        let client = self.tcp(0);
        assert_eq!(client.socket.connect(addr("10.0.0.2", 80), self.now), Err(Errno::EINPROGRESS));
        let mut server = None;
        self.run_until(100 * SECOND, |_| {
            server = server.take().or_else(|| listener.accept());
            server.is_some() && client.socket.readiness().contains(Events::WRITABLE)
        });
        assert_eq!(client.socket.connect(addr("10.0.0.2", 80), self.now), Ok(()));
        listener.socket.close(self.now);
        (client, server.unwrap())
    }
}

/// Counts notifications.
#[derive(Default)]
pub(super) struct Bell(AtomicU32);

impl Notify for Bell {
    fn notify(&self, events: Events) {
        self.0.fetch_or(events.bits(), Ordering::Relaxed);
    }
}

impl Bell {
    /// What was notified since the last call.
    pub(super) fn take(&self) -> Events {
        Events::from_bits_truncate(self.0.swap(0, Ordering::Relaxed))
    }
}

/// A socket with its bell.
pub(super) struct Client {
    pub(super) socket: Arc<TcpSocket>,
    pub(super) bell: Arc<Bell>,
}

impl Client {
    pub(super) fn new(stack: &Arc<Stack>, family: Family) -> Self {
        let bell = Arc::new(Bell::default());
        Self { socket: stack.tcp_socket(family, 1, bell.clone()), bell }
    }

    pub(super) fn accept(&self) -> Option<Self> {
        let bell = Arc::new(Bell::default());
        let (socket, _) = self.socket.accept(2, bell.clone()).ok()?;
        Some(Self { socket, bell })
    }

    pub(super) fn write(&self, bytes: &[u8], now: Nanos) -> Result<usize, Errno> {
        let mut at = 0;
        self.socket.send(bytes.len(), false, now, &mut |buffer| {
            buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
            at += buffer.len();
            Ok(buffer.len())
        })
    }

    pub(super) fn read(&self, len: usize, now: Nanos) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        self.socket.recv(len, RecvFlags::empty(), now, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(piece.len())
        })?;
        Ok(bytes)
    }
}

pub(super) fn addr(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// Bytes that tell where they belong.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}
