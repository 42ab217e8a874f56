//! Physical memory in pages of 4 KiB.
//!
//! A [`Frame`] owns a reference to one page; the page is free again when the last reference is dropped. Page
//! tables and the page cache own references like everybody else.
//!
//! Nothing here touches memory before it is asked for: a boot costs the same with 64 MiB and with 4 GiB.

mod pool;

use crate::arch::memory::{copy_bytes, direct, fill_bytes};
use crate::sync::{Once, SpinLock};
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::ptr::NonNull;

use pool::Reserve;
pub(crate) use pool::{counter, init};

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// There is no free memory left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

impl core::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}

/// An owned reference to one page of physical memory. `clone` adds a reference.
///
/// Its bytes are only ever copied in and out, as user programs may change them at any time.
pub struct Frame(NonZeroU64);

/// How much memory there is, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStats {
    /// All that the kernel manages (not its own image).
    pub total: usize,
    /// Those free now.
    pub free: usize,
}

/// Asks for clean pages back when memory runs out; says how many it freed.
pub type ReclaimHook = fn(pages: usize) -> usize;

static RECLAIM: SpinLock<Option<ReclaimHook>> = SpinLock::new(None);

/// Sets what is called when memory runs out, with no spin lock held by the allocator. The allocation is tried again as long as the hook
/// frees something.
pub fn reclaim_hook(hook: ReclaimHook) {
    *RECLAIM.lock() = Some(hook);
}

/// Asks the hook for pages; says whether it freed any.
pub(crate) fn reclaim() -> bool {
    let hook = *RECLAIM.lock();
    hook.is_some_and(|hook| hook(32) > 0)
}

/// How much memory there is.
pub fn stats() -> FrameStats {
    pool::stats()
}

/// A page of zeros that everybody shares. A clone of it may be mapped read-only; it must never be written.
///
/// # Panics
/// If memory is used up the first time it is asked for.
pub fn zero_frame() -> &'static Frame {
    static ZERO: Once<Frame> = Once::new();
    ZERO.call_once(|| Frame::alloc_zeroed().expect("no memory for the page of zeros"))
}

impl Frame {
    /// A page with unspecified contents: only for one that is overwritten whole before a program can see it.
    ///
    /// # Errors
    /// [`OutOfMemory`] if no page is free and the reclaim hook finds none.
    pub fn alloc() -> Result<Self, OutOfMemory> {
        loop {
            if let Some(frame) = pool::alloc(Reserve::Keep) {
                return Ok(frame);
            }
            if !reclaim() {
                return Err(OutOfMemory);
            }
        }
    }

    /// A page of zeros.
    ///
    /// # Errors
    /// [`OutOfMemory`] if no page is free and the reclaim hook finds none.
    pub fn alloc_zeroed() -> Result<Self, OutOfMemory> {
        let frame = Self::alloc()?;
        frame.fill(0, PAGE_SIZE, 0);
        Ok(frame)
    }

    /// A page for the kernel itself, which may use the last reserve; no hook is called. Contents unspecified.
    #[cfg(any(target_os = "none", test))]
    pub(crate) fn alloc_for_kernel() -> Result<Self, OutOfMemory> {
        pool::alloc(Reserve::Use).ok_or(OutOfMemory)
    }

    /// As [`alloc`](Self::alloc), but no hook is called, as the caller holds a spin lock.
    #[cfg(any(target_os = "none", test))]
    pub(crate) fn alloc_spare() -> Result<Self, OutOfMemory> {
        pool::alloc(Reserve::Keep).ok_or(OutOfMemory)
    }

    /// A page of zeros for a page table. As its caller holds a spin lock, no hook is called: the caller does that later.
    pub(crate) fn alloc_table() -> Result<Self, OutOfMemory> {
        let frame = pool::alloc(Reserve::Use).ok_or(OutOfMemory)?;
        frame.fill(0, PAGE_SIZE, 0);
        Ok(frame)
    }

