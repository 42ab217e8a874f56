//! Kernel stacks. Each has a slot of its own in the window, with unmapped pages below it: an overflow faults.

use super::kernel_pages::{self, STACKS, WINDOW_HALF};
use super::tlb;
use crate::frame::{OutOfMemory, PAGE_SIZE};
use crate::sync::{SpinLock, level};
use alloc::vec::Vec;

/// Bytes of a stack; code that is not optimised needs more.
pub(super) const STACK_LEN: u64 = if cfg!(debug_assertions) { 128 << 10 } else { 32 << 10 };
/// Bytes of a slot: the lower half is the guard.
const SLOT_LEN: u64 = 2 * STACK_LEN;
/// Free stacks that stay mapped for the next threads.
const MAX_KEPT: usize = 16;
/// So many slots are given up before the first of them is used again: one flush of all CPUs does for all of them.
const MAX_STALE: usize = 256;

struct Slots {
    /// The first slot never used.
    next: u32,
    /// Free slots without pages.
    empty: Vec<u32>,
    /// The same, but CPUs may remember the pages that were there.
    stale: Vec<u32>,
    /// Free slots with pages.
    kept: Vec<u32>,
}

static SLOTS: SpinLock<Slots> = SpinLock::with_level(
    level::STACKS,
    Slots { next: 0, empty: Vec::new(), stale: Vec::new(), kept: Vec::new() },
);

/// Bytes of the stacks that have pages.
pub(super) fn bytes_in_use() -> usize {
    let slots = SLOTS.lock();
    let count = slots.next as usize - slots.empty.len() - slots.stale.len();
    count * STACK_LEN as usize
}

/// A stack that nobody else uses.
pub(super) struct Stack {
    slot: u32,
}

impl Stack {
    pub(super) fn new() -> Result<Self, OutOfMemory> {
        let slot = {
            let mut slots = SLOTS.lock();
            if let Some(slot) = slots.kept.pop() {
                return Ok(Self { slot });
            }
            if slots.empty.is_empty() && slots.stale.len() >= MAX_STALE {
                let mut stale = core::mem::take(&mut slots.stale);
                drop(slots);
                tlb::flush_kernel();
                slots = SLOTS.lock();
                slots.empty.append(&mut stale);
            }
            match slots.empty.pop() {
                Some(slot) => slot,
                None if u64::from(slots.next) < WINDOW_HALF / SLOT_LEN => {
                    slots.next += 1;
                    slots.next - 1
                }
                None => return Err(OutOfMemory),
            }
        };
        let stack = Self { slot };
        for va in stack.pages() {
            if let Err(error) = kernel_pages::map(va) {
                stack.unmap();
                return Err(error);
            }
        }
        Ok(stack)
    }

    /// The address behind the last byte; aligned to a page.
    pub(super) fn top(&self) -> u64 {
        STACKS + (u64::from(self.slot) + 1) * SLOT_LEN
    }

    /// Gives the stack away for good; the answer is its [`top`](Self::top).
    pub(super) fn forget(self) -> u64 {
        self.top()
    }

    fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        (self.top() - STACK_LEN..self.top()).step_by(PAGE_SIZE)
    }

    fn unmap(self) {
        for va in self.pages() {
            // SAFETY: whoever gives up a stack does not run on it.
            unsafe { kernel_pages::unmap(va) };
        }
        let slot = self.slot;
        SLOTS.lock().stale.push(slot);
    }

    /// Gives the stack back.
    ///
    /// # Safety
    /// No thread runs on it, now or later.
    pub(super) unsafe fn free(self) {
        {
            let mut slots = SLOTS.lock();
            if slots.kept.len() < MAX_KEPT {
                slots.kept.push(self.slot);
                return;
            }
        }
        self.unmap();
    }
}
