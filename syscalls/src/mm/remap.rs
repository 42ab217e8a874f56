//! mremap(2).

use super::maps::MAX_MAP_COUNT;
use super::vma::{Backing, VmFlags, Vma};
use super::{AddressSpace, MMAP_MIN_ADDR, PAGE, Prot, State, USER_END, overcommits, page_up};
use alloc::vec::Vec;
use core::ops::Range;
use husk_abi::{Errno, err};

/// What mremap(2) is asked for; flags have been checked against each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remap {
    /// Where the mapping is.
    pub(crate) addr: u64,
    /// Its length in bytes; 0 to map shared memory once more.
    pub(crate) old_len: u64,
    /// Its length to be.
    pub(crate) new_len: u64,
    /// It may move (MREMAP_MAYMOVE).
    pub(crate) may_move: bool,
    /// It goes there (MREMAP_FIXED).
    pub(crate) fixed: Option<u64>,
    /// What is behind the old place stays mapped, without its pages (MREMAP_DONTUNMAP).
    pub(crate) keep_old: bool,
}

impl AddressSpace {
    /// mremap(2): where the mapping is now.
    ///
    /// # Errors
    /// EINVAL, EFAULT, ENOMEM as there.
    pub(crate) fn remap(&self, request: Remap) -> Result<u64, Errno> {
        if !request.addr.is_multiple_of(PAGE) {
            return err!(EINVAL);
        }
        let lengths = (page_up(request.old_len), page_up(request.new_len));
        let (Some(old_len), Some(new_len)) = lengths else { return err!(EINVAL) };
        if new_len == 0 {
            return err!(EINVAL);
        }
        let request = Remap { old_len, new_len, ..request };
        let mut state = self.maps.lock();
        let mut removed = Vec::new();
        let result = self.remap_locked(&mut state, request, &mut removed);
        let populate = match result {
            Ok(at) if new_len > old_len => {
                let locked = state.maps.at(at).is_some_and(|vma| vma.flags.contains(VmFlags::LOCKED));
                locked.then_some(at + old_len..at + new_len)
            }
            _ => None,
        };
        drop(state);
        drop(removed);
        if let Some(range) = populate {
            self.populate(range);
        }
        result
    }

    fn remap_locked(&self, state: &mut State, request: Remap, removed: &mut Vec<Vma>) -> Result<u64, Errno> {
        let Remap { addr, old_len, new_len, may_move, fixed, keep_old } = request;
        if let Some(to) = fixed {
            self.check_target(state, request, to)?;
            removed.extend(self.unmap_locked(state, to..to + new_len)?);
        }
        if old_len > new_len && (fixed.is_some() || !keep_old) {
            let end = addr.checked_add(old_len).filter(|&end| end <= USER_END).ok_or(Errno::EINVAL.here())?;
            if state.maps.at(addr).is_none() {
                return err!(EFAULT);
            }
            removed.extend(self.unmap_locked(state, addr + new_len..end)?);
            if fixed.is_none() {
                return Ok(addr);
            }
        }
        let old_len = if fixed.is_some() { old_len.min(new_len) } else { old_len };
        let vma = self.resizable(state, request, old_len)?;
        if fixed.is_none() && !keep_old {
            if old_len == new_len {
                return Ok(addr);
            }
            let end = addr + old_len;
            let grown = end..addr + new_len;
            if old_len != 0
                && end == vma.end
                && grown.end <= USER_END
                && state.maps.is_free_with_gap(grown.clone())
            {
                let tail = vma.part(vma.start, vma.end);
                state.maps.insert(Vma {
                    start: grown.start,
                    end: grown.end,
                    backing: tail.backing.advanced(tail.len()),
                    ..tail
                });
                return Ok(addr);
            }
            if !may_move {
                return err!(ENOMEM);
            }
        }
        if state.maps.count() + 3 > MAX_MAP_COUNT {
            return err!(ENOMEM);
        }
        let to = match fixed {
            Some(to) => to,
            None => {
                let hint = if keep_old { request.fixed.unwrap_or(0) } else { 0 };
                self.free_place(&mut state.maps, new_len, hint, MMAP_MIN_ADDR..USER_END)
                    .ok_or(Errno::ENOMEM.here())?
            }
        };
        self.move_mapping(state, &vma, addr, old_len, to..to + new_len, keep_old, removed)?;
        Ok(to)
    }

    fn check_target(&self, state: &State, request: Remap, to: u64) -> Result<(), Errno> {
        let Remap { addr, old_len, new_len, .. } = request;
        if !to.is_multiple_of(PAGE) || new_len > USER_END || to > USER_END - new_len {
            return err!(EINVAL);
        }
        let overlap = addr.saturating_add(old_len) > to && to + new_len > addr;
        if overlap {
            return err!(EINVAL);
        }
        if state.maps.count() + 2 >= MAX_MAP_COUNT - 3 {
            return err!(ENOMEM);
        }
        if to < MMAP_MIN_ADDR {
            return err!(EPERM);
        }
        Ok(())
    }

    /// The mapping to be resized, if that is allowed (vma_to_resize() in Linux).
    fn resizable(&self, state: &State, request: Remap, old_len: u64) -> Result<Vma, Errno> {
        let vma = state.maps.at(request.addr).ok_or(Errno::EFAULT.here())?;
        let shared = vma.flags.contains(VmFlags::SHARED);
        if old_len == 0 && !shared {
            return err!(EINVAL);
        }
        if old_len > vma.end - request.addr {
            return err!(EFAULT);
        }
        let special = matches!(vma.backing, Backing::Special(_));
        if special && request.keep_old {
            return err!(EINVAL);
        }
        if request.new_len > old_len {
            if special {
                return err!(EFAULT);
            }
            if let Backing::File { offset, .. } = &vma.backing {
                let pages = (offset + (request.addr - vma.start)) / PAGE;
                pages.checked_add(request.new_len / PAGE).ok_or(Errno::EINVAL.here())?;
            }
            let more = (request.new_len - old_len) / PAGE;
            let counts = !shared && vma.prot.contains(Prot::WRITE) && !vma.flags.contains(VmFlags::NORESERVE);
            if !self.may_expand(&state.maps, more, vma.is_data()) || counts && overcommits(more) {
                return err!(ENOMEM);
            }
        }
        Ok(vma.clone())
    }

    #[expect(clippy::too_many_arguments, reason = "from, to and how; a struct would only name them again")]
    fn move_mapping(
        &self,
        state: &mut State,
        vma: &Vma,
        from: u64,
        old_len: u64,
        to: Range<u64>,
        keep_old: bool,
        removed: &mut Vec<Vma>,
    ) -> Result<(), Errno> {
        let moved = Vma {
            start: to.start,
            end: to.end,
            backing: vma.backing.advanced(from - vma.start),
            ..vma.clone()
        };
        if old_len > 0 {
            self.page_table.move_pages(from, to.start, old_len).map_err(|_| Errno::ENOMEM.here())?;
            if !keep_old {
                removed.extend(state.maps.remove(from..from + old_len));
            }
        }
        state.maps.insert(moved);
        Ok(())
    }
}
