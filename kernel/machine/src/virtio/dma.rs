//! Memory that the kernel and a device both use.

use crate::frame::{OutOfMemory, PAGE_SIZE, alloc_contiguous};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU16;

/// Physically contiguous memory shared with a device.
///
/// It is never given back: a device's rings live until power-off. So a `DmaMemory` is a plain handle that may be
/// copied and cut into parts. All accesses are volatile or atomic and checked against the bounds, because
/// the device may change the bytes at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DmaMemory {
    start: NonNull<u8>,
    physical: u64,
    len: usize,
}

// SAFETY: the memory is never freed, and every access is a volatile or atomic one of plain integers.
unsafe impl Send for DmaMemory {}
// SAFETY: as above; users put the handle behind a lock where two writers would matter.
unsafe impl Sync for DmaMemory {}

impl DmaMemory {
    /// Allocates zeroed memory of at least `len` bytes, aligned to a page.
    pub(crate) fn alloc(len: usize) -> Result<Self, OutOfMemory> {
        let pages = len.div_ceil(PAGE_SIZE);
        let run = alloc_contiguous(pages)?;
        let memory = Self { start: run.as_ptr(), physical: run.physical(), len: run.size() };
        // The handle is copied freely, so nobody knows when it could be freed.
        core::mem::forget(run);
        Ok(memory)
    }

    /// A part of this memory.
    ///
    /// # Panics
    /// If the part does not lie inside.
    pub(crate) fn part(&self, offset: usize, len: usize) -> Self {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "part outside of DMA memory");
        // SAFETY: `offset` is at most `self.len`, so the pointer stays inside the same allocation.
        let start = unsafe { self.start.add(offset) };
        Self { start, physical: self.physical + offset as u64, len }
    }

    /// Where the device finds the byte at `offset`.
    pub(crate) fn physical(&self, offset: usize) -> u64 {
        self.physical + offset as u64
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len),
            "access outside of DMA memory"
        );
        // SAFETY: the offset was checked to lie inside the allocation.
        let pointer = unsafe { self.start.as_ptr().add(offset) }.cast::<T>();
        assert!(pointer.is_aligned(), "unaligned access to DMA memory");
        pointer
    }

    /// The 16-bit number at `offset`, to be accessed with an explicit memory order.
    pub(crate) fn atomic_u16(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: `at` checked bounds and alignment; the memory lives forever; an atomic allows for a device
        // that writes at the same time.
        unsafe { AtomicU16::from_ptr(self.at(offset)) }
    }

    /// The memory as if a device had its registers there.
    #[cfg(test)]
    pub(crate) fn registers(&self) -> super::registers::Registers {
        // SAFETY: the memory lives for ever and is used through volatile accesses only.
        unsafe { super::registers::Registers::new(self.start, self.len) }
    }

    /// Reads a byte.
    pub(crate) fn read_u8(&self, offset: usize) -> u8 {
        // SAFETY: `at` checked bounds and alignment; any bytes are a valid integer.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    /// Reads a little-endian number.
    #[cfg(test)]
    pub(crate) fn read_u16(&self, offset: usize) -> u16 {
        // SAFETY: as in `read_u8`.
        u16::from_le(unsafe { self.at::<u16>(offset).read_volatile() })
    }

    /// Reads a little-endian number.
    pub(crate) fn read_u32(&self, offset: usize) -> u32 {
        // SAFETY: as in `read_u8`.
        u32::from_le(unsafe { self.at::<u32>(offset).read_volatile() })
    }

    /// Reads a little-endian number.
    #[cfg(test)]
    pub(crate) fn read_u64(&self, offset: usize) -> u64 {
        // SAFETY: as in `read_u8`.
        u64::from_le(unsafe { self.at::<u64>(offset).read_volatile() })
    }

    /// Writes a byte.
    pub(crate) fn write_u8(&self, offset: usize, value: u8) {
        // SAFETY: `at` checked bounds and alignment.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }

    /// Writes a little-endian number.
    pub(crate) fn write_u16(&self, offset: usize, value: u16) {
        // SAFETY: as in `write_u8`.
        unsafe { self.at::<u16>(offset).write_volatile(value.to_le()) }
    }

    /// Writes a little-endian number.
    pub(crate) fn write_u32(&self, offset: usize, value: u32) {
        // SAFETY: as in `write_u8`.
        unsafe { self.at::<u32>(offset).write_volatile(value.to_le()) }
    }

    /// Writes a little-endian number.
    pub(crate) fn write_u64(&self, offset: usize, value: u64) {
        // SAFETY: as in `write_u8`.
        unsafe { self.at::<u64>(offset).write_volatile(value.to_le()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_parts_share_the_memory() {
        let memory = DmaMemory::alloc(1).unwrap();
        assert_eq!(memory.len(), PAGE_SIZE);
        memory.write_u32(8, 0x0403_0201);
        let part = memory.part(8, 4);
        assert_eq!([0, 1, 2, 3].map(|offset| part.read_u8(offset)), [1, 2, 3, 4]);
        assert_eq!(part.physical(1), memory.physical(9));
        part.write_u16(0, 9);
        assert_eq!(memory.read_u16(8), 9);
    }

    #[test]
    #[should_panic(expected = "outside of DMA memory")]
    fn bounds_are_checked() {
        DmaMemory::alloc(1).unwrap().part(0, 6).write_u32(4, 0);
    }
}
