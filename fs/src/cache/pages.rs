//! The pages of one mapping.

use super::read_ahead::{ReadAhead, Window};
use super::registry::COUNTERS;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use husk_machine::frame::{Frame, PAGE_SIZE};

const PAGE: u64 = PAGE_SIZE as u64;

/// Pages in a chunk: what a fault reads around itself (64 KiB).
pub(super) const CHUNK: u64 = 16;

/// A file of so many pages is read whole by the first fault (128 KiB).
const SMALL: u64 = 32;

/// What is known of a page.
#[derive(Debug, Default)]
pub(super) enum Slot {
    /// Nothing: to be read from the backing, or zeros.
    #[default]
    Empty,
    /// Being read; the number tells this attempt from others.
    Loading(u32),
    /// Reading it failed; the next who asks tries again.
    Failed,
    /// As on disk.
    Clean(Frame),
    /// Only in memory.
    Changed(Frame),
}

impl Slot {
    pub(super) const fn frame(&self) -> Option<&Frame> {
        match self {
            Self::Clean(frame) | Self::Changed(frame) => Some(frame),
            Self::Empty | Self::Loading(_) | Self::Failed => None,
        }
    }
}

#[derive(Default)]
struct Chunk {
    slots: [Slot; CHUNK as usize],
    /// Bit per page: used since reclaim last looked.
    used: u16,
}

/// What a mapping's spin lock guards.
pub(super) struct Pages {
    /// Size of the file in bytes.
    pub(super) size: u64,
    /// The first so many bytes are the backing's, except `cut`; beyond are zeros.
    pub(super) backed: u64,
    /// Ranges of pages, start to end, that no longer come from the backing (punched holes).
    cut: BTreeMap<u64, u64>,
    chunks: BTreeMap<u64, Box<Chunk>>,
    /// Changed pages.
    pub(super) changed: u64,
    /// Those of them that the backing does not have.
    pub(super) extra: u64,
    clean: u64,
    pub(super) next_token: u32,
    pub(super) ahead: ReadAhead,
    /// Whether read(2) reads as faults do: what is around the place.
    pub(super) reads_around: bool,
    /// Whether a program may write to the last page beyond the end through a shared mapping.
    pub(super) mapped_for_write: bool,
    reclaim_from: u64,
}

/// The number of pages that hold `bytes`.
pub(super) const fn pages_of(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE)
}

impl Pages {
    pub(super) const fn new(size: u64, backed: u64) -> Self {
        Self {
            size,
            backed,
            cut: BTreeMap::new(),
            chunks: BTreeMap::new(),
            changed: 0,
            extra: 0,
            clean: 0,
            next_token: 0,
            ahead: ReadAhead::new(),
            reads_around: false,
            mapped_for_write: false,
            reclaim_from: 0,
        }
    }

    /// Whether the page comes from the backing if it is not in memory.
    pub(super) fn is_backed(&self, index: u64) -> bool {
        index < pages_of(self.backed)
            && self.cut.range(..=index).next_back().is_none_or(|(_, &end)| end <= index)
    }

    /// Whether the page is nowhere: neither in memory nor in the backing.
    pub(super) fn is_hole(&self, index: u64) -> bool {
        matches!(self.slot(index), Slot::Empty) && !self.is_backed(index)
    }

    /// What to read for a fault at a page.
    pub(super) fn fault_window(&mut self, index: u64) -> Window {
        let all = pages_of(self.backed);
        if all <= SMALL { (0, all) } else { self.ahead.faulted(index) }
    }

    /// The slot of a page, if its chunk exists.
    pub(super) fn slot(&self, index: u64) -> &Slot {
        const EMPTY: &Slot = &Slot::Empty;
        self.chunks.get(&(index / CHUNK)).map_or(EMPTY, |chunk| &chunk.slots[(index % CHUNK) as usize])
    }

    /// The page's frame if it is in memory; marks it as used.
    pub(super) fn get(&mut self, index: u64) -> Option<Frame> {
        let chunk = self.chunks.get_mut(&(index / CHUNK))?;
        let position = (index % CHUNK) as usize;
        let frame = chunk.slots[position].frame()?.clone();
        chunk.used |= 1 << position;
        Some(frame)
    }

    /// Puts something into a slot and gives back what was there.
    pub(super) fn put(&mut self, index: u64, slot: Slot) -> Slot {
        self.count(&slot, 1, index);
        let chunk = self.chunks.entry(index / CHUNK).or_default();
        let position = (index % CHUNK) as usize;
        if slot.frame().is_some() {
            chunk.used |= 1 << position;
        }
        let old = core::mem::replace(&mut chunk.slots[position], slot);
        self.count(&old, -1, index);
        old
    }

