//! mmap(2).

use super::maps::{MAX_MAP_COUNT, Maps};
use super::shared::SharedMemory;
use super::vma::{Backing, MappedFile, VmFlags, Vma};
use super::{Access, AddressSpace, FaultError, MMAP_MIN_ADDR, PAGE, Prot, USER_END};
use super::{overcommits, page_down, page_up};
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_fs::InodeRef;

/// The addresses of MAP_32BIT.
const LOW: Range<u64> = 0x4000_0000..0x8000_0000;

/// What an open file offers to a mapping of it.
pub(crate) enum Mappable {
    /// Its pages.
    Inode(InodeRef),
    /// Zeros: /dev/zero, which is as anonymous memory.
    Zero,
}

/// Where a mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Anywhere, at this address if it is free; 0 for none.
    Hint(u64),
    /// Within the addresses of MAP_32BIT.
    Low,
    /// There, in place of what is there (MAP_FIXED).
    Fixed(u64),
    /// There, if nothing is there (MAP_FIXED_NOREPLACE).
    FixedNoReplace(u64),
}

/// What mmap(2) is asked for. Checks of descriptors and flags have been made.
pub(crate) struct MapRequest {
    /// Where.
    pub(crate) placement: Placement,
    /// Length in bytes, not 0.
    pub(crate) len: u64,
    /// Protection.
    pub(crate) prot: Prot,
    /// The most that mprotect(2) may allow later.
    pub(crate) max: Prot,
    /// Properties.
    pub(crate) flags: VmFlags,
    /// What is behind it.
    pub(crate) backing: Backing,
    /// Fault the pages in at once (MAP_POPULATE).
    pub(crate) populate: bool,
    /// May use addresses below [`MMAP_MIN_ADDR`] (CAP_SYS_RAWIO).
    pub(crate) privileged: bool,
}

impl Backing {
    /// Memory for a shared anonymous mapping of `len` bytes.
    pub(crate) fn new_shared(len: u64) -> Self {
        let size = page_up(len).unwrap_or(u64::MAX);
        Self::Shared { memory: Arc::new(SharedMemory::new(size)), offset: 0 }
    }

    /// A file from an offset on.
    pub(crate) fn file(inode: InodeRef, location: Option<husk_fs::Location>, offset: u64) -> Self {
        Self::File { file: Arc::new(MappedFile { inode, location }), offset }
    }
}

impl AddressSpace {
    /// mmap(2): the address of the new mapping.
    ///
    /// # Errors
    /// ENOMEM, EINVAL, EEXIST, EPERM, EOVERFLOW as there.
    pub(crate) fn map(&self, request: MapRequest) -> Result<u64, Errno> {
        let len = page_up(request.len).filter(|&len| len != 0).ok_or(Errno::ENOMEM.here())?;
        if let Backing::File { offset, .. } = &request.backing
            && (offset / PAGE).checked_add(len / PAGE).is_none()
        {
            return err!(EOVERFLOW);
        }
        let mut state = self.maps.lock();
        // Linux compares before it makes room, and so allows one more.
        if state.maps.count() > MAX_MAP_COUNT {
            return err!(ENOMEM);
        }
        let start = self.place(&mut state.maps, request.placement, len, request.privileged)?;
        let range = start..start + len;
        let flags = request.flags | state.lock_future;
        let vma = Vma {
            start,
            end: range.end,
            prot: request.prot,
            max: request.max,
            flags,
            backing: request.backing,
        };
        let replaced: u64 = state
            .maps
            .overlapping(range.clone())
            .map(|vma| vma.end.min(range.end) - vma.start.max(range.start))
            .sum();
        if !self.may_expand(&state.maps, (len - replaced) / PAGE, vma.is_data()) {
            return err!(ENOMEM);
        }
        if counts(&vma) && overcommits(len / PAGE) {
            return err!(ENOMEM);
        }
        let removed = self.unmap_locked(&mut state, range.clone())?;
        state.maps.insert(vma);
        drop(state);
        drop(removed);
        if request.populate || flags.contains(VmFlags::LOCKED) && !flags.contains(VmFlags::LOCKONFAULT) {
            self.populate(range);
        }
        Ok(start)
    }

