//! Input of one port.

use super::super::buffer::Buffer;
use super::super::buffer_queue::BufferQueue;
use super::ENTRIES;
use alloc::collections::VecDeque;

/// A buffer with input not yet read.
struct Filled {
    buffer: Buffer,
    start: usize,
    end: usize,
}

/// The receive queue, its buffers, and what came in.
pub(super) struct Receive {
    queue: BufferQueue<ENTRIES>,
    filled: VecDeque<Filled>,
    /// Buffers still to be allocated; allocated when the port comes into use.
    missing: usize,
    /// Something came in that the interrupt handler has not told the listener of; maybe a reader took it off the ring first, but
    /// another one may be waiting.
    untold: bool,
}

impl Receive {
    pub(super) fn new(queue: BufferQueue<ENTRIES>, buffers: usize) -> Self {
        Self { queue, filled: VecDeque::new(), missing: buffers.min(ENTRIES), untold: false }
    }

    /// Allocates the buffers that are missing and offers them to the device.
    pub(super) fn offer_buffers(&mut self) {
        while self.missing > 0 {
            let Ok(buffer) = Buffer::page() else { break };
            if !self.offer(buffer) {
                break;
            }
            self.missing -= 1;
        }
        self.queue.kick();
    }

    fn offer(&mut self, buffer: Buffer) -> bool {
        let len = buffer.len();
        self.queue.add(buffer, len).is_ok()
    }

    /// Takes what came in from the ring; true if something did.
    fn collect(&mut self) -> bool {
        let mut any = false;
        while let Some((buffer, end)) = self.queue.pop() {
            if end == 0 {
                self.offer(buffer);
                continue;
            }
            any = true;
            self.filled.push_back(Filled { buffer, start: 0, end });
        }
        self.untold |= any;
        any
    }

    /// Looks at the ring after an interrupt; true if the port's listener should hear of it.
    pub(super) fn interrupt(&mut self) -> bool {
        self.collect();
        core::mem::take(&mut self.untold)
    }

    /// Copies input out and gives buffers that are empty back to the device.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        self.collect();
        let mut done = 0;
        while done < buffer.len() {
            let Some(first) = self.filled.front_mut() else { break };
            let len = (buffer.len() - done).min(first.end - first.start);
            first.buffer.read(first.start, &mut buffer[done..done + len]);
            first.start += len;
            done += len;
            if first.start == first.end
                && let Some(empty) = self.filled.pop_front()
            {
                self.offer(empty.buffer);
            }
        }
        if self.missing > 0 {
            self.offer_buffers();
        }
        self.queue.kick();
        done
    }

    /// There is something to read.
    pub(super) fn has_input(&mut self) -> bool {
        !self.filled.is_empty() || self.collect()
    }
}
