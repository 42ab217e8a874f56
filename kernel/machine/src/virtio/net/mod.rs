//! The driver of virtio network devices (virtio 1.2, section 5.1).
//!
//! Each CPU sends through a queue of its own, as far as the device has queues; for each receive queue there is a thread
//! ([`pair`]), which is woken by its interrupt.

mod control;
mod counter;
mod features;
mod header;
mod link;
mod pair;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use super::Features;
use super::VirtioError;
use super::queue::VirtQueue;
use super::transport::Transport;
use crate::cpu;
use crate::frame::{OutOfMemory, PAGE_SIZE, stats};
use crate::net::{Counters, ETHERNET_HEADER, Full, NetDevice, Offloads, Outgoing, Receiver};
use crate::thread::{Attributes, spawn_with};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use control::ControlQueue;
use core::sync::atomic::{AtomicUsize, Ordering};
use counter::Counter;
use link::Link;
use pair::Pair;
use receive::{Mode, ReceiveQueue, Received};
use transmit::{Sent, TransmitQueue};

// Fields of the configuration (section 5.1.4).
const CONFIG_MAC: usize = 0;
const CONFIG_MAX_PAIRS: usize = 8;
const CONFIG_MTU: usize = 10;

const QUEUE_SIZE: u16 = 1024;
const CONTROL_QUEUE_SIZE: u16 = 4;
/// Interrupts of one device at most; more pairs than that share them.
const MOST_LINES: u16 = 16;
const ETHERNET_MTU: u16 = 1500;
/// What IPv4 asks of every link (RFC 791).
const LEAST_MTU: u16 = 68;
/// A frame that must fit into one buffer can have so many bytes after its Ethernet header and a VLAN tag.
const ONE_BUFFER_MTU: u16 = (PAGE_SIZE - header::HEADER_BYTES - ETHERNET_HEADER - 4) as u16;
/// One page of memory out of so many is for receive buffers, at most.
const MEMORY_SHARE: usize = 64;
const LEAST_BUFFERS: usize = 16;

/// A network device behind virtio.
pub(crate) struct VirtioNet {
    name: String,
    mac: [u8; 6],
    mtu: u16,
    offloads: Offloads,
    link: Link,
    pairs: Vec<Pair>,
    /// Pairs that the device uses.
    active: AtomicUsize,
    control: Option<ControlQueue>,
}

impl VirtioNet {
    /// Sets the device up. It can send at once, and receives from [`NetDevice::start`] on.
    pub(crate) fn start(mut transport: Transport, name: String) -> Result<Arc<Self>, VirtioError> {
        let agreed = transport.negotiate(|offered| features::choose(offered, cpu::count()))?;
        let has = |feature| agreed.contains(feature);
        let most_pairs = if has(features::MQ) { transport.config_u16(CONFIG_MAX_PAIRS).max(1) } else { 1 };
        let count = most_pairs.min(u16::try_from(cpu::count()).unwrap_or(u16::MAX));
        let mode = Mode { merged: has(features::MRG_RXBUF), offloads: features::offloads(agreed) };
        let mtu =
            if has(features::MTU) { transport.config_u16(CONFIG_MTU).max(LEAST_MTU) } else { ETHERNET_MTU };
        let mtu = if mode.merged { mtu } else { mtu.min(ONE_BUFFER_MTU) };
        let mac = if has(features::MAC) { address(&transport) } else { random_address() };

        // The pairs share the first lines, if there is one left for the rest.
        let lines = count.min(MOST_LINES).min(transport.lines().saturating_sub(1));
        let mut queue = |index, size, line| -> Result<VirtQueue, VirtioError> {
            let mut queue = transport.queue(index, size, line)?;
            if has(Features::EVENT_IDX) {
                queue.use_event_idx();
            }
            Ok(queue)
        };
        let mut pairs = Vec::new();
        for number in 0..count {
            let line = number.checked_rem(lines).unwrap_or(0);
            let receive = queue(2 * number, QUEUE_SIZE, line)?;
            let transmit = queue(2 * number + 1, QUEUE_SIZE, line)?;
            pairs.push(new_pair(receive, transmit, mode, mtu));
        }
        let control = match has(features::MQ) {
            // Behind the queues of all the pairs that the device has.
            true => Some(ControlQueue::new(queue(2 * most_pairs, CONTROL_QUEUE_SIZE, lines)?)?),
            false => None,
        };
        transport.attach_configuration(lines)?;
        let device = Arc::new(Self {
            name,
            mac,
            mtu,
            offloads: mode.offloads,
            link: Link::new(has(features::STATUS)),
            pairs,
            active: AtomicUsize::new(1),
            control,
        });
        device.connect(&mut transport, lines)?;
        device.link.runs(transport.finish_and_keep());
        Ok(device)
    }

