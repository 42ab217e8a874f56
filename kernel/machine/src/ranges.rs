//! Ranges of physical memory: making the list of what is free at boot.

/// Ranges that a list has room for.
const MAX: usize = 32;
/// Everything is in whole pages.
const PAGE: u64 = crate::frame::PAGE_SIZE as u64;

/// A range of physical addresses, the end not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// First byte.
    pub(crate) start: u64,
    /// Byte after the last.
    pub(crate) end: u64,
}

/// A list of ranges of whole pages, without memory of its own.
pub(crate) struct Ranges {
    list: [Range; MAX],
    count: usize,
}

impl Ranges {
    /// The empty list.
    pub(crate) const fn new() -> Self {
        Self { list: [Range { start: 0, end: 0 }; MAX], count: 0 }
    }

    /// The ranges, in the order in which they were added.
    pub(crate) fn as_slice(&self) -> &[Range] {
        &self.list[..self.count]
    }

    /// Adds the whole pages of a range. If the list is full, the range is lost.
    pub(crate) fn add(&mut self, start: u64, end: u64) {
        let Some(start) = start.checked_next_multiple_of(PAGE) else { return };
        let end = end & !(PAGE - 1);
        if start < end && self.count < MAX {
            self.list[self.count] = Range { start, end };
            self.count += 1;
        }
    }

    /// Takes out every page that a range touches.
    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        let start = start & !(PAGE - 1);
        let end = end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let old = self.list;
        for range in &old[..core::mem::take(&mut self.count)] {
            self.add(range.start, range.end.min(start));
            self.add(range.start.max(end), range.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ranges: &Ranges) -> Vec<(u64, u64)> {
        ranges.as_slice().iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn only_whole_pages_are_added() {
        let mut ranges = Ranges::new();
        ranges.add(1, 0x3fff);
        ranges.add(0x5001, 0x5fff);
        ranges.add(u64::MAX - 1, u64::MAX);
        assert_eq!(list(&ranges), [(0x1000, 0x3000)]);
    }

    #[test]
    fn every_page_touched_is_removed() {
        let mut ranges = Ranges::new();
        ranges.add(0, 0xa000);
        ranges.add(0x10_0000, 0x20_0000);
        ranges.remove(0x2fff, 0x3001);
        assert_eq!(list(&ranges), [(0, 0x2000), (0x4000, 0xa000), (0x10_0000, 0x20_0000)]);
        ranges.remove(0, 0x10_0000);
        assert_eq!(list(&ranges), [(0x10_0000, 0x20_0000)]);
        ranges.remove(0x18_0000, u64::MAX);
        assert_eq!(list(&ranges), [(0x10_0000, 0x18_0000)]);
        ranges.remove(1 << 39, u64::MAX);
        assert_eq!(list(&ranges), [(0x10_0000, 0x18_0000)]);
    }
}
