//! Deciding how much to read.

use super::pages::CHUNK;

/// The first window of a reader that starts at the beginning or goes on where it was: 128 KiB.
const FIRST: u64 = 32;
/// The largest window: 1 MiB.
const LARGEST: u64 = 256;
/// What a read somewhere else takes at least: 16 KiB.
const RANDOM: u64 = 4;

/// A range of pages to read: first page and count.
pub(super) type Window = (u64, u64);

/// What is known of the way a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadAhead {
    /// The page after the last one asked for.
    next: u64,
    /// The page after the last one read ahead.
    end: u64,
    /// The size of the last window; 0 if reading is not sequential.
    window: u64,
}

impl ReadAhead {
    pub(super) const fn new() -> Self {
        Self { next: 0, end: 0, window: 0 }
    }

    fn is_sequential(&self, first: u64) -> bool {
        first == self.next || first + 1 == self.next
    }

    /// read(2) wants `count` pages from `first`, which is not in memory: what to read now.
    pub(super) fn missed(&mut self, first: u64, count: u64) -> Window {
        self.window = if self.is_sequential(first) { (self.window * 2).clamp(FIRST, LARGEST) } else { 0 };
        let count = self.window.max(count.min(LARGEST)).max(RANDOM);
        self.end = first + count;
        (first, count)
    }

    /// read(2) has got `count` pages from `first`: what to read ahead, so that the reader never waits.
    pub(super) fn passed(&mut self, first: u64, count: u64) -> Option<Window> {
        let last = first + count;
        let sequential = self.is_sequential(first);
        self.next = last;
        if !sequential || self.window == 0 || self.end < last || self.end - last > self.window / 2 {
            return None;
        }
        self.window = (self.window * 2).min(LARGEST);
        let from = self.end;
        self.end += self.window;
        Some((from, self.window))
    }

    /// A page fault at `index`, which is not in memory: what to read now. A fault somewhere takes what is around it; faults that
    /// go on where the last window ended take more each time.
    pub(super) fn faulted(&mut self, index: u64) -> Window {
        let first = index - index % CHUNK;
        if first == self.end && self.end != 0 {
            self.window = (self.window * 2).clamp(CHUNK, LARGEST);
        } else {
            self.window = CHUNK;
        }
        self.end = first + self.window;
        (first, self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequential_reader_gets_ever_larger_windows() {
        let mut ahead = ReadAhead::new();
        assert_eq!(ahead.missed(0, 1), (0, 32));
        let mut windows = Vec::new();
        for page in 0..1000 {
            windows.extend(ahead.passed(page, 1));
        }
        assert_eq!(windows[..4], [(32, 64), (96, 128), (224, 256), (480, 256)]);
        // Each window is asked for before the reader needs it, and none twice.
        assert!(windows.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        assert!(ahead.end > 1000);
    }

    #[test]
    fn random_reads_take_little() {
        let mut ahead = ReadAhead::new();
        for page in [500, 3, 900, 77] {
            assert_eq!(ahead.missed(page, 1), (page, 4));
            assert_eq!(ahead.passed(page, 1), None);
        }
        assert_eq!(ahead.missed(5000, 10), (5000, 10));
    }

    #[test]
    fn a_fault_takes_what_is_around_it() {
        let mut ahead = ReadAhead::new();
        assert_eq!(ahead.faulted(1003), (992, 16));
        assert_eq!(ahead.faulted(7), (0, 16));
        assert_eq!(ahead.faulted(16), (16, 32));
        assert_eq!(ahead.faulted(48), (48, 64));
        assert_eq!(ahead.faulted(300), (288, 16));
    }
}
