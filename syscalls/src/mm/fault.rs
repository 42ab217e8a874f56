//! Page faults: finding or making the page a program touches.

use super::vma::{Backing, MappedFile, VmFlags, Vma};
use super::{AddressSpace, PAGE, Prot, STACK_GUARD_GAP, State, maps::Maps, page_down, read_only};
use crate::signal::code::{SEGV_ACCERR, SEGV_MAPERR};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use husk_abi::Errno;
use husk_machine::frame::{self, Frame, OutOfMemory};
pub(crate) use husk_machine::user::Access;

/// Pages of a file that one fault maps at most, if they are in memory anyway (Linux's `fault_around_bytes`).
const FAULT_AROUND: u64 = 16;

/// Why a fault cannot be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultError {
    /// SIGSEGV with this code.
    Segv(i32),
    /// SIGBUS: the file has no such page, or it cannot be read.
    Bus,
    /// No memory is left.
    OutOfMemory,
}

impl From<OutOfMemory> for FaultError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// A page that has to be fetched from a file, without the lock held.
struct Fetch {
    file: Arc<MappedFile>,
    /// Index of the page in the file.
    index: u64,
    /// For a shared mapping that is written.
    for_write: bool,
    /// Neighbours worth mapping too: first address, first index, count.
    around: (u64, u64, u64),
    generation: u64,
}

enum Step {
    Done,
    Fetch(Fetch),
}

impl AddressSpace {
    /// Makes the page at an address accessible as asked, if the mapping there allows it. May read from disk. True if
    /// the page of a file was not in memory (a major fault).
    pub(crate) fn fault(&self, addr: u64, access: Access) -> Result<bool, FaultError> {
        let page = page_down(addr);
        let result = self.resolve(page, access);
        if result == Err(FaultError::OutOfMemory) {
            self.exhausted.store(true, Ordering::Relaxed);
        }
        result
    }

    fn resolve(&self, page: u64, access: Access) -> Result<bool, FaultError> {
        let mut fetched: Option<(Fetch, Frame)> = None;
        let mut major = false;
        loop {
            let mut state = self.maps.lock();
            let vma = self.vma_for_fault(&mut state, page, access)?;
            let generation = state.maps.generation();
            // What was fetched counts only if nothing changed meanwhile.
            let frame = fetched
                .take()
                .filter(|(fetch, _)| fetch.generation == generation)
                .map(|(fetch, frame)| (fetch.around, frame));
            let step = match frame {
                Some((around, frame)) => self.map_fetched(&vma, page, access, &frame, around)?,
                None => self.resolve_locked(&mut state, &vma, page, access)?,
            };
            drop(state);
            match step {
                Step::Done => return Ok(major),
                Step::Fetch(fetch) => {
                    let inode = &fetch.file.inode;
                    let mut in_memory = None;
                    inode.cached_pages(fetch.index, 1, &mut |_, frame| in_memory = Some(frame));
                    major |= in_memory.is_none();
                    let got = if fetch.for_write {
                        inode.page_for_write(fetch.index)
                    } else {
                        inode.page(fetch.index)
                    };
                    let frame = got.map_err(|error| {
                        if error == Errno::ENOMEM { FaultError::OutOfMemory } else { FaultError::Bus }
                    })?;
                    fetched = Some((fetch, frame));
                }
            }
        }
    }

    /// The mapping at a page, grown down to it if it is a stack, if it allows the access.
    fn vma_for_fault(&self, state: &mut State, page: u64, access: Access) -> Result<Vma, FaultError> {
        if state.maps.at(page).is_none() {
            self.grow_stack(&mut state.maps, page)?;
        }
        let vma = state.maps.at(page).ok_or(FaultError::Segv(SEGV_MAPERR))?;
        let allowed = match access {
            Access::Write => vma.prot.contains(Prot::WRITE),
            Access::Exec => vma.prot.contains(Prot::EXEC),
            // The processor cannot withhold reading from a page that may be written or executed.
            Access::Read => !vma.prot.is_empty(),
        };
        if allowed { Ok(vma.clone()) } else { Err(FaultError::Segv(SEGV_ACCERR)) }
    }

    fn grow_stack(&self, maps: &mut Maps, page: u64) -> Result<(), FaultError> {
        const NO: FaultError = FaultError::Segv(SEGV_MAPERR);
        let above = maps.at_or_above(page).filter(|vma| vma.flags.contains(VmFlags::GROWSDOWN)).ok_or(NO)?;
        let (start, end, data) = (above.start, above.end, above.is_data());
        if end - page > self.limits.stack.load(Ordering::Relaxed) {
            return Err(NO);
        }
        let near =
            maps.below(page).filter(|vma| !vma.prot.is_empty() && !vma.flags.contains(VmFlags::GROWSDOWN));
        if near.is_some_and(|vma| page - vma.end < STACK_GUARD_GAP) {
            return Err(NO);
        }
        if !self.may_expand(maps, (start - page) / PAGE, data) {
            return Err(NO);
        }
        maps.grow_down(start, page);
        Ok(())
    }

