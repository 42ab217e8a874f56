//! Walking and changing trees of page tables. It knows nothing of locks and of flushing: the caller does.

use crate::arch::entry::{ENTRIES, Entry, LEVELS, index, span};
use crate::frame::{Frame, OutOfMemory, counter};
use crate::usage;
use core::sync::atomic::{AtomicU64, Ordering};

/// Level of the root table.
pub(crate) const TOP: u32 = LEVELS - 1;

/// A page table in memory. The hardware may set "accessed" and "dirty" at any time, hence the atomics.
///
/// It is a borrowed view: the reference to the page is owned by the entry above, or by the owner of the root.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    entries: &'a [AtomicU64; ENTRIES],
    physical: u64,
}

/// What to do with an entry that was visited.
pub(crate) enum Visit {
    /// Nothing.
    Keep,
    /// Replace it (by an entry that is not empty).
    Replace(Entry),
    /// Make it empty; [`Visitor::removed`] then gets what it was.
    Remove,
}

/// What a walk over the mapped pages of a range does.
pub(crate) trait Visitor {
    /// Sees one page's entry, which is not empty.
    fn page(&mut self, va: u64, entry: Entry) -> Visit;
    /// Takes over the reference of an entry that was removed.
    fn removed(&mut self, va: u64, old: Entry);
    /// Takes over a table that became empty and was removed. The hardware may still remember it.
    fn table_removed(&mut self, va: u64, table: Frame);
}

impl<'a> Table<'a> {
    /// The table in the page at `physical`.
    ///
    /// # Safety
    /// The page is a page table that stays one for `'a`, and its entries are changed through this type only.
    pub(crate) unsafe fn at(physical: u64) -> Self {
        let pointer = crate::arch::memory::direct(physical).cast();
        // SAFETY: the page is allocated and aligned, all its bit patterns are valid for atomics, and only atomic
        // accesses and the hardware change it.
        Self { entries: unsafe { pointer.as_ref() }, physical }
    }

    fn load(self, index: usize) -> Entry {
        Entry(self.entries[index].load(Ordering::Acquire))
    }

    /// Used entries, as the page's counter; a table without any can be freed.
    fn used(self) -> u32 {
        self.with_counter(|counter| counter.load(Ordering::Relaxed))
    }

    fn with_counter<R>(self, f: impl FnOnce(&core::sync::atomic::AtomicU32) -> R) -> R {
        // SAFETY: the reference is given up again at once, so the page's count is as before.
        let frame = core::mem::ManuallyDrop::new(unsafe { Frame::from_raw(self.physical) });
        f(counter(&frame))
    }

    /// Sets an entry and keeps count; gives the old one, with the latest "accessed" and "dirty".
    fn swap(self, index: usize, new: Entry) -> Entry {
        let old = Entry(self.entries[index].swap(new.0, Ordering::AcqRel));
        self.with_counter(|counter| match (old.is_empty(), new.is_empty()) {
            (true, false) => counter.fetch_add(1, Ordering::Relaxed),
            (false, true) => counter.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        });
        old
    }

    /// Replaces `old` by `new` if the hardware has not touched it since.
    fn replace(self, index: usize, old: Entry, new: Entry) -> Result<(), Entry> {
        self.entries[index]
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Entry)
    }

    fn child(self, entry: Entry) -> Table<'a> {
        // SAFETY: entries above the leaves' level are only ever set to tables (see `leaf_table`), and a table is freed
        // only after its entry is cleared, by somebody who has the whole tree to themselves.
        unsafe { Table::at(entry.physical()) }
    }

    /// The leaves' table for `va`, if it is there.
    fn find(self, va: u64) -> Option<Table<'a>> {
        let mut table = self;
        for level in (1..=TOP).rev() {
            let entry = table.load(index(va, level));
            if entry.is_empty() {
                return None;
            }
            table = table.child(entry);
        }
        Some(table)
    }

    /// The leaves' table for `va`; missing ones are made.
    fn leaf_table(self, va: u64) -> Result<Table<'a>, OutOfMemory> {
        let mut table = self;
        for level in (1..=TOP).rev() {
            let mut entry = table.load(index(va, level));
            if entry.is_empty() {
                entry = Entry::table(Frame::alloc_table()?.into_raw());
                usage::table_made();
                table.swap(index(va, level), entry);
            }
            table = table.child(entry);
        }
        Ok(table)
    }

    /// The entry for the page at `va`; empty if there is none.
    pub(crate) fn get(self, va: u64) -> Entry {
        self.find(va).map_or(Entry::EMPTY, |table| table.load(index(va, 0)))
    }

    /// Makes the tables for `va`, so that [`set`](Self::set) cannot fail.
    pub(crate) fn prepare(self, va: u64) -> Result<(), OutOfMemory> {
        self.leaf_table(va).map(drop)
    }

    /// Sets the entry for a user page and gives the old one.
    pub(crate) fn set(self, va: u64, entry: Entry) -> Result<Entry, OutOfMemory> {
        let table = self.leaf_table(va)?;
        Ok(table.swap(index(va, 0), entry))
    }

    /// Sets bits in the entry for `va`, as the hardware does when it uses the page.
    pub(crate) fn set_bits(self, va: u64, bits: u64) {
        if let Some(table) = self.find(va) {
            table.entries[index(va, 0)].fetch_or(bits, Ordering::AcqRel);
        }
    }

    /// Visits the entries that are not empty from `start` to `end`, in order, and removes tables that are or become
    /// empty. The cost grows with the number of tables there, not with the length of the range.
    pub(crate) fn visit(self, start: u64, end: u64, visitor: &mut dyn Visitor) {
        self.visit_level(TOP, start, end, visitor);
    }

    fn visit_level(self, level: u32, start: u64, end: u64, visitor: &mut dyn Visitor) {
        let span = span(level);
        let mut va = start;
        while va < end {
            let next = (va & !(span - 1)) + span;
            let index = index(va, level);
            let entry = self.load(index);
            if !entry.is_empty() {
                if level == 0 {
                    self.visit_leaf(index, va, entry, visitor);
                } else {
                    let child = self.child(entry);
                    child.visit_level(level - 1, va, end.min(next), visitor);
                    if child.used() == 0 {
                        self.swap(index, Entry::EMPTY);
                        usage::table_removed();
                        // SAFETY: the entry owned this reference, and now it is gone.
                        visitor.table_removed(va, unsafe { Frame::from_raw(entry.physical()) });
                    }
                }
            }
            va = next;
        }
    }

    fn visit_leaf(self, index: usize, va: u64, mut entry: Entry, visitor: &mut dyn Visitor) {
        match visitor.page(va, entry) {
            Visit::Keep => {}
            Visit::Replace(new) => {
                debug_assert!(!new.is_empty());
                // Only "accessed" and "dirty" can have changed meanwhile; they are carried over.
                let mut wanted = new;
                let seen = entry;
                while let Err(now) = self.replace(index, entry, wanted) {
                    wanted = Entry(new.0 | (now.0 & !seen.0));
                    entry = now;
                }
            }
            Visit::Remove => {
                let old = self.swap(index, Entry::EMPTY);
                visitor.removed(va, old);
            }
        }
    }
}
