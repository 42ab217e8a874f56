//! Copies between the kernel and a program's memory. A page that is not there is faulted in; an address that is not
//! mapped, or not so, is EFAULT. The address space must be that of the calling thread.

use super::{Access, AddressSpace, Prot};
use husk_abi::{Errno, err};
use husk_machine::frame::{Frame, PAGE_SIZE};
use husk_machine::paging::{Mapping, UserFault};

impl AddressSpace {
    /// Runs `step(done)`, which goes on after `done` bytes, until it gets to `len` or to an address that cannot be had.
    fn with_faults(
        &self,
        len: usize,
        mut step: impl FnMut(usize) -> Result<(), UserFault>,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let Err(fault) = step(done) else { return Ok(len) };
            done += fault.done;
            let access = if fault.write { Access::Write } else { Access::Read };
            if self.fault(fault.addr, access).is_err() {
                return if done > 0 { Ok(done) } else { err!(EFAULT) };
            }
        }
    }

    /// Copies in, as much as can be had.
    ///
    /// # Errors
    /// EFAULT if that is nothing.
    pub(crate) fn copy_in_partial(&self, bytes: &mut [u8], addr: u64) -> Result<usize, Errno> {
        self.with_faults(bytes.len(), |done| {
            self.page_table().copy_from_user(&mut bytes[done..], addr.wrapping_add(done as u64))
        })
    }

    /// Copies out, as much as can be had.
    ///
    /// # Errors
    /// EFAULT if that is nothing.
    pub(crate) fn copy_out_partial(&self, addr: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.with_faults(bytes.len(), |done| {
            self.page_table().copy_to_user(addr.wrapping_add(done as u64), &bytes[done..])
        })
    }

    /// Copies all of it in.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn copy_in(&self, bytes: &mut [u8], addr: u64) -> Result<(), Errno> {
        let len = bytes.len();
        if self.copy_in_partial(bytes, addr)? == len { Ok(()) } else { err!(EFAULT) }
    }

    /// Copies all of it out.
    ///
    /// # Errors
    /// EFAULT; a part may have been written.
    pub(crate) fn copy_out(&self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        if self.copy_out_partial(addr, bytes)? == bytes.len() { Ok(()) } else { err!(EFAULT) }
    }

    /// Writes zeros, as many as can be had.
    ///
    /// # Errors
    /// EFAULT if that is none.
    pub(crate) fn clear_partial(&self, addr: u64, len: usize) -> Result<usize, Errno> {
        self.with_faults(len, |done| self.page_table().clear_user(addr.wrapping_add(done as u64), len - done))
    }

    /// Copies from a page of memory, as much as can be had.
    ///
    /// # Errors
    /// EFAULT if that is nothing.
    pub(crate) fn copy_frame_out(
        &self,
        addr: u64,
        frame: &Frame,
        offset: usize,
        len: usize,
    ) -> Result<usize, Errno> {
        self.with_faults(len, |done| {
            self.page_table().copy_frame_to_user(
                addr.wrapping_add(done as u64),
                frame,
                offset + done,
                len - done,
            )
        })
    }

    /// Copies into a page of memory, as much as can be had.
    ///
    /// # Errors
    /// EFAULT if that is nothing.
    pub(crate) fn copy_frame_in(
        &self,
        frame: &Frame,
        offset: usize,
        addr: u64,
        len: usize,
    ) -> Result<usize, Errno> {
        self.with_faults(len, |done| {
            self.page_table().copy_user_to_frame(
                frame,
                offset + done,
                addr.wrapping_add(done as u64),
                len - done,
            )
        })
    }

    /// Length of a zero-terminated string without its zero, or `max` if the first `max` bytes hold none.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn string_length(&self, addr: u64, max: usize) -> Result<usize, Errno> {
        loop {
            match self.page_table().strnlen_user(addr, max) {
                Ok(len) => return Ok(len),
                Err(fault) => self.fault(fault.addr, Access::Read).map_err(|_| Errno::EFAULT.here())?,
            };
        }
    }

    /// Reads a word atomically (futex(2)).
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn load_u32(&self, addr: u64) -> Result<u32, Errno> {
        loop {
            match self.page_table().load_u32(addr) {
                Ok(value) => return Ok(value),
                Err(fault) => self.fault(fault.addr, Access::Read).map_err(|_| Errno::EFAULT.here())?,
            };
        }
    }

    /// Replaces a word atomically if it has the value `old`; the answer is the value it had.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn compare_exchange_u32(&self, addr: u64, old: u32, new: u32) -> Result<u32, Errno> {
        loop {
            match self.page_table().compare_exchange_u32(addr, old, new) {
                Ok(Ok(value) | Err(value)) => return Ok(value),
                Err(fault) => self.fault(fault.addr, Access::Write).map_err(|_| Errno::EFAULT.here())?,
            };
        }
    }
}

/// Access to the memory of a process that is not the calling thread's.
impl AddressSpace {
    /// Writes to a program's memory page by page, as its protection allows.
    ///
    /// # Errors
    /// EFAULT; what comes before has been written.
    pub(crate) fn write_foreign(&self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.foreign(addr, bytes.len(), Access::Write, |frame, offset, at, len| {
            frame.write(offset, &bytes[at..at + len]);
        })
    }

    /// Reads from a program's memory page by page, as its protection allows.
    ///
    /// # Errors
    /// EFAULT; what comes before has been read.
    pub(crate) fn read_foreign(&self, addr: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.foreign(addr, bytes.len(), Access::Read, |frame, offset, at, len| {
            frame.read(offset, &mut bytes[at..at + len]);
        })
    }

    fn foreign(
        &self,
        addr: u64,
        total: usize,
        access: Access,
        mut copy: impl FnMut(&Frame, usize, usize, usize),
    ) -> Result<(), Errno> {
        let mut done = 0;
        while done < total {
            let at = addr.wrapping_add(done as u64);
            let page = super::page_down(at);
            let needed = if access == Access::Write { Prot::WRITE } else { Prot::READ };
            let usable = |mapping: &Mapping| mapping.prot.contains(needed);
            let mapping = match self.page_table().lookup(page).filter(usable) {
                Some(mapping) => mapping,
                None => {
                    self.fault(at, access).map_err(|_| Errno::EFAULT.here())?;
                    self.page_table().lookup(page).ok_or(Errno::EFAULT.here())?
                }
            };
            let offset = (at - page) as usize;
            let len = (total - done).min(PAGE_SIZE - offset);
            copy(&mapping.frame, offset, done, len);
            done += len;
        }
        Ok(())
    }
}
