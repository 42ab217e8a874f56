//! A transmit queue (virtio 1.2, section 5.1.6.2).
//!
//! A frame is copied once, behind its header into pages of the queue's own. What the device has sent is taken from the ring when
//! the next frame is queued; interrupts are asked for only by who found no room.

use super::super::buffer::Buffer;
use super::super::queue::{Segment, VirtQueue};
use super::counter::Counter;
use super::features::sends;
use super::header::{HEADER_BYTES, encode};
use crate::frame::{OutOfMemory, PAGE_SIZE};
use crate::net::{ETHERNET_HEADER, Full, MOST_FRAME_BYTES, Offloads, Outgoing};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

/// Pages of the longest frame.
const MOST_PAGES: usize = (HEADER_BYTES + MOST_FRAME_BYTES).div_ceil(PAGE_SIZE);
/// Bytes by which a frame may be longer than the MTU: the Ethernet header and a VLAN tag.
const FRAME_EXTRA: usize = ETHERNET_HEADER + 4;

/// What a queue has sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) packets: Counter,
    pub(super) bytes: Counter,
    pub(super) errors: Counter,
    pub(super) dropped: Counter,
}

/// The queue and its buffers.
pub(super) struct TransmitQueue {
    queue: VirtQueue,
    offloads: Offloads,
    mtu: usize,
    /// By the number of the first: the pages of a frame that the device has. The lists stay when they are empty.
    held: Vec<Vec<Buffer>>,
    /// Pages that have been in use, the last used last. Together with those held there are never more than the queue has entries.
    free: Vec<Buffer>,
    /// Frames that the device has.
    in_flight: u16,
    /// Somebody found no room, and an interrupt is asked for. Shared with its handler.
    someone_waits: Arc<AtomicBool>,
    sent: Arc<Sent>,
}

/// There are no descriptors, or no pages.
struct NoRoom;

impl TransmitQueue {
    pub(super) fn new(mut queue: VirtQueue, offloads: Offloads, mtu: u16, sent: Arc<Sent>) -> Self {
        queue.suppress_interrupts();
        let mut held = Vec::new();
        held.resize_with(queue.size().into(), Vec::new);
        let (free, mtu) = (Vec::new(), mtu.into());
        Self { queue, offloads, mtu, held, free, in_flight: 0, someone_waits: Arc::default(), sent }
    }

    /// Queues a frame; the device may not see it before [`kick`](Self::kick).
    pub(super) fn transmit(&mut self, frame: &Outgoing<'_>) -> Result<(), Full> {
        let Some(len) = self.length(frame) else {
            self.sent.errors.add(1);
            return Ok(());
        };
        self.reclaim();
        loop {
            match self.add(frame, len) {
                Ok(()) => {
                    self.sent.packets.add(1);
                    self.sent.bytes.add(len as u64);
                    return Ok(());
                }
                // Nobody would come and say that there is room: there is no memory, or the queue has stopped.
                Err(NoRoom) if self.in_flight == 0 => {
                    self.sent.dropped.add(1);
                    return Ok(());
                }
                Err(NoRoom) if self.request_room() => {
                    // The device must know of all that it has to send.
                    self.queue.kick();
                    return Err(Full);
                }
                // Some have been sent meanwhile: fewer are in flight each time.
                Err(NoRoom) => self.reclaim(),
            }
        }
    }

    /// Bytes of a frame; `None` if the device cannot send it.
    fn length(&self, frame: &Outgoing<'_>) -> Option<usize> {
        let len = frame.pieces.iter().try_fold(0usize, |sum, piece| sum.checked_add(piece.len()))?;
        let most = if frame.large.is_some() { MOST_FRAME_BYTES } else { self.mtu + FRAME_EXTRA };
        let pages = (HEADER_BYTES + len).div_ceil(PAGE_SIZE);
        let fits = (ETHERNET_HEADER..=most).contains(&len) && pages <= usize::from(self.queue.size());
        let checksum = match frame.checksum {
            Some(partial) => {
                let end = usize::from(partial.start) + usize::from(partial.offset) + 2;
                self.offloads.checksum && end <= len
            }
            None => frame.large.is_none(),
        };
        let large = frame.large.is_none_or(|large| sends(self.offloads, large.kind) && large.segment > 0);
        (fits && checksum && large).then_some(len)
    }

