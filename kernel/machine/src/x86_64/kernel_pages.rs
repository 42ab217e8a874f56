//! Pages of the kernel itself, in the window for stacks and heap: each frame mapped on its own, never executable.

use super::entry::{Entry, index};
use super::layout::STACK_WINDOW;
use super::memory::direct;
use super::{kernel_map, tlb};
use crate::frame::{Frame, OutOfMemory};
use crate::sync::{SpinLock, level};
use core::sync::atomic::{AtomicU64, Ordering};

/// Stacks have the first half of the window.
pub(super) const STACKS: u64 = STACK_WINDOW;
/// The heap has the second half.
pub(super) const HEAP: u64 = STACK_WINDOW + WINDOW_HALF;
/// Bytes of each half.
pub(super) const WINDOW_HALF: u64 = 256 << 30;

/// Guards the tables of the window.
static LOCK: SpinLock<()> = SpinLock::with_level(level::KERNEL_MAP, ());

/// The entry for the page at `va`, in tables that are made if `make` says so.
fn entry(va: u64, make: bool) -> Result<Option<&'static AtomicU64>, OutOfMemory> {
    debug_assert!(
        (STACK_WINDOW..STACK_WINDOW + 2 * WINDOW_HALF).contains(&va),
        "{va:#x} is not in the window"
    );
    let mut table = kernel_map::root();
    for level in (1..=3).rev() {
        let slot = slot(table, index(va, level));
        let mut value = Entry(slot.load(Ordering::Acquire));
        if value.is_empty() {
            if !make {
                return Ok(None);
            }
            value = Entry::kernel_table(Frame::alloc_table()?.into_raw());
            slot.store(value.0, Ordering::Release);
        }
        table = value.physical();
    }
    Ok(Some(slot(table, index(va, 0))))
}

fn slot(table: u64, index: usize) -> &'static AtomicU64 {
    // SAFETY: tables of the window are never freed, and only this module changes them, with atomics.
    unsafe { direct(table).cast::<AtomicU64>().add(index).as_ref() }
}

/// Maps a new page at `va`, where none is.
pub(super) fn map(va: u64) -> Result<(), OutOfMemory> {
    let frame = Frame::alloc_for_kernel()?;
    let _guard = LOCK.lock();
    let slot = entry(va, true)?.ok_or(OutOfMemory)?;
    let old = slot.swap(Entry::kernel_page(frame.into_raw(), true).0, Ordering::AcqRel);
    assert!(old == 0, "the kernel's page at {va:#x} is mapped twice");
    Ok(())
}

/// Unmaps the page at `va`, if there is one, and frees it. Other CPUs may remember it until [`tlb::flush_kernel`].
///
/// # Safety
/// Nobody uses it any more, and nothing is mapped there again before that.
pub(super) unsafe fn unmap(va: u64) {
    let _guard = LOCK.lock();
    if let Ok(Some(slot)) = entry(va, false) {
        let old = Entry(slot.swap(0, Ordering::AcqRel));
        if !old.is_empty() {
            tlb::invalidate_page(va);
            // SAFETY: the entry owned this reference, and it is gone.
            drop(unsafe { Frame::from_raw(old.physical()) });
        }
    }
}
