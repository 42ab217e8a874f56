//! One file's pages in memory.

use super::backing::{Backing, DeviceBacking};
use super::budget::Budget;
use super::pages::{Pages, Slot, pages_of};
use super::registry;
use crate::{Result, Sink};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_machine::block::{BlockDevice, SECTOR_SIZE};
use husk_machine::frame::{Frame, OutOfMemory, PAGE_SIZE};
use husk_machine::sync::{SpinLock, WaitQueue};

pub(super) const PAGE: u64 = PAGE_SIZE as u64;
/// Pages handed to a sink between two looks at the lock.
const BATCH: usize = 16;

/// The contents of a file: pages in memory above an optional backing.
pub(crate) struct Mapping {
    pub(super) core: Arc<Core>,
    number: Option<usize>,
}

/// The part of a mapping that transfers under way and the registry hold too.
pub(super) struct Core {
    pub(super) pages: SpinLock<Pages>,
    /// Woken when pages have been read.
    pub(super) loaded: WaitQueue,
    pub(super) backing: Option<Arc<dyn Backing>>,
    /// What changed pages count against.
    pub(super) budget: Option<Arc<Budget>>,
}

pub(super) fn out_of_memory(_: OutOfMemory) -> Errno {
    Errno::ENOMEM.here()
}

/// What to do for a page that is not in memory.
enum Missing {
    /// It is being read.
    Wait,
    /// Read this window.
    Load(u64, u64),
}

impl Mapping {
    /// A file in memory only; its pages count against `budget`.
    pub(crate) fn in_memory(budget: Arc<Budget>) -> Self {
        let pages = SpinLock::new(Pages::new(0, 0));
        let core = Core { pages, loaded: WaitQueue::new(), backing: None, budget: Some(budget) };
        Self { core: Arc::new(core), number: None }
    }

    /// A file of `size` bytes in a backing; changed pages count against `budget`.
    pub(crate) fn backed(backing: Arc<dyn Backing>, size: u64, budget: Arc<Budget>) -> Self {
        Self::above(backing, Pages::new(size, size), Some(budget))
    }

    /// A device's own pages, for the metadata on it. It is read a piece here and a piece there, but what is read is often near
    /// what was read before: each read takes what is around it.
    pub(crate) fn of_device(device: Arc<dyn BlockDevice>) -> Self {
        let size = device.sectors().saturating_mul(SECTOR_SIZE as u64);
        let mut pages = Pages::new(size, size);
        pages.reads_around = true;
        Self::above(Arc::new(DeviceBacking(device)), pages, None)
    }

    fn above(backing: Arc<dyn Backing>, pages: Pages, budget: Option<Arc<Budget>>) -> Self {
        let pages = SpinLock::new(pages);
        let core = Arc::new(Core { pages, loaded: WaitQueue::new(), backing: Some(backing), budget });
        let number = Some(registry::add(core.clone()));
        Self { core, number }
    }

