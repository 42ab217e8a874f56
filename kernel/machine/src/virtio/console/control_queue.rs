//! The pair of control queues.

use super::super::dma::DmaMemory;
use super::super::queue::{Segment, VirtQueue};
use super::control::{GuestEvent, HostEvent, MESSAGE_BYTES, decode, encode};
use crate::frame::OutOfMemory;
use crate::sync::SpinLock;
use alloc::collections::VecDeque;

/// Most messages on their way in each direction. QEMU drops what finds no buffer, so these are enough for all that it says
/// at once: three messages for each of its ports.
pub(super) const ENTRIES: u16 = 64;
/// Bytes of a receive buffer: a message with a name. QEMU cuts longer names.
const RECEIVE_BYTES: usize = 48;

struct State {
    receive: VirtQueue,
    send: VirtQueue,
    received: DmaMemory,
    sent: DmaMemory,
    /// Messages that wait for room in the queue.
    waiting: VecDeque<GuestEvent>,
}

pub(super) struct ControlQueue {
    state: SpinLock<State>,
}

impl State {
    fn offer(&mut self, slot: u16) {
        let address = self.received.physical(usize::from(slot) * RECEIVE_BYTES);
        let added = self.receive.add(&[Segment { address, len: RECEIVE_BYTES as u32, device_writes: true }]);
        // Each buffer belongs to the descriptor of its number, which was free.
        debug_assert_eq!(added, Some(slot));
    }

    fn push(&mut self) {
        while self.send.pop().is_some() {}
        while let Some(head) = self.send.next_head() {
            let Some(event) = self.waiting.pop_front() else { break };
            let at = usize::from(head) * MESSAGE_BYTES;
            self.sent.write_bytes(at, &encode(event));
            let address = self.sent.physical(at);
            self.send.add(&[Segment { address, len: MESSAGE_BYTES as u32, device_writes: false }]);
        }
        self.send.kick();
    }
}

impl ControlQueue {
    pub(super) fn new(receive: VirtQueue, mut send: VirtQueue) -> Result<Self, OutOfMemory> {
        let memory = DmaMemory::alloc(usize::from(ENTRIES) * (RECEIVE_BYTES + MESSAGE_BYTES))?;
        let received = memory.part(0, usize::from(ENTRIES) * RECEIVE_BYTES);
        let sent = memory.part(received.len(), usize::from(ENTRIES) * MESSAGE_BYTES);
        // What was sent is looked at when the next message is to be sent.
        send.set_interrupts(false);
        let mut state = State { receive, send, received, sent, waiting: VecDeque::new() };
        for slot in 0..state.receive.size() {
            state.offer(slot);
        }
        Ok(Self { state: SpinLock::new(state) })
    }

    /// Tells the device to begin, once it runs.
    pub(super) fn ready(&self) {
        let mut state = self.state.lock();
        state.receive.kick();
        state.waiting.push_back(GuestEvent::DeviceReady);
        state.push();
    }

    /// The host has taken all our messages.
    pub(super) fn all_sent(&self) -> bool {
        let mut state = self.state.lock();
        state.push();
        state.waiting.is_empty() && state.send.free() == state.send.size()
    }

    /// Says that we use a port.
    pub(super) fn accept(&self, port: u32) {
        let mut state = self.state.lock();
        state.waiting.push_back(GuestEvent::PortReady(port));
        state.waiting.push_back(GuestEvent::PortOpen(port));
        state.push();
    }

    /// The next message of the host.
    pub(super) fn next_event(&self) -> Option<(u32, HostEvent)> {
        let mut state = self.state.lock();
        loop {
            let Some(used) = state.receive.pop() else {
                // The buffers given back may be needed by now; and what could not be sent may be possible.
                state.receive.kick();
                state.push();
                return None;
            };
            let mut bytes = [0; RECEIVE_BYTES];
            let len = RECEIVE_BYTES.min(used.written as usize);
            state.received.read_bytes(usize::from(used.head) * RECEIVE_BYTES, &mut bytes[..len]);
            state.offer(used.head);
            if let Some(event) = decode(&bytes[..len]) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake_device::{FakeDevice, read_physical, write_physical};
    use super::*;

    #[test]
    fn the_handshake() {
        let (receive, mut host_sends) = FakeDevice::queue(ENTRIES);
        let (send, mut host_receives) = FakeDevice::queue(ENTRIES);
        let control = ControlQueue::new(receive, send).unwrap();
        let mut next_sent = || {
            let (head, segments) = host_receives.next()?;
            let mut bytes = [0; 8];
            read_physical(segments[0].address, &mut bytes);
            host_receives.finish(head, 0);
            Some(bytes)
        };
        assert_eq!(next_sent(), None);
        control.ready();
        assert!(!control.all_sent());
        assert_eq!(next_sent(), Some(encode(GuestEvent::DeviceReady)));
        assert!(control.all_sent());
        // More messages than there are buffers, in several rounds.
        for round in 0..5u32 {
            for port in 0..40 {
                let (head, segments) = host_sends.next().unwrap();
                let message = [port, 0, 0, 0, 1, 0, 1, 0];
                write_physical(segments[0].address, &message);
                host_sends.finish(head, 8);
            }
            for port in 0..40 {
                assert_eq!(control.next_event(), Some((port, HostEvent::Add)), "round {round}");
                control.accept(port);
                assert_eq!(next_sent(), Some(encode(GuestEvent::PortReady(port))));
                assert_eq!(next_sent(), Some(encode(GuestEvent::PortOpen(port))));
            }
            assert_eq!(control.next_event(), None);
        }
        assert_eq!(next_sent(), None);
    }
}
