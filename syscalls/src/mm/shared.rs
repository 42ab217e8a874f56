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
    /// The key of shmget(2), if it is a segment of that.
    key: Option<i32>,
    pages: SpinLock<BTreeMap<u64, Frame>>,
}

impl SharedMemory {
    /// All zeros; `size` is in bytes.
    pub(crate) fn new(size: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let ino = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { ino, size, key: None, pages: SpinLock::new(BTreeMap::new()) }
    }

    /// As [`new`](Self::new), for a segment of shmget(2).
    pub(crate) fn for_key(size: u64, key: i32) -> Self {
        Self { key: Some(key), ..Self::new(size) }
    }

    /// The key of a segment of shmget(2).
    pub(crate) fn key(&self) -> Option<i32> {
        self.key
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Pages that are in memory.
    pub(crate) fn resident(&self) -> u64 {
        self.pages.lock().len() as u64
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
