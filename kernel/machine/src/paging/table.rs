//! One user address space.

use super::batch::Batch;
use super::walk::{TOP, Table, Visit, Visitor};
use super::{Mapping, Prot, USER_END};
use crate::arch::entry::{ENTRIES, Entry, span};
use crate::arch::tlb;
use crate::frame::{self, Frame, OutOfMemory, PAGE_SIZE};
use crate::sync::{SpinLock, SpinLockGuard, level};
use crate::thread::CpuSet;
use crate::usage;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicUsize, Ordering};

const PAGE: u64 = PAGE_SIZE as u64;
/// End of the part of the tree that belongs to one address space alone.
const LOWER_HALF: u64 = span(TOP) * (ENTRIES as u64 / 2);

/// One user address space: the lower half. The kernel's half is shared by all.
///
/// An entry owns a reference to its frame. All methods lock inside. Addresses are page aligned, ranges are `start..end`,
/// and both lie below [`USER_END`]. Closures given to a method run under the lock and must not use the same table, allocate
/// frames or sleep.
pub struct PageTable {
    /// The top-level table. The lock stands for the whole lower half of the tree.
    root: SpinLock<Frame>,
    root_address: u64,
    resident: AtomicUsize,
    active: tlb::Active,
}

impl PageTable {
    /// An empty address space.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<Self, OutOfMemory> {
        let root = Frame::alloc_zeroed()?;
        crate::arch::memory::share_kernel_half(&root);
        usage::table_made();
        Ok(Self {
            root_address: root.physical(),
            root: SpinLock::with_level(level::PAGE_TABLE, root),
            resident: AtomicUsize::new(0),
            active: tlb::Active::new(),
        })
    }

    fn lock(&self) -> Locked<'_> {
        let guard = self.root.lock();
        // SAFETY: the root stays a table while `self` lives, and the lock, held as long as the view, keeps others out.
        Locked { tree: unsafe { Table::at(self.root_address) }, _guard: guard }
    }

    /// The physical address of the top-level table.
    #[cfg(target_os = "none")]
    pub(crate) fn root_address(&self) -> u64 {
        self.root_address
    }

    /// The CPUs that use this address space now.
    #[cfg(target_os = "none")]
    pub(crate) fn active(&self) -> &tlb::Active {
        &self.active
    }

    /// Maps `frame` at `va`; a page already there is replaced.
    ///
    /// # Errors
    /// [`OutOfMemory`] if a table is needed and cannot be had; nothing has changed then.
    pub fn map(&self, va: u64, frame: Frame, prot: Prot) -> Result<(), OutOfMemory> {
        check(va, va + PAGE);
        let entry = Entry::page(frame.physical(), prot);
        retry(|| {
            let locked = self.lock();
            let mut batch = Batch::new(&self.active);
            let old = locked.tree.set(va, entry)?;
            if old.is_empty() {
                self.resident.fetch_add(1, Ordering::Relaxed);
            } else {
                if old.is_present() {
                    batch.flush(va);
                }
                // SAFETY: the old entry owned this reference, and it is gone.
                batch.free(unsafe { Frame::from_raw(old.physical()) });
            }
            Ok(())
        })?;
        // The entry owns the reference now.
        let _ = frame.into_raw();
        Ok(())
    }

    /// Unmaps all pages of a range.
    ///
    /// The cost grows with what is mapped, not with the length. Tables that become empty are freed.
    pub fn unmap(&self, start: u64, end: u64) {
        check(start, end);
        self.change(start, end, None, |_, _| Visit::Remove);
    }

    /// Changes the protection of the pages that are mapped in a range. (For copy-on-write the caller leaves
    /// [`Prot::WRITE`] out.)
    pub fn protect(&self, start: u64, end: u64, prot: Prot) {
        self.protect_with(start, end, &mut |_, _| prot);
    }

    /// Changes the protection of each page that is mapped in a range to what `f` says.
    pub fn protect_with(&self, start: u64, end: u64, f: &mut dyn FnMut(u64, &Frame) -> Prot) {
        check(start, end);
        self.change(start, end, None, |va, entry| {
            let new = entry.with_prot(with_frame(entry, |frame| f(va, frame)));
            if new == entry { Visit::Keep } else { Visit::Replace(new) }
        });
    }

    /// The page at `va`, if one is mapped.
    pub fn lookup(&self, va: u64) -> Option<Mapping> {
        let va = va & !(PAGE - 1);
        if va >= USER_END {
            return None;
        }
        let locked = self.lock();
        let entry = locked.tree.get(va);
        (!entry.is_empty()).then(|| mapping(entry))
    }

    /// Calls `f` for each page mapped in a range, in order.
    pub fn for_each(&self, start: u64, end: u64, f: &mut dyn FnMut(u64, &Mapping)) {
        check(start, end);
        self.change(start, end, None, |va, entry| {
            f(va, &mapping(entry));
            Visit::Keep
        });
    }

    /// Moves the pages of `from..from + len` to `to`, where nothing is mapped; the two do not overlap.
    ///
    /// # Errors
    /// [`OutOfMemory`]; nothing has moved then.
    pub fn move_pages(&self, from: u64, to: u64, len: u64) -> Result<(), OutOfMemory> {
        check(from, from + len);
        check(to, to + len);
        assert!(from + len <= to || to + len <= from, "{from:#x} and {to:#x} overlap within {len:#x}");
        retry(|| {
            let mut prepared = Ok(());
            let locked = self.lock();
            self.change_locked(&locked, from, from + len, None, |va, _| {
                if prepared.is_ok() {
                    prepared = locked.tree.prepare(va - from + to);
                }
                Visit::Keep
            });
            if prepared.is_ok() {
                self.change_locked(&locked, from, from + len, Some((from, to)), |_, _| Visit::Remove);
            } else {
                // A visit that keeps everything still removes the tables that were made for nothing.
                self.change_locked(&locked, to, to + len, None, |_, _| Visit::Keep);
            }
            prepared
        })
    }

    fn change(&self, start: u64, end: u64, moved: Option<(u64, u64)>, f: impl FnMut(u64, Entry) -> Visit) {
        let locked = self.lock();
        self.change_locked(&locked, start, end, moved, f);
    }

    fn change_locked(
        &self,
        locked: &Locked<'_>,
        start: u64,
        end: u64,
        moved: Option<(u64, u64)>,
        f: impl FnMut(u64, Entry) -> Visit,
    ) {
        let batch = Batch::new(&self.active);
        let mut change = Change { f, tree: locked.tree, batch, moved, gone: 0 };
        locked.tree.visit(start, end, &mut change);
        self.resident.fetch_sub(change.gone, Ordering::Relaxed);
    }

    /// As [`cpu::barrier`](crate::cpu::barrier), for those of these CPUs that use this address space.
    pub fn barrier(&self, cpus: CpuSet) {
        self.active.barrier(cpus);
    }

    /// How many pages are mapped.
    pub fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// Uses the page at `va` as a program would: only if its protection allows, and noting the access.
    pub(crate) fn access<R>(&self, va: u64, write: bool, f: impl FnOnce(&Frame) -> R) -> Option<R> {
        let page = va & !(PAGE - 1);
        let locked = self.lock();
        let entry = locked.tree.get(page);
        if !entry.prot().contains(if write { Prot::WRITE } else { Prot::READ }) {
            return None;
        }
        locked.tree.set_bits(page, Entry::used(write));
        Some(with_frame(entry, f))
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        let locked = self.lock();
        locked.tree.visit(0, LOWER_HALF, &mut Teardown);
        usage::table_removed();
    }
}

