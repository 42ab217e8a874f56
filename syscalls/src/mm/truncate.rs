//! What happens to mappings of a file that is cut short: their pages beyond the end are gone, and touching them is SIGBUS.

use super::shared::SharedMemory;
use super::vma::{Backing, VmFlags};
use super::{AddressSpace, PAGE};
use crate::pid;
use alloc::sync::Arc;
use core::ops::Range;
use husk_fs::InodeRef;

/// Takes the pages of a range of a file (in bytes; a page that is only partly in it stays) out of all address spaces. Private
/// copies go too if `copies`, as they do when a file is truncated; they stay when a hole is punched.
pub(crate) fn forget_file_pages(inode: &InodeRef, range: Range<u64>, copies: bool) {
    let pages = range.start.div_ceil(PAGE)..range.end / PAGE;
    if pages.is_empty() {
        return;
    }
    let offset = |backing: &Backing| match backing {
        Backing::File { file, offset } if is_same(&file.inode, inode) => Some(*offset),
        _ => None,
    };
    for process in pid::processes() {
        process.mm().forget(&offset, &pages, copies);
    }
}

/// Takes the pages of a range (in bytes, whole pages) of shared memory out of all address spaces.
pub(super) fn forget_shared_memory(memory: &Arc<SharedMemory>, range: Range<u64>) {
    let offset = |backing: &Backing| match backing {
        Backing::Shared { memory: other, offset } if Arc::ptr_eq(memory, other) => Some(*offset),
        _ => None,
    };
    for process in pid::processes() {
        process.mm().forget(&offset, &(range.start / PAGE..range.end / PAGE), false);
    }
}

fn is_same(one: &InodeRef, other: &InodeRef) -> bool {
    core::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl AddressSpace {
    /// Unmaps these pages of the object for which `offset_in` says where in it a mapping starts.
    fn forget(&self, offset_in: &dyn Fn(&Backing) -> Option<u64>, pages: &Range<u64>, copies: bool) {
        let state = self.maps.lock();
        for vma in state.maps.iter() {
            let Some(offset) = offset_in(&vma.backing) else { continue };
            let first = offset / PAGE;
            let count = vma.len() / PAGE;
            let from = pages.start.max(first);
            let to = pages.end.min(first.saturating_add(count));
            if from >= to {
                continue;
            }
            let address = |index: u64| vma.start + (index - first) * PAGE;
            if copies || vma.flags.contains(VmFlags::SHARED) {
                self.page_table.unmap(address(from), address(to));
            } else {
                self.forget_shared_pages(address(from)..address(to));
            }
        }
    }

    /// Unmaps the pages of a private mapping that are the file's own.
    fn forget_shared_pages(&self, range: Range<u64>) {
        let mut shared = alloc::vec::Vec::new();
        self.page_table.for_each(range.start, range.end, &mut |va, page| {
            // A private copy has no reference besides the table's and the one in hand.
            if page.frame.ref_count() > 2 {
                shared.push(va);
            }
        });
        for va in shared {
            self.page_table.unmap(va, va + PAGE);
        }
    }
}
