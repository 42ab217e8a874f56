//! The frame allocator.
//!
//! Each region of memory is used from its start upwards (`next` is the first page never used yet); freed pages go to
//! one list, which is served first. Each page has 8 bytes of data: its reference count and a link. They lie in
//! one array that covers the physical addresses from 0 to the end of memory; an element is written when its page
//! is first allocated and never read before, so the array needs no initialisation.

use super::{Frame, FrameStats, PAGE_SIZE};
use crate::arch::memory::direct;
use crate::sync::{SpinLock, level};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};

/// How many separate regions of memory are managed; smaller ones beyond that are ignored.
const MAX_REGIONS: usize = 16;
const PAGE: u64 = PAGE_SIZE as u64;

/// What is known of one page.
struct Meta {
    /// References to it; 0 if it is free.
    refs: AtomicU32,
    /// If it is free: the number of the next free page, 0 at the end. If it is a page table: its used entries.
    link: AtomicU32,
}

/// Whether an allocation may use the pages kept back for the kernel itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserve {
    Keep,
    Use,
}

#[derive(Clone, Copy)]
struct Region {
    start: u32,
    /// The first page never used.
    next: u32,
    end: u32,
}

struct Pool {
    meta: MetaArray,
    regions: [Region; MAX_REGIONS],
    /// Head of the list of free pages.
    free_list: u32,
    /// Pages on the list.
    listed: usize,
    /// Pages never used.
    fresh: usize,
    total: usize,
    /// Pages that only the kernel may use.
    reserve: usize,
}

/// Where the array of all pages' data is.
#[derive(Clone, Copy)]
struct MetaArray(*const Meta);

// SAFETY: the array is made of atomics and never freed.
unsafe impl Send for MetaArray {}

impl MetaArray {
    fn of(self, number: u32) -> &'static Meta {
        debug_assert!(!self.0.is_null(), "the frame allocator is not set up");
        // SAFETY: the array covers every page number that the pool manages, and it is never freed. Its elements are
        // atomics, for which every bit pattern is valid.
        unsafe { &*self.0.add(number as usize) }
    }
}

static META: AtomicPtr<Meta> = AtomicPtr::new(core::ptr::null_mut());

static POOL: SpinLock<Pool> = SpinLock::with_level(level::FRAMES, Pool::new());

fn meta(number: u32) -> &'static Meta {
    MetaArray(META.load(Ordering::Relaxed)).of(number)
}

fn number_of(frame: &Frame) -> u32 {
    (frame.physical() / PAGE) as u32
}

/// Gives the memory in `ranges` (physical `start..end`, page aligned, not overlapping) to the allocator. Called once.
///
/// The kernel's reserve is a 64th of all, but at least 32 and at most 1024 pages.
///
/// # Safety
/// Nobody else uses this memory, and the kernel can reach it through the direct map.
///
/// # Panics
/// If there is no memory, or too much for page numbers of 32 bits (16 TiB).
pub(crate) unsafe fn init(ranges: impl Iterator<Item = (u64, u64)>) {
    let mut pool = POOL.lock();
    assert!(META.load(Ordering::Relaxed).is_null(), "the frame allocator is set up twice");
    let home = pool.add_regions(ranges);
    let array = direct(u64::from(home) * PAGE).as_ptr().cast();
    META.store(array, Ordering::Release);
    pool.meta = MetaArray(array);
}

impl Pool {
    const fn new() -> Self {
        Self {
            meta: MetaArray(core::ptr::null()),
            regions: [Region { start: 0, next: 0, end: 0 }; MAX_REGIONS],
            free_list: 0,
            listed: 0,
            fresh: 0,
            total: 0,
            reserve: 0,
        }
    }

    /// Sets the regions, less the pages for the array of all pages' data; gives the first of those.
    fn add_regions(&mut self, ranges: impl Iterator<Item = (u64, u64)>) -> u32 {
        let mut count = 0;
        let mut highest = 0;
        for (start, end) in ranges {
            // Page 0 stays unused, so that 0 can mean "none".
            let start = u32::try_from(start.max(PAGE).div_ceil(PAGE)).expect("physical address too high");
            let end = u32::try_from(end / PAGE).expect("physical address too high");
            if start >= end {
                continue;
            }
            let region = Region { start, next: start, end };
            if count < MAX_REGIONS {
                self.regions[count] = region;
                count += 1;
            } else if let Some(smallest) =
                self.regions.iter_mut().min_by_key(|region| region.end - region.start)
                && smallest.end - smallest.start < end - start
            {
                *smallest = region;
            }
            highest = highest.max(end);
        }
        let meta_pages = (highest as usize * size_of::<Meta>()).div_ceil(PAGE_SIZE) as u32;
        let home = self.regions[..count]
            .iter_mut()
            .find(|region| region.end - region.start >= meta_pages)
            .expect("no memory that the kernel can use");
        let array = home.start;
        home.start += meta_pages;
        home.next = home.start;
        self.total = self.regions.iter().map(|region| (region.end - region.start) as usize).sum();
        self.fresh = self.total;
        self.reserve = (self.total / 64).clamp(32, 1024);
        array
    }