    /// Copies bytes out of the page.
    ///
    /// # Panics
    /// If `offset + dst.len()` is beyond the page.
    pub fn read(&self, offset: usize, dst: &mut [u8]) {
        check_range(offset, dst.len());
        // SAFETY: the range lies in this page, which stays allocated while `self` lives, and `dst` is not in it:
        // nobody makes references into frames.
        unsafe { copy_bytes(dst.as_mut_ptr(), self.as_ptr().as_ptr().add(offset), dst.len()) };
    }

    /// Copies bytes into the page.
    ///
    /// # Panics
    /// If `offset + src.len()` is beyond the page.
    pub fn write(&self, offset: usize, src: &[u8]) {
        check_range(offset, src.len());
        // SAFETY: as in `read`.
        unsafe { copy_bytes(self.as_ptr().as_ptr().add(offset), src.as_ptr(), src.len()) };
    }

    /// Sets `len` bytes to `byte`.
    ///
    /// # Panics
    /// If `offset + len` is beyond the page.
    pub fn fill(&self, offset: usize, len: usize, byte: u8) {
        check_range(offset, len);
        // SAFETY: the range lies in this page, which stays allocated while `self` lives.
        unsafe { fill_bytes(self.as_ptr().as_ptr().add(offset), byte, len) };
    }

    /// Copies the whole of another page into this one.
    pub fn copy_from(&self, src: &Self) {
        if !self.is_same(src) {
            // SAFETY: two different pages do not overlap, and both stay allocated while their frames live.
            unsafe { copy_bytes(self.as_ptr().as_ptr(), src.as_ptr().as_ptr(), PAGE_SIZE) };
        }
    }

    /// The number of references to this page. Another CPU may be changing it, unless it is 1 and the caller has it.
    pub fn ref_count(&self) -> u32 {
        pool::ref_count(self)
    }

    /// The physical address.
    pub fn physical(&self) -> u64 {
        self.0.get()
    }

    /// Whether both are references to one page.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Where the kernel sees the page.
    pub(crate) fn as_ptr(&self) -> NonNull<u8> {
        direct(self.physical())
    }

    /// Gives up the owned reference without dropping it; the address stands for it.
    pub(crate) fn into_raw(self) -> u64 {
        let physical = self.physical();
        core::mem::forget(self);
        physical
    }

    /// Takes up a reference that [`into_raw`](Self::into_raw) gave up.
    ///
    /// # Safety
    /// `physical` stands for an owned reference, which nobody else takes up.
    pub(crate) unsafe fn from_raw(physical: u64) -> Self {
        debug_assert!(physical != 0 && physical.is_multiple_of(PAGE_SIZE as u64));
        // SAFETY: an owned reference is never to page 0, which the allocator does not manage.
        Self(unsafe { NonZeroU64::new_unchecked(physical) })
    }
}

fn check_range(offset: usize, len: usize) {
    assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "{len} bytes at {offset} of a page");
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        pool::add_reference(self);
        Self(self.0)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        pool::drop_reference(self);
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frame({:#x}, {} refs)", self.physical(), self.ref_count())
    }
}

/// Pages one after another in physical memory, for devices. Freed on drop.
pub struct Contiguous {
    frames: Vec<Frame>,
}

/// Allocates `pages` consecutive pages of zeros for the kernel's own use.
///
/// # Errors
/// [`OutOfMemory`] if there is no such run.
///
/// # Panics
/// If `pages` is 0.
pub fn alloc_contiguous(pages: usize) -> Result<Contiguous, OutOfMemory> {
    assert!(pages > 0, "no pages asked for");
    let mut frames = Vec::new();
    frames.try_reserve_exact(pages).map_err(|_| OutOfMemory)?;
    let first = pool::alloc_run(pages).ok_or(OutOfMemory)?;
    for number in 0..pages {
        // SAFETY: `alloc_run` gives an owned reference to each page of the run.
        let frame = unsafe { Frame::from_raw(first + (number * PAGE_SIZE) as u64) };
        frame.fill(0, PAGE_SIZE, 0);
        frames.push(frame);
    }
    Ok(Contiguous { frames })
}

impl Contiguous {
    /// The physical address of the first byte.
    pub fn physical(&self) -> u64 {
        self.frames[0].physical()
    }

