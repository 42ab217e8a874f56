//! munmap(2).

use super::maps::MAX_MAP_COUNT;
use super::{AddressSpace, PAGE, State, USER_END, page_up};
use alloc::vec::Vec;
use core::ops::Range;
use husk_abi::{Errno, err};

impl AddressSpace {
    /// munmap(2).
    ///
    /// # Errors
    /// EINVAL for an address that is no multiple of the page size, a length of 0, a range outside the user half;
    /// ENOMEM for too many mappings.
    pub(crate) fn unmap(&self, start: u64, len: u64) -> Result<(), Errno> {
        let range = page_range(start, len)?;
        let mut state = self.maps.lock();
        let removed = self.unmap_locked(&mut state, range)?;
        drop(state);
        // The last reference to a file may be among them: not to be dropped under the lock.
        drop(removed);
        Ok(())
    }

    /// Removes mappings and pages of a range; the caller drops what is returned without the lock.
    pub(super) fn unmap_locked(
        &self,
        state: &mut State,
        range: Range<u64>,
    ) -> Result<Vec<super::Vma>, Errno> {
        if state.maps.is_free(range.clone()) {
            return Ok(Vec::new());
        }
        // Only a hole in the middle of a mapping makes one more.
        let inside =
            state.maps.at(range.start).is_some_and(|vma| vma.start < range.start && range.end < vma.end);
        if inside && state.maps.count() >= MAX_MAP_COUNT {
            return err!(ENOMEM);
        }
        self.note_resident();
        let removed = state.maps.remove(range.clone());
        self.page_table.unmap(range.start, range.end);
        Ok(removed)
    }
}

/// The pages of a range as munmap(2) takes it.
fn page_range(start: u64, len: u64) -> Result<Range<u64>, Errno> {
    if !start.is_multiple_of(PAGE) || start > USER_END || len > USER_END - start || len == 0 {
        return err!(EINVAL);
    }
    let end = start + page_up(len).ok_or(Errno::EINVAL.here())?;
    Ok(start..end)
}
