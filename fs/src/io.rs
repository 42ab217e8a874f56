//! Cursors over memory: where bytes read from a file go, where bytes to be written come from.
//!
//! The code of a file does not know whether it moves bytes to user memory or to a kernel buffer. The cursors over user memory
//! live in `husk_syscalls`; moving bytes through them may fault pages in and so sleep: hold no spin lock.

use crate::Result;
use alloc::vec::Vec;
use husk_machine::frame::Frame;

/// Takes bytes in order.
pub trait Sink {
    /// How many more bytes it takes.
    fn remaining(&self) -> usize;

    /// Takes bytes from the front of `bytes` and advances. The answer is how many it took: fewer than given if it
    /// is full or if memory beyond could not be written.
    ///
    /// # Errors
    /// EFAULT only if not even one byte could be written though some were wanted.
    fn push(&mut self, bytes: &[u8]) -> Result<usize>;

    /// As [`push`](Self::push), from `len` bytes at `offset` of a page.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn push_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize>;

    /// As [`push`](Self::push), with `len` zero bytes.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn push_zeros(&mut self, len: usize) -> Result<usize>;
}

/// Gives bytes in order.
pub trait Source {
    /// How many more bytes it has.
    fn remaining(&self) -> usize;

    /// Fills the front of `bytes` and advances. The answer is how many it gave: fewer than asked if no more
    /// are left or if memory beyond could not be read.
    ///
    /// # Errors
    /// EFAULT only if not even one byte could be read though some were wanted.
    fn pull(&mut self, bytes: &mut [u8]) -> Result<usize>;

    /// As [`pull`](Self::pull), into `len` bytes at `offset` of a page.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    fn pull_to_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize>;
}

/// Fills a byte slice.
#[derive(Debug)]
pub struct SliceSink<'a> {
    rest: &'a mut [u8],
}

impl<'a> SliceSink<'a> {
    /// A sink that fills `bytes` from the front.
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, wanted: usize) -> &'a mut [u8] {
        let count = wanted.min(self.rest.len());
        let (front, rest) = core::mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        front
    }
}

impl Sink for SliceSink<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<usize> {
        let front = self.take(bytes.len());
        front.copy_from_slice(&bytes[..front.len()]);
        Ok(front.len())
    }

    fn push_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize> {
        let front = self.take(len);
        frame.read(offset, front);
        Ok(front.len())
    }

    fn push_zeros(&mut self, len: usize) -> Result<usize> {
        let front = self.take(len);
        front.fill(0);
        Ok(front.len())
    }
}

/// Collects bytes in a vector, up to a limit.
#[derive(Debug)]
pub struct VecSink {
    bytes: Vec<u8>,
    limit: usize,
}

impl VecSink {
    /// An empty sink that takes `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// The bytes taken.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Sink for VecSink {
    fn remaining(&self) -> usize {
        self.limit - self.bytes.len()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = bytes.len().min(self.remaining());
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn push_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize> {
        let count = len.min(self.remaining());
        let start = self.bytes.len();
        self.bytes.resize(start + count, 0);
        frame.read(offset, &mut self.bytes[start..]);
        Ok(count)
    }

    fn push_zeros(&mut self, len: usize) -> Result<usize> {
        let count = len.min(self.remaining());
        self.bytes.resize(self.bytes.len() + count, 0);
        Ok(count)
    }
}

/// Gives the bytes of a slice.
#[derive(Debug)]
pub struct SliceSource<'a> {
    rest: &'a [u8],
}

impl<'a> SliceSource<'a> {
    /// A source that gives `bytes` from the front.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, wanted: usize) -> &'a [u8] {
        let (front, rest) = self.rest.split_at(wanted.min(self.rest.len()));
        self.rest = rest;
        front
    }
}

impl Source for SliceSource<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn pull(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let front = self.take(bytes.len());
        bytes[..front.len()].copy_from_slice(front);
        Ok(front.len())
    }

    fn pull_to_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize> {
        let front = self.take(len);
        frame.write(offset, front);
        Ok(front.len())
    }
}
