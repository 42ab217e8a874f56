//! The device's side of a queue, for tests: it reads and writes the rings as a device would.

use super::dma::DmaMemory;
use super::queue::{DESCRIPTOR_BYTES, Layout, Notifier, Segment, VirtQueue};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct FakeDevice {
    rings: DmaMemory,
    layout: Layout,
    size: u16,
    seen: u16,
    used: u16,
    kicks: Arc<AtomicUsize>,
}

impl FakeDevice {
    /// A queue of `size` entries and the device at its other end.
    pub(crate) fn queue(size: u16) -> (VirtQueue, Self) {
        let layout = Layout::new(size);
        let rings = DmaMemory::alloc(layout.bytes()).unwrap();
        let kicks = Arc::new(AtomicUsize::new(0));
        let queue = VirtQueue::new(rings, size, Notifier::Counter(kicks.clone()));
        (queue, Self { rings, layout, size, seen: 0, used: 0, kicks })
    }

    /// Times the driver notified us.
    pub(crate) fn kicks(&self) -> usize {
        self.kicks.load(Ordering::Relaxed)
    }

    /// Asks the driver not to notify.
    pub(crate) fn suppress_kicks(&self, suppress: bool) {
        self.rings.write_u16(self.layout.used(), u16::from(suppress));
    }

    /// Whether the driver wants interrupts.
    pub(crate) fn wants_interrupts(&self) -> bool {
        self.rings.read_u16(self.layout.avail()) & 1 == 0
    }

    /// The next chain the driver offers, indirect tables resolved.
    pub(crate) fn next(&mut self) -> Option<(u16, Vec<Segment>)> {
        if self.seen == self.rings.read_u16(self.layout.avail() + 2) {
            return None;
        }
        let slot = usize::from(self.seen % self.size);
        let head = self.rings.read_u16(self.layout.avail() + 4 + 2 * slot);
        self.seen = self.seen.wrapping_add(1);
        let mut segments = Vec::new();
        let mut index = head;
        loop {
            let at = usize::from(index) * DESCRIPTOR_BYTES;
            let (address, len) = (self.rings.read_u64(at), self.rings.read_u32(at + 8));
            let flags = self.rings.read_u16(at + 12);
            if flags & 4 != 0 {
                assert_eq!(flags & 1, 0, "an indirect descriptor must be the last");
                segments.extend(indirect(address, len));
                break;
            }
            segments.push(Segment { address, len, device_writes: flags & 2 != 0 });
            if flags & 1 == 0 {
                break;
            }
            index = self.rings.read_u16(at + 14);
        }
        Some((head, segments))
    }

    /// Gives a chain back.
    pub(crate) fn finish(&mut self, head: u16, written: u32) {
        self.finish_raw(u32::from(head), written);
    }

    /// Gives back whatever is said, right or wrong.
    pub(crate) fn finish_raw(&mut self, id: u32, written: u32) {
        let at = self.layout.used() + 4 + 8 * usize::from(self.used % self.size);
        self.rings.write_u32(at, id);
        self.rings.write_u32(at + 4, written);
        self.used = self.used.wrapping_add(1);
        self.rings.atomic_u16(self.layout.used() + 2).store(self.used, Ordering::Release);
    }
}

/// Writes memory as a device does.
pub(crate) fn write_physical(address: u64, bytes: &[u8]) {
    let start = crate::arch::memory::direct(address);
    for (i, byte) in bytes.iter().enumerate() {
        // SAFETY: tests pass only addresses of DMA memory and frames that are allocated.
        unsafe { start.add(i).write_volatile(*byte) }
    }
}

/// Reads memory as a device does.
pub(crate) fn read_physical(address: u64, bytes: &mut [u8]) {
    let start = crate::arch::memory::direct(address);
    for (i, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: tests pass only addresses of DMA memory and frames that are allocated.
        *byte = unsafe { start.add(i).read_volatile() };
    }
}

fn indirect(address: u64, len: u32) -> Vec<Segment> {
    let mut bytes = vec![0; len as usize];
    read_physical(address, &mut bytes);
    let entries: Vec<&[u8]> = bytes.chunks(DESCRIPTOR_BYTES).collect();
    let mut segments = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let flags = u16::from_le_bytes([entry[12], entry[13]]);
        segments.push(Segment {
            address: u64::from_le_bytes(entry[..8].try_into().unwrap()),
            len: u32::from_le_bytes(entry[8..12].try_into().unwrap()),
            device_writes: flags & 2 != 0,
        });
        assert_eq!(flags & 1 != 0, i + 1 < entries.len(), "chain and table length differ");
    }
    segments
}
