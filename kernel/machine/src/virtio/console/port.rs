//! One port.

use super::super::buffer_queue::BufferQueue;
use super::ENTRIES;
use super::receive::Receive;
use super::send::Send;
use crate::port::{Listener, Port};
use crate::sync::SpinLock;

struct State {
    receive: Receive,
    send: Send,
    host_open: bool,
    was_open: bool,
}

/// A port of a virtio console device.
pub(crate) struct ConsolePort {
    number: u32,
    state: SpinLock<State>,
    listener: SpinLock<Option<Listener>>,
}

impl ConsolePort {
    pub(super) fn new(
        number: u32,
        receive: BufferQueue<ENTRIES>,
        send: BufferQueue<ENTRIES>,
        buffers: usize,
    ) -> Self {
        let (receive, send) = (Receive::new(receive, buffers), Send::new(send));
        let state = State { receive, send, host_open: false, was_open: false };
        Self { number, state: SpinLock::new(state), listener: SpinLock::new(None) }
    }

    /// Its number on the device.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The host says that the port exists: buffers are offered, output flows.
    pub(super) fn announced(&self) {
        {
            let mut state = self.state.lock();
            state.receive.offer_buffers();
            state.send.open();
        }
        self.tell();
    }

    /// The host opened or closed its end.
    pub(super) fn host_opened(&self, open: bool) {
        {
            let mut state = self.state.lock();
            state.host_open = open;
            state.was_open |= open;
        }
        self.tell();
    }

    /// Looks at both rings.
    pub(super) fn interrupt(&self) {
        let changed = {
            let mut state = self.state.lock();
            let input = state.receive.interrupt();
            state.send.interrupt() || input
        };
        if changed {
            self.tell();
        }
    }

    fn tell(&self) {
        let listener = self.listener.lock().clone();
        if let Some(listener) = listener {
            listener();
        }
    }
}

impl Port for ConsolePort {
    fn write(&self, bytes: &[u8]) -> usize {
        self.state.lock().send.write(bytes)
    }

    fn read(&self, buffer: &mut [u8]) -> usize {
        self.state.lock().receive.read(buffer)
    }

    fn has_input(&self) -> bool {
        self.state.lock().receive.has_input()
    }

    fn can_write(&self) -> bool {
        self.state.lock().send.can_write()
    }

    fn peer_closed(&self) -> bool {
        let mut state = self.state.lock();
        // What the host sent before it closed was in the ring before its message about closing.
        state.was_open && !state.host_open && !state.receive.has_input()
    }

    fn is_flushed(&self) -> bool {
        self.state.lock().send.is_flushed()
    }

