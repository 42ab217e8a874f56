//! The table of file descriptors (files_struct): small numbers to open file descriptions.

use super::description::FileDescription;
use crate::args::Fd;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_machine::sync::SpinLock;

/// An open descriptor.
#[derive(Clone)]
pub(crate) struct Descriptor {
    /// What it refers to.
    pub(crate) description: Arc<FileDescription>,
    /// Closed by execve(2) (FD_CLOEXEC).
    pub(crate) close_on_exec: bool,
}

#[derive(Clone, Default)]
enum Slot {
    #[default]
    Free,
    /// Taken by a call that has not finished: reads as not open, but is not given out.
    Reserved,
    Open(Descriptor),
}

#[derive(Clone, Default)]
struct Slots {
    slots: Vec<Slot>,
    /// No slot below this is free.
    first_free: usize,
}

/// A table of descriptors; one may be shared by several processes (CLONE_FILES).
#[derive(Default)]
pub(crate) struct FdTable {
    slots: SpinLock<Slots>,
}

/// A descriptor's number taken but not yet open. Dropped without [`install`](Self::install), it is free again.
pub(crate) struct ReservedFd<'a> {
    table: &'a FdTable,
    number: usize,
}

impl FdTable {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A copy with the same descriptors (fork).
    pub(crate) fn duplicate(&self) -> Self {
        let mut slots = self.slots.lock().clone();
        for slot in &mut slots.slots {
            if matches!(slot, Slot::Reserved) {
                *slot = Slot::Free;
            }
        }
        slots.first_free = 0;
        Self { slots: SpinLock::new(slots) }
    }

    /// The description behind a descriptor, one opened with O_PATH included.
    ///
    /// # Errors
    /// EBADF.
    pub(crate) fn get_any(&self, fd: Fd) -> Result<Arc<FileDescription>, Errno> {
        self.descriptor(fd).map(|descriptor| descriptor.description)
    }

    /// The description behind a descriptor that is good for more than naming a file.
    ///
    /// # Errors
    /// EBADF; also for a descriptor opened with O_PATH.
    pub(crate) fn get(&self, fd: Fd) -> Result<Arc<FileDescription>, Errno> {
        let description = self.get_any(fd)?;
        if description.is_path_only() { err!(EBADF) } else { Ok(description) }
    }

    /// The descriptor with its flag.
    ///
    /// # Errors
    /// EBADF.
    pub(crate) fn descriptor(&self, fd: Fd) -> Result<Descriptor, Errno> {
        let slots = self.slots.lock();
        match usize::try_from(fd.0).ok().and_then(|number| slots.slots.get(number)) {
            Some(Slot::Open(descriptor)) => Ok(descriptor.clone()),
            _ => err!(EBADF),
        }
    }

