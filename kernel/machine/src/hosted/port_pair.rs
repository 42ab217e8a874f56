//! A port whose host end is in the test's hands.

use crate::port::{Listener, Port};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// Bytes that each direction holds.
const CAPACITY: usize = 64 << 10;

#[derive(Default)]
struct Side {
    /// Bytes on the way to this side.
    input: VecDeque<u8>,
    /// This side was dropped or closed.
    closed: bool,
    listener: Option<Listener>,
}

#[derive(Default)]
struct Shared {
    sides: Mutex<[Side; 2]>,
}

/// One end of a pair; both behave alike.
pub struct PortEnd {
    shared: Arc<Shared>,
    own: usize,
}

/// Two connected ports: the kernel's end and the host's.
pub fn port_pair() -> (Arc<PortEnd>, Arc<PortEnd>) {
    let shared = Arc::new(Shared::default());
    (Arc::new(PortEnd { shared: shared.clone(), own: 0 }), Arc::new(PortEnd { shared, own: 1 }))
}

impl PortEnd {
    fn sides(&self) -> MutexGuard<'_, [Side; 2]> {
        self.shared.sides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_peer(&self) {
        let listener = self.sides()[1 - self.own].listener.clone();
        if let Some(listener) = listener {
            listener();
        }
    }

    /// Closes this end: the other sees the end of its input.
    pub fn close(&self) {
        self.sides()[self.own].closed = true;
        self.tell_peer();
    }

    /// All bytes that have come.
    pub fn read_all(&self) -> Vec<u8> {
        let bytes = self.sides()[self.own].input.drain(..).collect();
        self.tell_peer();
        bytes
    }
}

impl Drop for PortEnd {
    fn drop(&mut self) {
        self.close();
    }
}

impl Port for PortEnd {
    fn write(&self, bytes: &[u8]) -> usize {
        let count = {
            let input = &mut self.sides()[1 - self.own].input;
            let count = bytes.len().min(CAPACITY - input.len());
            input.extend(&bytes[..count]);
            count
        };
        if count > 0 {
            self.tell_peer();
        }
        count
    }

    fn read(&self, buffer: &mut [u8]) -> usize {
        let count = {
            let input = &mut self.sides()[self.own].input;
            let count = buffer.len().min(input.len());
            input.drain(..count).zip(buffer).for_each(|(byte, slot)| *slot = byte);
            count
        };
        if count > 0 {
            self.tell_peer();
        }
        count
    }

    fn has_input(&self) -> bool {
        !self.sides()[self.own].input.is_empty()
    }

    fn can_write(&self) -> bool {
        self.sides()[1 - self.own].input.len() < CAPACITY
    }

    fn peer_closed(&self) -> bool {
        let sides = self.sides();
        sides[1 - self.own].closed && sides[self.own].input.is_empty()
    }

    fn is_flushed(&self) -> bool {
        self.sides()[1 - self.own].input.is_empty()
    }

    fn set_listener(&self, listener: Listener) {
        self.sides()[self.own].listener = Some(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn bytes_room_and_end() {
        let (kernel, host) = port_pair();
        let changes = Arc::new(AtomicU32::new(0));
        let counter = changes.clone();
        kernel.set_listener(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        assert_eq!(kernel.write(&std::vec![1; CAPACITY + 1]), CAPACITY);
        assert!(!kernel.can_write() && !kernel.is_flushed());
        assert_eq!(host.read_all().len(), CAPACITY);
        assert!(kernel.can_write() && kernel.is_flushed());
        assert_eq!(host.write(b"abc"), 3);
        host.close();
        let mut buffer = [0; 2];
        assert!(kernel.has_input() && !kernel.peer_closed());
        assert_eq!((kernel.read(&mut buffer), buffer), (2, *b"ab"));
        assert_eq!(kernel.read(&mut buffer), 1);
        assert!(kernel.peer_closed());
        assert_eq!(changes.load(Ordering::Relaxed), 3);
    }
}
