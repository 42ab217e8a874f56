//! mlock(2), munlock(2), mlockall(2). There is no swap, so that locked memory is only memory that is there from the start.

use super::vma::{Backing, VmFlags, Vma};
use super::{AddressSpace, FaultError, PAGE, USER_END, page_down, page_up};
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};

const LOCK_FLAGS: VmFlags = VmFlags::LOCKED.union(VmFlags::LOCKONFAULT);

impl AddressSpace {
    /// Locks (`flags` has LOCKED) or unlocks the pages that have a part in a range.
    ///
    /// # Errors
    /// ENOMEM if part of it is not mapped or cannot be there, or for too much locked memory; EAGAIN if there is not so much; EPERM if none
    /// is allowed; EINVAL for a range that wraps.
    pub(crate) fn lock(&self, addr: u64, len: u64, flags: VmFlags, privileged: bool) -> Result<(), Errno> {
        let start = page_down(addr);
        let end = page_up((addr - start).saturating_add(len))
            .and_then(|len| start.checked_add(len))
            .ok_or(Errno::EINVAL.here())?;
        let mut state = self.maps.lock();
        let range = start..end.min(USER_END);
        if flags.contains(VmFlags::LOCKED) && !privileged {
            let limit = self.limits.locked.load(Ordering::Relaxed);
            if limit == 0 {
                return err!(EPERM);
            }
            let locked: u64 =
                state.maps.iter().filter(|vma| vma.flags.contains(VmFlags::LOCKED)).map(Vma::len).sum();
            let again: u64 = state
                .maps
                .overlapping(range.clone())
                .filter(|vma| vma.flags.contains(VmFlags::LOCKED))
                .map(|vma| vma.end.min(range.end) - vma.start.max(range.start))
                .sum();
            if locked - again + (end - start) > page_down(limit) {
                return err!(ENOMEM);
            }
        }
        // What is before a hole is locked all the same.
        let reached = state.maps.covered_until(range.clone());
        state.maps.update(range.start..reached, |vma| set_locked(vma, flags));
        drop(state);
        if reached < end {
            return err!(ENOMEM);
        }
        if flags.contains(VmFlags::LOCKED)
            && let Err((_, error)) = self.populate_until_error(range)
        {
            self.exhausted.store(false, Ordering::Relaxed);
            return if error == FaultError::OutOfMemory { err!(EAGAIN) } else { err!(ENOMEM) };
        }
        Ok(())
    }

    /// mlockall(2) and munlockall(2): `current` for what is mapped, `future` for what will be.
    ///
    /// # Errors
    /// EPERM, ENOMEM by RLIMIT_MEMLOCK.
    pub(crate) fn lock_all(
        &self,
        current: Option<VmFlags>,
        future: VmFlags,
        privileged: bool,
    ) -> Result<(), Errno> {
        let mut state = self.maps.lock();
        let limit = self.limits.locked.load(Ordering::Relaxed);
        let locks = future.contains(VmFlags::LOCKED) || current.is_some_and(|flags| !flags.is_empty());
        if locks && !privileged {
            if limit == 0 {
                return err!(EPERM);
            }
            if current.is_some() && state.maps.total_pages() > limit / PAGE {
                return err!(ENOMEM);
            }
        }
        state.lock_future = future;
        let Some(flags) = current else { return Ok(()) };
        state.maps.update(0..USER_END, |vma| set_locked(vma, flags));
        drop(state);
        if flags.contains(VmFlags::LOCKED) {
            self.populate(0..USER_END);
        }
        Ok(())
    }
}

/// The kernel's own pages are there anyway.
fn set_locked(vma: &mut Vma, flags: VmFlags) {
    if !matches!(vma.backing, Backing::Special(_)) {
        vma.flags = (vma.flags - LOCK_FLAGS) | flags;
    }
}
