//! A set of ranges of sequence numbers: what a peer has acknowledged selectively, and what has arrived out of order.

use super::seq::Seq;
use alloc::vec::Vec;

/// Most ranges that are kept. More would only be made by a peer that wants to cost time; what does not fit is forgotten.
const MAX_RANGES: usize = 128;

/// Disjoint ranges in ascending order, none touching the next.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    ranges: Vec<(Seq, Seq)>,
    bytes: usize,
}

impl Ranges {
    /// Adds `left..right`; the answer is how many sequence numbers are new.
    pub(crate) fn insert(&mut self, left: Seq, right: Seq) -> usize {
        if !left.before(right) {
            return 0;
        }
        // Those that touch it become one with it.
        let first = self.ranges.partition_point(|range| range.1.before(left));
        let last = first + self.ranges[first..].partition_point(|range| range.0.at_most(right));
        let before: usize = self.ranges[first..last].iter().map(|range| range.1.distance(range.0)).sum();
        let merged = if first < last {
            (left.min(self.ranges[first].0), right.max(self.ranges[last - 1].1))
        } else if self.ranges.len() == MAX_RANGES {
            return 0;
        } else {
            (left, right)
        };
        self.ranges.splice(first..last, [merged]);
        let new = merged.1.distance(merged.0) - before;
        self.bytes += new;
        new
    }

    /// Forgets everything before `seq`.
    pub(crate) fn remove_before(&mut self, seq: Seq) {
        let gone = self.ranges.partition_point(|range| range.1.at_most(seq));
        for range in self.ranges.drain(..gone) {
            self.bytes -= range.1.distance(range.0);
        }
        if let Some(first) = self.ranges.first_mut() {
            self.bytes -= seq.distance(first.0);
            first.0 = first.0.max(seq);
        }
        if self.ranges.is_empty() {
            self.ranges = Vec::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many sequence numbers are in the set.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many of `left..right` are.
    pub(crate) fn bytes_in(&self, left: Seq, right: Seq) -> usize {
        let first = self.ranges.partition_point(|range| range.1.at_most(left));
        self.ranges[first..]
            .iter()
            .take_while(|range| range.0.before(right))
            .map(|range| range.1.min(right).distance(range.0.max(left)))
            .sum()
    }

    /// The first gap at or after `seq` that begins before `limit`: its first sequence number, and the end.
    pub(crate) fn gap(&self, seq: Seq, limit: Seq) -> Option<(Seq, Seq)> {
        let mut at = seq;
        let first = self.ranges.partition_point(|range| range.1.at_most(seq));
        for range in &self.ranges[first..] {
            if at.before(range.0) {
                break;
            }
            at = range.1;
        }
        if !at.before(limit) {
            return None;
        }
        let next = self.ranges.partition_point(|range| range.0.at_most(at));
        let end = self.ranges.get(next).map_or(limit, |range| range.0.min(limit));
        Some((at, end))
    }

    /// The sequence number above which at least `bytes` are in the set: below it, everything not in the set counts as lost
    /// (RFC 6675, `IsLost`).
    pub(crate) fn with_bytes_above(&self, bytes: usize) -> Option<Seq> {
        let mut above = 0;
        for range in self.ranges.iter().rev() {
            above += range.1.distance(range.0);
            if above >= bytes {
                return Some(range.0);
            }
        }
        None
    }

    /// The range that contains `seq`.
    pub(crate) fn containing(&self, seq: Seq) -> Option<(Seq, Seq)> {
        let first = self.ranges.partition_point(|range| range.1.at_most(seq));
        self.ranges.get(first).copied().filter(|range| range.0.at_most(seq))
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Seq, Seq)> + '_ {
        self.ranges.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(base: u32, steps in proptest::collection::vec((0_u32..400, 0_u32..40, any::<bool>()), 1..60)) {
            let (mut ranges, mut model, mut floor) = (Ranges::default(), BTreeSet::new(), 0);
            let seq = |offset: u32| Seq(base.wrapping_add(offset));
            for (at, len, remove) in steps {
                if remove {
                    floor = floor.max(at / 2);
                    ranges.remove_before(seq(floor));
                    model.retain(|&offset| offset >= floor);
                } else {
                    let new = (at..at + len).filter(|&offset| model.insert(offset)).count();
                    prop_assert_eq!(ranges.insert(seq(at), seq(at + len)), new);
                }
                prop_assert_eq!(ranges.bytes(), model.len());
                prop_assert_eq!(ranges.bytes_in(seq(50), seq(200)), model.range(50..200).count());
                let gap = (floor..500).find(|offset| !model.contains(offset)).unwrap();
                let found = ranges.gap(seq(floor), seq(500)).unwrap();
                prop_assert_eq!(found.0, seq(gap));
                let end = (gap..500).find(|offset| model.contains(offset)).unwrap_or(500);
                prop_assert_eq!(found.1, seq(end));
                prop_assert_eq!(ranges.containing(seq(77)).is_some(), model.contains(&77));
            }
        }
    }

    #[test]
    fn has_a_bound() {
        let mut ranges = Ranges::default();
        for i in 0..10_000 {
            ranges.insert(Seq(i * 10), Seq(i * 10 + 1));
        }
        assert_eq!(ranges.iter().count(), MAX_RANGES);
        assert_eq!(ranges.with_bytes_above(2), Some(Seq((MAX_RANGES as u32 - 2) * 10)));
    }
}
