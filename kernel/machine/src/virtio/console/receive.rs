//! Input of one port.

use super::super::queue::{Segment, VirtQueue};
use crate::frame::{Frame, PAGE_SIZE};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A buffer with input not yet read.
struct Filled {
    frame: Frame,
    start: usize,
    end: usize,
}

/// The receive queue, its buffers, and what came in.
pub(super) struct Receive {
    queue: VirtQueue,
    offered: Vec<Option<Frame>>,
    filled: VecDeque<Filled>,
    /// Buffers still to be allocated; allocated when the port comes into use.
    missing: u16,
    /// Something came in that the interrupt handler has not told the listener of; maybe a reader took it off the ring first, but
    /// another one may be waiting.
    untold: bool,
}

impl Receive {
    pub(super) fn new(queue: VirtQueue, buffers: u16) -> Self {
        let size = queue.size();
        let offered = (0..size).map(|_| None).collect();
        Self { queue, offered, filled: VecDeque::new(), missing: buffers.min(size), untold: false }
    }

    /// Allocates the buffers that are missing and offers them to the device.
    pub(super) fn offer_buffers(&mut self) {
        while self.missing > 0 {
            let Ok(frame) = Frame::alloc_for_kernel() else { break };
            if !self.offer(frame) {
                break;
            }
            self.missing -= 1;
        }
        self.queue.kick();
    }

    fn offer(&mut self, frame: Frame) -> bool {
        let segment = Segment { address: frame.physical(), len: PAGE_SIZE as u32, device_writes: true };
        let Some(head) = self.queue.add(&[segment]) else { return false };
        self.offered[usize::from(head)] = Some(frame);
        true
    }

    /// Takes what came in from the ring; true if something did.
    fn collect(&mut self) -> bool {
        let mut any = false;
        while let Some(used) = self.queue.pop() {
            let Some(frame) = self.offered[usize::from(used.head)].take() else { continue };
            let end = PAGE_SIZE.min(used.written as usize);
            if end == 0 {
                self.offer(frame);
                continue;
            }
            any = true;
            self.filled.push_back(Filled { frame, start: 0, end });
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
            first.frame.read(first.start, &mut buffer[done..done + len]);
            first.start += len;
            done += len;
            if first.start == first.end
                && let Some(empty) = self.filled.pop_front()
            {
                self.offer(empty.frame);
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
