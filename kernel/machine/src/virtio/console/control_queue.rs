//! The pair of control queues.

use super::super::buffer::Buffer;
use super::super::buffer_queue::BufferQueue;
use super::ENTRIES;
use super::control::{GuestEvent, HostEvent, MESSAGE_BYTES, decode, encode};
use crate::frame::OutOfMemory;
use crate::sync::SpinLock;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes of a buffer: a message with a name. QEMU cuts longer names.
const RECEIVE_BYTES: usize = 48;

struct State {
    receive: BufferQueue<ENTRIES>,
    send: BufferQueue<ENTRIES>,
    /// Buffers to send, which the device does not have.
    free: Vec<Buffer>,
    /// Messages that wait for a buffer.
    waiting: VecDeque<GuestEvent>,
}

pub(super) struct ControlQueue {
    state: SpinLock<State>,
}

impl State {
    fn offer(&mut self, buffer: Buffer) {
        let added = self.receive.add(buffer, RECEIVE_BYTES);
        // There are as many as the queue has room for. Only a queue that has stopped takes none.
        drop(added);
    }

    fn push(&mut self) {
        while let Some((buffer, _)) = self.send.pop() {
            self.free.push(buffer);
        }
        while !self.waiting.is_empty()
            && let Some(mut buffer) = self.free.pop()
        {
            let Some(event) = self.waiting.pop_front() else { break };
            buffer.write(0, &encode(event));
            // As above.
            drop(self.send.add(buffer, MESSAGE_BYTES));
        }
        self.send.kick();
    }
}

impl ControlQueue {
    pub(super) fn new(
        receive: BufferQueue<ENTRIES>,
        mut send: BufferQueue<ENTRIES>,
    ) -> Result<Self, OutOfMemory> {
        // What was sent is looked at when the next message is to be sent.
        send.set_interrupts(false);
        let free = Buffer::several(2 * ENTRIES, RECEIVE_BYTES)?;
        let mut state = State { receive, send, free, waiting: VecDeque::new() };
        while state.receive.free() > 0
            && let Some(buffer) = state.free.pop()
        {
            state.offer(buffer);
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
        state.waiting.is_empty() && state.send.is_idle()
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
            let Some((buffer, len)) = state.receive.pop() else {
                // The buffers given back may be needed by now; and what could not be sent may be possible.
                state.receive.kick();
                state.push();
                return None;
            };
            let mut bytes = [0; RECEIVE_BYTES];
            buffer.read(0, &mut bytes[..len]);
            state.offer(buffer);
            if let Some(event) = decode(&bytes[..len]) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::buffer_queue::Direction;
    use super::super::super::fake_device::{FakeDevice, read_physical, write_physical};
    use super::*;

    #[test]
    fn the_handshake() {
        let (receive, mut host_sends) = FakeDevice::buffer_queue(Direction::FromDevice);
        let (send, mut host_receives) = FakeDevice::buffer_queue(Direction::ToDevice);
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
            for port in 0..30 {
                let (head, segments) = host_sends.next().unwrap();
                let message = [port, 0, 0, 0, 1, 0, 1, 0];
                write_physical(segments[0].address, &message);
                host_sends.finish(head, 8);
            }
            for port in 0..30 {
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
