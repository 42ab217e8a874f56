//! What has been written and is not acknowledged yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Small writes are gathered in buffers of this size.
const GATHER: usize = 4096;

/// Bytes in order, in the buffers in which they were written. Empty, it has no memory but its own fields.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chunks: VecDeque<Chunk>,
    /// Offset in the stream of the first byte kept.
    front: u64,
    /// Offset in the stream after the last.
    end: u64,
}

#[derive(Debug)]
struct Chunk {
    /// Offset in the stream of its first byte, of which the first may have been acknowledged.
    start: u64,
    bytes: Vec<u8>,
}

impl SendQueue {
    pub(crate) fn len(&self) -> usize {
        (self.end - self.front) as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == self.front
    }

    /// Takes what a program wrote.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let first = self.chunks.is_empty();
        match self.chunks.back_mut() {
            Some(last) if last.bytes.capacity() - last.bytes.len() >= len => {
                last.bytes.extend_from_slice(&bytes);
            }
            _ if len < GATHER / 2 && !first => {
                let mut gathered = Vec::with_capacity(GATHER);
                gathered.extend_from_slice(&bytes);
                self.chunks.push_back(Chunk { start: self.end, bytes: gathered });
            }
            _ => self.chunks.push_back(Chunk { start: self.end, bytes }),
        }
        self.end += len as u64;
    }

    /// Forgets `count` bytes from the front.
    pub(crate) fn advance(&mut self, count: usize) {
        self.front = (self.front + count as u64).min(self.end);
        while self.chunks.front().is_some_and(|chunk| chunk.start + chunk.bytes.len() as u64 <= self.front) {
            self.chunks.pop_front();
        }
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
    }

    /// Appends `len` bytes that begin `offset` after the front to `to`. They are there.
    pub(crate) fn copy(&self, offset: usize, len: usize, to: &mut Vec<u8>) {
        let mut at = self.front + offset as u64;
        let end = (at + len as u64).min(self.end);
        let first = self.chunks.partition_point(|chunk| chunk.start + chunk.bytes.len() as u64 <= at);
        for chunk in self.chunks.range(first..) {
            if at >= end {
                break;
            }
            let from = (at - chunk.start) as usize;
            let count = (chunk.bytes.len() - from).min((end - at) as usize);
            to.extend_from_slice(&chunk.bytes[from..from + count]);
            at += count as u64;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.chunks = VecDeque::new();
        self.front = self.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_queue(steps in proptest::collection::vec((0_usize..6000, 0_usize..7000), 1..40)) {
            let (mut queue, mut model, mut next) = (SendQueue::default(), Vec::new(), 0_u8);
            for (write, advance) in steps {
                let bytes: Vec<u8> = (0..write).map(|_| { next = next.wrapping_mul(31).wrapping_add(7); next }).collect();
                model.extend_from_slice(&bytes);
                queue.push(bytes);
                let advance = advance.min(model.len());
                queue.advance(advance);
                model.drain(..advance);
                prop_assert_eq!(queue.len(), model.len());
                let (offset, len) = (model.len() / 3, model.len() / 2);
                let mut copy = Vec::new();
                queue.copy(offset, len, &mut copy);
                prop_assert_eq!(&copy[..], &model[offset..offset + len]);
            }
        }
    }
}