impl core::fmt::Debug for PageTable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PageTable({:#x}, {} pages)", self.root_address, self.resident())
    }
}

/// The tree with its lock held.
struct Locked<'a> {
    tree: Table<'a>,
    _guard: SpinLockGuard<'a, Frame>,
}

fn check(start: u64, end: u64) {
    assert!((start | end).is_multiple_of(PAGE), "{start:#x}..{end:#x} is not page aligned");
    assert!(start <= end && end <= USER_END, "{start:#x}..{end:#x} is not in user memory");
}

/// A change of the pages in a range; the batch finishes it, under the lock.
struct Change<'a, F> {
    f: F,
    tree: Table<'a>,
    batch: Batch<'a>,
    /// Pages removed move from the first address to the second; without it they are freed.
    moved: Option<(u64, u64)>,
    gone: usize,
}

impl<F: FnMut(u64, Entry) -> Visit> Visitor for Change<'_, F> {
    fn page(&mut self, va: u64, entry: Entry) -> Visit {
        let visit = (self.f)(va, entry);
        if matches!(visit, Visit::Replace(_)) && entry.is_present() {
            self.batch.flush(va);
        }
        visit
    }

    fn removed(&mut self, va: u64, old: Entry) {
        if old.is_present() {
            self.batch.flush(va);
        }
        let mut gone = old;
        if let Some((from, to)) = self.moved {
            let target = va - from + to;
            gone = self.tree.set(target, old).expect("the table was prepared under this lock");
            if gone.is_present() {
                self.batch.flush(target);
            }
        }
        if !gone.is_empty() {
            self.gone += 1;
            // SAFETY: the entry owned this reference, and it is gone.
            self.batch.free(unsafe { Frame::from_raw(gone.physical()) });
        }
    }

    fn table_removed(&mut self, va: u64, table: Frame) {
        self.batch.free_table(va, table);
    }
}

/// Frees everything. No CPU uses the tree any more: one that did would own a reference to the [`PageTable`].
struct Teardown;

impl Visitor for Teardown {
    fn page(&mut self, _va: u64, _entry: Entry) -> Visit {
        Visit::Remove
    }

    fn removed(&mut self, _va: u64, old: Entry) {
        // SAFETY: the entry owned this reference, and it is gone.
        drop(unsafe { Frame::from_raw(old.physical()) });
    }

    fn table_removed(&mut self, _va: u64, table: Frame) {
        drop(table);
    }
}

/// Tries again as long as somebody gives memory back; that is asked for with no lock held.
fn retry<R>(mut f: impl FnMut() -> Result<R, OutOfMemory>) -> Result<R, OutOfMemory> {
    loop {
        match f() {
            Err(OutOfMemory) if frame::reclaim() => {}
            result => return result,
        }
    }
}

/// Shows the frame that an entry owns.
fn with_frame<R>(entry: Entry, f: impl FnOnce(&Frame) -> R) -> R {
    // SAFETY: the entry owns a reference while the tree is locked; this one is not dropped.
    f(&ManuallyDrop::new(unsafe { Frame::from_raw(entry.physical()) }))
}

fn mapping(entry: Entry) -> Mapping {
    Mapping {
        frame: with_frame(entry, Frame::clone),
        prot: entry.prot(),
        accessed: entry.is_accessed(),
        dirty: entry.is_dirty(),
    }
}
