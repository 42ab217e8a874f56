//! SEEK_DATA and SEEK_HOLE.

use super::backing::Place;
use super::mapping::{Mapping, PAGE};
use super::pages::pages_of;
use crate::Result;
use husk_abi::err;

/// Pages asked of the backing at a time: 4 GiB.
const STEP: u64 = 1 << 20;

impl Mapping {
    /// The next offset at or after `offset` that has data.
    ///
    /// # Errors
    /// ENXIO at or beyond the end, or if only a hole follows; EIO.
    pub(crate) fn seek_data(&self, offset: u64) -> Result<u64> {
        match self.next(offset, true)? {
            Some(found) => Ok(found),
            None => err!(ENXIO),
        }
    }

    /// The next offset at or after `offset` that is in a hole or the end.
    ///
    /// # Errors
    /// ENXIO at or beyond the end; EIO.
    pub(crate) fn seek_hole(&self, offset: u64) -> Result<u64> {
        Ok(self.next(offset, false)?.unwrap_or_else(|| self.size()))
    }

    fn next(&self, offset: u64, data: bool) -> Result<Option<u64>> {
        let size = self.size();
        if offset >= size {
            return err!(ENXIO);
        }
        let end = pages_of(size);
        let mut index = offset / PAGE;
        while index < end {
            let (is_data, upto) = self.extent(index, end)?;
            if is_data == data {
                let found = (index * PAGE).max(offset);
                return Ok((found < size).then_some(found));
            }
            index = upto;
        }
        Ok(None)
    }

    /// Whether the page is data, and up to where the answer surely stays the same.
    fn extent(&self, index: u64, end: u64) -> Result<(bool, u64)> {
        let (backed_until, next_changed) = {
            let pages = self.core.pages.lock();
            let next_changed = pages.next_changed(index).unwrap_or(end);
            if next_changed == index {
                return Ok((true, index + 1));
            }
            (if pages.is_backed(index) { pages.backed_until(index) } else { index }, next_changed)
        };
        if backed_until <= index {
            let next_backed = self.core.pages.lock().next_backed(index).unwrap_or(end);
            return Ok((false, next_changed.min(next_backed)));
        }
        let Some(backing) = &self.core.backing else { return Ok((false, next_changed)) };
        let count = backed_until.min(end).min(index + STEP) - index;
        let runs = backing.locate(index, count)?;
        let Some(first) = runs.first() else { return err!(EIO) };
        let is_data = first.place != Place::Zero;
        let upto = index + first.pages.max(1);
        Ok((is_data, if is_data { upto } else { upto.min(next_changed) }))
    }
}
