//! mprotect(2).

use super::maps::MAX_MAP_COUNT;
use super::vma::VmFlags;
use super::{AddressSpace, PAGE, Prot, overcommits, page_up, read_only};
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_machine::frame::Frame;

impl AddressSpace {
    /// mprotect(2); `grows_down` is PROT_GROWSDOWN: the range starts where its mapping does.
    ///
    /// # Errors
    /// EINVAL, ENOMEM for a part that is not mapped (what is before it has changed), EACCES for a file not opened so.
    pub(crate) fn protect(&self, start: u64, len: u64, prot: Prot, grows_down: bool) -> Result<(), Errno> {
        if !start.is_multiple_of(PAGE) {
            return err!(EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end = page_up(len).and_then(|len| start.checked_add(len)).ok_or(Errno::ENOMEM.here())?;
        let mut state = self.maps.lock();
        let mut start = start;
        if grows_down {
            let vma = state.maps.at_or_above(start).ok_or(Errno::ENOMEM.here())?;
            if vma.start >= end {
                return err!(ENOMEM);
            }
            if !vma.flags.contains(VmFlags::GROWSDOWN) {
                return err!(EINVAL);
            }
            start = vma.start;
        }
        // Linux goes from mapping to mapping and stops at the first it cannot change.
        let parts: Vec<_> = state
            .maps
            .overlapping(start..end)
            .map(|vma| (vma.start.max(start)..vma.end.min(end), vma.clone()))
            .collect();
        let mut at = start;
        for (range, vma) in parts {
            if range.start != at {
                return err!(ENOMEM);
            }
            at = range.end;
            if !vma.max.contains(prot) {
                return err!(EACCES);
            }
            if vma.prot == prot {
                continue;
            }
            if state.maps.count() + state.maps.splits(range.clone()) > MAX_MAP_COUNT {
                return err!(ENOMEM);
            }
            let pages = (range.end - range.start) / PAGE;
            let private = !vma.flags.contains(VmFlags::SHARED);
            let becomes_data = private && prot.contains(Prot::WRITE) && !vma.prot.contains(Prot::WRITE);
            if becomes_data {
                let counts = !vma.flags.contains(VmFlags::NORESERVE);
                if !self.may_expand_data(&state.maps, pages) || counts && overcommits(pages) {
                    return err!(ENOMEM);
                }
            }
            state.maps.update(range.clone(), |vma| vma.prot = prot);
            self.protect_pages(range.start, range.end, prot, private);
        }
        if at >= end { Ok(()) } else { err!(ENOMEM) }
    }

    /// Brings the pages that are there in line with a mapping's new protection.
    fn protect_pages(&self, start: u64, end: u64, prot: Prot, private: bool) {
        if !prot.contains(Prot::WRITE) {
            self.page_table.protect(start, end, prot);
            return;
        }
        // A page that others have too is copied when it is written; one of a shared mapping is then reported as changed.
        self.page_table.protect_with(start, end, &mut |_, frame: &Frame| {
            if private && frame.ref_count() == 1 { prot } else { read_only(prot) }
        });
    }
}