    fn count(&mut self, slot: &Slot, by: i64, index: u64) {
        match slot {
            Slot::Clean(_) => {
                self.clean = self.clean.wrapping_add_signed(by);
                COUNTERS.clean.fetch_add(by as isize, Ordering::Relaxed);
            }
            Slot::Changed(_) => {
                self.changed = self.changed.wrapping_add_signed(by);
                COUNTERS.changed.fetch_add(by as isize, Ordering::Relaxed);
                if !self.is_backed(index) {
                    self.extra = self.extra.wrapping_add_signed(by);
                }
            }
            Slot::Empty | Slot::Loading(_) | Slot::Failed => {}
        }
    }

    /// Takes everything out of `start..end`. The frames are for the caller to drop without the lock.
    pub(super) fn remove(&mut self, start: u64, end: u64) -> Vec<Slot> {
        let mut removed = Vec::new();
        if start >= end {
            return removed;
        }
        let (first, last) = (start / CHUNK, (end - 1) / CHUNK);
        let numbers: Vec<u64> = self.chunks.range(first..=last).map(|(&number, _)| number).collect();
        for number in numbers {
            let base = number * CHUNK;
            let (from, to) = (start.max(base), end.min(base.saturating_add(CHUNK)));
            for index in from..to {
                if !matches!(self.slot(index), Slot::Empty) {
                    removed.push(self.put(index, Slot::Empty));
                }
            }
            if from == base && to == base + CHUNK {
                self.chunks.remove(&number);
            }
        }
        removed
    }

    /// From now on the pages `start..end` do not come from the backing. They have been removed.
    pub(super) fn cut_off(&mut self, start: u64, end: u64) {
        let end = end.min(pages_of(self.backed));
        let (mut start, mut end) = (start, end);
        if start >= end {
            return;
        }
        let overlapping: Vec<u64> = self
            .cut
            .range(..=end)
            .filter(|&(_, &other_end)| other_end >= start)
            .map(|(&from, _)| from)
            .collect();
        for from in overlapping {
            if let Some(other_end) = self.cut.remove(&from) {
                start = start.min(from);
                end = end.max(other_end);
            }
        }
        self.cut.insert(start, end);
    }

    /// Up to where pages come from the backing, if the one at `index` does.
    pub(super) fn backed_until(&self, index: u64) -> u64 {
        let end = pages_of(self.backed);
        self.cut.range(index..).next().map_or(end, |(&start, _)| start.min(end))
    }

    /// The next page after `index`, which does not come from the backing, that does.
    pub(super) fn next_backed(&self, index: u64) -> Option<u64> {
        let (_, &end) = self.cut.range(..=index).next_back()?;
        (end > index && end < pages_of(self.backed)).then_some(end)
    }

    /// The first page at or after `index` that is in memory only.
    pub(super) fn next_changed(&self, index: u64) -> Option<u64> {
        self.chunks.range(index / CHUNK..).find_map(|(&number, chunk)| {
            let base = number * CHUNK;
            chunk
                .slots
                .iter()
                .zip(base..)
                .find_map(|(slot, at)| (at >= index && matches!(slot, Slot::Changed(_))).then_some(at))
        })
    }

    /// Hands out the frames of `start..end` that are in memory.
    pub(super) fn for_each(&self, start: u64, end: u64, emit: &mut dyn FnMut(u64, Frame)) {
        if start >= end {
            return;
        }
        for (&number, chunk) in self.chunks.range(start / CHUNK..=(end - 1) / CHUNK) {
            for (position, slot) in chunk.slots.iter().enumerate() {
                let index = number * CHUNK + position as u64;
                if let Some(frame) = slot.frame()
                    && (start..end).contains(&index)
                {
                    emit(index, frame.clone());
                }
            }
        }
    }

    /// Drops up to `wanted` clean pages that nobody else holds, going round from where the last call ended. A page used since the
    /// last look is spared once. Neither takes nor frees heap memory.
    pub(super) fn reclaim(&mut self, wanted: usize) -> usize {
        let mut freed = 0;
        if self.clean == 0 {
            return 0;
        }
        let start = self.reclaim_from;
        let mut stopped_at = None;
        for (&number, chunk) in self.chunks.range_mut(start..) {
            freed += chunk.reclaim();
            if freed >= wanted {
                stopped_at = Some(number + 1);
                break;
            }
        }
        self.reclaim_from = stopped_at.unwrap_or(0);
        self.clean -= freed as u64;
        COUNTERS.clean.fetch_sub(freed as isize, Ordering::Relaxed);
        freed
    }
}

impl Chunk {
    fn reclaim(&mut self) -> usize {
        let mut freed = 0;
        for (position, slot) in self.slots.iter_mut().enumerate() {
            let bit = 1 << position;
            if self.used & bit == 0
                && let Slot::Clean(frame) = slot
                && frame.ref_count() == 1
            {
                *slot = Slot::Empty;
                freed += 1;
            }
        }
        self.used = 0;
        freed
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        COUNTERS.clean.fetch_sub(self.clean as isize, Ordering::Relaxed);
        COUNTERS.changed.fetch_sub(self.changed as isize, Ordering::Relaxed);
    }
}
