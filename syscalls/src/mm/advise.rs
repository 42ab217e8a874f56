//! madvise(2), msync(2) and mincore(2).

use super::maps::MAX_MAP_COUNT;
use super::truncate::{forget_file_pages, forget_shared_memory};
use super::vma::{Backing, VmFlags, Vma};
use super::{Access, AddressSpace, FaultError, PAGE, Prot, page_up};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_fs::FallocateMode;

/// What madvise(2) is asked to do, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Sets some flags and clears others; mappings of files refuse it if `anonymous_only`.
    Flags {
        /// To be set.
        set: VmFlags,
        /// To be cleared.
        clear: VmFlags,
        /// EINVAL for files and shared memory.
        anonymous_only: bool,
    },
    /// Drops pages; anonymous ones are zeros afterwards (MADV_DONTNEED).
    DontNeed,
    /// As `DontNeed`, for anonymous memory only (MADV_FREE, which leaves open when it happens).
    Free,
    /// Reads ahead (MADV_WILLNEED).
    WillNeed,
    /// Frees the memory behind a shared mapping (MADV_REMOVE).
    Remove,
    /// Faults pages in for reading or writing, and reports errors (MADV_POPULATE_READ, MADV_POPULATE_WRITE).
    Populate(Access),
    /// Nothing to do without swap (MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE).
    Nothing,
}

impl AddressSpace {
    /// madvise(2) on a range whose start is a multiple of the page size.
    ///
    /// # Errors
    /// EINVAL for a range that wraps or a mapping the advice does not suit; ENOMEM if part of it is not mapped (the rest
    /// has been done); EFAULT, ENOMEM and others for MADV_POPULATE_*.
    pub(crate) fn advise(&self, start: u64, len: u64, advice: Advice) -> Result<(), Errno> {
        let len = match page_up(len) {
            // A length that rounds to 0 though it was not.
            None => return err!(EINVAL),
            Some(rounded) => rounded,
        };
        let end = start.checked_add(len).ok_or(Errno::EINVAL.here())?;
        if len == 0 {
            return Ok(());
        }
        if let Advice::Populate(access) = advice {
            return self.populate_checked(start..end, access);
        }
        let mut at = start;
        let mut holes = false;
        while at < end {
            let state = self.maps.lock();
            let Some(vma) = state.maps.at_or_above(at).filter(|vma| vma.start < end).cloned() else {
                holes = true;
                break;
            };
            drop(state);
            holes |= vma.start > at;
            let part = at.max(vma.start)..end.min(vma.end);
            at = part.end;
            self.advise_part(&vma, part, advice)?;
        }
        if holes { err!(ENOMEM) } else { Ok(()) }
    }

    fn advise_part(&self, vma: &Vma, part: Range<u64>, advice: Advice) -> Result<(), Errno> {
        match advice {
            Advice::Flags { set, clear, anonymous_only } => {
                if anonymous_only && !matches!(vma.backing, Backing::Anonymous) {
                    return err!(EINVAL);
                }
                if is_special(vma) && clear.contains(VmFlags::DONTDUMP) {
                    return err!(EINVAL);
                }
                if (vma.flags - clear) | set == vma.flags {
                    return Ok(());
                }
                let mut state = self.maps.lock();
                if state.maps.count() + state.maps.splits(part.clone()) > MAX_MAP_COUNT {
                    return err!(ENOMEM);
                }
                state.maps.update(part, |vma| vma.flags = (vma.flags - clear) | set);
            }
            Advice::DontNeed => {
                let live = matches!(vma.backing, Backing::Special(page) if page.live);
                if vma.flags.contains(VmFlags::LOCKED) || live {
                    return err!(EINVAL);
                }
                self.drop_pages(part);
            }
            Advice::Free => {
                if !matches!(vma.backing, Backing::Anonymous) {
                    return err!(EINVAL);
                }
                self.drop_pages(part);
            }
            Advice::WillNeed => {
                if let Backing::File { file, offset } = &vma.backing {
                    let first = (offset + (part.start - vma.start)) / PAGE;
                    file.inode.read_ahead(first, (part.end - part.start) / PAGE);
                }
            }
            Advice::Remove => {
                if vma.flags.contains(VmFlags::LOCKED) {
                    return err!(EINVAL);
                }
                self.remove_backing(vma, part)?;
            }
            Advice::Nothing | Advice::Populate(_) => {}
        }
        Ok(())
    }

