//! What /proc shows of an address space.

use super::special::SpecialPage;
use super::vma::{Backing, VmFlags};
use super::{AddressSpace, Layout, PAGE, Prot};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use husk_fs::Location;

/// One mapping as /proc/self/maps shows it.
#[derive(Clone, Debug)]
pub(crate) struct VmaInfo {
    /// First address.
    pub(crate) start: u64,
    /// First address behind it.
    pub(crate) end: u64,
    /// Protection.
    pub(crate) prot: Prot,
    /// Properties.
    pub(crate) flags: VmFlags,
    /// Offset in the file in bytes.
    pub(crate) offset: u64,
    /// Device number of the file's filesystem, 0 if there is no file.
    pub(crate) dev: u64,
    /// Inode number, 0 if there is no file.
    pub(crate) ino: u64,
    /// What stands in the last column.
    pub(crate) name: VmaName,
}

/// The last column of /proc/self/maps.
#[derive(Clone)]
pub(crate) enum VmaName {
    /// Nothing.
    None,
    /// A name in brackets or that of shared memory.
    Special(&'static str),
    /// One of the kernel's own pages.
    Page(&'static SpecialPage),
    /// A segment of shmget(2) with this key.
    SysV(i32),
    /// The path of this place.
    File(Location),
}

impl core::fmt::Debug for VmaName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Special(name) => f.write_str(name),
            Self::Page(page) => f.write_str(page.name),
            Self::SysV(key) => write!(f, "SYSV{key:08x}"),
            Self::File(_) => f.write_str("File"),
        }
    }
}

/// Sizes for /proc/self/status and statm, in pages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    /// Mapped.
    pub(crate) total: u64,
    /// In memory.
    pub(crate) resident: u64,
    /// The most that was in memory at once.
    pub(crate) peak_resident: u64,
    /// In memory and belonging to files or shared memory.
    pub(crate) resident_shared: u64,
    /// Mapped for code.
    pub(crate) code: u64,
    /// Mapped private and writable, but for the stack.
    pub(crate) data: u64,
    /// Mapped as a stack.
    pub(crate) stack: u64,
    /// Mapped from files with code, other than the program itself.
    pub(crate) libraries: u64,
    /// Locked.
    pub(crate) locked: u64,
}

impl AddressSpace {
    /// What is mapped, in order.
    pub(crate) fn vmas(&self) -> Vec<VmaInfo> {
        let stack = self.layout.lock().stack_start;
        let state = self.maps.lock();
        let heap = state.heap;
        let info = |vma: &super::Vma| {
            let (offset, dev, ino, name) = match &vma.backing {
                Backing::Anonymous if vma.start < heap.end && heap.start < vma.end => {
                    (0, 0, 0, VmaName::Special("[heap]"))
                }
                Backing::Anonymous if (vma.start..vma.end).contains(&stack) => {
                    (0, 0, 0, VmaName::Special("[stack]"))
                }
                Backing::Anonymous => (0, 0, 0, VmaName::None),
                Backing::Special(page) => (0, 0, 0, VmaName::Page(page)),
                Backing::Shared { memory, offset } => (
                    *offset,
                    1,
                    memory.ino(),
                    memory.key().map_or(VmaName::Special("/dev/zero (deleted)"), VmaName::SysV),
                ),
                Backing::File { file, offset } => {
                    let metadata = file.inode.metadata();
                    let name = file.location.clone().map_or(VmaName::None, VmaName::File);
                    (*offset, metadata.dev.encode(), metadata.ino, name)
                }
            };
            VmaInfo {
                start: vma.start,
                end: vma.end,
                prot: vma.prot,
                flags: vma.flags,
                offset,
                dev,
                ino,
                name,
            }
        };
        state.maps.iter().map(info).collect()
    }

    /// Pages of a mapping that are in memory, with whether each is the program's alone and whether it was written.
    pub(crate) fn resident_in(&self, start: u64, end: u64, mut each: impl FnMut(bool, bool)) {
        // The callback of the page table holds a reference besides the table's.
        self.page_table.for_each(start, end, &mut |_, page| each(page.frame.ref_count() <= 2, page.dirty));
    }

    /// How large it is.
    pub(crate) fn sizes(&self) -> Sizes {
        self.note_resident();
        let program = self.layout.lock().code.clone();
        let mut sizes = Sizes {
            resident: self.page_table.resident() as u64,
            peak_resident: self.peak_resident.load(Ordering::Relaxed) as u64,
            ..Sizes::default()
        };
        let state = self.maps.lock();
        sizes.total = state.maps.total_pages();
        sizes.data = state.maps.data_pages();
        for vma in state.maps.iter() {
            let pages = vma.len() / PAGE;
            if vma.flags.contains(VmFlags::GROWSDOWN) {
                sizes.stack += pages;
            }
            if vma.flags.contains(VmFlags::LOCKED) {
                sizes.locked += pages;
            }
            if vma.prot.contains(Prot::EXEC) {
                let own = vma.start < program.end && program.start < vma.end;
                *(if own { &mut sizes.code } else { &mut sizes.libraries }) += pages;
            }
            if !matches!(vma.backing, Backing::Anonymous) {
                self.resident_in(vma.start, vma.end, |own, _| sizes.resident_shared += u64::from(!own));
            }
        }
        sizes
    }

    /// Where the parts of the program are.
    pub(crate) fn layout(&self) -> Layout {
        self.layout.lock().clone()
    }

    /// Changes what is said about the parts of the program.
    pub(crate) fn update_layout(&self, change: impl FnOnce(&mut Layout)) {
        change(&mut self.layout.lock());
    }

    /// Whether all of a range is mapped.
    pub(crate) fn is_mapped(&self, range: core::ops::Range<u64>) -> bool {
        self.maps.lock().maps.covers(range)
    }

    /// What the mapping at an address allows.
    pub(crate) fn protection_at(&self, addr: u64) -> Option<Prot> {
        self.maps.lock().maps.at(addr).map(|vma| vma.prot)
    }

    /// Whether the address belongs to a file, and where in it: for symbolising. The place, the offset in the file, the
    /// mapping's start.
    pub(crate) fn file_at(&self, addr: u64) -> Option<(husk_fs::InodeRef, Option<Location>, u64)> {
        let state = self.maps.lock();
        let vma = state.maps.at(addr)?;
        let Backing::File { file, offset } = &vma.backing else { return None };
        Some((file.inode.clone(), file.location.clone(), offset + (addr - vma.start)))
    }
}
