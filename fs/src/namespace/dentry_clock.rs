//! Keeps the number of remembered names bounded: the clock (second chance) algorithm.

use super::dentry::Dentry;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};
use husk_machine::frame;
use husk_machine::sync::SpinLock;

/// One name, with the file behind it, takes about 1 KiB; all together may take a sixteenth of the memory.
const PAGES_PER_NAME: usize = 4;
/// Least and most names that are remembered, apart from those in use.
const FEWEST: usize = 1024;
const MOST: usize = 64 * 1024;
/// How many old names are looked at when one more is remembered beyond the limit.
const STEPS: usize = 4;

/// One remembered name: where it hangs.
struct Entry {
    parent: Weak<Dentry>,
    name: Arc<[u8]>,
}

/// The names remembered, oldest first, and the count of renames.
pub(super) struct DentryClock {
    queue: SpinLock<VecDeque<Entry>>,
    limit: usize,
    /// Odd while a rename moves a dentry; whoever puts a path together begins again when it has changed.
    moves: AtomicU64,
}

impl DentryClock {
    pub(super) fn new() -> Arc<Self> {
        Self::with_limit((frame::stats().total / PAGES_PER_NAME).clamp(FEWEST, MOST))
    }

    pub(super) fn with_limit(limit: usize) -> Arc<Self> {
        Arc::new(Self { queue: SpinLock::new(VecDeque::new()), limit, moves: AtomicU64::new(0) })
    }

    /// A name has been remembered in `parent`. Others may be forgotten for it.
    pub(super) fn added(&self, parent: &Arc<Dentry>, name: Arc<[u8]>) {
        let entry = Entry { parent: Arc::downgrade(parent), name };
        let mut queue = self.queue.lock();
        queue.push_back(entry);
        let full = queue.len() > self.limit;
        drop(queue);
        if !full {
            return;
        }
        for _ in 0..STEPS {
            let Some(oldest) = self.queue.lock().pop_front() else { return };
            let Some(parent) = oldest.parent.upgrade() else { continue };
            if parent.forget_if_unused(&oldest.name) {
                continue;
            }
            self.queue.lock().push_back(oldest);
        }
    }

    pub(super) fn begin_move(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn end_move(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Clock, Credentials, DeviceNumber, Limits, LookupFlags, MemFs, Namespace, NewKind, WalkContext,
        lookup, ops,
    };
    use std::format;
    use std::sync::Arc;
    use std::vec::Vec;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> husk_abi::Timespec {
            husk_abi::Timespec::default()
        }
    }

    #[test]
    fn unused_names_are_forgotten_and_used_ones_kept() {
        const LIMIT: usize = 100;
        let limits = Limits { pages: 10, inodes: 10_000 };
        let fs = MemFs::tmpfs(DeviceNumber::new(0, 1), Arc::new(Stopped), limits);
        let namespace = Namespace::with_name_limit(fs, LIMIT);
        let root = namespace.root();
        let ctx = WalkContext { root: root.clone(), cwd: root, credentials: Arc::new(Credentials::root()) };
        let held = ops::make(&ctx, None, b"held", NewKind::Directory, 0o755).unwrap();
        let inside = ops::make(&ctx, None, b"held/inside", NewKind::Regular, 0o644).unwrap();
        let mut dentries = Vec::new();
        for number in 0..1000 {
            let made =
                ops::make(&ctx, None, format!("file{number}").as_bytes(), NewKind::Regular, 0o644).unwrap();
            dentries.push(Arc::downgrade(made.dentry()));
            assert!(lookup(&ctx, None, format!("none{number}").as_bytes(), LookupFlags::FOLLOW).is_err());
        }
        let remembered = dentries.iter().filter(|dentry| dentry.strong_count() > 0).count();
        assert!((10..=LIMIT).contains(&remembered), "{remembered} names are remembered");
        // What is in use is still the same, and what was forgotten is found again.
        let again = lookup(&ctx, None, b"held/inside", LookupFlags::FOLLOW).unwrap();
        assert!(
            again.is_same(&inside)
                && lookup(&ctx, None, b"held", LookupFlags::FOLLOW).unwrap().is_same(&held)
        );
        assert!((0..1000).all(|number| {
            lookup(&ctx, None, format!("file{number}").as_bytes(), LookupFlags::FOLLOW).is_ok()
        }));
    }
}