    fn free(&self) -> usize {
        self.listed + self.fresh
    }

    fn take_one(&mut self) -> Option<u32> {
        if self.free_list != 0 {
            let number = self.free_list;
            self.free_list = self.meta.of(number).link.load(Ordering::Relaxed);
            self.listed -= 1;
            return Some(number);
        }
        let region = self.regions.iter_mut().find(|region| region.next < region.end)?;
        region.next += 1;
        self.fresh -= 1;
        Some(region.next - 1)
    }

    /// `pages` consecutive pages: never used ones if possible.
    fn take_run(&mut self, pages: u32) -> Option<u32> {
        if let Some(region) = self.regions.iter_mut().find(|region| region.end - region.next >= pages) {
            region.next += pages;
            self.fresh -= pages as usize;
            return Some(region.next - pages);
        }
        let first = self.regions.iter().find_map(|region| self.find_free_run(region, pages))?;
        self.unlist(first, pages);
        Some(first)
    }

    /// Takes a run of free pages off the list.
    fn unlist(&mut self, first: u32, pages: u32) {
        let in_run = |number: u32| number >= first && number - first < pages;
        let mut head = 0;
        let mut tail = 0;
        let mut number = self.free_list;
        while number != 0 {
            let next = self.meta.of(number).link.load(Ordering::Relaxed);
            if in_run(number) {
                self.listed -= 1;
            } else if tail == 0 {
                head = number;
                tail = number;
            } else {
                self.meta.of(tail).link.store(number, Ordering::Relaxed);
                tail = number;
            }
            number = next;
        }
        if tail != 0 {
            self.meta.of(tail).link.store(0, Ordering::Relaxed);
        }
        self.free_list = head;
    }

    /// Searches the used part of a region; linear, but only when memory is nearly used up.
    ///
    /// A page with no references is on the list: the last reference is given up under the pool's lock.
    fn find_free_run(&self, region: &Region, pages: u32) -> Option<u32> {
        let mut length = 0;
        for number in region.start..region.next {
            length = if self.meta.of(number).refs.load(Ordering::Relaxed) == 0 { length + 1 } else { 0 };
            if length == pages {
                return Some(number + 1 - pages);
            }
        }
        None
    }

    /// One page with one reference.
    fn alloc(&mut self, reserve: Reserve) -> Option<u32> {
        if reserve == Reserve::Keep && self.free() <= self.reserve {
            return None;
        }
        let number = self.take_one()?;
        self.own(number);
        Some(number)
    }

    /// Consecutive pages with one reference each.
    fn alloc_run(&mut self, pages: u32) -> Option<u32> {
        let first = self.take_run(pages)?;
        (first..first + pages).for_each(|number| self.own(number));
        Some(first)
    }

    fn own(&self, number: u32) {
        let meta = self.meta.of(number);
        meta.refs.store(1, Ordering::Relaxed);
        meta.link.store(0, Ordering::Relaxed);
    }

    /// Takes back a page whose last reference is given up.
    fn free_page(&mut self, number: u32) {
        let meta = self.meta.of(number);
        meta.refs.store(0, Ordering::Relaxed);
        fence(Ordering::Acquire);
        meta.link.store(self.free_list, Ordering::Relaxed);
        self.free_list = number;
        self.listed += 1;
    }
}

pub(super) fn stats() -> FrameStats {
    let pool = POOL.lock();
    FrameStats { total: pool.total, free: pool.free() }
}

/// One page with one reference.
pub(super) fn alloc(reserve: Reserve) -> Option<Frame> {
    crate::arch::memory::may_allocate().then_some(())?;
    let number = POOL.lock().alloc(reserve)?;
    crate::arch::memory::count_frames(1);
    // SAFETY: the page was free, and its one reference is this one.
    Some(unsafe { Frame::from_raw(u64::from(number) * PAGE) })
}

