//! A split virtqueue (virtio 1.2, section 2.7) of our own, for disks and network devices: the top of this folder says why.

mod events;
#[cfg(test)]
mod tests;

pub(crate) use events::UsedIndex;

use super::dma::DmaMemory;
use super::notifier::Notifier;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// Bytes of one descriptor, in the table of a queue and in an indirect table.
pub(crate) const DESCRIPTOR_BYTES: usize = 16;

const DESC_F_NEXT: u16 = 1;
const DESC_F_WRITE: u16 = 2;
const DESC_F_INDIRECT: u16 = 4;

/// One physically contiguous buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Physical address.
    pub(crate) address: u64,
    /// Length in bytes; not 0.
    pub(crate) len: u32,
    /// The device writes it (otherwise the device reads it).
    pub(crate) device_writes: bool,
}

/// Where the three parts of a queue lie in its memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    size: u16,
}

impl Layout {
    /// The layout of a queue of `size` entries, a power of two.
    pub(crate) fn new(size: u16) -> Self {
        assert!(size.is_power_of_two() && size <= 32768, "queue size");
        Self { size }
    }

    /// Offset of the available ring (the descriptor table is at 0).
    pub(crate) fn avail(self) -> usize {
        DESCRIPTOR_BYTES * usize::from(self.size)
    }

    /// Offset of the used ring.
    pub(crate) fn used(self) -> usize {
        (self.avail() + 6 + 2 * usize::from(self.size)).next_multiple_of(4)
    }

    /// Bytes needed for all three.
    pub(crate) fn bytes(self) -> usize {
        self.used() + 6 + 8 * usize::from(self.size)
    }
}

/// Writes one entry of a descriptor table.
fn write_descriptor(table: &DmaMemory, index: u16, segment: Segment, flags: u16, next: u16) {
    let at = usize::from(index) * DESCRIPTOR_BYTES;
    let write = if segment.device_writes { DESC_F_WRITE } else { 0 };
    table.write_u64(at, segment.address);
    table.write_u32(at + 8, segment.len);
    table.write_u16(at + 12, flags | write);
    table.write_u16(at + 14, next);
}

/// Writes entry `index` of an indirect table, which `last` says to be the end of the chain.
///
/// # Panics
/// If the table is too short.
pub(crate) fn write_indirect(table: &DmaMemory, index: u16, segment: Segment, last: bool) {
    write_descriptor(table, index, segment, if last { 0 } else { DESC_F_NEXT }, index + 1);
}

/// A buffer the device has finished with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// What [`VirtQueue::add`] returned.
    pub(crate) head: u16,
    /// Bytes the device wrote.
    pub(crate) written: u32,
}

/// What the driver remembers of a descriptor.
#[derive(Clone, Copy)]
struct Entry {
    /// The next descriptor in the free list or in a chain.
    next: u16,
    /// Number of descriptors of the chain in flight that begins here, or 0.
    chain: u16,
}

/// The driver's side of a split virtqueue.
///
/// What the driver must remember is kept in its own memory: nothing read back from the rings is trusted
/// except as a number to be checked.
pub(crate) struct VirtQueue {
    rings: DmaMemory,
    layout: Layout,
    notifier: Notifier,
    /// One for each descriptor.
    entries: Vec<Entry>,
    free_head: u16,
    free: u16,
    avail_index: u16,
    used_index: u16,
    /// Value of `avail_index` at the last kick.
    kicked_index: u16,
    /// VIRTIO_F_EVENT_IDX was agreed on.
    event_idx: bool,
    broken: bool,
}

impl VirtQueue {
    /// An empty queue in zeroed memory of [`Layout::bytes`].
    pub(crate) fn new(rings: DmaMemory, size: u16, notifier: Notifier) -> Self {
        let layout = Layout::new(size);
        assert!(layout.bytes() <= rings.len(), "memory too small for the queue");
        Self {
            rings,
            layout,
            notifier,
            entries: (1..=size).map(|next| Entry { next, chain: 0 }).collect(),
            free_head: 0,
            free: size,
            avail_index: 0,
            used_index: 0,
            kicked_index: 0,
            event_idx: false,
            broken: false,
        }
    }

    /// Number of entries.
    pub(crate) fn size(&self) -> u16 {
        self.layout.size
    }

    /// Number of descriptors not in use.
    pub(crate) fn free(&self) -> u16 {
        if self.broken { 0 } else { self.free }
    }

    /// The device returned what it does not have, and the queue is not used any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The head that the next [`add`](Self::add) will use, if there is room at all.
    pub(crate) fn next_head(&self) -> Option<u16> {
        (self.free() > 0).then_some(self.free_head)
    }

    /// Offers a chain of buffers to the device; `None` if there is no room. The buffers must not be touched
    /// until [`pop`](Self::pop) returns the same head. The device may not see them before [`kick`](Self::kick).
    pub(crate) fn add(&mut self, segments: &[Segment]) -> Option<u16> {
        let count = u16::try_from(segments.len()).ok().filter(|count| *count > 0)?;
        if count > self.free() {
            return None;
        }
        let head = self.free_head;
        let mut index = head;
        for (number, segment) in (1..).zip(segments) {
            let next = self.entries[usize::from(index)].next;
            let flags = if number == count { 0 } else { DESC_F_NEXT };
            write_descriptor(&self.rings, index, *segment, flags, next);
            index = next;
        }
        self.free_head = index;
        self.publish(head, count);
        Some(head)
    }

    /// Offers the chain in an indirect table; needs one descriptor.
    pub(crate) fn add_indirect(&mut self, table: u64, segments: usize) -> Option<u16> {
        let head = self.next_head()?;
        let len = u32::try_from(segments * DESCRIPTOR_BYTES).ok()?;
        let segment = Segment { address: table, len, device_writes: false };
        self.free_head = self.entries[usize::from(head)].next;
        write_descriptor(&self.rings, head, segment, DESC_F_INDIRECT, 0);
        self.publish(head, 1);
        Some(head)
    }

    fn publish(&mut self, head: u16, count: u16) {
        self.free -= count;
        self.entries[usize::from(head)].chain = count;
        let slot = usize::from(self.avail_index % self.size());
        self.rings.write_u16(self.layout.avail() + 4 + 2 * slot, head);
        self.avail_index = self.avail_index.wrapping_add(1);
        // Release: the device must see the descriptors and the ring's entry before the new index.
        self.rings.atomic_u16(self.layout.avail() + 2).store(self.avail_index.to_le(), Ordering::Release);
    }

    /// The next buffer the device has finished with. Its descriptors are free again.
    pub(crate) fn pop(&mut self) -> Option<Used> {
        if self.unseen() == 0 {
            return None;
        }
        let slot = usize::from(self.used_index % self.size());
        let at = self.layout.used() + 4 + 8 * slot;
        let (id, written) = (self.rings.read_u32(at), self.rings.read_u32(at + 4));
        let head = u16::try_from(id).ok().filter(|id| *id < self.size());
        let count = head.map_or(0, |head| self.entries[usize::from(head)].chain);
        let (Some(head), 1..) = (head, count) else {
            // Nothing it says can be trusted any more. The queue stops: its buffers stay with the device.
            log::error!("virtio: the device returned buffer {id}, which it does not have; queue stopped");
            self.broken = true;
            return None;
        };
        self.used_index = self.used_index.wrapping_add(1);
        self.entries[usize::from(head)].chain = 0;
        let mut last = head;
        for _ in 1..count {
            last = self.entries[usize::from(last)].next;
        }
        self.entries[usize::from(last)].next = self.free_head;
        self.free_head = head;
        self.free += count;
        Some(Used { head, written })
    }
}
