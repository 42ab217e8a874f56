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

static META: AtomicPtr<Meta> = AtomicPtr::new(core::ptr::null_mut());

static POOL: SpinLock<Pool> = SpinLock::with_level(
    level::FRAMES,
    Pool {
        regions: [Region { start: 0, next: 0, end: 0 }; MAX_REGIONS],
        free_list: 0,
        listed: 0,
        fresh: 0,
        total: 0,
        reserve: 0,
    },
);

fn meta(number: u32) -> &'static Meta {
    let base = META.load(Ordering::Relaxed);
    debug_assert!(!base.is_null(), "the frame allocator is not set up");
    // SAFETY: the array covers every page number that the pool manages, and it is never freed. Its elements are
    // atomics, for which every bit pattern is valid.
    unsafe { &*base.add(number as usize) }
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
            pool.regions[count] = region;
            count += 1;
        } else if let Some(smallest) = pool.regions.iter_mut().min_by_key(|region| region.end - region.start)
            && smallest.end - smallest.start < end - start
        {
            *smallest = region;
        }
        highest = highest.max(end);
    }
    let meta_pages = (highest as usize * size_of::<Meta>()).div_ceil(PAGE_SIZE) as u32;
    let home = pool.regions[..count]
        .iter_mut()
        .find(|region| region.end - region.start >= meta_pages)
        .expect("no memory that the kernel can use");
    META.store(direct(u64::from(home.start) * PAGE).as_ptr().cast(), Ordering::Release);
    home.start += meta_pages;
    home.next = home.start;
    pool.total = pool.regions.iter().map(|region| (region.end - region.start) as usize).sum();
    pool.fresh = pool.total;
    pool.reserve = (pool.total / 64).clamp(32, 1024);
}

impl Pool {
    fn free(&self) -> usize {
        self.listed + self.fresh
    }

    fn take_one(&mut self) -> Option<u32> {
        if self.free_list != 0 {
            let number = self.free_list;
            self.free_list = meta(number).link.load(Ordering::Relaxed);
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
        let first = self.regions.iter().find_map(|region| find_free_run(region, pages))?;
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
            let next = meta(number).link.load(Ordering::Relaxed);
            if in_run(number) {
                self.listed -= 1;
            } else if tail == 0 {
                head = number;
                tail = number;
            } else {
                meta(tail).link.store(number, Ordering::Relaxed);
                tail = number;
            }
            number = next;
        }
        if tail != 0 {
            meta(tail).link.store(0, Ordering::Relaxed);
        }
        self.free_list = head;
    }
}

/// Searches the used part of a region; linear, but only when memory is nearly used up.
///
/// A page with no references is on the list or on its way to it; the latter only changes under the pool's lock (see
/// [`drop_reference`]), so what is seen here is on the list.
fn find_free_run(region: &Region, pages: u32) -> Option<u32> {
    let mut length = 0;
    for number in region.start..region.next {
        length = if meta(number).refs.load(Ordering::Relaxed) == 0 { length + 1 } else { 0 };
        if length == pages {
            return Some(number + 1 - pages);
        }
    }
    None
}

pub(super) fn stats() -> FrameStats {
    let pool = POOL.lock();
    FrameStats { total: pool.total, free: pool.free() }
}

/// One page with one reference.
pub(super) fn alloc(reserve: Reserve) -> Option<Frame> {
    crate::arch::memory::may_allocate().then_some(())?;
    let mut pool = POOL.lock();
    if reserve == Reserve::Keep && pool.free() <= pool.reserve {
        return None;
    }
    let number = pool.take_one()?;
    let meta = meta(number);
    meta.refs.store(1, Ordering::Relaxed);
    meta.link.store(0, Ordering::Relaxed);
    drop(pool);
    crate::arch::memory::count_frames(1);
    // SAFETY: the page was free, and its one reference is this one.
    Some(unsafe { Frame::from_raw(u64::from(number) * PAGE) })
}

/// The physical address of `pages` consecutive pages with one reference each.
pub(super) fn alloc_run(pages: usize) -> Option<u64> {
    let pages = u32::try_from(pages).ok()?;
    let mut pool = POOL.lock();
    let first = pool.take_run(pages)?;
    for number in first..first + pages {
        meta(number).refs.store(1, Ordering::Relaxed);
        meta(number).link.store(0, Ordering::Relaxed);
    }
    drop(pool);
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
    let mut pool = POOL.lock();
    // Ours was the only reference, so nobody can have cloned it since.
    meta.refs.store(0, Ordering::Relaxed);
    fence(Ordering::Acquire);
    meta.link.store(pool.free_list, Ordering::Relaxed);
    pool.free_list = number;
    pool.listed += 1;
    drop(pool);
    crate::arch::memory::count_frames(-1);
}

/// The counter that the owner of an allocated page may use; 0 at first. Page tables count their used entries in it.
pub(crate) fn counter(frame: &Frame) -> &'static AtomicU32 {
    &meta(number_of(frame)).link
}