    /// Where the kernel sees the first byte; the others follow.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.frames[0].as_ptr()
    }

    /// The pages.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The length in bytes.
    pub fn size(&self) -> usize {
        self.frames.len() * PAGE_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosted::limit_frames;

    #[test]
    fn references_are_counted() {
        let frame = Frame::alloc_zeroed().unwrap();
        assert_eq!(frame.ref_count(), 1);
        let other = frame.clone();
        assert_eq!((frame.ref_count(), other.ref_count()), (2, 2));
        assert!(frame.is_same(&other));
        other.write(100, b"abc");
        drop(other);
        assert_eq!(frame.ref_count(), 1);
        let mut bytes = [0; 5];
        frame.read(99, &mut bytes);
        assert_eq!(&bytes, b"\0abc\0");
        assert_eq!(size_of::<Option<Frame>>(), 8);
    }

    #[test]
    fn copies_of_any_length_and_alignment() {
        let source: Vec<u8> = (0..PAGE_SIZE).map(|i| (i * 7 % 251) as u8).collect();
        let (a, b) = (Frame::alloc_zeroed().unwrap(), Frame::alloc_zeroed().unwrap());
        for (offset, len) in [(0, 0), (1, 1), (3, 8), (5, 23), (8, 64), (17, 129), (1, 4095), (0, 4096)] {
            a.fill(0, PAGE_SIZE, 0xee);
            a.write(offset, &source[..len]);
            let mut back = std::vec![0; PAGE_SIZE];
            a.read(0, &mut back);
            assert_eq!(back[offset..offset + len], source[..len]);
            assert!(back[..offset].iter().chain(&back[offset + len..]).all(|&byte| byte == 0xee));
        }
        b.copy_from(&a);
        let mut back = std::vec![0; PAGE_SIZE];
        b.read(0, &mut back);
        assert_eq!(back, source);
    }

    #[test]
    #[should_panic(expected = "of a page")]
    fn beyond_the_page_is_refused() {
        Frame::alloc().unwrap().write(4090, &[0; 7]);
    }

    #[test]
    fn out_of_memory_is_an_error() {
        let _limit = limit_frames(2);
        let first = Frame::alloc().unwrap();
        let _second = Frame::alloc().unwrap();
        assert_eq!(Frame::alloc().unwrap_err(), OutOfMemory);
        drop(first);
        assert!(Frame::alloc().is_ok());
    }

    #[test]
    fn memory_is_reclaimed_before_an_allocation_fails() {
        std::thread_local! {
            static CACHE: std::cell::RefCell<Vec<Frame>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        // Other tests run out of memory on their own threads, where this cache is empty.
        reclaim_hook(|pages| CACHE.with(|cache| cache.borrow_mut().drain(..).take(pages).count()));
        let page = zero_frame().clone();
        let _limit = limit_frames(3);
        CACHE.with(|cache| cache.borrow_mut().extend((0..3).map(|_| Frame::alloc().unwrap())));
        let _frame = Frame::alloc().unwrap();
        assert!(CACHE.with(|cache| cache.borrow().is_empty()));
        let space = crate::paging::PageTable::new().unwrap();
        CACHE.with(|cache| cache.borrow_mut().push(Frame::alloc().unwrap()));
        assert_eq!(
            space.map(0x1000, page, crate::paging::Prot::READ),
            Err(OutOfMemory),
            "it needs three tables"
        );
        assert!(CACHE.with(|cache| cache.borrow().is_empty()));
    }

    #[test]
    fn runs_are_consecutive_and_zero() {
        let run = alloc_contiguous(5).unwrap();
        for (i, frame) in run.frames().iter().enumerate() {
            assert_eq!(frame.physical(), run.physical() + (i * PAGE_SIZE) as u64);
            assert_eq!(frame.ref_count(), 1);
        }
        let mut last = [1; 8];
        run.frames()[4].read(4088, &mut last);
        assert_eq!((last, run.size()), ([0; 8], 5 * PAGE_SIZE));
    }
}
