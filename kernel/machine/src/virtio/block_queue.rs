//! One request queue of a virtio block device (virtio 1.2, section 5.2.6).

use super::dma::DmaMemory;
use super::queue::{DESCRIPTOR_BYTES, Segment, VirtQueue, write_indirect};
use crate::block::{BlockOp, BlockRequest, Done, IoError, SECTOR_SIZE, SECTORS_PER_PAGE};
use crate::frame::{Frame, OutOfMemory, PAGE_SIZE};
use crate::sync::SpinLock;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const TYPE_GET_ID: u32 = 8;
/// Bytes of the answer to VIRTIO_BLK_T_GET_ID.
pub(crate) const ID_BYTES: usize = 20;

const HEADER_BYTES: usize = 16;
const STATUS_OK: u8 = 0;
const STATUS_UNSUPPORTED: u8 = 2;
/// Not a value the device writes.
const STATUS_PENDING: u8 = 0xff;

/// Descriptors of an indirect table: four tables to a page. Longer requests are split.
const TABLE_ENTRIES: usize = 64;
const TABLE_BYTES: usize = TABLE_ENTRIES * DESCRIPTOR_BYTES;

/// What the device allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Length of the device in sectors.
    pub(crate) sectors: u64,
    /// Most data segments of a request.
    pub(crate) segments: usize,
    /// Most bytes of a segment.
    pub(crate) segment_bytes: usize,
    /// VIRTIO_F_INDIRECT_DESC was agreed on.
    pub(crate) indirect: bool,
}

/// A request of the kernel's, until all its pieces have ended.
struct Pending {
    frames: Vec<Frame>,
    pieces_left: AtomicUsize,
    worst_status: AtomicU8,
    done: SpinLock<Option<Done>>,
}

impl Pending {
    /// Counts one piece as ended; after the last one, gives what to call.
    fn end_piece(&self, status: u8) -> Option<Finished> {
        if status != STATUS_OK {
            self.worst_status.store(status, Ordering::Relaxed);
        }
        if self.pieces_left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return None;
        }
        let done = self.done.lock().take()?;
        let result = match self.worst_status.load(Ordering::Relaxed) {
            STATUS_OK => Ok(()),
            STATUS_UNSUPPORTED => Err(IoError::Unsupported),
            _ => Err(IoError::Device),
        };
        Some(Finished { done, result })
    }
}

/// A request that has ended; to be told to its owner with no lock held.
pub(crate) struct Finished {
    done: Done,
    result: Result<(), IoError>,
}

impl Finished {
    pub(crate) fn tell(self) {
        (self.done)(self.result);
    }
}

/// The part of a request that fits into one request of the device.
#[derive(Clone)]
pub(crate) struct Piece {
    request: Arc<Pending>,
    kind: u32,
    sector: u64,
    /// Index of the first frame, and the number of frames.
    first: usize,
    count: usize,
    /// Bytes of data.
    bytes: usize,
}

/// Cuts a request that was checked into pieces.
pub(crate) fn split(request: BlockRequest, limits: &Limits) -> Vec<Piece> {
    let kind = match request.op {
        BlockOp::Read => TYPE_IN,
        BlockOp::Write => TYPE_OUT,
        BlockOp::Flush => TYPE_FLUSH,
    };
    let frames = if request.op == BlockOp::Flush { Vec::new() } else { request.frames };
    let per_frame = PAGE_SIZE.div_ceil(limits.segment_bytes);
    let most = (limits.segments / per_frame).max(1);
    // A flush has one piece without frames.
    let pieces = frames.len().div_ceil(most).max(1);
    let (total, sector) = (frames.len(), request.sector);
    let shared = Arc::new(Pending {
        frames,
        pieces_left: AtomicUsize::new(pieces),
        worst_status: AtomicU8::new(STATUS_OK),
        done: SpinLock::new(Some(request.done)),
    });
    (0..pieces)
        .map(|piece| {
            let first = piece * most;
            let count = most.min(total - first);
            let sector = if total == 0 { 0 } else { sector + first as u64 * SECTORS_PER_PAGE };
            // On the last page only what is on the device.
            let left = usize::try_from(limits.sectors.saturating_sub(sector)).unwrap_or(usize::MAX);
            let bytes = (count * PAGE_SIZE).min(left.saturating_mul(SECTOR_SIZE));
            Piece { request: shared.clone(), kind, sector, first, count, bytes }
        })
        .collect()
}

