//! Changing a file's contents in memory. The caller holds the inode's write lock throughout, so only one of these runs at a time on
//! one mapping; faults and reads run beside them.

use super::mapping::{Core, Mapping, PAGE};
use super::pages::{Slot, pages_of};
use crate::{Result, Source};
use alloc::sync::Arc;
use husk_abi::err;
use husk_machine::frame::{Frame, PAGE_SIZE};

/// Largest file: the largest positive offset (`MAX_LFS_FILESIZE`).
const MAX_SIZE: u64 = i64::MAX as u64;

impl Mapping {
    /// Writes all the source has at `offset`. The answer is the number of bytes.
    ///
    /// # Errors
    /// EFBIG, ENOSPC, ENOMEM, EIO, and the source's, if nothing was written.
    pub(crate) fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize> {
        let wanted = source.remaining();
        if wanted == 0 {
            return Ok(0);
        }
        if offset >= MAX_SIZE {
            return err!(EFBIG);
        }
        let wanted = (wanted as u64).min(MAX_SIZE - offset);
        {
            let pages = self.core.pages.lock();
            if pages.mapped_for_write && offset > pages.size {
                // Bytes after the end that a shared mapping has put there must not show up in the gap.
                pages.zero_tail();
            }
        }
        let mut done = 0;
        let result = loop {
            if done == wanted {
                break Ok(());
            }
            let at = offset + done;
            let in_page = (at % PAGE) as usize;
            let len = (PAGE - in_page as u64).min(wanted - done) as usize;
            match self.write_in_page(at, in_page, len, source) {
                Ok(count) => {
                    done += count as u64;
                    self.grow_to(at + count as u64);
                    if count < len {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if done < wanted {
            self.core.drop_beyond_end();
        }
        match result {
            Err(error) if done == 0 => Err(error),
            _ => Ok(done as usize),
        }
    }

    fn write_in_page(&self, at: u64, in_page: usize, len: usize, source: &mut dyn Source) -> Result<usize> {
        let index = at / PAGE;
        let (frame, unspecified) = self.core.page_to_write(index, len == PAGE_SIZE)?;
        let pulled = source.pull_to_frame(&frame, in_page, len);
        if unspecified {
            let count = *pulled.as_ref().unwrap_or(&0);
            frame.fill(count, PAGE_SIZE - count, 0);
        }
        pulled
    }

    fn grow_to(&self, end: u64) {
        let mut pages = self.core.pages.lock();
        pages.size = pages.size.max(end);
    }

    /// Sets the size.
    ///
    /// # Errors
    /// EFBIG.
    pub(crate) fn set_size(&self, size: u64) -> Result<()> {
        if size > MAX_SIZE {
            return err!(EFBIG);
        }
        loop {
            let mut pages = self.core.pages.lock();
            if size >= pages.size {
                if size > pages.size && pages.mapped_for_write {
                    pages.zero_tail();
                }
                pages.size = size;
                return Ok(());
            }
            let last = size / PAGE;
            if matches!(pages.slot(last), Slot::Loading(_)) {
                drop(pages);
                self.core.wait_for(last);
                continue;
            }
            let removed = pages.remove(pages_of(size), u64::MAX);
            pages.size = size;
            pages.backed = pages.backed.min(size);
            pages.zero_tail();
            drop(pages);
            self.core.discard(removed);
            // Whoever waits for a page that is gone must look again.
            self.core.loaded.wake_all();
            return Ok(());
        }
    }

    /// Makes a range read as zeros, freeing what it took; the size stays.
    ///
    /// # Errors
    /// EIO, ENOMEM, ENOSPC.
    pub(crate) fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len);
        let (first, last) = (pages_of(offset), end / PAGE);
        if first > last {
            // Within one page.
            return self.zero_in_page(offset, (end - offset) as usize);
        }
        if !offset.is_multiple_of(PAGE) {
            self.zero_in_page(offset, (first * PAGE - offset) as usize)?;
        }
        if !end.is_multiple_of(PAGE) {
            self.zero_in_page(last * PAGE, (end % PAGE) as usize)?;
        }
        let mut pages = self.core.pages.lock();
        let removed = pages.remove(first, last);
        pages.cut_off(first, last);
        drop(pages);
        self.core.discard(removed);
        self.core.loaded.wake_all();
        Ok(())
    }

    fn zero_in_page(&self, offset: u64, len: usize) -> Result<()> {
        let index = offset / PAGE;
        {
            let pages = self.core.pages.lock();
            if index >= pages_of(pages.size)
                || (pages.slot(index).frame().is_none() && !pages.is_backed(index))
            {
                return Ok(());
            }
        }
        let (frame, _) = self.core.page_to_write(index, false)?;
        frame.fill((offset % PAGE) as usize, len, 0);
        Ok(())
    }

    /// Takes memory for every page of a range that has none, so that writing there cannot fail for lack of it.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM; what was taken stays.
    pub(crate) fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let range = offset / PAGE..pages_of(offset.saturating_add(len));
        {
            // What surely cannot succeed shall not fill the memory first.
            let pages = self.core.pages.lock();
            let missing = (range.end - range.start).saturating_sub(pages.changed + pages_of(pages.backed));
            drop(pages);
            let (_, clean) = super::cached_pages();
            if missing > (husk_machine::frame::stats().free + clean) as u64 {
                return err!(ENOSPC);
            }
            self.core.check_budget(missing)?;
        }
        let mut index = range.start;
        while index < range.end {
            {
                let pages = self.core.pages.lock();
                if pages.is_backed(index) {
                    index = pages.backed_until(index);
                    continue;
                }
            }
            // Gives the page there if there is one.
            if let Err(error) = self.core.add_new(index, true) {
                self.core.drop_beyond_end();
                return Err(error);
            }
            index += 1;
        }
        Ok(())
    }
}

impl Core {
    /// The page, counted as changed. The flag says that its contents are unspecified: it is new, and the caller overwrites it whole
    /// (or fills the rest) before making it part of the file.
    fn page_to_write(self: &Arc<Self>, index: u64, whole: bool) -> Result<(Frame, bool)> {
        let mut waited = false;
        loop {
            let mut pages = self.pages.lock();
            if let Some(frame) = pages.get(index) {
                self.mark_changed(&mut pages, index, &frame)?;
                return Ok((frame, false));
            }
            if matches!(pages.slot(index), Slot::Failed) && waited {
                return err!(EIO);
            }
            let loading = matches!(pages.slot(index), Slot::Loading(_));
            let backed = pages.is_backed(index);
            let unseen = index >= pages_of(pages.size);
            drop(pages);
            if !loading && !backed {
                // Beyond the end nobody can have put a page there meanwhile, as the writer's lock is held.
                let unspecified = whole && unseen;
                return Ok((self.add_new(index, !unspecified)?, unspecified));
            }
            if !loading {
                self.load(index, 1)?;
            }
            self.wait_for(index);
            waited = true;
        }
    }

    /// Drops pages wholly after the end of the file, which a write that failed has left.
    fn drop_beyond_end(&self) {
        let mut pages = self.pages.lock();
        let end = pages_of(pages.size);
        let removed = pages.remove(end, u64::MAX);
        drop(pages);
        self.discard(removed);
    }
}

impl super::pages::Pages {
    /// Zeros the last page after the end of the file, if it is in memory.
    fn zero_tail(&self) {
        let used = (self.size % PAGE) as usize;
        if used != 0
            && let Some(frame) = self.slot(self.size / PAGE).frame()
        {
            frame.fill(used, PAGE_SIZE - used, 0);
        }
    }
}