    fn set_listener(&self, listener: Listener) {
        *self.listener.lock() = Some(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::buffer_queue::Direction;
    use super::super::super::fake_device::FakeDevice;
    use super::*;
    use crate::frame::PAGE_SIZE;
    use alloc::sync::Arc;
    use core::sync::atomic::{AtomicUsize, Ordering};

    struct Host {
        input: FakeDevice,
        output: FakeDevice,
        told: Arc<AtomicUsize>,
    }

    fn port() -> (ConsolePort, Host) {
        let (receive, input) = FakeDevice::buffer_queue(Direction::FromDevice);
        let (send, output) = FakeDevice::buffer_queue(Direction::ToDevice);
        let port = ConsolePort::new(1, receive, send, 3);
        let told = Arc::new(AtomicUsize::new(0));
        let counter = told.clone();
        port.set_listener(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        (port, Host { input, output, told })
    }

    impl Host {
        fn send(&mut self, len: u32) -> bool {
            let Some((head, segments)) = self.input.next() else { return false };
            assert!(segments[0].device_writes && segments[0].len as usize == PAGE_SIZE);
            self.input.finish(head, len);
            true
        }

        fn take(&mut self) -> Option<u32> {
            let (head, segments) = self.output.next()?;
            self.output.finish(head, 0);
            Some(segments[0].len)
        }
    }

    #[test]
    fn output_waits_for_the_port_and_then_for_the_host() {
        let (port, mut host) = port();
        assert_eq!(port.write(b"early"), 5);
        assert!(!port.is_flushed());
        assert_eq!(host.take(), None, "not announced yet");
        port.announced();
        assert_eq!(host.take(), Some(5));
        assert!(port.is_flushed());
        // As many buffers on their way as there is room for, and one being filled.
        const ALL: usize = ENTRIES + 1;
        assert_eq!(port.write(&[0; (ALL + 1) * PAGE_SIZE]), ALL * PAGE_SIZE);
        assert!(!port.can_write());
        assert!(host.output.wants_interrupts());
        assert_eq!(host.take(), Some(4096));
        port.interrupt();
        assert_eq!(host.told.load(Ordering::Relaxed), 2, "announced, and room");
        assert!(!host.output.wants_interrupts(), "nobody waits any more");
        assert!(port.can_write());
        assert_eq!(port.write(&[0; 10]), 10);
        for _ in 0..ENTRIES {
            assert!(!port.is_flushed());
            assert_eq!(host.take(), Some(4096));
        }
        assert!(!port.is_flushed());
        assert_eq!(host.take(), Some(10));
        assert!(port.is_flushed());
    }

    #[test]
    fn what_is_gathered_goes_out_without_another_call() {
        let (port, mut host) = port();
        port.announced();
        for _ in 0..=ENTRIES {
            assert_eq!(port.write(b"xy"), 2);
        }
        assert!(host.output.wants_interrupts());
        for _ in 0..ENTRIES {
            assert_eq!(host.take(), Some(2));
        }
        port.interrupt();
        assert_eq!(host.take(), Some(2));
        assert!(!host.output.wants_interrupts());
        assert!(port.is_flushed());
    }

    #[test]
    fn small_writes_gather_while_the_host_is_slow() {
        let (port, mut host) = port();
        port.announced();
        for _ in 0..1000 {
            assert_eq!(port.write(b"x"), 1);
        }
        let mut sizes = Vec::new();
        loop {
            while let Some(len) = host.take() {
                sizes.push(len);
            }
            if port.is_flushed() {
                break;
            }
        }
        let mut expected = vec![1; ENTRIES];
        expected.push(1000 - ENTRIES as u32);
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_waiter_is_told_even_if_another_looked_first() {
        let (port, mut host) = port();
        port.announced();
        let told = |host: &Host| host.told.swap(0, Ordering::Relaxed);
        told(&host);
        assert!(host.send(5));
        assert!(port.has_input());
        port.interrupt();
        assert_eq!(told(&host), 1);
        port.interrupt();
        assert_eq!(told(&host), 0);
        let all = vec![0; (ENTRIES + 1) * PAGE_SIZE];
        assert_eq!(port.write(&all), all.len());
        assert!(!port.can_write());
        assert_eq!(host.take(), Some(4096));
        assert!(port.can_write(), "another thread takes the buffer off the ring");
        port.interrupt();
        assert_eq!(told(&host), 1);
    }

    #[test]
    fn input_is_read_before_the_end() {
        let (port, mut host) = port();
        assert!(!host.send(1), "no buffer before the port is announced");
        port.announced();
        assert!(!port.peer_closed(), "never opened");
        port.host_opened(true);
        for _ in 0..3 {
            assert!(host.send(3000));
        }
        assert!(!host.send(1), "three buffers");
        port.host_opened(false);
        port.interrupt();
        assert_eq!(host.told.load(Ordering::Relaxed), 4, "announced, opened, closed, input");
        let mut buffer = [0; 4000];
        assert_eq!(port.read(&mut buffer), 4000);
        assert!(host.send(500), "an empty buffer goes back");
        assert!(!port.peer_closed());
        assert_eq!(port.read(&mut buffer), 4000);
        assert_eq!(port.read(&mut buffer), 1500);
        assert_eq!(port.read(&mut buffer), 0);
        assert!(port.peer_closed());
        port.host_opened(true);
        assert!(!port.peer_closed());
    }
}
