//! The bits of a page-table entry (Intel SDM volume 3, section 4.5). Pure arithmetic: the hosted backend
//! uses the same format.

use crate::paging::Prot;
use x86_64::structures::paging::PageTableFlags;

/// Levels of tables, the leaves' one included.
pub(crate) const LEVELS: u32 = 4;
/// Entries in a table.
pub(crate) const ENTRIES: usize = 512;

const PRESENT: u64 = PageTableFlags::PRESENT.bits();
const WRITABLE: u64 = PageTableFlags::WRITABLE.bits();
const USER: u64 = PageTableFlags::USER_ACCESSIBLE.bits();
const ACCESSED: u64 = PageTableFlags::ACCESSED.bits();
const DIRTY: u64 = PageTableFlags::DIRTY.bits();
#[cfg(target_os = "none")]
const GLOBAL: u64 = PageTableFlags::GLOBAL.bits();
/// Free for software: the entry holds a frame, though it may not be present (no access allowed).
const HELD: u64 = PageTableFlags::BIT_9.bits();
const NO_EXECUTE: u64 = PageTableFlags::NO_EXECUTE.bits();
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The value of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(pub(crate) u64);

impl Entry {
    pub(crate) const EMPTY: Self = Self(0);

    /// A user page. `accessed` and `dirty` are what the page was before, if it was moved.
    pub(crate) fn page(physical: u64, prot: Prot) -> Self {
        Self(physical | HELD).with_prot(prot)
    }

    /// A page of the kernel itself, the same in all address spaces.
    #[cfg(target_os = "none")]
    pub(crate) fn kernel_page(physical: u64, writable: bool) -> Self {
        let writable = if writable { WRITABLE } else { 0 };
        Self(physical | HELD | PRESENT | ACCESSED | DIRTY | GLOBAL | NO_EXECUTE | writable)
    }

    /// A table of user pages.
    pub(crate) fn table(physical: u64) -> Self {
        Self(physical | HELD | PRESENT | WRITABLE | USER)
    }

    /// A table of kernel pages.
    #[cfg(target_os = "none")]
    pub(crate) fn kernel_table(physical: u64) -> Self {
        Self(physical | HELD | PRESENT | WRITABLE)
    }

    /// The same page with another protection.
    pub(crate) fn with_prot(self, prot: Prot) -> Self {
        let mut bits = self.0 & (ADDRESS | HELD | ACCESSED | DIRTY);
        if !prot.is_empty() {
            bits |= PRESENT | USER;
        }
        if prot.contains(Prot::WRITE) {
            bits |= WRITABLE;
        }
        if !prot.contains(Prot::EXEC) {
            bits |= NO_EXECUTE;
        }
        Self(bits)
    }

    pub(crate) fn prot(self) -> Prot {
        let mut prot = Prot::empty();
        if self.is_present() {
            prot |= Prot::READ;
            prot.set(Prot::WRITE, self.0 & WRITABLE != 0);
            prot.set(Prot::EXEC, self.0 & NO_EXECUTE == 0);
        }
        prot
    }

    /// Whether nothing is there.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the hardware may have a copy of it.
    pub(crate) fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// The page or table behind it.
    pub(crate) fn physical(self) -> u64 {
        self.0 & ADDRESS
    }

    pub(crate) fn is_accessed(self) -> bool {
        self.0 & ACCESSED != 0
    }

    pub(crate) fn is_dirty(self) -> bool {
        self.0 & DIRTY != 0
    }

    /// What the hardware sets when the page is used.
    pub(crate) fn used(write: bool) -> u64 {
        if write { ACCESSED | DIRTY } else { ACCESSED }
    }
}

/// The index into a table of level `level` (0 is the leaves' table).
pub(crate) fn index(va: u64, level: u32) -> usize {
    (va >> (12 + 9 * level)) as usize % ENTRIES
}

/// Bytes that one entry of a table of level `level` covers.
pub(crate) const fn span(level: u32) -> u64 {
    1 << (12 + 9 * level)
}
