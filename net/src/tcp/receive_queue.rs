//! What has arrived: in order for the program to read, and out of order until the gap before it is filled.

use super::ranges::Ranges;
use super::seq::Seq;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Payload at least this large is not copied if its packet's buffer can be had.
const WORTH_MOVING: usize = 2048;
/// Small payloads are gathered in buffers of this size.
const GATHER: usize = 4096;
/// Most segments kept out of order, so that many small ones do not take much more memory than they have bytes.
const MAX_OUT_OF_ORDER: usize = 4096;

/// Payload of a packet: borrowed, or with the buffer around it.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Owned(Chunk),
}

impl Payload<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(chunk) => chunk.as_slice(),
        }
    }

    /// Leaves `count` bytes out at the front and all beyond `len` after them.
    pub(crate) fn trim(self, count: usize, len: usize) -> Self {
        match self {
            Self::Borrowed(bytes) => {
                let bytes = &bytes[count.min(bytes.len())..];
                Self::Borrowed(&bytes[..len.min(bytes.len())])
            }
            Self::Owned(mut chunk) => {
                chunk.start = (chunk.start + count).min(chunk.buffer.len());
                chunk.buffer.truncate(chunk.start + len.min(chunk.as_slice().len()));
                Self::Owned(chunk)
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn into_chunk(self) -> Chunk {
        match self {
            Self::Owned(chunk) if chunk.as_slice().len() >= WORTH_MOVING => chunk,
            small => Chunk { buffer: small.as_slice().to_vec(), start: 0 },
        }
    }
}

/// Bytes of a buffer from `start` on.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) buffer: Vec<u8>,
    pub(crate) start: usize,
}

impl Chunk {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// The two queues. Empty, it has no memory but its own fields.
#[derive(Debug, Default)]
pub(crate) struct ReceiveQueue {
    ready: VecDeque<Chunk>,
    /// Bytes not read yet: those in `ready` and those a reader has taken out for the time being.
    bytes: usize,
    /// Sorted by sequence number; no two overlap.
    waiting: VecDeque<(Seq, Chunk)>,
    /// The same as ranges.
    ranges: Ranges,
    /// The last range that grew, for the first block of a selective acknowledgement.
    last: Option<Seq>,
}

impl ReceiveQueue {
    /// Bytes that can be read.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Bytes that wait for a gap to be filled.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.ranges.bytes()
    }

    /// Takes payload that comes next in order.
    pub(crate) fn push(&mut self, payload: Payload<'_>) {
        let len = payload.len();
        if len == 0 {
            return;
        }
        self.bytes += len;
        if let Some(last) = self.ready.back_mut()
            && last.buffer.capacity() - last.buffer.len() >= len
        {
            last.buffer.extend_from_slice(payload.as_slice());
            return;
        }
        match payload {
            Payload::Owned(chunk) if len >= WORTH_MOVING => self.ready.push_back(chunk),
            payload => {
                // The first bytes get a buffer of their size: most messages are read before the next comes.
                let size = if self.ready.is_empty() { len } else { len.max(GATHER) };
                let mut buffer = Vec::with_capacity(size);
                buffer.extend_from_slice(payload.as_slice());
                self.ready.push_back(Chunk { buffer, start: 0 });
            }
        }
    }

    /// Takes payload that came too early. False if all of it was there or there is no room.
    pub(crate) fn push_early(&mut self, mut seq: Seq, payload: Payload<'_>) -> bool {
        let end = seq + payload.len();
        let mut payload = Some(payload);
        let mut kept = false;
        // Each part that is not there yet; a segment rarely has more than one.
        while let Some((left, right)) = self.ranges.gap(seq, end) {
            if self.waiting.len() >= MAX_OUT_OF_ORDER {
                break;
            }
            let at = self.waiting.partition_point(|entry| entry.0.before(left));
            let Some(whole) = payload.take() else { break };
            let (skip, len) = (left.distance(seq), right.distance(left));
            let part = if skip + len < whole.len() {
                let part = Chunk { buffer: whole.as_slice()[skip..skip + len].to_vec(), start: 0 };
                payload = Some(whole.trim(skip + len, usize::MAX));
                part
            } else {
                whole.trim(skip, len).into_chunk()
            };
            self.ranges.insert(left, right);
            if self.ranges.containing(left).is_none() {
                // Too many ranges: then the bytes cannot be kept either.
                break;
            }
            self.waiting.insert(at, (left, part));
            kept = true;
            seq = right;
        }
        if kept {
            self.last = Some(end - 1);
        }
        kept
    }

    /// Moves to the readable queue what `next` makes contiguous; the answer is the sequence number after it.
    pub(crate) fn advance(&mut self, mut next: Seq) -> Seq {
        if self.waiting.is_empty() {
            return next;
        }
        while let Some((seq, _)) = self.waiting.front() {
            if seq.after(next) {
                break;
            }
            let Some((seq, chunk)) = self.waiting.pop_front() else { break };
            let skip = next.distance(seq);
            let payload = Payload::Owned(chunk).trim(skip, usize::MAX);
            next = next + payload.len();
            self.push(payload);
        }
        self.ranges.remove_before(next);
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
            self.last = None;
        }
        next
    }

    /// The ranges that wait: first the one that grew last (RFC 2018, section 4).
    pub(crate) fn early(&self) -> impl Iterator<Item = (Seq, Seq)> + '_ {
        let recent = self.last.and_then(|seq| self.ranges.containing(seq));
        recent.into_iter().chain(self.ranges.iter().rev().filter(move |range| Some(*range) != recent))
    }

    /// Drops what came too early: memory is short (Linux: the queue is pruned).
    pub(crate) fn prune(&mut self) {
        self.waiting = VecDeque::new();
        self.ranges.clear();
        self.last = None;
    }

    /// Takes chunks with up to `len` bytes out for a reader; they stay counted until [`commit`](Self::commit).
    pub(crate) fn take(&mut self, len: usize) -> Vec<Chunk> {
        let mut taken = Vec::new();
        let mut rest = len;
        while rest > 0 {
            let Some(chunk) = self.ready.pop_front() else { break };
            rest = rest.saturating_sub(chunk.as_slice().len());
            taken.push(chunk);
        }
        taken
    }

    /// Puts back what a reader has left of what it took, and counts `read` bytes as read.
    pub(crate) fn commit(&mut self, left: Vec<Chunk>, read: usize) {
        for chunk in left.into_iter().rev() {
            if !chunk.as_slice().is_empty() {
                self.ready.push_front(chunk);
            }
        }
        self.bytes -= read.min(self.bytes);
        if self.ready.is_empty() {
            self.ready = VecDeque::new();
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(queue: &mut ReceiveQueue, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut taken = queue.take(len);
        for chunk in &mut taken {
            let count = chunk.as_slice().len().min(len - out.len());
            out.extend_from_slice(&chunk.as_slice()[..count]);
            chunk.start += count;
        }
        queue.commit(taken, out.len());
        out
    }

    proptest! {
        #[test]
        fn puts_the_stream_together(base: u32, pieces in proptest::collection::vec((0_usize..9000, 1_usize..4000, any::<bool>()), 1..60)) {
            let stream: Vec<u8> = (0..13_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let seq = |offset: usize| Seq(base) + offset;
            let (mut queue, mut next, mut got) = (ReceiveQueue::default(), seq(0), Vec::new());
            let whole = [(0, 13_000, false)];
            for (at, len, owned) in pieces.into_iter().chain(whole) {
                let skip = next.distance(seq(at));
                if skip >= len {
                    continue;
                }
                let bytes = &stream[at..at + len];
                let payload = if owned {
                    Payload::Owned(Chunk { buffer: bytes.to_vec(), start: 0 })
                } else {
                    Payload::Borrowed(bytes)
                };
                if seq(at).after(next) {
                    queue.push_early(seq(at), payload);
                    prop_assert!(queue.early().all(|range| range.0.after(next)));
                } else {
                    queue.push(payload.trim(skip, usize::MAX));
                    next = queue.advance(seq(at + len));
                }
                let len = queue.len() / 2;
                got.extend(read(&mut queue, len));
            }
            prop_assert_eq!(queue.waiting_bytes(), 0);
            got.extend(read(&mut queue, usize::MAX));
            prop_assert!(got == stream);
        }
    }
}
