//! Record locks: ranges of bytes with their owners (fcntl(2), "Advisory record locking" and "Open file description locks").

use alloc::vec::Vec;

/// Who holds a record lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockOwner {
    /// A process, known by its table of descriptors (its address), with the pid that F_GETLK shows.
    Process(usize, i32),
    /// An open file description (its address): OFD locks.
    Description(usize),
}

impl LockOwner {
    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Process(a, _), Self::Process(b, _)) | (Self::Description(a), Self::Description(b)) => {
                a == b
            }
            _ => false,
        }
    }

    /// What F_GETLK shows: -1 for OFD locks.
    pub(crate) fn pid(self) -> i32 {
        match self {
            Self::Process(_, pid) => pid,
            Self::Description(_) => -1,
        }
    }
}

/// A locked range; `last` is inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) owner: LockOwner,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) exclusive: bool,
}

/// All record locks of a file.
#[derive(Debug, Default)]
pub(crate) struct RecordLocks {
    /// Sorted by their first byte.
    records: Vec<Record>,
}

impl RecordLocks {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The first lock in the way of a wanted one.
    pub(crate) fn conflict(&self, wanted: &Record) -> Option<Record> {
        let mut records = self.records.iter();
        records
            .find(|held| {
                !held.owner.is_same(wanted.owner)
                    && held.first <= wanted.last
                    && wanted.first <= held.last
                    && (held.exclusive || wanted.exclusive)
            })
            .copied()
    }

    /// Releases the owner's locks on a range. Returns whether there were any.
    pub(crate) fn unlock(&mut self, owner: LockOwner, first: u64, last: u64) -> bool {
        let mut changed = false;
        let mut kept = Vec::with_capacity(self.records.len() + 1);
        for record in self.records.drain(..) {
            if !record.owner.is_same(owner) || record.last < first || last < record.first {
                kept.push(record);
                continue;
            }
            changed = true;
            if record.first < first {
                kept.push(Record { last: first - 1, ..record });
            }
            if record.last > last {
                kept.push(Record { first: last + 1, ..record });
            }
        }
        kept.sort_by_key(|record| record.first);
        self.records = kept;
        changed
    }

    /// Sets a lock that has no conflict: it replaces the owner's locks on the range and joins those of its kind beside it.
    pub(crate) fn lock(&mut self, wanted: Record) {
        self.unlock(wanted.owner, wanted.first, wanted.last);
        let mut joined = wanted;
        self.records.retain(|held| {
            let joins = held.owner.is_same(wanted.owner)
                && held.exclusive == wanted.exclusive
                && (held.last.checked_add(1) == Some(wanted.first)
                    || wanted.last.checked_add(1) == Some(held.first));
            if joins {
                joined.first = joined.first.min(held.first);
                joined.last = joined.last.max(held.last);
            }
            !joins
        });
        let at = self.records.partition_point(|held| held.first < joined.first);
        self.records.insert(at, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: LockOwner = LockOwner::Process(1, 10);
    const B: LockOwner = LockOwner::Description(2);

    fn record(owner: LockOwner, first: u64, last: u64, exclusive: bool) -> Record {
        Record { owner, first, last, exclusive }
    }

    #[test]
    fn unlocking_the_middle_splits() {
        let mut locks = RecordLocks::default();
        locks.lock(record(A, 0, 99, true));
        assert!(locks.unlock(A, 40, 59));
        assert_eq!(locks.records, [record(A, 0, 39, true), record(A, 60, 99, true)]);
        assert_eq!(locks.conflict(&record(B, 40, 59, true)), None);
        assert_eq!(locks.conflict(&record(B, 50, 60, false)).unwrap().first, 60);
    }

    #[test]
    fn neighbours_join_and_kinds_replace() {
        let mut locks = RecordLocks::default();
        locks.lock(record(A, 0, 9, false));
        locks.lock(record(A, 10, 19, false));
        assert_eq!(locks.records, [record(A, 0, 19, false)]);
        locks.lock(record(A, 5, 14, true));
        assert_eq!(locks.records.len(), 3);
        assert_eq!(locks.conflict(&record(B, 0, 4, false)), None);
        assert!(locks.conflict(&record(B, 0, 5, false)).is_some());
    }

    #[test]
    fn the_same_process_does_not_conflict() {
        let mut locks = RecordLocks::default();
        locks.lock(record(A, 0, u64::MAX, true));
        assert_eq!(locks.conflict(&record(LockOwner::Process(1, 11), 0, 5, true)), None);
        assert!(locks.conflict(&record(B, 7, 7, false)).is_some());
    }

    proptest! {
        /// Against the plainest model: one cell a byte.
        #[test]
        fn same_as_one_cell_a_byte(steps in proptest::collection::vec((0u64..20, 0u64..20, 0u8..3), 1..40)) {
            let mut locks = RecordLocks::default();
            let mut model = [None; 20];
            for (a, b, what) in steps {
                let (first, last) = (a.min(b), a.max(b));
                let kind = match what { 0 => None, kind => Some(kind == 2) };
                match kind {
                    None => { locks.unlock(A, first, last); }
                    Some(exclusive) => locks.lock(record(A, first, last, exclusive)),
                }
                model[first as usize..=last as usize].fill(kind);
                for byte in 0..20u64 {
                    let read = locks.conflict(&record(B, byte, byte, false)).is_some();
                    let write = locks.conflict(&record(B, byte, byte, true)).is_some();
                    prop_assert_eq!((read, write), match model[byte as usize] {
                        None => (false, false),
                        Some(false) => (false, true),
                        Some(true) => (true, true),
                    });
                }
            }
        }
    }
}
