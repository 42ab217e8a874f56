//! System V shared memory (sysvipc(7)): segments that outlive those who made them.

use crate::mm::SharedMemory;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use husk_machine::sync::{Mutex, MutexGuard};

/// Most segments (Linux's SHMMNI).
pub(crate) const MAX_SEGMENTS: usize = 4096;

/// Set in the mode of a segment that goes when the last mapping of it does.
pub(crate) const SHM_DEST: u32 = 0o1000;
/// Set in the mode of a segment that is locked in memory.
pub(crate) const SHM_LOCKED: u32 = 0o2000;

/// A segment.
pub(crate) struct Segment {
    /// Its key, 0 (IPC_PRIVATE) for none.
    pub(crate) key: i32,
    /// Size in bytes, as asked for.
    pub(crate) size: u64,
    /// What is in it.
    pub(crate) memory: Arc<SharedMemory>,
    /// Permission bits, `SHM_DEST` and `SHM_LOCKED`.
    pub(crate) mode: u32,
    /// Owner and group.
    pub(crate) owner: (u32, u32),
    /// Owner and group of who made it.
    pub(crate) creator: (u32, u32),
    /// Who made it, who did something with it last.
    pub(crate) pids: (i32, i32),
    /// Seconds since 1970 of the last attach, detach and change; 0 for never.
    pub(crate) times: [i64; 3],
}

impl Segment {
    /// How many mappings of it there are. One that was split in parts counts as several.
    pub(crate) fn attached(&self) -> usize {
        // One reference is the registry's.
        Arc::strong_count(&self.memory) - 1
    }
}

/// All segments by their ids.
#[derive(Default)]
pub(crate) struct Segments {
    pub(crate) by_id: BTreeMap<i32, Segment>,
    next: i32,
}

impl Segments {
    /// The segment with a key.
    pub(crate) fn by_key(&self, key: i32) -> Option<(i32, &Segment)> {
        self.by_id.iter().find(|(_, segment)| segment.key == key).map(|(id, segment)| (*id, segment))
    }

    /// Adds a segment; its id. Ids are not used again soon.
    pub(crate) fn add(&mut self, segment: Segment) -> i32 {
        let mut id = self.next;
        while self.by_id.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(0);
        }
        self.next = id.checked_add(1).unwrap_or(0);
        self.by_id.insert(id, segment);
        id
    }
}

/// Sleeping, as segments are looked at while memory is given back.
static SEGMENTS: Mutex<Segments> = Mutex::new(Segments { by_id: BTreeMap::new(), next: 0 });

/// The registry, without those segments that were only waiting for their last mapping to go.
pub(crate) fn segments() -> MutexGuard<'static, Segments> {
    let mut segments = SEGMENTS.lock();
    segments.by_id.retain(|_, segment| segment.mode & SHM_DEST == 0 || segment.attached() > 0);
    segments
}