    fn add(&mut self, frame: &Outgoing<'_>, len: usize) -> Result<(), NoRoom> {
        let bytes = HEADER_BYTES + len;
        let pages = bytes.div_ceil(PAGE_SIZE);
        let Some(head) = self.queue.next_head().filter(|_| pages <= self.queue.free().into()) else {
            return Err(NoRoom);
        };
        self.provide(pages).map_err(|OutOfMemory| NoRoom)?;
        let first = self.free.len() - pages;
        copy(&mut self.free[first..], &encode(frame), frame.pieces);
        let mut segments = [Segment::default(); MOST_PAGES];
        for (number, (segment, page)) in segments.iter_mut().zip(&self.free[first..]).enumerate() {
            // At most a page.
            let len = PAGE_SIZE.min(bytes - number * PAGE_SIZE) as u32;
            *segment = Segment { address: page.physical(), len, device_writes: false };
        }
        if self.queue.add(&segments[..pages]).is_none() {
            return Err(NoRoom);
        }
        self.held[usize::from(head)].extend(self.free.drain(first..));
        self.in_flight += 1;
        Ok(())
    }

    /// Sees that so many pages are free.
    fn provide(&mut self, pages: usize) -> Result<(), OutOfMemory> {
        while self.free.len() < pages {
            self.free.push(Buffer::spare_page()?);
        }
        Ok(())
    }

    /// Takes back what has been sent.
    fn reclaim(&mut self) {
        while let Some(used) = self.queue.pop() {
            self.free.append(&mut self.held[usize::from(used.head)]);
            self.in_flight -= 1;
        }
        if self.queue.is_broken() {
            // What the device has stays with it.
            self.in_flight = 0;
        } else if !self.someone_waits.load(Ordering::Relaxed) {
            self.queue.suppress_interrupts();
        }
    }

    /// Asks for an interrupt when most of what is under way has been sent; false if that is so already.
    fn request_room(&mut self) -> bool {
        // First, as the interrupt's handler looks at it.
        self.someone_waits.store(true, Ordering::Relaxed);
        let asked = self.queue.request_interrupt((self.in_flight - self.in_flight / 4).max(1));
        self.someone_waits.store(asked, Ordering::Relaxed);
        asked
    }

    /// Tells the device of frames queued.
    pub(super) fn kick(&mut self) {
        self.queue.kick();
    }

    /// After an interrupt: true if somebody found no room and there is now.
    pub(super) fn has_room_again(&mut self) -> bool {
        if !self.someone_waits.load(Ordering::Relaxed) {
            return false;
        }
        self.reclaim();
        let room = self.in_flight == 0 || self.queue.free() >= self.queue.size() / 2;
        if !room && self.request_room() {
            return false;
        }
        self.someone_waits.store(false, Ordering::Relaxed);
        self.queue.suppress_interrupts();
        true
    }

    /// Whether somebody waits for room.
    pub(super) fn someone_waits(&self) -> Arc<AtomicBool> {
        self.someone_waits.clone()
    }
}

/// Copies header and pieces to pages that are long enough, one after another.
fn copy(pages: &mut [Buffer], header: &[u8], pieces: &[&[u8]]) {
    let mut at = 0;
    for mut piece in core::iter::once(header).chain(pieces.iter().copied()) {
        while !piece.is_empty() {
            let offset = at % PAGE_SIZE;
            let (now, later) = piece.split_at(piece.len().min(PAGE_SIZE - offset));
            pages[at / PAGE_SIZE].write(offset, now);
            at += now.len();
            piece = later;
        }
    }
}