    fn place(&self, maps: &mut Maps, placement: Placement, len: u64, privileged: bool) -> Result<u64, Errno> {
        if len > USER_END {
            return err!(ENOMEM);
        }
        match placement {
            Placement::Fixed(addr) | Placement::FixedNoReplace(addr) => {
                if addr > USER_END - len {
                    return err!(ENOMEM);
                }
                if addr % PAGE != 0 {
                    return err!(EINVAL);
                }
                if addr < MMAP_MIN_ADDR && !privileged {
                    return err!(EPERM);
                }
                if matches!(placement, Placement::FixedNoReplace(_)) && !maps.is_free(addr..addr + len) {
                    return err!(EEXIST);
                }
                Ok(addr)
            }
            Placement::Hint(hint) => {
                self.free_place(maps, len, hint, MMAP_MIN_ADDR..USER_END).ok_or(Errno::ENOMEM.here())
            }
            Placement::Low => self.free_place(maps, len, 0, LOW).ok_or(Errno::ENOMEM.here()),
        }
    }

    /// A free place for `len` bytes: at the hint, else below the top of mappings, else anywhere.
    pub(super) fn free_place(&self, maps: &mut Maps, len: u64, hint: u64, within: Range<u64>) -> Option<u64> {
        let low = within == LOW;
        let hint = page_down(hint);
        if hint >= MMAP_MIN_ADDR && !low {
            let end = hint.checked_add(len).filter(|&end| end <= USER_END);
            if end.is_some_and(|end| maps.is_free_with_gap(hint..end)) {
                return Some(hint);
            }
        }
        if low {
            return maps.lowest_gap(len, within);
        }
        let top = self.layout.lock().mmap_top;
        let top = if top == 0 { within.end } else { top };
        maps.highest_gap(len, within.start..top).or_else(|| maps.lowest_gap(len, USER_END / 3..within.end))
    }

    /// A free place among the mappings, which nobody has until something is mapped there.
    pub(crate) fn place_for(&self, len: u64) -> Option<u64> {
        let mut state = self.maps.lock();
        self.free_place(&mut state.maps, page_up(len)?, 0, MMAP_MIN_ADDR..USER_END)
    }

    /// Faults in the pages of a range as far as its mappings and memory allow. What goes wrong is none of the call's: the program
    /// meets it when it touches the page.
    pub(crate) fn populate(&self, range: Range<u64>) {
        let mut start = range.start;
        while let Err((at, _)) = self.populate_until_error(start..range.end) {
            self.exhausted.store(false, Ordering::Relaxed);
            // Linux goes on with the next mapping.
            let state = self.maps.lock();
            let Some(vma) = state.maps.at_or_above(at) else { return };
            start = if vma.start > at { vma.start } else { vma.end };
        }
    }

    /// Faults in the pages of what is mapped in a range, except for mappings that are locked only as far as they are touched.
    ///
    /// # Errors
    /// Where it ended, and why.
    pub(super) fn populate_until_error(&self, range: Range<u64>) -> Result<(), (u64, FaultError)> {
        let mut page = range.start;
        while page < range.end {
            let access = {
                let state = self.maps.lock();
                let Some(vma) = state.maps.at_or_above(page).filter(|vma| vma.start < range.end) else {
                    return Ok(());
                };
                page = page.max(vma.start);
                if vma.flags.contains(VmFlags::LOCKONFAULT) {
                    page = vma.end;
                    continue;
                }
                // A file that is mapped shared need not be written to for its pages to be there.
                let writes = vma.prot.contains(Prot::WRITE) && !vma.flags.contains(VmFlags::SHARED);
                if writes { Access::Write } else { Access::Read }
            };
            self.fault(page, access).map_err(|error| (page, error))?;
            page += PAGE;
        }
        Ok(())
    }
}

/// Whether a mapping counts against memory.
fn counts(vma: &Vma) -> bool {
    if vma.flags.contains(VmFlags::NORESERVE) {
        return false;
    }
    match vma.backing {
        Backing::Shared { .. } => true,
        _ => vma.prot.contains(Prot::WRITE) && !vma.flags.contains(VmFlags::SHARED),
    }
}
