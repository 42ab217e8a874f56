//! Files without a name: memfd_create(2), and the seals on them (fcntl(2), "File Sealing").

use crate::boot::mounts::{anonymous_device, clock, tmpfs_limits};
use crate::boot::namespace;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Location, MemFs, Mount, NewInode, NewKind};
use husk_machine::sync::Once;
use linux_raw_sys::general as raw;

/// All seals.
pub(crate) const ALL_SEALS: u32 = raw::F_SEAL_SEAL
    | raw::F_SEAL_SHRINK
    | raw::F_SEAL_GROW
    | raw::F_SEAL_WRITE
    | raw::F_SEAL_FUTURE_WRITE
    | raw::F_SEAL_EXEC;

/// The seals of one file; they hang on its slot.
struct Seals(AtomicU32);

/// Where such files live: a tmpfs outside the tree, made for the first of them. `None` before there is a tree.
fn shared_memory() -> Option<&'static (Arc<MemFs>, Arc<Mount>)> {
    static SHARED_MEMORY: Once<(Arc<MemFs>, Arc<Mount>)> = Once::new();
    let namespace = namespace()?;
    Some(SHARED_MEMORY.call_once(|| {
        let fs = MemFs::tmpfs(anonymous_device(), clock(), tmpfs_limits());
        let mount = namespace.mount_internal(fs.clone());
        (fs, mount)
    }))
}

/// A new file with its seals.
///
/// # Errors
/// ENOSYS before there is a tree of files; ENOSPC.
pub(crate) fn create(name: &[u8], mode: u32, uid: u32, gid: u32, seals: u32) -> Result<Location, Errno> {
    let (fs, mount) = shared_memory().ok_or(Errno::ENOSYS.here())?;
    let inode = fs.unnamed_file(&NewInode { kind: NewKind::Regular, mode, uid, gid })?;
    // A new inode has nothing there yet.
    let _ = inode.slot().object.get_or_insert(Arc::new(Seals(AtomicU32::new(seals))));
    let name: Vec<u8> = [b"memfd:", name].concat();
    Ok(Location::unnamed(mount, &name, inode))
}

/// The seals of a file (F_GET_SEALS); `None` if it can have none.
pub(crate) fn seals(inode: &InodeRef) -> Option<u32> {
    inode.slot().object.get::<Seals>().map(|seals| seals.0.load(Ordering::Acquire))
}

/// F_ADD_SEALS.
///
/// # Errors
/// EINVAL for a file without seals or an unknown one; EPERM if no more may be added; EBUSY if it is to be sealed against writing
/// while a shared mapping could write to it.
pub(crate) fn add_seals(inode: &InodeRef, new: u32, mapped_writable: bool) -> Result<(), Errno> {
    let seals = inode.slot().object.get::<Seals>().ok_or(Errno::EINVAL.here())?;
    if new & !ALL_SEALS != 0 {
        return err!(EINVAL);
    }
    if new & raw::F_SEAL_WRITE != 0 && mapped_writable && !has(inode, raw::F_SEAL_SEAL | raw::F_SEAL_WRITE) {
        return err!(EBUSY);
    }
    let added = seals.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| {
        (old & raw::F_SEAL_SEAL == 0).then_some(old | new)
    });
    added.map(drop).map_err(|_| Errno::EPERM.here())
}

fn has(inode: &InodeRef, seal: u32) -> bool {
    seals(inode).is_some_and(|seals| seals & seal != 0)
}

/// Whether contents may be changed.
///
/// # Errors
/// EPERM if it is sealed.
pub(crate) fn check_write(inode: &InodeRef) -> Result<(), Errno> {
    if has(inode, raw::F_SEAL_WRITE | raw::F_SEAL_FUTURE_WRITE) { err!(EPERM) } else { Ok(()) }
}

/// Whether the size may change so.
///
/// # Errors
/// EPERM if it is sealed.
pub(crate) fn check_resize(inode: &InodeRef, old: u64, new: u64) -> Result<(), Errno> {
    if (new < old && has(inode, raw::F_SEAL_SHRINK)) || (new > old && has(inode, raw::F_SEAL_GROW)) {
        return err!(EPERM);
    }
    Ok(())
}
