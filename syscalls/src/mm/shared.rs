//! Anonymous memory that is shared (MAP_SHARED | MAP_ANONYMOUS): it outlives a single mapping of it.

use super::PAGE;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_machine::frame::{Frame, OutOfMemory};
use husk_machine::sync::SpinLock;

/// Pages by their index; those never touched are not there.
pub(crate) struct SharedMemory {
    ino: u64,
    /// Size in bytes: that of the mapping it was made for.
    size: u64,
    pages: SpinLock<BTreeMap<u64, Frame>>,
}

impl SharedMemory {
    /// All zeros; `size` is in bytes.
    pub(crate) fn new(size: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { ino: NEXT.fetch_add(1, Ordering::Relaxed), size, pages: SpinLock::new(BTreeMap::new()) }
    }

    /// The inode number that /proc/self/maps shows for it.
    pub(crate) fn ino(&self) -> u64 {
        self.ino
    }

    /// The page at this offset in bytes; none beyond the end, where a mapping may have grown to (mremap(2)).
    pub(crate) fn page(&self, offset: u64) -> Result<Option<Frame>, OutOfMemory> {
        if offset >= self.size {
            return Ok(None);
        }
        let index = offset / PAGE;
        if let Some(frame) = self.pages.lock().get(&index) {
            return Ok(Some(frame.clone()));
        }
        // Allocated without the lock: that may call for memory to be freed.
        let fresh = Frame::alloc_zeroed()?;
        Ok(Some(self.pages.lock().entry(index).or_insert(fresh).clone()))
    }

    /// Drops the pages in a range of offsets in bytes (MADV_REMOVE): they are zeros again.
    pub(crate) fn punch(&self, start: u64, end: u64) {
        let mut pages = self.pages.lock();
        let mut gone = pages.split_off(&(start / PAGE));
        pages.append(&mut gone.split_off(&(end / PAGE)));
        drop(pages);
    }
}
