//! The mappings of an address space, in order: what they are, not what they do.

use super::{PAGE, STACK_GUARD_GAP, USER_END, VmFlags, Vma};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;

/// Most mappings of one address space (Linux's default for `vm.max_map_count`).
pub(crate) const MAX_MAP_COUNT: usize = 65530;

/// Mappings by their start. They do not overlap, and neighbours that could be one are one.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    by_start: BTreeMap<u64, Vma>,
    /// Pages mapped.
    total: u64,
    /// Pages of them that are private, writable and no stack.
    data: u64,
    /// Changes whenever a mapping does.
    generation: u64,
    gaps: KnownGaps,
    /// Where the mapping found last starts and ends, and the generation in which that was so: faults come in runs.
    last_found: Cell<(u64, u64, u64)>,
}

/// What earlier searches for a gap have found out, so that the next one need not look at everything again.
#[derive(Clone, Copy, Debug, Default)]
struct KnownGaps {
    /// The end of the range that was searched.
    top: u64,
    /// Between here and `top` no gap is larger than `largest`.
    searched_to: u64,
    /// In bytes.
    largest: u64,
}

impl Maps {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.by_start.len()
    }

    /// Pages mapped.
    pub(crate) fn total_pages(&self) -> u64 {
        self.total
    }

    /// Pages that count as data.
    pub(crate) fn data_pages(&self) -> u64 {
        self.data
    }

    /// A number that is different after any change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Vma> {
        self.by_start.values()
    }

    /// The mapping at an address.
    pub(crate) fn at(&self, addr: u64) -> Option<&Vma> {
        let (start, end, generation) = self.last_found.get();
        if generation == self.generation && (start..end).contains(&addr) {
            return self.by_start.get(&start);
        }
        let found = self.search(addr)?;
        self.last_found.set((found.start, found.end, self.generation));
        Some(found)
    }

    fn search(&self, addr: u64) -> Option<&Vma> {
        self.by_start.range(..=addr).next_back().map(|(_, vma)| vma).filter(|vma| addr < vma.end)
    }

    /// The first mapping that ends above an address.
    pub(crate) fn at_or_above(&self, addr: u64) -> Option<&Vma> {
        self.at(addr).or_else(|| self.by_start.range(addr..).next().map(|(_, vma)| vma))
    }

    /// The last mapping that starts below an address.
    pub(crate) fn below(&self, addr: u64) -> Option<&Vma> {
        self.by_start.range(..addr).next_back().map(|(_, vma)| vma)
    }

    /// The mappings that have a part in a range.
    pub(crate) fn overlapping(&self, range: Range<u64>) -> impl DoubleEndedIterator<Item = &Vma> {
        let first = self.at(range.start).map_or(range.start, |vma| vma.start);
        self.by_start.range(first..range.end.max(first)).map(|(_, vma)| vma)
    }

    /// Whether nothing is mapped in a range.
    pub(crate) fn is_free(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Whether all of a range is mapped.
    pub(crate) fn covers(&self, range: Range<u64>) -> bool {
        self.covered_until(range.clone()) >= range.end
    }

    /// Where the first hole in a range is; its end if there is none.
    pub(crate) fn covered_until(&self, range: Range<u64>) -> u64 {
        let mut at = range.start;
        for vma in self.overlapping(range.clone()) {
            if vma.start > at {
                break;
            }
            at = vma.end;
        }
        at.min(range.end)
    }

    /// How many more mappings there are after the ends of a range have become boundaries.
    pub(crate) fn splits(&self, range: Range<u64>) -> usize {
        let splits = |addr| usize::from(self.at(addr).is_some_and(|vma| vma.start < addr));
        splits(range.start) + splits(range.end)
    }

    /// Adds a mapping where nothing is mapped.
    pub(crate) fn insert(&mut self, mut vma: Vma) {
        self.generation += 1;
        self.count_in(&vma);
        if let Some(next) = self.by_start.get(&vma.end).filter(|next| vma.joins(next)) {
            let end = next.end;
            self.by_start.remove(&vma.end);
            vma.end = end;
        }
        if let Some((_, before)) =
            self.by_start.range_mut(..vma.start).next_back().filter(|(_, before)| before.joins(&vma))
        {
            before.end = vma.end;
        } else {
            self.by_start.insert(vma.start, vma);
        }
    }

    /// Takes out what is mapped in a range, in order, cut to the range.
    pub(crate) fn remove(&mut self, range: Range<u64>) -> Vec<Vma> {
        let removed = self.take(range.clone());
        if range.end > self.gaps.searched_to {
            let end = self.at_or_above(range.end).map_or(self.gaps.top, |vma| vma.start.min(self.gaps.top));
            self.gaps.searched_to = self.gaps.searched_to.max(end);
        }
        removed
    }

    fn take(&mut self, range: Range<u64>) -> Vec<Vma> {
        self.generation += 1;
        self.split(range.start);
        self.split(range.end);
        let mut removed = Vec::new();
        while let Some((&start, _)) = self.by_start.range(range.start..range.end.max(range.start)).next() {
            removed.extend(self.by_start.remove(&start));
        }
        for vma in &removed {
            self.count_out(vma);
        }
        removed
    }

    /// Changes what is mapped in a range, mapping by mapping, cut to the range.
    pub(crate) fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Vma)) {
        for mut vma in self.take(range) {
            change(&mut vma);
            self.insert(vma);
        }
    }

    /// Moves the start of the mapping at `start` down to `to`, where nothing is mapped.
    pub(crate) fn grow_down(&mut self, start: u64, to: u64) {
        let Some(mut vma) = self.by_start.remove(&start) else { return };
        self.generation += 1;
        self.count_out(&vma);
        vma.start = to;
        self.insert(vma);
    }

    fn split(&mut self, addr: u64) {
        let Some((_, vma)) = self.by_start.range_mut(..addr).next_back().filter(|(_, vma)| addr < vma.end)
        else {
            return;
        };
        let upper = vma.part(addr, vma.end);
        vma.end = addr;
        self.by_start.insert(addr, upper);
    }

    fn count_in(&mut self, vma: &Vma) {
        self.total += vma.len() / PAGE;
        self.data += if vma.is_data() { vma.len() / PAGE } else { 0 };
    }

    fn count_out(&mut self, vma: &Vma) {
        self.total -= vma.len() / PAGE;
        self.data -= if vma.is_data() { vma.len() / PAGE } else { 0 };
    }

    /// The highest free place of `len` bytes within a range of addresses.
    pub(crate) fn highest_gap(&mut self, len: u64, within: Range<u64>) -> Option<u64> {
        if self.gaps.top != within.end || len <= self.gaps.largest {
            self.gaps = KnownGaps { top: within.end, searched_to: within.end, largest: 0 };
        }
        let KnownGaps { searched_to: from, mut largest, .. } = self.gaps;
        // What starts at or above the place where the search starts only matters for its guard gap.
        let above = self.at_or_above(from);
        let mut top = from.min(above.map_or(USER_END, guarded_start));
        for vma in self.by_start.range(..from).rev().map(|(_, vma)| vma) {
            if vma.end < within.start {
                break;
            }
            let gap = top.saturating_sub(vma.end.max(within.start));
            if gap >= len {
                self.gaps = KnownGaps { searched_to: top, largest, ..self.gaps };
                return Some(top - len);
            }
            largest = largest.max(gap);
            top = top.min(guarded_start(vma));
        }
        (top >= within.start && top - within.start >= len).then(|| top - len)
    }

    /// The lowest free place of `len` bytes within a range of addresses.
    pub(crate) fn lowest_gap(&self, len: u64, within: Range<u64>) -> Option<u64> {
        let mut bottom = within.start;
        for vma in self.overlapping(within.start..USER_END) {
            if guarded_start(vma) >= bottom && guarded_start(vma) - bottom >= len {
                break;
            }
            bottom = bottom.max(vma.end);
        }
        (bottom.checked_add(len)? <= within.end).then_some(bottom)
    }

    /// Whether a range is free, and far enough below a mapping that grows down.
    pub(crate) fn is_free_with_gap(&self, range: Range<u64>) -> bool {
        self.at_or_above(range.start).is_none_or(|vma| range.end <= guarded_start(vma))
    }
}

/// Where a mapping starts, with the gap that stays free below one that grows down.
fn guarded_start(vma: &Vma) -> u64 {
    if vma.flags.contains(VmFlags::GROWSDOWN) { vma.start.saturating_sub(STACK_GUARD_GAP) } else { vma.start }
}
