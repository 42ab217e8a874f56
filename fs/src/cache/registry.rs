//! All mappings with a backing, for getting memory back from them.

use super::mapping::Core;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicIsize, Ordering};
use husk_machine::sync::SpinLock;

/// Pages in all mappings together.
pub(super) struct Counters {
    pub(super) clean: AtomicIsize,
    pub(super) changed: AtomicIsize,
}

pub(super) static COUNTERS: Counters = Counters { clean: AtomicIsize::new(0), changed: AtomicIsize::new(0) };

struct Registry {
    cores: Vec<Option<Arc<Core>>>,
    vacant: Vec<usize>,
    hand: usize,
}

static REGISTRY: SpinLock<Registry> =
    SpinLock::new(Registry { cores: Vec::new(), vacant: Vec::new(), hand: 0 });

/// Adds one; the number is for [`remove`].
pub(super) fn add(core: Arc<Core>) -> usize {
    let mut registry = REGISTRY.lock();
    match registry.vacant.pop() {
        Some(number) => {
            registry.cores[number] = Some(core);
            number
        }
        None => {
            registry.cores.push(Some(core));
            registry.cores.len() - 1
        }
    }
}

pub(super) fn remove(number: usize) {
    let mut registry = REGISTRY.lock();
    let removed = registry.cores[number].take();
    registry.vacant.push(number);
    drop(registry);
    drop(removed);
}

/// Drops up to `pages` clean pages that nothing maps from the page cache; the answer is how many it dropped. It never waits for
/// a lock and neither takes nor gives heap memory, so it can serve as the frame allocator's reclaim hook
/// ([`husk_machine::frame::reclaim_hook`]).
pub fn reclaim(pages: usize) -> usize {
    let Some(mut registry) = REGISTRY.try_lock() else { return 0 };
    let count = registry.cores.len();
    let mut freed = 0;
    // Twice round: the first time a page used of late is only marked.
    for _ in 0..2 * count {
        if freed >= pages {
            break;
        }
        if registry.hand >= count {
            registry.hand = 0;
        }
        if let Some(core) = &registry.cores[registry.hand]
            && let Some(mut pages_of_one) = core.pages.try_lock()
        {
            freed += pages_of_one.reclaim(pages - freed);
        }
        if freed < pages {
            registry.hand += 1;
        }
    }
    freed
}

/// How many pages the page cache holds in all, and how many of them are clean: those can be dropped unless a program maps them. The
/// others are only in memory.
#[must_use]
pub fn cached_pages() -> (usize, usize) {
    let count = |counter: &AtomicIsize| usize::try_from(counter.load(Ordering::Relaxed)).unwrap_or(0);
    let clean = count(&COUNTERS.clean);
    (clean + count(&COUNTERS.changed), clean)
}