    fn resolve_locked(
        &self,
        state: &mut State,
        vma: &Vma,
        page: u64,
        access: Access,
    ) -> Result<Step, FaultError> {
        let write = access == Access::Write;
        if let Some(mapping) = self.page_table.lookup(page) {
            if !write || mapping.prot.contains(Prot::WRITE) {
                // Another thread was faster, or the page was mapped with less than the mapping allows.
                let prot = if mapping.prot.contains(Prot::WRITE) { vma.prot } else { read_only(vma.prot) };
                self.page_table.protect(page, page + PAGE, prot);
                return Ok(Step::Done);
            }
            if !vma.flags.contains(VmFlags::SHARED) {
                self.copy_on_write(vma, page, &mapping.frame)?;
                return Ok(Step::Done);
            }
        }
        match &vma.backing {
            Backing::Anonymous if write => {
                self.page_table.map(page, Frame::alloc_zeroed()?, vma.prot)?;
                let ahead = state.sequence.after(page, vma.end);
                self.map_ahead(&mut state.sequence, ahead, vma.prot);
            }
            Backing::Anonymous => {
                self.page_table.map(page, frame::zero_frame().clone(), read_only(vma.prot))?;
            }
            Backing::Special(special) if write => {
                let own = Frame::alloc()?;
                own.copy_from(&special.frame);
                self.page_table.map(page, own, vma.prot)?;
            }
            Backing::Special(special) => {
                self.page_table.map(page, special.frame.clone(), read_only(vma.prot))?;
            }
            Backing::Shared { memory, offset } => {
                let frame = memory.page(offset + (page - vma.start))?.ok_or(FaultError::Bus)?;
                self.page_table.map(page, frame, vma.prot)?;
            }
            Backing::File { file, offset } => {
                let index = (offset + (page - vma.start)) / PAGE;
                return Ok(Step::Fetch(Fetch {
                    file: file.clone(),
                    index,
                    for_write: write && vma.flags.contains(VmFlags::SHARED),
                    around: around(vma, *offset, page),
                    generation: state.maps.generation(),
                }));
            }
        }
        Ok(Step::Done)
    }

    /// Gives a private mapping a page of its own to write on, unless nobody else has the page.
    fn copy_on_write(&self, vma: &Vma, page: u64, shared: &Frame) -> Result<(), FaultError> {
        // One reference is the page table's, one is that in the caller's hand.
        if shared.ref_count() == 2 {
            self.page_table.protect(page, page + PAGE, vma.prot);
            return Ok(());
        }
        let own = if shared.is_same(frame::zero_frame()) {
            Frame::alloc_zeroed()?
        } else {
            let own = Frame::alloc()?;
            own.copy_from(shared);
            own
        };
        self.page_table.map(page, own, vma.prot)?;
        Ok(())
    }

    fn map_fetched(
        &self,
        vma: &Vma,
        page: u64,
        access: Access,
        frame: &Frame,
        around: (u64, u64, u64),
    ) -> Result<Step, FaultError> {
        let shared = vma.flags.contains(VmFlags::SHARED);
        let readable = read_only(vma.prot);
        // Another thread was faster: what it has written to a page of its own must not be lost.
        if let Some(mapping) = self.page_table.lookup(page) {
            if access != Access::Write || mapping.prot.contains(Prot::WRITE) {
                return Ok(Step::Done);
            }
            if !shared {
                self.copy_on_write(vma, page, &mapping.frame)?;
                return Ok(Step::Done);
            }
        }
        match (access == Access::Write, shared) {
            (true, true) => self.page_table.map(page, frame.clone(), vma.prot)?,
            (true, false) => {
                let own = Frame::alloc()?;
                own.copy_from(frame);
                self.page_table.map(page, own, vma.prot)?;
            }
            (false, _) => {
                self.page_table.map(page, frame.clone(), readable)?;
                self.map_around(vma, around, readable)?;
            }
        }
        Ok(Step::Done)
    }

    /// Maps the neighbours that are in memory and not mapped yet.
    fn map_around(&self, vma: &Vma, around: (u64, u64, u64), prot: Prot) -> Result<(), FaultError> {
        let Backing::File { file, .. } = &vma.backing else { return Ok(()) };
        let (start, first, count) = around;
        let mut cached = Vec::with_capacity(count as usize);
        file.inode.cached_pages(first, count, &mut |index, frame| cached.push((index, frame)));
        for (index, frame) in cached {
            let page = start + (index - first) * PAGE;
            if self.page_table.lookup(page).is_none() {
                self.page_table.map(page, frame, prot)?;
            }
        }
        Ok(())
    }
}

/// The aligned group of pages around one, cut to the mapping: first address, first index in the file, count.
fn around(vma: &Vma, offset: u64, page: u64) -> (u64, u64, u64) {
    let group = FAULT_AROUND * PAGE;
    let start = (page & !(group - 1)).max(vma.start);
    let end = ((page & !(group - 1)) + group).min(vma.end);
    (start, (offset + (start - vma.start)) / PAGE, (end - start) / PAGE)
}