    /// Has the interrupts handled: `lines` for the pairs, and one for the rest, or for all.
    fn connect(self: &Arc<Self>, transport: &mut Transport, lines: u16) -> Result<(), VirtioError> {
        for line in 0..lines {
            let device = self.clone();
            let handler = move || {
                let pairs = device.pairs.iter().skip(line.into()).step_by(lines.into());
                pairs.for_each(|pair| {
                    pair.interrupt();
                });
            };
            transport.connect(line, Box::new(handler))?;
        }
        let device = self.clone();
        transport.connect(lines, Box::new(move || device.other_interrupt(lines == 0)))
    }

    /// The configuration changed, or a command was answered, or (if `all`) anything else happened.
    fn other_interrupt(&self, all: bool) {
        self.link.suspect();
        let known = all && self.pairs.iter().fold(false, |any, pair| pair.interrupt() | any);
        if !known {
            self.pairs[0].wake();
        }
        if let Some(control) = &self.control {
            control.interrupt();
        }
    }

    fn sum(&self, counter: impl Fn(&Pair) -> &Counter) -> u64 {
        self.pairs.iter().map(|pair| counter(pair).read()).sum()
    }
}

fn new_pair(receive: VirtQueue, transmit: VirtQueue, mode: Mode, mtu: u16) -> Pair {
    let (received, sent) = (Arc::new(Received::default()), Arc::new(Sent::default()));
    let receive = ReceiveQueue::new(receive, mode, received.clone());
    let transmit = TransmitQueue::new(transmit, mode.offloads, mtu, sent.clone());
    Pair::new(receive, received, transmit, sent)
}

fn address(transport: &Transport) -> [u8; 6] {
    let [a, b, c, d] = transport.config_u32(CONFIG_MAC).to_le_bytes();
    let [e, f] = transport.config_u16(CONFIG_MAC + 4).to_le_bytes();
    [a, b, c, d, e, f]
}

/// For a device that has none (section 5.1.5): local, and of one station.
fn random_address() -> [u8; 6] {
    let mut mac = [0; 6];
    crate::random::fill(&mut mac);
    mac[0] = mac[0] & !1 | 2;
    mac
}

impl NetDevice for VirtioNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn link_up(&self) -> bool {
        self.link.is_up()
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn transmit(&self, frame: &Outgoing<'_>) -> Result<(), Full> {
        let pair = &self.pairs[cpu::current() % self.active.load(Ordering::Relaxed)];
        let outcome = pair.transmit.lock().transmit(frame);
        pair.unkicked.store(true, Ordering::Release);
        outcome
    }

    fn flush(&self) {
        for pair in &self.pairs[..self.active.load(Ordering::Relaxed)] {
            if pair.unkicked.load(Ordering::Relaxed) && pair.unkicked.swap(false, Ordering::Acquire) {
                pair.transmit.lock().kick();
            }
        }
    }

    fn start(self: Arc<Self>, receiver: Arc<dyn Receiver>) -> Result<(), OutOfMemory> {
        let most_buffers = (stats().total / MEMORY_SHARE / self.pairs.len()).max(LEAST_BUFFERS);
        let mut served = 0;
        for number in 0..self.pairs.len() {
            match self.serve(number, most_buffers, receiver.clone()) {
                Ok(()) => served += 1,
                Err(error) if served == 0 => return Err(error),
                // The pairs there are do.
                Err(OutOfMemory) => break,
            }
        }
        let several = self.control.as_ref().filter(|_| served > 1);
        if let Some(control) = several {
            // There are no more pairs than CPUs.
            if control.use_pairs(served as u16) {
                self.active.store(served, Ordering::Relaxed);
            } else {
                log::warn!("{}: the device refuses to use {served} pairs of queues", self.name);
            }
        }
        Ok(())
    }

    fn counters(&self) -> Counters {
        Counters {
            rx_packets: self.sum(|pair| &pair.received.packets),
            rx_bytes: self.sum(|pair| &pair.received.bytes),
            rx_errors: self.sum(|pair| &pair.received.errors),
            tx_packets: self.sum(|pair| &pair.sent.packets),
            tx_bytes: self.sum(|pair| &pair.sent.bytes),
            tx_errors: self.sum(|pair| &pair.sent.errors),
            tx_dropped: self.sum(|pair| &pair.sent.dropped),
        }
    }
}

impl VirtioNet {
    /// Starts the thread of a pair.
    fn serve(
        self: &Arc<Self>,
        number: usize,
        most_buffers: usize,
        receiver: Arc<dyn Receiver>,
    ) -> Result<(), OutOfMemory> {
        // Taken already: it has been started before.
        let Some(mut receive) = self.pairs[number].take_receive() else { return Ok(()) };
        let device = self.clone();
        let name = format!("{}/{number}", self.name);
        spawn_with(&name, Attributes::SERVICE, move || {
            let pair = &device.pairs[number];
            // The first thing: an interrupt before it wakes nobody, and the thread looks at the ring next.
            pair.served_by(crate::thread::current());
            // Here, and not before: a queue that the device has buffers of must stay.
            if receive.fill(most_buffers).is_err() {
                log::error!("{}: no memory for receive buffers", device.name);
            }
            pair.serve(receive, &*receiver, (number == 0).then_some(&device.link));
        })
        .map(drop)
    }
}
