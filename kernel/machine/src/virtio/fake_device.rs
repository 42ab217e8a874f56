//! The device's side, for tests: it reads and writes the rings as a device would.

use super::buffer_queue::{BufferQueue, Direction};
use super::dma::DmaMemory;
use super::notifier::Notifier;
use super::queue::{DESCRIPTOR_BYTES, Layout, Segment, VirtQueue};
use super::transport::{Handler, InterruptLines};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use virtio_drivers::transport::mmio::MmioTransport;

/// One end of a queue. The parts of the queue are known by their physical addresses.
pub(crate) struct FakeDevice {
    descriptors: u64,
    avail: u64,
    used_ring: u64,
    size: u16,
    seen: u16,
    used: u16,
    kicks: Arc<AtomicUsize>,
}

/// A device's MMIO registers that are but memory, with what a driver reads filled in: a disk of that version of the
/// transport, whose queues may have 128 entries, with the feature bits 0 and 32.
pub(crate) fn ram_device(version: u32) -> DmaMemory {
    let memory = DmaMemory::alloc(0x200).unwrap();
    for (offset, value) in [(0x00, 0x7472_6976), (0x04, version), (0x08, 2), (0x10, 1), (0x34, 128)] {
        memory.write_u32(offset, value);
    }
    memory
}

/// Interrupts that a test raises.
#[derive(Clone, Default)]
pub(crate) struct FakeLines {
    count: u16,
    handlers: Arc<Mutex<Vec<(u16, Handler)>>>,
}

impl FakeLines {
    pub(crate) fn with_count(count: u16) -> Self {
        Self { count, ..Self::default() }
    }

    pub(crate) fn raise(&self, line: u16) {
        self.handlers
            .lock()
            .unwrap()
            .iter()
            .filter(|(own, _)| *own == line)
            .for_each(|(_, handler)| handler());
    }
}

impl InterruptLines for FakeLines {
    fn count(&self) -> u16 {
        self.count
    }

    fn connect(&mut self, line: u16, handler: Handler) -> bool {
        self.handlers.lock().unwrap().push((line, handler));
        true
    }
}

impl FakeDevice {
    fn new([descriptors, avail, used_ring]: [u64; 3], size: u16, kicks: Arc<AtomicUsize>) -> Self {
        Self { descriptors, avail, used_ring, size, seen: 0, used: 0, kicks }
    }

    /// A queue of `size` entries and the device at its other end.
    pub(crate) fn queue(size: u16) -> (VirtQueue, Self) {
        let layout = Layout::new(size);
        let rings = DmaMemory::alloc(layout.bytes()).unwrap();
        let kicks = Arc::new(AtomicUsize::new(0));
        let queue = VirtQueue::new(rings, size, Notifier::Counter(kicks.clone()));
        let places = [0, layout.avail(), layout.used()].map(|offset| rings.physical(offset));
        (queue, Self::new(places, size, kicks))
    }

    /// A queue of single buffers and the device at its other end.
    pub(crate) fn buffer_queue<const SIZE: usize>(direction: Direction) -> (BufferQueue<SIZE>, Self) {
        let registers = ram_device(2);
        let window = registers.registers();
        // SAFETY: the memory lives for ever, and looks like a device.
        let mut transport = unsafe { MmioTransport::new(window.start().cast(), window.len()) }.unwrap();
        let kicks = Arc::new(AtomicUsize::new(0));
        let queue = BufferQueue::new(&mut transport, 0, direction, Notifier::Counter(kicks.clone())).unwrap();
        let size = registers.read_u32(0x38) as u16;
        assert_eq!(usize::from(size), SIZE);
        (queue, Self::new([0x80, 0x90, 0xa0].map(|offset| registers.read_u64(offset)), size, kicks))
    }

    /// Times the driver notified us.
    pub(crate) fn kicks(&self) -> usize {
        self.kicks.load(Ordering::Relaxed)
    }

    /// Asks the driver not to notify.
    pub(crate) fn suppress_kicks(&self, suppress: bool) {
        write_physical(self.used_ring, &u16::from(suppress).to_le_bytes());
    }

