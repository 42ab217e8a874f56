//! Taking a piece of shared memory out of an address space again, as shmdt(2) does.

use super::AddressSpace;
use super::shared::SharedMemory;
use super::vma::{Backing, Vma};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

impl AddressSpace {
    /// Unmaps what is still mapped of the memory that was mapped whole at `addr`. False if there is none of it.
    pub(crate) fn detach(&self, memory: &Arc<SharedMemory>, addr: u64) -> bool {
        let mut state = self.maps.lock();
        let end = addr.saturating_add(memory.size());
        let belongs = |vma: &&Vma| {
            matches!(&vma.backing, Backing::Shared { memory: other, offset }
                if Arc::ptr_eq(memory, other) && vma.start.wrapping_sub(addr) == *offset)
        };
        let ranges: Vec<Range<u64>> =
            state.maps.overlapping(addr..end).filter(belongs).map(|vma| vma.start..vma.end).collect();
        let mut removed = Vec::new();
        for range in &ranges {
            // Whole mappings go: that makes no new ones, which is what could fail.
            removed.extend(self.unmap_locked(&mut state, range.clone()).into_iter().flatten());
        }
        drop(state);
        drop(removed);
        !ranges.is_empty()
    }
}
