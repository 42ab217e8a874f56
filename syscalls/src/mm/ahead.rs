//! Anonymous memory that a program fills from front to back gets several pages a fault.

use super::{AddressSpace, PAGE, Prot};
use core::ops::Range;
use husk_machine::frame::{self, Frame};

/// So many faults in a row, each at the page after the last, make a sequence.
const SEQUENCE: u32 = 8;

/// Pages that a fault in a sequence makes beyond the one touched.
const AHEAD: u64 = 15;

/// Where an address space's faults on fresh anonymous memory have been.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sequence {
    /// The page that would continue it.
    next: u64,
    /// How long it is.
    length: u32,
}

impl Sequence {
    /// Takes note of a fault at a page in a mapping that ends at `end`. The pages to make ahead.
    pub(super) fn after(&mut self, page: u64, end: u64) -> Range<u64> {
        self.length = if page == self.next { self.length.saturating_add(1) } else { 0 };
        self.next = page + PAGE;
        let pages = if self.length >= SEQUENCE { AHEAD } else { 0 };
        self.next..end.min(self.next.saturating_add(pages * PAGE))
    }
}

impl AddressSpace {
    /// Makes pages that are likely to be touched next, as long as memory is plenty. `range` starts behind a page just made.
    pub(super) fn map_ahead(&self, sequence: &mut Sequence, range: Range<u64>, prot: Prot) {
        /// Of all pages, this part has to stay free.
        const RESERVE: usize = 8;
        if range.is_empty() {
            return;
        }
        let stats = frame::stats();
        if stats.free < stats.total / RESERVE {
            return;
        }
        for page in range.step_by(PAGE as usize) {
            if self.page_table.lookup(page).is_some() {
                return;
            }
            // No more memory is no error here: nobody has asked for these pages.
            let Ok(frame) = Frame::alloc_zeroed() else { return };
            if self.page_table.map(page, frame, prot).is_err() {
                return;
            }
            sequence.next = page + PAGE;
        }
    }
}
