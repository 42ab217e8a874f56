//! A user program's address space as the hardware sees it: pages, their protection, and the copies between the kernel and
//! user memory. What lies behind a page that is not there is for the caller to know.

mod batch;
mod table;
#[cfg(test)]
mod tests;
mod user_memory;
pub(crate) mod walk;
pub(crate) mod walked;

pub use table::PageTable;
pub use user_memory::UserFault;

use crate::frame::Frame;

bitflags::bitflags! {
    /// What a program may do with a page. None of them is fine too: the page stays, but each access faults.
    ///
    /// On x86-64 a page that can be written or executed can also be read.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Prot: u8 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Execute.
        const EXEC = 4;
    }
}

/// A page that is mapped.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The memory behind it; one reference more than the page table's own.
    pub frame: Frame,
    /// What the program may do.
    pub prot: Prot,
    /// It was used since it was mapped.
    pub accessed: bool,
    /// It was written since it was mapped.
    pub dirty: bool,
}

/// The first address that no program can use. Any access at or above it, or one that wraps around, is a
/// [`UserFault`].
pub const USER_END: u64 = 0x7fff_ffff_f000;