/// The request for the device's serial number, written to the start of the frame.
pub(crate) fn get_id(frame: Frame, done: Done) -> Piece {
    let request = Arc::new(Pending {
        frames: alloc::vec![frame],
        pieces_left: AtomicUsize::new(1),
        worst_status: AtomicU8::new(STATUS_OK),
        done: SpinLock::new(Some(done)),
    });
    Piece { request, kind: TYPE_GET_ID, sector: 0, first: 0, count: 1, bytes: ID_BYTES }
}

impl Piece {
    /// Calls `each` with the data's segments, neighbours in memory joined.
    fn segments(&self, segment_bytes: usize, each: &mut dyn FnMut(Segment)) {
        let device_writes = matches!(self.kind, TYPE_IN | TYPE_GET_ID);
        let mut left = self.bytes;
        let mut run: Option<(u64, usize)> = None;
        let mut emit = |(address, bytes): (u64, usize)| {
            let mut at = 0;
            while at < bytes {
                let len = segment_bytes.min(bytes - at);
                // `segment_bytes` is at most `u32::MAX`.
                each(Segment { address: address + at as u64, len: len as u32, device_writes });
                at += len;
            }
        };
        for frame in &self.request.frames[self.first..self.first + self.count] {
            let len = left.min(PAGE_SIZE);
            left -= len;
            run = match run {
                Some((start, bytes))
                    if start + bytes as u64 == frame.physical() && bytes + len <= segment_bytes =>
                {
                    Some((start, bytes + len))
                }
                _ => {
                    if let Some(run) = run {
                        emit(run);
                    }
                    Some((frame.physical(), len))
                }
            };
        }
        if let Some(run) = run {
            emit(run);
        }
    }
}

/// What belongs to a head in the ring.
#[derive(Default)]
struct Slot {
    piece: Option<Piece>,
    table: Option<DmaMemory>,
}

/// A queue, the requests in it, and those that wait for room in it.
pub(crate) struct BlockQueue {
    queue: VirtQueue,
    limits: Limits,
    /// For each head a header and, behind all of these, a status byte.
    headers: DmaMemory,
    statuses: DmaMemory,
    slots: Vec<Slot>,
    free_tables: Vec<DmaMemory>,
    waiting: VecDeque<Piece>,
}

impl BlockQueue {
    /// For a queue that is set up. Lowers the limits to what the queue can do.
    pub(crate) fn new(queue: VirtQueue, mut limits: Limits) -> Result<Self, OutOfMemory> {
        let size = usize::from(queue.size());
        // No chain may be longer than the queue, not even in an indirect table (section 2.7.5.3.1).
        let most = if limits.indirect { TABLE_ENTRIES.min(size) } else { size };
        limits.segments = limits.segments.clamp(1, most.saturating_sub(2).max(1));
        limits.segment_bytes = limits.segment_bytes.clamp(SECTOR_SIZE, 1 << 30);
        let memory = DmaMemory::alloc(size * (HEADER_BYTES + 1))?;
        Ok(Self {
            headers: memory.part(0, size * HEADER_BYTES),
            statuses: memory.part(size * HEADER_BYTES, size),
            slots: Vec::new(),
            free_tables: Vec::new(),
            waiting: VecDeque::new(),
            queue,
            limits,
        })
    }

    /// What a request may have.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Starts the pieces, or keeps them until there is room. The device is told once.
    pub(crate) fn submit(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        self.waiting.extend(pieces);
        self.start_waiting();
    }

    /// Starts as many waiting pieces as there is room for.
    pub(crate) fn start_waiting(&mut self) {
        while let Some(piece) = self.waiting.pop_front() {
            if let Err(piece) = self.start(piece) {
                self.waiting.push_front(piece);
                break;
            }
        }
        self.queue.kick();
    }

