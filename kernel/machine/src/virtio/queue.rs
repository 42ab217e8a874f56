//! A split virtqueue (virtio 1.2, section 2.7) of our own, for disks: the top of this folder says why.

use super::dma::DmaMemory;
use super::notifier::Notifier;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

/// Bytes of one descriptor, in the table of a queue and in an indirect table.
pub(crate) const DESCRIPTOR_BYTES: usize = 16;

const DESC_F_NEXT: u16 = 1;
const DESC_F_WRITE: u16 = 2;
const DESC_F_INDIRECT: u16 = 4;
const USED_F_NO_NOTIFY: u16 = 1;

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

    /// Tells the device about buffers added since the last kick, unless it asked not to be told.
    pub(crate) fn kick(&mut self) {
        if self.kicked_index == self.avail_index {
            return;
        }
        self.kicked_index = self.avail_index;
        // The device sets NO_NOTIFY off and then looks at the index; we store the index and then look at the
        // flag. Without a full fence between our store and load, both could miss the other.
        fence(Ordering::SeqCst);
        let flags = u16::from_le(self.rings.atomic_u16(self.layout.used()).load(Ordering::Relaxed));
        if flags & USED_F_NO_NOTIFY == 0 {
            self.notifier.notify();
        }
    }

    /// The next buffer the device has finished with. Its descriptors are free again.
    pub(crate) fn pop(&mut self) -> Option<Used> {
        if self.broken {
            return None;
        }
        // Acquire: what the device wrote before it raised the index is read after it.
        let device_index =
            u16::from_le(self.rings.atomic_u16(self.layout.used() + 2).load(Ordering::Acquire));
        if device_index == self.used_index {
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

#[cfg(test)]
mod tests {
    use super::super::fake_device::FakeDevice;
    use super::*;
    use proptest::prelude::*;

    fn segment(address: u64, len: u32, device_writes: bool) -> Segment {
        Segment { address, len, device_writes }
    }

    #[test]
    fn chains_reach_the_device_and_come_back() {
        let (mut queue, mut device) = FakeDevice::queue(4);
        let chain = [segment(0x1000, 16, false), segment(0x2000, 512, true), segment(0x3000, 1, true)];
        let head = queue.add(&chain).unwrap();
        assert_eq!(queue.add(&chain), None, "only one descriptor is left");
        assert_eq!(device.kicks(), 0);
        queue.kick();
        queue.kick();
        assert_eq!(device.kicks(), 1);
        assert_eq!(device.next(), Some((head, chain.to_vec())));
        assert_eq!(device.next(), None);
        assert_eq!(queue.pop(), None);
        device.finish(head, 513);
        assert_eq!(queue.pop(), Some(Used { head, written: 513 }));
        assert_eq!(queue.free(), 4);
    }

    #[test]
    fn an_indirect_table_takes_one_descriptor() {
        let (mut queue, mut device) = FakeDevice::queue(2);
        let table = DmaMemory::alloc(1).unwrap();
        let chain = [segment(0x1000, 16, false), segment(0x2000, 512, true), segment(0x3000, 1, true)];
        for (index, segment) in (0..).zip(chain) {
            write_indirect(&table, index, segment, index == 2);
        }
        let head = queue.add_indirect(table.physical(0), chain.len()).unwrap();
        assert_eq!(queue.free(), 1);
        assert_eq!(device.next(), Some((head, chain.to_vec())));
        device.finish(head, 0);
        assert!(queue.pop().is_some());
    }

    #[test]
    fn no_kick_when_the_device_does_not_want_one() {
        let (mut queue, device) = FakeDevice::queue(2);
        device.suppress_kicks(true);
        queue.add(&[segment(1, 1, true)]).unwrap();
        queue.kick();
        assert_eq!(device.kicks(), 0);
        device.suppress_kicks(false);
        queue.add(&[segment(2, 1, true)]).unwrap();
        queue.kick();
        assert_eq!(device.kicks(), 1);
    }

    #[test]
    fn a_lying_device_stops_the_queue_but_not_the_kernel() {
        for wrong in [1, 7, u32::MAX] {
            let (mut queue, mut device) = FakeDevice::queue(4);
            queue.add(&[segment(1, 1, true)]).unwrap();
            device.finish_raw(wrong, 0);
            assert_eq!(queue.pop(), None);
            assert_eq!(queue.add(&[segment(1, 1, true)]), None);
        }
    }

    proptest! {
        // Any order of adding and finishing (the device may finish out of order) loses and doubles nothing.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((any::<bool>(), 1usize..4, any::<prop::sample::Index>()), 1..400)) {
            let (mut queue, mut device) = FakeDevice::queue(8);
            let mut held: Vec<(u16, usize)> = Vec::new();
            let mut descriptors = 0;
            for (add, len, pick) in steps {
                if add {
                    let chain: Vec<Segment> = (0..len).map(|i| segment(i as u64 + 1, 1, i % 2 == 1)).collect();
                    let head = queue.add(&chain);
                    prop_assert_eq!(head.is_some(), descriptors + len <= 8);
                    if let Some(head) = head {
                        prop_assert_eq!(device.next(), Some((head, chain)));
                        held.push((head, len));
                        descriptors += len;
                    }
                } else if !held.is_empty() {
                    let (head, len) = held.swap_remove(pick.index(held.len()));
                    device.finish(head, 3);
                    prop_assert_eq!(queue.pop(), Some(Used { head, written: 3 }));
                    descriptors -= len;
                }
                prop_assert_eq!(usize::from(queue.free()), 8 - descriptors);
            }
        }
    }
}
