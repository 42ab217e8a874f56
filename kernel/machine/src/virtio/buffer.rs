//! Memory for transfers that belongs to the kernel alone.

use crate::arch::memory::{self, copy_bytes};
use crate::frame::{Frame, OutOfMemory, PAGE_SIZE, alloc_contiguous};
use alloc::vec::Vec;
use core::ptr::NonNull;

/// A piece of physically contiguous memory that one owner has: the driver, or the queue that it was given to. No program
/// can have it mapped.
#[derive(Debug)]
pub(crate) struct Buffer {
    start: NonNull<u8>,
    len: usize,
    /// Keeps the page; `None` for a piece of a larger run, which is never given back.
    _page: Option<Frame>,
}

// SAFETY: the memory belongs to the buffer, and is reached only through it.
unsafe impl Send for Buffer {}
// SAFETY: as above; a shared reference only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A page. Its contents are unspecified.
    pub(crate) fn page() -> Result<Self, OutOfMemory> {
        let frame = Frame::alloc_for_kernel()?;
        Ok(Self { start: frame.as_ptr(), len: PAGE_SIZE, _page: Some(frame) })
    }

    /// A page, unless that would be one of those kept back for the kernel. Its contents are unspecified.
    pub(crate) fn spare_page() -> Result<Self, OutOfMemory> {
        let frame = Frame::alloc_spare()?;
        Ok(Self { start: frame.as_ptr(), len: PAGE_SIZE, _page: Some(frame) })
    }

    /// So many buffers of `len` bytes, for good.
    pub(crate) fn several(count: usize, len: usize) -> Result<Vec<Self>, OutOfMemory> {
        let run = alloc_contiguous((count * len).div_ceil(PAGE_SIZE))?;
        let start = run.as_ptr();
        core::mem::forget(run);
        // SAFETY: the run has room for all of them; they do not overlap, and nobody else has the run.
        let piece = |index| Self { start: unsafe { start.add(index * len) }, len, _page: None };
        Ok((0..count).map(piece).collect())
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where a device finds it.
    pub(crate) fn physical(&self) -> u64 {
        memory::physical(self.start)
    }

    /// The first `len` bytes, for the crate's queue, which only takes the address.
    ///
    /// # Panics
    /// If it is not so long.
    pub(super) fn first(&self, len: usize) -> NonNull<[u8]> {
        assert!(len <= self.len, "longer than the buffer");
        NonNull::slice_from_raw_parts(self.start, len)
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// If the range does not lie in the buffer.
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.check(offset, bytes.len());
        // SAFETY: the range lies in the buffer; a device that still writes can only garble the bytes.
        unsafe { copy_bytes(bytes.as_mut_ptr(), self.start.as_ptr().add(offset), bytes.len()) };
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// If the range does not lie in the buffer.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        // SAFETY: as in `read`.
        unsafe { copy_bytes(self.start.as_ptr().add(offset), bytes.as_ptr(), bytes.len()) };
    }

    fn check(&self, offset: usize, len: usize) {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "access outside of a buffer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_do_not_overlap() {
        let mut buffers = Buffer::several(200, 48).unwrap();
        for (number, buffer) in (0u8..).zip(&mut buffers) {
            buffer.write(0, &[number; 48]);
        }
        for (number, buffer) in (0u8..).zip(&buffers) {
            let mut bytes = [0; 48];
            buffer.read(0, &mut bytes);
            assert_eq!(bytes, [number; 48]);
        }
        let mut page = Buffer::page().unwrap();
        page.write(PAGE_SIZE - 2, b"xy");
        let mut bytes = [0; 2];
        page.read(PAGE_SIZE - 2, &mut bytes);
        assert_eq!(&bytes, b"xy");
        assert_eq!(page.physical() % PAGE_SIZE as u64, 0);
    }

    #[test]
    #[should_panic(expected = "outside of a buffer")]
    fn bounds_are_checked() {
        Buffer::page().unwrap().write(PAGE_SIZE - 1, b"xy");
    }
}
