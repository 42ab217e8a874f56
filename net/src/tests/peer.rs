//! Against a TCP that somebody else wrote: smoltcp's.

use super::harness::{MILLISECOND, SECOND};
use super::*;
use crate::link::{Link, Offloads, RxChecksum};
use crate::tcp::{Shutdown, State};
use crate::{Cidr, Family, Frame, Nanos, Stack};
use husk_abi::Errno;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, IpEndpoint};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Frames on their way.
#[derive(Default)]
struct Queue(Mutex<VecDeque<Vec<u8>>>);

struct Card(Arc<Queue>);

impl Link for Card {
    fn mtu(&self) -> usize {
        1500
    }
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }
    fn transmit(&self, frame: Frame) -> Result<(), Frame> {
        self.0.0.lock().unwrap().push_back(frame.bytes().to_vec());
        Ok(())
    }
    fn is_up(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct Wire2 {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire2 {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;
    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        let frame = self.rx.pop_front()?;
        Some((Rx(frame), Tx(&mut self.tx)))
    }
    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        caps
    }
}

struct Peer {
    stack: Arc<Stack>,
    sent: Arc<Queue>,
    device: Wire2,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    now: Nanos,
    random: u64,
    /// Of 1000 frames.
    lost: u64,
}

fn instant(now: Nanos) -> Instant {
    Instant::from_micros((now / 1000) as i64)
}

impl Peer {
    fn new(lost: u64) -> Self {
        let stack = Stack::new([9; 32], Arc::new(super::harness::Alarm::default()));
        let sent = Arc::new(Queue::default());
        let index = stack.add_interface(Arc::new(Card(sent.clone())));
        let mut device = Wire2::default();
        let config = Config::new(EthernetAddress([2, 0, 0, 0, 0, 2]).into());
        let mut interface = Interface::new(config, &mut device, instant(SECOND));
        for (own, prefix, theirs) in [("10.0.0.1", 24, "10.0.0.2"), ("fd00::1", 64, "fd00::2")] {
            stack.add_address(index, Cidr::new(own.parse().unwrap(), prefix)).unwrap();
            interface.update_ip_addrs(|addresses| {
                addresses.push(IpCidr::new(theirs.parse::<IpAddr>().unwrap().into(), prefix)).unwrap();
            });
        }
        let buffer = || tcp::SocketBuffer::new(vec![0; 40_000]);
        let mut sockets = SocketSet::new(vec![]);
        let handle = sockets.add(tcp::Socket::new(buffer(), buffer()));
        Self {
            stack,
            sent,
            device,
            interface,
            sockets,
            handle,
            now: SECOND,
            random: 88_172_645_463_325_252,
            lost,
        }
    }

    fn loses(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1000 < self.lost
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn step(&mut self) {
        self.now += MILLISECOND;
        let outgoing: Vec<_> = self.sent.0.lock().unwrap().drain(..).collect();
        for frame in outgoing {
            if !self.loses() {
                self.device.rx.push_back(frame);
            }
        }
        self.interface.poll(instant(self.now), &mut self.device, &mut self.sockets);
        while let Some(frame) = self.device.tx.pop_front() {
            if !self.loses() {
                self.stack.receive(2, &frame, RxChecksum::Unknown, self.now);
            }
        }
        self.stack.expire(self.now);
    }

    fn until(&mut self, what: &str, most: u64, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..most {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("{what} did not happen within {most} ms");
    }

    /// Sends the same both ways.
    fn exchange(&mut self, own: &Client, len: usize) {
        let data = pattern(len);
        let (mut sent, mut got, mut their_sent, mut their_got) = (0, Vec::new(), 0, Vec::new());
        self.until("the exchange", 600_000, |peer| {
            if sent < len
                && let Ok(count) = own.write(&data[sent..], peer.now)
            {
                sent += count;
            }
            if let Ok(bytes) = own.read(usize::MAX, peer.now) {
                got.extend(bytes);
            }
            let socket = peer.socket();
            if their_sent < len && socket.can_send() {
                their_sent += socket.send_slice(&data[their_sent..]).unwrap();
            }
            if socket.can_recv() {
                socket
                    .recv(|bytes| {
                        their_got.extend_from_slice(bytes);
                        (bytes.len(), ())
                    })
                    .unwrap();
            }
            got.len() == len && their_got.len() == len
        });
        assert!(got == data && their_got == data);
    }
}

fn we_connect(lost: u64, to: &str, family: Family) {
    let mut peer = Peer::new(lost);
    peer.socket().listen(80).unwrap();
    let own = Client::new(&peer.stack, family);
    assert_eq!(own.socket.connect(addr(to, 80), peer.now), Err(Errno::EINPROGRESS));
    peer.until("connecting", 60_000, |_| own.socket.state() == State::Established);
    peer.exchange(&own, 300_000);
    own.socket.shutdown(Shutdown::Write, peer.now).unwrap();
    peer.until("their end", 60_000, |peer| !peer.socket().may_recv());
    peer.socket().close();
    peer.until("our end", 60_000, |_| own.socket.state() == State::Closed);
    assert_eq!(own.read(1, peer.now), Ok(vec![]));
    own.socket.close(peer.now);
}

fn they_connect(lost: u64, to: &str, family: Family) {
    let mut peer = Peer::new(lost);
    let listener = Client::new(&peer.stack, family);
    listener.socket.bind(addr(to, 80), 0).unwrap();
    listener.socket.listen(5).unwrap();
    let end = IpEndpoint::new(to.parse::<IpAddr>().unwrap().into(), 80);
    let Peer { interface, sockets, handle, .. } = &mut peer;
    sockets.get_mut::<tcp::Socket<'_>>(*handle).connect(interface.context(), end, 5555).unwrap();
    let mut own = None;
    peer.until("their connection", 60_000, |_| {
        own = listener.accept();
        own.is_some()
    });
    let own = own.unwrap();
    peer.exchange(&own, 300_000);
    peer.socket().close();
    peer.until("their end", 60_000, |_| own.socket.state() == State::CloseWait);
    own.socket.close(peer.now);
    peer.until("both ends", 60_000, |peer| peer.socket().state() == tcp::State::TimeWait);
}

#[test]
fn we_connect_to_smoltcp() {
    we_connect(0, "10.0.0.2", Family::V4);
    we_connect(0, "fd00::2", Family::V6);
}

#[test]
fn we_connect_to_smoltcp_with_loss() {
    we_connect(30, "10.0.0.2", Family::V4);
}

#[test]
fn smoltcp_connects_to_us() {
    they_connect(0, "10.0.0.1", Family::V4);
    they_connect(0, "fd00::1", Family::V6);
}

#[test]
fn smoltcp_connects_to_us_with_loss() {
    they_connect(30, "10.0.0.1", Family::V4);
}