    /// Takes the lowest free number from `lowest` on, below `limit` (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// EMFILE.
    pub(crate) fn reserve(&self, lowest: usize, limit: u64) -> Result<ReservedFd<'_>, Errno> {
        let mut slots = self.slots.lock();
        let mut number = lowest.max(slots.first_free);
        while matches!(slots.slots.get(number), Some(Slot::Reserved | Slot::Open(_))) {
            number += 1;
        }
        if number as u64 >= limit {
            return err!(EMFILE);
        }
        if number >= slots.slots.len() {
            slots.slots.resize_with(number + 1, Slot::default);
        }
        slots.slots[number] = Slot::Reserved;
        if lowest <= slots.first_free {
            slots.first_free = number + 1;
        }
        Ok(ReservedFd { table: self, number })
    }

    /// Opens the lowest free number for a description.
    ///
    /// # Errors
    /// EMFILE.
    pub(crate) fn install(
        &self,
        description: Arc<FileDescription>,
        close_on_exec: bool,
        limit: u64,
    ) -> Result<Fd, Errno> {
        self.reserve(0, limit).map(|reserved| reserved.install(description, close_on_exec))
    }

    /// Opens exactly this number, closing what it was before (dup2). The caller has checked the number against the limit.
    /// The closed descriptor is returned, to be closed with no lock held.
    ///
    /// # Errors
    /// EBUSY if another thread is just about to open that number.
    pub(crate) fn replace(
        &self,
        number: usize,
        description: Arc<FileDescription>,
        close_on_exec: bool,
    ) -> Result<Option<Arc<FileDescription>>, Errno> {
        let mut slots = self.slots.lock();
        if number >= slots.slots.len() {
            slots.slots.resize_with(number + 1, Slot::default);
        }
        if matches!(slots.slots[number], Slot::Reserved) {
            return err!(EBUSY);
        }
        match core::mem::replace(
            &mut slots.slots[number],
            Slot::Open(Descriptor { description, close_on_exec }),
        ) {
            Slot::Open(old) => Ok(Some(old.description)),
            _ => Ok(None),
        }
    }

    /// Takes a descriptor out of the table; the caller closes it by [`FileDescription::closed_by`] and dropping it.
    ///
    /// # Errors
    /// EBADF.
    pub(crate) fn remove(&self, fd: Fd) -> Result<Arc<FileDescription>, Errno> {
        let number = usize::try_from(fd.0).map_err(|_| Errno::EBADF.here())?;
        let mut slots = self.slots.lock();
        match slots.slots.get_mut(number) {
            Some(slot @ Slot::Open(_)) => {
                let Slot::Open(old) = core::mem::take(slot) else { return err!(EBADF) };
                slots.first_free = slots.first_free.min(number);
                Ok(old.description)
            }
            _ => err!(EBADF),
        }
    }

    /// Takes out all descriptors in the range for which `choose` holds.
    pub(crate) fn remove_where(
        &self,
        first: usize,
        last: usize,
        choose: impl Fn(&Descriptor) -> bool,
    ) -> Vec<Arc<FileDescription>> {
        let mut slots = self.slots.lock();
        let end = slots.slots.len().min(last.saturating_add(1));
        let mut removed = Vec::new();
        for number in first.min(end)..end {
            if let Slot::Open(descriptor) = &slots.slots[number]
                && choose(descriptor)
            {
                removed.push(descriptor.description.clone());
                slots.slots[number] = Slot::Free;
                slots.first_free = slots.first_free.min(number);
            }
        }
        removed
    }

    /// Sets FD_CLOEXEC on every descriptor in the range (close_range(2)).
    pub(crate) fn set_close_on_exec_range(&self, first: usize, last: usize) {
        let mut slots = self.slots.lock();
        let end = slots.slots.len().min(last.saturating_add(1));
        for slot in &mut slots.slots[first.min(end)..end] {
            if let Slot::Open(descriptor) = slot {
                descriptor.close_on_exec = true;
            }
        }
    }

    /// Sets or clears FD_CLOEXEC.
    ///
    /// # Errors
    /// EBADF.
    pub(crate) fn set_close_on_exec(&self, fd: Fd, value: bool) -> Result<(), Errno> {
        let mut slots = self.slots.lock();
        match usize::try_from(fd.0).ok().and_then(|number| slots.slots.get_mut(number)) {
            Some(Slot::Open(descriptor)) => {
                descriptor.close_on_exec = value;
                Ok(())
            }
            _ => err!(EBADF),
        }
    }

    /// The numbers that are open, in order.
    pub(crate) fn open_numbers(&self) -> Vec<Fd> {
        let slots = self.slots.lock();
        let open = slots.slots.iter().enumerate().filter(|(_, slot)| matches!(slot, Slot::Open(_)));
        open.map(|(number, _)| Fd(number as i32)).collect()
    }

    /// How many places the table has, as `FDSize` in /proc/PID/status counts: a power of two, 64 or more.
    pub(crate) fn size(&self) -> usize {
        self.slots.lock().slots.len().next_power_of_two().max(64)
    }

    /// Closes everything (the last process that used the table has ended).
    pub(crate) fn close_all(&self) {
        for description in self.remove_where(0, usize::MAX, |_| true) {
            description.closed_by(self);
        }
    }
}

impl Drop for FdTable {
    /// A table that a thread had for itself goes with the thread.
    fn drop(&mut self) {
        self.close_all();
    }
}

impl ReservedFd<'_> {
    /// The number.
    pub(crate) fn number(&self) -> Fd {
        Fd(self.number as i32)
    }

    /// Opens it.
    pub(crate) fn install(self, description: Arc<FileDescription>, close_on_exec: bool) -> Fd {
        let fd = self.number();
        self.table.slots.lock().slots[self.number] = Slot::Open(Descriptor { description, close_on_exec });
        // Not dropped: once open, the number may be closed and reserved by another thread at any time.
        core::mem::forget(self);
        fd
    }
}

impl Drop for ReservedFd<'_> {
    fn drop(&mut self) {
        let mut slots = self.table.slots.lock();
        if matches!(slots.slots[self.number], Slot::Reserved) {
            slots.slots[self.number] = Slot::Free;
            slots.first_free = slots.first_free.min(self.number);
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
