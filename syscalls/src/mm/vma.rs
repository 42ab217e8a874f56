//! One mapping of an address space (Linux's `vm_area_struct`).

use super::shared::SharedMemory;
use super::special::SpecialPage;
use alloc::sync::Arc;
use bitflags::bitflags;
use husk_fs::{InodeRef, Location};
use husk_machine::paging::Prot;

bitflags! {
    /// What else there is to say about a mapping.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct VmFlags: u32 {
        /// Changes are seen by others who map the same (MAP_SHARED).
        const SHARED = 1 << 0;
        /// Grows towards lower addresses when touched below its start (MAP_GROWSDOWN, the stack).
        const GROWSDOWN = 1 << 1;
        /// Not counted against memory (MAP_NORESERVE).
        const NORESERVE = 1 << 2;
        /// Locked in memory (mlock(2)).
        const LOCKED = 1 << 3;
        /// Locked as far as it is touched (MLOCK_ONFAULT).
        const LOCKONFAULT = 1 << 4;
        /// Not inherited by fork(2) (MADV_DONTFORK).
        const DONTFORK = 1 << 5;
        /// Zero in the child after fork(2) (MADV_WIPEONFORK).
        const WIPEONFORK = 1 << 6;
        /// Not in core dumps (MADV_DONTDUMP).
        const DONTDUMP = 1 << 7;
        /// Huge pages wanted (MADV_HUGEPAGE).
        const HUGEPAGE = 1 << 8;
        /// No huge pages wanted (MADV_NOHUGEPAGE).
        const NOHUGEPAGE = 1 << 9;
        /// Will be read in order (MADV_SEQUENTIAL).
        const SEQUENTIAL = 1 << 10;
        /// Will be read in no order (MADV_RANDOM).
        const RANDOM = 1 << 11;
        /// May be merged with equal pages (MADV_MERGEABLE).
        const MERGEABLE = 1 << 12;
    }
}

/// What is behind a mapping.
#[derive(Clone)]
pub(crate) enum Backing {
    /// Zeros until written; always private.
    Anonymous,
    /// A file from this offset on (a multiple of the page size).
    File {
        /// The file.
        file: Arc<MappedFile>,
        /// Offset in bytes of the mapping's start.
        offset: u64,
    },
    /// Memory shared by those who inherit the mapping, from this offset on.
    Shared {
        /// The memory.
        memory: Arc<SharedMemory>,
        /// Offset in bytes of the mapping's start.
        offset: u64,
    },
    /// A page that the kernel shows; always private.
    Special(&'static SpecialPage),
}

/// A file that is mapped.
pub(crate) struct MappedFile {
    /// Its contents.
    pub(crate) inode: InodeRef,
    /// Where it was opened, for /proc/self/maps.
    pub(crate) location: Option<Location>,
}

impl Backing {
    /// The same, starting `by` bytes further on.
    pub(crate) fn advanced(&self, by: u64) -> Self {
        match self {
            Self::Anonymous => Self::Anonymous,
            // It is one page.
            Self::Special(page) => Self::Special(page),
            Self::File { file, offset } => Self::File { file: file.clone(), offset: offset.wrapping_add(by) },
            Self::Shared { memory, offset } => {
                Self::Shared { memory: memory.clone(), offset: offset.wrapping_add(by) }
            }
        }
    }

    /// Whether `next` goes on where this one ends after `len` bytes.
    fn continues(&self, len: u64, next: &Self) -> bool {
        match (self, next) {
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::File { file, offset }, Self::File { file: next, offset: at }) => {
                offset.wrapping_add(len) == *at && same_file(file, next)
            }
            (Self::Shared { memory, offset }, Self::Shared { memory: next, offset: at }) => {
                offset.wrapping_add(len) == *at && Arc::ptr_eq(memory, next)
            }
            _ => false,
        }
    }
}

fn same_file(one: &Arc<MappedFile>, other: &Arc<MappedFile>) -> bool {
    Arc::ptr_eq(one, other) || core::ptr::addr_eq(Arc::as_ptr(&one.inode), Arc::as_ptr(&other.inode))
}

/// A mapping. Addresses are multiples of the page size.
#[derive(Clone)]
pub(crate) struct Vma {
    /// First address.
    pub(crate) start: u64,
    /// First address behind it.
    pub(crate) end: u64,
    /// What is allowed now.
    pub(crate) prot: Prot,
    /// What mprotect(2) may allow.
    pub(crate) max: Prot,
    /// More properties.
    pub(crate) flags: VmFlags,
    /// What is behind it.
    pub(crate) backing: Backing,
}

impl Vma {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// The part between two addresses in it.
    pub(crate) fn part(&self, start: u64, end: u64) -> Self {
        Self { start, end, backing: self.backing.advanced(start - self.start), ..self.clone() }
    }

    /// Whether `next`, which starts where this ends, could be one mapping with it.
    pub(crate) fn joins(&self, next: &Self) -> bool {
        self.end == next.start
            && self.prot == next.prot
            && self.max == next.max
            && self.flags == next.flags
            && self.backing.continues(self.len(), &next.backing)
    }

    /// Whether it counts as data (RLIMIT_DATA): private, writable, not a stack.
    pub(crate) fn is_data(&self) -> bool {
        self.prot.contains(Prot::WRITE) && !self.flags.intersects(VmFlags::SHARED | VmFlags::GROWSDOWN)
    }
}

impl core::fmt::Debug for Vma {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}-{:#x} {:?} {:?}", self.start, self.end, self.prot, self.flags)
    }
}