    fn drop_pages(&self, part: Range<u64>) {
        // Under the lock, so that no fault maps a page from before.
        let _state = self.maps.lock();
        self.note_resident();
        self.page_table.unmap(part.start, part.end);
    }

    fn remove_backing(&self, vma: &Vma, part: Range<u64>) -> Result<(), Errno> {
        let within = part.start - vma.start..part.end - vma.start;
        if matches!(vma.backing, Backing::Anonymous | Backing::Special(_)) {
            return err!(EINVAL);
        }
        if !vma.flags.contains(VmFlags::SHARED) || !vma.max.contains(Prot::WRITE) {
            return err!(EACCES);
        }
        match &vma.backing {
            Backing::Anonymous | Backing::Special(_) => {}
            Backing::Shared { memory, offset } => {
                let range = offset + within.start..offset + within.end;
                memory.punch(range.start, range.end);
                forget_shared_memory(memory, range);
            }
            Backing::File { file, offset } => {
                let range = offset + within.start..offset + within.end;
                let mode = FallocateMode::PUNCH_HOLE | FallocateMode::KEEP_SIZE;
                file.inode.fallocate(mode, range.start, range.end - range.start)?;
                forget_file_pages(&file.inode, range, false);
            }
        }
        Ok(())
    }

    fn populate_checked(&self, range: Range<u64>, access: Access) -> Result<(), Errno> {
        for page in (range.start..range.end).step_by(PAGE as usize) {
            if access == Access::Read {
                // The processor would allow more than the mapping does.
                let state = self.maps.lock();
                if state.maps.at(page).is_some_and(|vma| !vma.prot.contains(Prot::READ)) {
                    return err!(EINVAL);
                }
            }
            match self.fault(page, access) {
                Ok(_) => {}
                Err(FaultError::Segv(crate::signal::code::SEGV_MAPERR)) => return err!(ENOMEM),
                // Linux: EINVAL if the mapping forbids the access.
                Err(FaultError::Segv(_)) => return err!(EINVAL),
                Err(FaultError::Bus) => return err!(EFAULT),
                Err(FaultError::OutOfMemory) => {
                    self.exhausted.store(false, Ordering::Relaxed);
                    return err!(ENOMEM);
                }
            }
        }
        Ok(())
    }

    /// msync(2): writes back the files mapped shared in a range; `invalidate` is MS_INVALIDATE.
    ///
    /// # Errors
    /// ENOMEM if part of it is not mapped, EBUSY for MS_INVALIDATE of locked memory, EIO.
    pub(crate) fn sync(&self, start: u64, len: u64, invalidate: bool, wait: bool) -> Result<(), Errno> {
        let end = page_up(len).and_then(|len| start.checked_add(len)).ok_or(Errno::ENOMEM.here())?;
        let (files, complete) = {
            let state = self.maps.lock();
            let parts: Vec<Vma> = state.maps.overlapping(start..end).cloned().collect();
            (parts, state.maps.covers(start..end))
        };
        for vma in files {
            if invalidate && vma.flags.contains(VmFlags::LOCKED) {
                return err!(EBUSY);
            }
            if let Backing::File { file, .. } = &vma.backing
                && wait
                && vma.flags.contains(VmFlags::SHARED)
            {
                file.inode.sync()?;
            }
        }
        if complete { Ok(()) } else { err!(ENOMEM) }
    }

    /// mincore(2): for each page whether touching it needs no input from disk.
    ///
    /// # Errors
    /// ENOMEM if part of the range is not mapped.
    pub(crate) fn resident_map(&self, start: u64, pages: usize) -> Result<Vec<u8>, Errno> {
        let end = start + pages as u64 * PAGE;
        let mut map = alloc::vec![0; pages];
        let parts: Vec<Vma> = {
            let state = self.maps.lock();
            if !state.maps.covers(start..end) {
                return err!(ENOMEM);
            }
            state.maps.overlapping(start..end).cloned().collect()
        };
        self.page_table.for_each(start, end, &mut |va, _| map[((va - start) / PAGE) as usize] = 1);
        for vma in &parts {
            let Backing::File { file, offset } = &vma.backing else { continue };
            let (from, to) = (vma.start.max(start), vma.end.min(end));
            let first = (offset + (from - vma.start)) / PAGE;
            file.inode.cached_pages(first, (to - from) / PAGE, &mut |index, _| {
                map[((from - start) / PAGE + (index - first)) as usize] = 1;
            });
        }
        Ok(map)
    }
}

fn is_special(vma: &Vma) -> bool {
    matches!(vma.backing, Backing::Special(_))
}
