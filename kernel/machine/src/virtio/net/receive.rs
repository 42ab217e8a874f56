//! A receive queue (virtio 1.2, section 5.1.6.3).
//!
//! Its buffers are pages. Frames are copied out of them, so a buffer goes back to the device at once, nothing is allocated
//! while frames come in, and a frame lies in one piece, out of the device's reach.

use super::super::buffer::Buffer;
use super::super::queue::{Segment, UsedIndex, VirtQueue};
use super::counter::Counter;
use super::header::{HEADER_BYTES, Header};
use crate::frame::{OutOfMemory, PAGE_SIZE};
use crate::net::{Incoming, MOST_FRAME_BYTES, Offloads};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a queue has received.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) packets: Counter,
    pub(super) bytes: Counter,
    pub(super) errors: Counter,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// VIRTIO_NET_F_MRG_RXBUF: a frame may be spread over several buffers.
    pub(super) merged: bool,
    pub(super) offloads: Offloads,
}

/// The frame that is coming in.
#[derive(Default)]
struct Assembly {
    /// Room for it; grows with the longest frame.
    bytes: Vec<u8>,
    len: usize,
    /// Buffers still to come.
    left: u16,
    header: Option<Header>,
    /// It is too long, or a buffer of it makes no sense.
    bad: bool,
}

impl Assembly {
    /// Takes the bytes that the device says it wrote to its next buffer; true if the frame has ended.
    fn add(&mut self, buffer: &Buffer, written: usize, merged: bool, most_buffers: u16) -> bool {
        let mut start = 0;
        let possible = written <= buffer.len();
        if self.left == 0 {
            (self.len, self.header, self.bad, self.left) = (0, None, false, 1);
            if possible && written >= HEADER_BYTES {
                let mut bytes = [0; HEADER_BYTES];
                buffer.read(0, &mut bytes);
                let header = Header::new(bytes);
                start = HEADER_BYTES;
                if merged && (1..=most_buffers).contains(&header.buffers()) {
                    self.left = header.buffers();
                } else {
                    // Without merging, the number says nothing.
                    self.bad = merged;
                }
                self.header = Some(header);
            }
        }
        self.left -= 1;
        if possible && !self.bad {
            self.append(buffer, start, written - start);
        } else {
            self.bad = true;
        }
        self.left == 0
    }

    fn append(&mut self, buffer: &Buffer, start: usize, count: usize) {
        let end = self.len + count;
        if end > MOST_FRAME_BYTES {
            self.bad = true;
            return;
        }
        if end > self.bytes.len() {
            self.bytes.resize(end.next_multiple_of(PAGE_SIZE), 0);
        }
        buffer.read(start, &mut self.bytes[self.len..end]);
        self.len = end;
    }

    fn frame(&self, offloads: Offloads) -> Option<(&[u8], Incoming)> {
        if self.bad {
            return None;
        }
        let incoming = self.header?.check(offloads, self.len)?;
        Some((&self.bytes[..self.len], incoming))
    }
}

/// The queue and its buffers.
pub(super) struct ReceiveQueue {
    queue: VirtQueue,
    mode: Mode,
    /// By the buffer's number in the queue.
    buffers: Vec<Option<Buffer>>,
    assembly: Assembly,
    received: Arc<Received>,
    reported_broken: bool,
}

impl ReceiveQueue {
    pub(super) fn new(queue: VirtQueue, mode: Mode, received: Arc<Received>) -> Self {
        let mut buffers = Vec::new();
        buffers.resize_with(queue.size().into(), || None);
        Self { queue, mode, buffers, assembly: Assembly::default(), received, reported_broken: false }
    }

    /// Gives the device buffers, `most` at most.
    pub(super) fn fill(&mut self, most: usize) -> Result<(), OutOfMemory> {
        for count in 0..most.min(self.queue.size().into()) {
            match Buffer::spare_page() {
                Ok(buffer) => self.offer(buffer),
                // With few it is slow, but it works.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        self.queue.kick();
        Ok(())
    }

    fn offer(&mut self, buffer: Buffer) {
        let segment = Segment { address: buffer.physical(), len: PAGE_SIZE as u32, device_writes: true };
        // There is room for as many as ever were in it, unless the queue has stopped: then the buffer is not needed any more.
        if let Some(head) = self.queue.add(&[segment]) {
            self.buffers[usize::from(head)] = Some(buffer);
        }
    }

    /// Takes frames until the ring is empty (then it is false) or `budget` buffers have been looked at.
    pub(super) fn drain(&mut self, budget: usize, mut deliver: impl FnMut(&[u8], Incoming)) -> bool {
        let mut looked_at = 0;
        while looked_at < budget {
            let Some(used) = self.queue.pop() else { break };
            looked_at += 1;
            let Some(buffer) = self.buffers[usize::from(used.head)].take() else { continue };
            let written = usize::try_from(used.written).unwrap_or(usize::MAX);
            let ended = self.assembly.add(&buffer, written, self.mode.merged, self.queue.size());
            self.offer(buffer);
            if ended {
                match self.assembly.frame(self.mode.offloads) {
                    Some((frame, incoming)) => {
                        self.received.packets.add(1);
                        self.received.bytes.add(frame.len() as u64);
                        deliver(frame, incoming);
                    }
                    None => self.received.errors.add(1),
                }
            }
        }
        if self.queue.is_broken() && !core::mem::replace(&mut self.reported_broken, true) {
            self.received.errors.add(1);
        }
        // Once for all: the device wants to hear of new buffers only if it had run out of them.
        self.queue.kick();
        looked_at == budget
    }

    /// Asks for an interrupt with the next buffer; false if one is there already.
    pub(super) fn request_interrupt(&mut self) -> bool {
        self.queue.request_interrupt(1)
    }

    /// No more interrupts, as somebody looks at the ring.
    pub(super) fn suppress_interrupts(&mut self) {
        self.queue.suppress_interrupts();
    }

    /// For the interrupt handler: the device's index, and where it stands if nothing has come in since the last drain.
    pub(super) fn used_index(&self) -> UsedIndex {
        self.queue.used_index()
    }

    pub(super) fn seen(&self) -> u16 {
        self.queue.seen()
    }
}