    fn start(&mut self, piece: Piece) -> Result<(), Piece> {
        let Some(head) = self.queue.next_head() else { return Err(piece) };
        let slot = usize::from(head);
        let header = slot * HEADER_BYTES;
        let first = Segment {
            address: self.headers.physical(header),
            len: HEADER_BYTES as u32,
            device_writes: false,
        };
        let status = Segment { address: self.statuses.physical(slot), len: 1, device_writes: true };
        self.headers.write_u32(header, piece.kind);
        self.headers.write_u32(header + 4, 0);
        self.headers.write_u64(header + 8, piece.sector);
        self.statuses.write_u8(slot, STATUS_PENDING);
        let table = if self.limits.indirect { self.table() } else { None };
        let added = match table {
            Some(table) => {
                // The limits are such that the table is long enough.
                write_indirect(&table, 0, first, false);
                let mut count = 1;
                piece.segments(self.limits.segment_bytes, &mut |segment| {
                    write_indirect(&table, count, segment, false);
                    count += 1;
                });
                write_indirect(&table, count, status, true);
                self.queue.add_indirect(table.physical(0), usize::from(count) + 1)
            }
            None => {
                let mut segments = Vec::with_capacity(piece.count + 2);
                segments.push(first);
                piece.segments(self.limits.segment_bytes, &mut |segment| segments.push(segment));
                segments.push(status);
                self.queue.add(&segments)
            }
        };
        if added.is_none() {
            self.free_tables.extend(table);
            return Err(piece);
        }
        // Heads are used again before new ones are taken, so the list is as long as the queue was ever full.
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, Slot::default);
        }
        self.slots[slot] = Slot { piece: Some(piece), table };
        Ok(())
    }

    /// A free indirect table; `None` if there is no memory for one (then direct descriptors do).
    fn table(&mut self) -> Option<DmaMemory> {
        if self.free_tables.is_empty() {
            let page = DmaMemory::alloc(PAGE_SIZE).ok()?;
            self.free_tables
                .extend((0..PAGE_SIZE / TABLE_BYTES).map(|i| page.part(i * TABLE_BYTES, TABLE_BYTES)));
        }
        self.free_tables.pop()
    }

    /// Takes one piece that the device has finished with. `None` when there is none; `Some(None)` if the piece was not
    /// the last of its request.
    pub(crate) fn pop(&mut self) -> Option<Option<Finished>> {
        let used = self.queue.pop()?;
        let slot = usize::from(used.head);
        let status = self.statuses.read_u8(slot);
        let Slot { piece, table } = core::mem::take(self.slots.get_mut(slot)?);
        self.free_tables.extend(table);
        Some(piece?.request.end_piece(status))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_device::{FakeDevice, read_physical, write_physical};
    use super::*;
    use alloc::boxed::Box;
    use std::sync::mpsc::{Receiver, channel};

    fn limits(segments: usize, indirect: bool) -> Limits {
        Limits { sectors: 100_003, segments, segment_bytes: usize::MAX, indirect }
    }

    fn request(op: BlockOp, sector: u64, pages: usize) -> (BlockRequest, Receiver<Result<(), IoError>>) {
        let (sender, receiver) = channel();
        let frames = (0..pages).map(|_| Frame::alloc_zeroed().unwrap()).collect();
        let done = Box::new(move |result| sender.send(result).unwrap());
        (BlockRequest { op, sector, frames, done }, receiver)
    }

    struct Disk {
        device: FakeDevice,
        held: Vec<(u16, Vec<Segment>)>,
    }

    impl Disk {
        /// Takes all requests offered: for each its type, sector and bytes of data.
        fn take(&mut self) -> Vec<(u32, u64, u32)> {
            let mut seen = Vec::new();
            while let Some((head, segments)) = self.device.next() {
                let (header, status) = (segments[0], segments[segments.len() - 1]);
                assert_eq!((header.len, header.device_writes), (16, false));
                assert_eq!((status.len, status.device_writes), (1, true));
                let mut bytes = [0; 16];
                read_physical(header.address, &mut bytes);
                let kind = u32::from_le_bytes(bytes[..4].try_into().unwrap());
                let data = &segments[1..segments.len() - 1];
                assert!(data.iter().all(|segment| segment.device_writes == (kind != TYPE_OUT)));
                let sector = u64::from_le_bytes(bytes[8..].try_into().unwrap());
                seen.push((kind, sector, data.iter().map(|segment| segment.len).sum()));
                self.held.push((head, segments));
            }
            seen
        }

        /// Ends the request held at `index`.
        fn end(&mut self, index: usize, status: u8) {
            let (head, segments) = self.held.remove(index);
            write_physical(segments[segments.len() - 1].address, &[status]);
            self.device.finish(head, 1);
        }
    }

    fn disk(size: u16, limits: Limits) -> (BlockQueue, Disk) {
        let (queue, device) = FakeDevice::queue(size);
        (BlockQueue::new(queue, limits).unwrap(), Disk { device, held: Vec::new() })
    }

    fn drain(queue: &mut BlockQueue) {
        while let Some(finished) = queue.pop() {
            if let Some(finished) = finished {
                finished.tell();
            }
        }
        queue.start_waiting();
    }

    #[test]
    fn a_read_is_one_request_with_one_kick() {
        for indirect in [false, true] {
            let (mut queue, mut disk) = disk(16, limits(254, indirect));
            let (read, done) = request(BlockOp::Read, 24, 3);
            queue.submit(split(read, &queue.limits()));
            assert_eq!(disk.device.kicks(), 1);
            assert_eq!(disk.take(), [(TYPE_IN, 24, 3 * 4096)]);
            disk.end(0, STATUS_OK);
            assert!(done.try_recv().is_err());
            drain(&mut queue);
            assert_eq!(done.try_recv(), Ok(Ok(())));
        }
    }

    #[test]
    fn a_long_request_is_split_and_the_last_page_cut_at_the_end() {
        let (mut queue, mut disk) = disk(256, limits(254, true));
        let (read, done) = request(BlockOp::Read, 100_003 - 8 * 99 - 3, 100);
        queue.submit(split(read, &queue.limits()));
        let start = 100_003 - 8 * 99 - 3;
        let expected = [(TYPE_IN, start, 62 * 4096), (TYPE_IN, start + 62 * 8, 37 * 4096 + 3 * 512)];
        assert_eq!(disk.take(), expected);
        disk.end(1, 1);
        drain(&mut queue);
        assert!(done.try_recv().is_err(), "one piece is still on its way");
        disk.end(0, STATUS_OK);
        drain(&mut queue);
        assert_eq!(done.try_recv(), Ok(Err(IoError::Device)));
    }

    #[test]
    fn requests_wait_when_the_ring_is_full() {
        let (mut queue, mut disk) = disk(4, limits(254, true));
        let requests: Vec<_> = (0..10).map(|i| request(BlockOp::Write, i * 8, 2)).collect();
        let mut done = Vec::new();
        for (write, receiver) in requests {
            queue.submit(split(write, &queue.limits()));
            done.push(receiver);
        }
        let mut seen = Vec::new();
        while seen.len() < 10 {
            let some = disk.take();
            assert!(!some.is_empty() && some.len() <= 4);
            for _ in 0..some.len() {
                disk.end(0, STATUS_OK);
            }
            seen.extend(some);
            drain(&mut queue);
        }
        let expected: Vec<_> = (0..10).map(|i| (TYPE_OUT, i * 8, 8192)).collect();
        assert_eq!(seen, expected, "in order");
        assert!(done.iter().all(|done| done.try_recv() == Ok(Ok(()))));
    }

    #[test]
    fn small_segments_and_a_long_direct_chain() {
        let small = Limits { segment_bytes: 1024, segments: 10, ..limits(0, true) };
        let (mut queue, mut disk) = disk(64, small);
        let (read, _done) = request(BlockOp::Read, 0, 3);
        queue.submit(split(read, &queue.limits()));
        assert_eq!(disk.take(), [(TYPE_IN, 0, 8192), (TYPE_IN, 16, 4096)]);
        assert!(disk.held.iter().all(|(_, segments)| segments.iter().all(|segment| segment.len <= 1024)));

        let (mut queue, mut disk) = super::tests::disk(256, limits(254, false));
        let (read, done) = request(BlockOp::Read, 0, 200);
        queue.submit(split(read, &queue.limits()));
        assert_eq!(disk.take(), [(TYPE_IN, 0, 200 * 4096)]);
        disk.end(0, STATUS_UNSUPPORTED);
        drain(&mut queue);
        assert_eq!(done.try_recv(), Ok(Err(IoError::Unsupported)));
    }

    #[test]
    fn flush_and_id_have_their_own_forms() {
        let (mut queue, mut disk) = disk(16, limits(254, true));
        let (flush, done) = request(BlockOp::Flush, 7, 0);
        queue.submit(split(flush, &queue.limits()));
        queue.submit([get_id(Frame::alloc_zeroed().unwrap(), Box::new(|_| {}))]);
        assert_eq!(disk.take(), [(TYPE_FLUSH, 0, 0), (TYPE_GET_ID, 0, 20)]);
        disk.end(0, STATUS_OK);
        drain(&mut queue);
        assert_eq!(done.try_recv(), Ok(Ok(())));
    }
}