    /// Whether the driver wants interrupts.
    pub(crate) fn wants_interrupts(&self) -> bool {
        number(self.avail) & 1 == 0
    }

    /// As if the device wanted to hear of the buffer with this index (VIRTIO_F_EVENT_IDX).
    pub(crate) fn request_kick(&self, index: u16) {
        write_physical(self.used_ring + 4 + 8 * u64::from(self.size), &index.to_le_bytes());
    }

    /// Whether the driver wants an interrupt (VIRTIO_F_EVENT_IDX) after `count` more buffers were used of which it has not been told.
    pub(crate) fn wants_interrupt_after(&self, count: u16) -> bool {
        core::sync::atomic::fence(Ordering::SeqCst);
        let event = number(self.avail + 4 + 2 * u64::from(self.size));
        event.wrapping_sub(self.used.wrapping_sub(count)) < count
    }

    /// Uses as many of the buffers offered as these bytes need, one after another; false if there are too few.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((head, segments)) = self.next() else { return false };
            assert!(segments.iter().all(|segment| segment.device_writes));
            let len = rest.len().min(segments[0].len as usize);
            write_physical(segments[0].address, &rest[..len]);
            self.finish(head, len as u32);
            rest = &rest[len..];
        }
        true
    }

    /// The next chain the driver offers, indirect tables resolved.
    pub(crate) fn next(&mut self) -> Option<(u16, Vec<Segment>)> {
        if self.seen == number(self.avail + 2) {
            return None;
        }
        let head = number(self.avail + 4 + 2 * u64::from(self.seen % self.size));
        self.seen = self.seen.wrapping_add(1);
        let mut segments = Vec::new();
        let mut index = head;
        loop {
            let mut entry = [0; DESCRIPTOR_BYTES];
            read_physical(self.descriptors + u64::from(index) * DESCRIPTOR_BYTES as u64, &mut entry);
            let (address, len, flags, next) = descriptor(&entry);
            if flags & 4 != 0 {
                assert_eq!(flags & 1, 0, "an indirect descriptor must be the last");
                segments.extend(indirect(address, len));
                break;
            }
            segments.push(Segment { address, len, device_writes: flags & 2 != 0 });
            if flags & 1 == 0 {
                break;
            }
            index = next;
        }
        Some((head, segments))
    }

    /// Gives a chain back.
    pub(crate) fn finish(&mut self, head: u16, written: u32) {
        self.finish_raw(u32::from(head), written);
    }

    /// Gives back whatever is said, right or wrong.
    pub(crate) fn finish_raw(&mut self, id: u32, written: u32) {
        let at = self.used_ring + 4 + 8 * u64::from(self.used % self.size);
        write_physical(at, &id.to_le_bytes());
        write_physical(at + 4, &written.to_le_bytes());
        self.used = self.used.wrapping_add(1);
        core::sync::atomic::fence(Ordering::Release);
        write_physical(self.used_ring + 2, &self.used.to_le_bytes());
    }

    /// The bytes that the driver gave.
    pub(crate) fn read(&self, segment: Segment) -> Vec<u8> {
        let mut bytes = vec![0; segment.len as usize];
        read_physical(segment.address, &mut bytes);
        bytes
    }
}

fn number(address: u64) -> u16 {
    let mut bytes = [0; 2];
    read_physical(address, &mut bytes);
    u16::from_le_bytes(bytes)
}

/// Address, length, flags and next of a descriptor.
fn descriptor(entry: &[u8]) -> (u64, u32, u16, u16) {
    let (address, rest) = entry.split_first_chunk().unwrap();
    let (len, rest) = rest.split_first_chunk().unwrap();
    let (flags, rest) = rest.split_first_chunk().unwrap();
    let next = rest.first_chunk().unwrap();
    (
        u64::from_le_bytes(*address),
        u32::from_le_bytes(*len),
        u16::from_le_bytes(*flags),
        u16::from_le_bytes(*next),
    )
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
        let (address, len, flags, _) = descriptor(entry);
        segments.push(Segment { address, len, device_writes: flags & 2 != 0 });
        assert_eq!(flags & 1 != 0, i + 1 < entries.len(), "chain and table length differ");
    }
    segments
}
