//! Which memory an address stands for, if others may share it: what makes a shared futex (futex(2)).

use super::AddressSpace;
use super::shared::SharedMemory;
use super::vma::{Backing, VmFlags};
use alloc::sync::Arc;
use husk_abi::Errno;
use husk_fs::InodeRef;

/// Memory that several mappings show.
#[derive(Clone)]
pub(crate) enum SharedPlace {
    /// A file.
    File(InodeRef),
    /// Anonymous.
    Memory(Arc<SharedMemory>),
}

impl SharedPlace {
    /// A number that no other place has while this one is held.
    pub(crate) fn id(&self) -> usize {
        match self {
            Self::File(inode) => Arc::as_ptr(inode).addr(),
            Self::Memory(memory) => Arc::as_ptr(memory).addr(),
        }
    }
}

impl AddressSpace {
    /// The memory behind an address and the offset in it in bytes; None if it is this address space's alone.
    ///
    /// # Errors
    /// EFAULT if nothing is mapped there.
    pub(crate) fn shared_place(&self, addr: u64) -> Result<Option<(SharedPlace, u64)>, Errno> {
        let state = self.maps.lock();
        let vma = state.maps.at(addr).ok_or(Errno::EFAULT.here())?;
        if !vma.flags.contains(VmFlags::SHARED) {
            return Ok(None);
        }
        let from_start = addr - vma.start;
        Ok(match &vma.backing {
            Backing::Anonymous | Backing::Special(_) => None,
            Backing::File { file, offset } => {
                Some((SharedPlace::File(file.inode.clone()), offset + from_start))
            }
            Backing::Shared { memory, offset } => {
                Some((SharedPlace::Memory(memory.clone()), offset + from_start))
            }
        })
    }
}
