//! A window of a device's memory-mapped registers.

use core::ptr::NonNull;

/// Registers mapped into the kernel's address space. Accesses are volatile, of the width asked for, and
/// checked against the window's length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the window stays mapped for ever, and device registers may be reached from any CPU.
unsafe impl Send for Registers {}
// SAFETY: as above; drivers serialise accesses that belong together.
unsafe impl Sync for Registers {}

macro_rules! accessors {
    ($read:ident, $write:ident, $type:ty) => {
        /// Reads a little-endian register.
        pub(crate) fn $read(&self, offset: usize) -> $type {
            // SAFETY: `at` checked bounds and alignment; the window is mapped (see `new`).
            <$type>::from_le(unsafe { self.at::<$type>(offset).read_volatile() })
        }

        /// Writes a little-endian register.
        pub(crate) fn $write(&self, offset: usize, value: $type) {
            // SAFETY: `at` checked bounds and alignment; the window is mapped (see `new`).
            unsafe { self.at::<$type>(offset).write_volatile(value.to_le()) }
        }
    };
}

impl Registers {
    /// A window of `len` bytes from `start`.
    ///
    /// # Safety
    /// The memory must stay mapped for ever, aligned to 8 bytes, and belong to a device (or, in tests,
    /// to nobody else), so that volatile reads and writes of integers in it are sound.
    pub(crate) unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len }
    }

    /// A window of this window, if it lies inside.
    pub(crate) fn part(&self, offset: usize, len: usize) -> Option<Self> {
        if offset.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: `offset` is at most `self.len`: the pointer stays inside the window.
        Some(Self { start: unsafe { self.start.add(offset) }, len })
    }

    /// The first register.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len),
            "register outside of its window"
        );
        // SAFETY: the offset was checked to lie inside the window.
        let pointer = unsafe { self.start.as_ptr().add(offset) }.cast::<T>();
        assert!(pointer.is_aligned(), "unaligned register");
        pointer
    }

    accessors!(read_u16, write_u16, u16);
    accessors!(read_u32, write_u32, u32);
}