    /// Size of the file in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.core.pages.lock().size
    }

    /// How much of the backing still counts in bytes, and how many pages are in memory beyond what it has.
    pub(crate) fn usage(&self) -> (u64, u64) {
        let pages = self.core.pages.lock();
        (pages.backed, pages.extra)
    }

    /// Reads from `offset` on until the sink is full or the file ends.
    ///
    /// # Errors
    /// EIO, ENOMEM, and the sink's, if nothing was read.
    pub(crate) fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let mut done = 0;
        loop {
            let result = self.read_batch(offset + done as u64, sink);
            match result {
                Ok((0, _)) => return Ok(done),
                Ok((count, whole)) => {
                    done += count;
                    if !whole {
                        return Ok(done);
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok(done),
            }
        }
    }

    /// Reads as much as is in memory at `offset`, at least one page. The answer is the number of bytes and whether the sink took
    /// all it was given.
    fn read_batch(&self, offset: u64, sink: &mut dyn Sink) -> Result<(usize, bool)> {
        let mut frames: [Option<Frame>; BATCH] = [const { None }; BATCH];
        let first = offset / PAGE;
        let mut waited = false;
        let (count, wanted) = loop {
            let mut pages = self.core.pages.lock();
            let wanted = (sink.remaining() as u64).min(pages.size.saturating_sub(offset));
            if wanted == 0 {
                return Ok((0, true));
            }
            let end = pages_of(offset + wanted);
            let mut count = 0;
            let mut missing = None;
            for index in first..end.min(first + BATCH as u64) {
                let frame = pages.get(index);
                if frame.is_none() && !pages.is_hole(index) {
                    if count == 0 {
                        missing = Some(self.core.missing(&mut pages, index, end - index, waited)?);
                    }
                    break;
                }
                frames[count] = frame;
                count += 1;
            }
            let ahead = if count > 0 && self.core.backing.is_some() {
                pages.ahead.passed(first, count as u64)
            } else {
                None
            };
            drop(pages);
            if let Some((from, pages)) = ahead {
                // Only a hint: who needs the pages will see what went wrong.
                let _ = self.core.load(from, pages);
            }
            if count > 0 {
                break (count, wanted);
            }
            match missing {
                Some(Missing::Wait) => self.core.wait_for(first),
                Some(Missing::Load(from, pages)) => {
                    self.core.load_for(first, from, pages)?;
                    self.core.wait_for(first);
                }
                None => {}
            }
            waited = true;
        };
        let mut done = 0;
        for frame in &frames[..count] {
            let at = offset + done as u64;
            let in_page = (at % PAGE) as usize;
            let len = (PAGE_SIZE - in_page).min((wanted - done as u64) as usize);
            let pushed = match frame {
                Some(frame) => sink.push_frame(frame, in_page, len),
                None => sink.push_zeros(len),
            };
            match pushed {
                Ok(pushed) => {
                    done += pushed;
                    if pushed < len {
                        return Ok((done, false));
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => return Ok((done, false)),
            }
        }
        Ok((done, true))
    }

    /// Reads exactly `bytes.len()` bytes.
    ///
    /// # Errors
    /// EIO if the file is shorter, ENOMEM.
    pub(crate) fn read_exact(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let wanted = bytes.len();
        let count = self.read_at(offset, &mut crate::io::SliceSink::new(bytes))?;
        if count == wanted { Ok(()) } else { err!(EIO) }
    }

    /// The page, for a mapping; a hole gets a page of its own.
    ///
    /// # Errors
    /// ENXIO beyond the end, EIO, ENOMEM, ENOSPC.
    pub(crate) fn page(&self, index: u64) -> Result<Frame> {
        self.page_with(index, false)
    }

    /// The page, which counts as changed from now on.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub(crate) fn page_for_write(&self, index: u64) -> Result<Frame> {
        self.page_with(index, true)
    }

    fn page_with(&self, index: u64, write: bool) -> Result<Frame> {
        let mut waited = false;
        loop {
            let mut pages = self.core.pages.lock();
            if index >= pages_of(pages.size) {
                return err!(ENXIO);
            }
            if let Some(frame) = pages.get(index) {
                if write {
                    pages.mapped_for_write = true;
                    self.core.mark_changed(&mut pages, index, &frame)?;
                }
                return Ok(frame);
            }
            if pages.is_hole(index) {
                drop(pages);
                self.core.add_new(index, true)?;
                continue;
            }
            let window = match pages.slot(index) {
                Slot::Loading(_) => None,
                Slot::Failed if waited => return err!(EIO),
                _ => Some(pages.fault_window(index)),
            };
            drop(pages);
            if let Some((from, count)) = window {
                self.core.load_for(index, from, count)?;
            }
            self.core.wait_for(index);
            waited = true;
        }
    }

    /// Hands out the pages of a range that are in memory, without those beyond the end.
    pub(crate) fn cached(&self, first: u64, count: u64, emit: &mut dyn FnMut(u64, Frame)) {
        let pages = self.core.pages.lock();
        let end = first.saturating_add(count).min(pages_of(pages.size));
        pages.for_each(first, end, emit);
    }

    /// Starts reading a range.
    pub(crate) fn read_ahead(&self, first: u64, count: u64) {
        // A hint may fail: who needs the pages will see what went wrong.
        let _ = self.core.load(first, count.min(self.core.read_ahead_limit()));
    }
}

impl Core {
    /// What to do for a page that read(2) wants, that is not in memory and no hole. `count` pages are wanted.
    fn missing(&self, pages: &mut Pages, index: u64, count: u64, waited: bool) -> Result<Missing> {
        match pages.slot(index) {
            Slot::Loading(_) => Ok(Missing::Wait),
            Slot::Failed if waited => err!(EIO),
            _ => {
                let window = if pages.reads_around {
                    pages.fault_window(index)
                } else {
                    pages.ahead.missed(index, count)
                };
                let (from, count) = window;
                Ok(Missing::Load(from, count))
            }
        }
    }

    /// Sleeps while the page is being read.
    pub(super) fn wait_for(&self, index: u64) {
        self.loaded.wait_until(|| (!matches!(self.pages.lock().slot(index), Slot::Loading(_))).then_some(()));
    }

    /// Counts a page in memory as changed.
    pub(super) fn mark_changed(&self, pages: &mut Pages, index: u64, frame: &Frame) -> Result<()> {
        if matches!(pages.slot(index), Slot::Clean(_)) {
            self.take_budget(1)?;
            pages.put(index, Slot::Changed(frame.clone()));
        }
        Ok(())
    }

    /// Puts a new page where the backing has none; another's, if it was faster.
    pub(super) fn add_new(&self, index: u64, zeroed: bool) -> Result<Frame> {
        if let Some(there) = self.pages.lock().get(index) {
            return Ok(there);
        }
        self.take_budget(1)?;
        let frame = if zeroed { Frame::alloc_zeroed() } else { Frame::alloc() };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                self.give_budget(1);
                return Err(out_of_memory(error));
            }
        };
        let mut pages = self.pages.lock();
        if let Some(other) = pages.get(index) {
            drop(pages);
            self.give_budget(1);
            return Ok(other);
        }
        pages.put(index, Slot::Changed(frame.clone()));
        Ok(frame)
    }

    fn take_budget(&self, count: u64) -> Result<()> {
        self.budget.as_ref().map_or(Ok(()), |budget| budget.take(count))
    }

    /// Whether so much is left.
    ///
    /// # Errors
    /// ENOSPC.
    pub(super) fn check_budget(&self, count: u64) -> Result<()> {
        self.take_budget(count)?;
        self.give_budget(count);
        Ok(())
    }

    pub(super) fn give_budget(&self, count: u64) {
        if let Some(budget) = &self.budget {
            budget.give(count);
        }
    }

    /// Drops what was taken out of the pages.
    pub(super) fn discard(&self, removed: Vec<Slot>) {
        let changed = removed.iter().filter(|slot| matches!(slot, Slot::Changed(_))).count();
        self.give_budget(changed as u64);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            registry::remove(number);
        }
        let changed = self.core.pages.lock().changed;
        self.core.give_budget(changed);
    }
}
