//! What the locks' release leaves to be done: sending, waking, and the loopback interface.
//!
//! A packet for this machine itself goes into one of a few queues and is received by the thread that sent it, after it has
//! released all locks, or by the thread that is receiving from that queue already. So nothing is ever entered twice, and the packets of a
//! flow keep their order.

use crate::addr::Nanos;
use crate::interface::{Interface, count};
use crate::ip;
use crate::lock_level;
use crate::output::Output;
use crate::packet::Packet;
use crate::stack::Stack;
use crate::timer::Timer;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_machine::sync::SpinLock;

/// Queues: flows on different ones are received on different CPUs at the same time.
const QUEUES: usize = 16;
/// Packets that one call receives; the rest is done by the stack's timer, so that no system call is kept for ever by others' packets.
const BUDGET: usize = 512;
/// Most packets in a queue (Linux's netdev_max_backlog is 1000).
const MAX_QUEUED: usize = 4096;

/// The queues.
pub(crate) struct Loopback {
    queues: Vec<SpinLock<Queue>>,
}

#[derive(Default)]
struct Queue {
    /// Each with the interface that receives it.
    packets: VecDeque<(Packet, Arc<Interface>)>,
    /// Some thread is receiving from it.
    busy: bool,
}

impl Loopback {
    pub(crate) fn new() -> Self {
        let queue = || SpinLock::with_level(lock_level::LOOPBACK, Queue::default());
        Self { queues: core::iter::repeat_with(queue).take(QUEUES).collect() }
    }

    /// A queue was left with packets in it; who finishes `out` goes on.
    pub(crate) fn resume(&self, queue: usize, out: &mut Output) {
        out.resume = Some(queue);
    }

    /// The queue of a packet: both directions of a flow have the same.
    fn choose(packet: &Packet) -> usize {
        let bytes = packet.bytes();
        let at = if bytes.first().is_some_and(|byte| byte >> 4 == 4) { 20 } else { 40 };
        match bytes.get(at..at + 4) {
            Some(&[a, b, c, d]) => usize::from((a ^ c) ^ (b ^ d)) % QUEUES,
            _ => 0,
        }
    }
}

impl Stack {
    /// Does what was gathered while locks were held: sends, receives what went to this machine itself, wakes, and tells that a
    /// timer is earlier. Called with no lock held.
    pub(crate) fn finish(&self, out: Output, now: Nanos) {
        if out.is_empty() {
            return;
        }
        // One bit for each queue that may have packets.
        let mut waiting = 0_u32;
        let mut deadline = out.deadline;
        if let Some(queue) = out.resume {
            waiting |= 1 << queue;
        }
        deadline |= self.perform(out, now, &mut waiting);
        let mut budget = BUDGET;
        while waiting != 0 {
            let queue = waiting.trailing_zeros() as usize;
            waiting &= waiting - 1;
            deadline |= self.drain(queue, now, &mut waiting, &mut budget);
        }
        if deadline && let Some(at) = self.next_deadline() {
            self.waker.deadline(at);
        }
    }

    /// Sends and wakes. True if a timer has become the earliest.
    fn perform(&self, mut out: Output, now: Nanos, waiting: &mut u32) -> bool {
        let mut later = Output::default();
        for (packet, path) in out.packets.drain(..) {
            self.snmp.packet_sent();
            if !path.interface.is_loopback() {
                self.send_on_link(packet, &path, now, &mut later);
            } else if path.interface.is_up() {
                *waiting |= 1 << self.loop_back(packet, path.interface);
            }
        }
        for (packet, interface) in out.local.drain(..) {
            *waiting |= 1 << self.loop_back(packet, interface);
        }
        for (whom, events) in out.notifications {
            whom.notify(events);
        }
        if later.is_empty() {
            return out.deadline;
        }
        // What sending led to: packets of the link layer go out directly, so this is a timer, or an error for a socket.
        debug_assert!(later.packets.is_empty(), "the link layer sends frames, not packets");
        for (whom, events) in later.notifications {
            whom.notify(events);
        }
        out.deadline | later.deadline
    }

    fn loop_back(&self, packet: Packet, interface: Arc<Interface>) -> usize {
        let index = Loopback::choose(&packet);
        count(&interface.counters.tx_packets, 1);
        count(&interface.counters.tx_bytes, packet.len());
        let mut queue = self.loopback.queues[index].lock();
        if queue.packets.len() < MAX_QUEUED {
            queue.packets.push_back((packet, interface));
        }
        index
    }

    /// Receives what is in a queue, unless another thread does.
    fn drain(&self, index: usize, now: Nanos, waiting: &mut u32, budget: &mut usize) -> bool {
        let queue = &self.loopback.queues[index];
        {
            let mut queue = queue.lock();
            if queue.busy || queue.packets.is_empty() {
                return false;
            }
            queue.busy = true;
        }
        let mut deadline = false;
        loop {
            let (packet, interface) = {
                let mut queue = queue.lock();
                match queue.packets.pop_front() {
                    Some(packet) if *budget > 0 => packet,
                    rest => {
                        queue.busy = false;
                        let Some(packet) = rest else {
                            if queue.packets.capacity() > 64 {
                                queue.packets = VecDeque::new();
                            }
                            return deadline;
                        };
                        queue.packets.push_front(packet);
                        break;
                    }
                }
            };
            *budget -= 1;
            count(&interface.counters.rx_packets, 1);
            count(&interface.counters.rx_bytes, packet.len());
            let mut out = Output::default();
            self.receive_ip(&interface, ip::Datagram::Owned(packet), true, now, &mut out);
            deadline |= self.perform(out, now, waiting);
        }
        let mut out = Output::default();
        self.set_timer(now, Timer::Loopback(index), &mut out);
        deadline | out.deadline
    }
}