/// The physical address of `pages` consecutive pages with one reference each.
pub(super) fn alloc_run(pages: usize) -> Option<u64> {
    crate::arch::memory::may_allocate().then_some(())?;
    let pages = u32::try_from(pages).ok()?;
    let first = POOL.lock().alloc_run(pages)?;
    crate::arch::memory::count_frames(pages as isize);
    Some(u64::from(first) * PAGE)
}

pub(super) fn ref_count(frame: &Frame) -> u32 {
    meta(number_of(frame)).refs.load(Ordering::Acquire)
}

pub(super) fn add_reference(frame: &Frame) {
    let before = meta(number_of(frame)).refs.fetch_add(1, Ordering::Relaxed);
    // The zero page may have very many; half of the range is left for CPUs racing past this check.
    assert!(before < u32::MAX / 2, "too many references to a page");
}

pub(super) fn drop_reference(frame: &Frame) {
    let number = number_of(frame);
    let meta = meta(number);
    // Whoever holds more than one reference gives one up without the lock; the last one is given up under the lock, so that
    // a page without references is always on the list.
    let mut refs = meta.refs.load(Ordering::Relaxed);
    while refs > 1 {
        match meta.refs.compare_exchange_weak(refs, refs - 1, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => refs = now,
        }
    }
    debug_assert!(refs == 1, "a free page is freed again");
    // Ours was the only reference, so nobody can have cloned it since.
    POOL.lock().free_page(number);
    crate::arch::memory::count_frames(-1);
}

/// The counter that the owner of an allocated page may use; 0 at first. Page tables count their used entries in it.
pub(crate) fn counter(frame: &Frame) -> &'static AtomicU32 {
    &meta(number_of(frame)).link
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A pool over pages 10..60 and 100..150, less the page for its data.
    fn pool() -> Pool {
        let mut pool = Pool::new();
        let page = |number: u64| number * PAGE;
        assert_eq!(pool.add_regions([(page(10), page(60)), (page(100) - 5, page(150) + 5)].into_iter()), 10);
        let array: Vec<Meta> =
            (0..150).map(|_| Meta { refs: AtomicU32::new(77), link: AtomicU32::new(77) }).collect();
        pool.meta = MetaArray(array.leak().as_ptr());
        pool.reserve = 4;
        pool
    }

    #[test]
    fn regions_are_used_up_to_the_reserve() {
        let mut pool = pool();
        assert_eq!((pool.total, pool.free()), (99, 99));
        let kept: BTreeSet<u32> = core::iter::from_fn(|| pool.alloc(Reserve::Keep)).collect();
        assert_eq!(kept.len(), 95);
        assert!(kept.iter().all(|page| (11..60).contains(page) || (100..150).contains(page)));
        assert_eq!(core::iter::from_fn(|| pool.alloc(Reserve::Use)).count(), 4);
        assert_eq!(pool.free(), 0);
    }

    #[test]
    fn runs_come_from_freed_pages_when_nothing_else_is_left() {
        let mut pool = pool();
        while pool.alloc(Reserve::Use).is_some() {}
        assert_eq!(pool.alloc_run(1), None);
        for page in [20, 22, 23, 120, 24, 26, 21] {
            pool.free_page(page);
        }
        assert_eq!(pool.alloc_run(6), None);
        assert_eq!(pool.alloc_run(5), Some(20));
        assert_eq!(pool.free(), 2);
        let rest: BTreeSet<u32> = core::iter::from_fn(|| pool.alloc(Reserve::Use)).collect();
        assert_eq!(rest, BTreeSet::from([26, 120]));
    }

    proptest! {
        #[test]
        fn no_page_is_given_out_twice(steps in proptest::collection::vec((0u8..4, 0usize..200), 1..300)) {
            let mut pool = pool();
            let mut used = BTreeSet::new();
            for (step, number) in steps {
                match step {
                    0 | 1 => {
                        if let Some(page) = pool.alloc(Reserve::Use) {
                            prop_assert!(used.insert(page));
                        }
                    }
                    2 => {
                        let pages = number as u32 % 7 + 1;
                        if let Some(first) = pool.alloc_run(pages) {
                            for page in first..first + pages {
                                prop_assert!(used.insert(page));
                            }
                        }
                    }
                    _ => {
                        if let Some(&page) = used.iter().nth(number % used.len().max(1)) {
                            used.remove(&page);
                            pool.free_page(page);
                        }
                    }
                }
                prop_assert_eq!(pool.free() + used.len(), pool.total);
                prop_assert!(used.iter().all(|page| (11..60).contains(page) || (100..150).contains(page)));
            }
        }
    }
}
