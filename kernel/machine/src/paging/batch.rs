//! What a change of a page table leaves to be done: flushing stale translations, and only then freeing the pages.

use crate::arch::tlb;
use crate::frame::Frame;
use alloc::vec::Vec;

/// More single pages than this cost more than flushing all.
const MAX_SINGLE: usize = 32;
/// Pages waiting to be freed that are kept without allocating memory.
const INLINE: usize = 16;
/// Pages waiting to be freed before they are flushed in between.
const MAX_WAITING: usize = 4096;

/// Where stale translations may be.
pub(super) struct Batch<'a> {
    space: &'a tlb::Active,
    addresses: [u64; MAX_SINGLE],
    /// How many addresses; more than [`MAX_SINGLE`] means all.
    count: usize,
    /// A page table is among the pages to free.
    tables: bool,
    inline: [Option<Frame>; INLINE],
    inline_count: usize,
    more: Vec<Frame>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(space: &'a tlb::Active) -> Self {
        Self {
            space,
            addresses: [0; MAX_SINGLE],
            count: 0,
            tables: false,
            inline: [const { None }; INLINE],
            inline_count: 0,
            more: Vec::new(),
        }
    }

    /// A translation for `va` that some CPU may remember is not valid any more.
    pub(super) fn flush(&mut self, va: u64) {
        if let Some(slot) = self.addresses.get_mut(self.count) {
            *slot = va;
        }
        self.count += 1;
    }

    /// Frees a page table that led to `va` once all translations are flushed: the hardware may remember upper levels as well.
    pub(super) fn free_table(&mut self, va: u64, table: Frame) {
        self.flush(va);
        self.tables = true;
        self.free(table);
    }

    /// Frees the page once all translations are flushed.
    pub(super) fn free(&mut self, frame: Frame) {
        if self.inline_count < INLINE {
            self.inline[self.inline_count] = Some(frame);
            self.inline_count += 1;
        } else if self.more.len() < MAX_WAITING
            && (self.more.len() < self.more.capacity()
                || self.more.try_reserve(self.more.len().max(48)).is_ok())
        {
            self.more.push(frame);
        } else {
            self.finish();
            drop(frame);
        }
    }

    fn finish(&mut self) {
        match self.count {
            0 => {}
            1..=MAX_SINGLE => self.space.flush(&self.addresses[..self.count], self.tables),
            _ => self.space.flush_all(self.tables),
        }
        self.count = 0;
        self.tables = false;
        self.inline.iter_mut().take(self.inline_count).for_each(|slot| *slot = None);
        self.inline_count = 0;
        self.more.clear();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}
