//! A place in the tree.

use super::{Dentry, Mount};
use crate::{DirEntry, InodeRef, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A file seen at a place in the tree: a dentry through a mount (Linux's `struct path`). Open files, working directories and
/// mappings hold one.
#[derive(Clone)]
pub struct Location {
    pub(crate) mount: Arc<Mount>,
    pub(crate) dentry: Arc<Dentry>,
}

impl Location {
    /// The mount it is seen through.
    #[must_use]
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// The dentry.
    #[must_use]
    pub fn dentry(&self) -> &Arc<Dentry> {
        &self.dentry
    }

    /// The file.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        &self.dentry.inode
    }

    /// A file without a name in the tree, such as memfd_create(2) makes: `/name (deleted)` where paths are shown.
    #[must_use]
    pub fn unnamed(mount: &Arc<Mount>, name: &[u8], inode: InodeRef) -> Self {
        todo!()
    }

    /// Whether both are the same dentry through the same mount.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }

    /// The directory above, across mounts, but not above `root` (the answer is then the same place).
    #[must_use]
    pub fn parent(&self, root: &Self) -> Self {
        todo!()
    }

    /// The path from `root`. For something not below `root` it begins with `(unreachable)`, as getcwd(2) shows it; for something
    /// removed it ends in ` (deleted)`.
    #[must_use]
    pub fn path(&self, root: &Self) -> Vec<u8> {
        todo!()
    }

    /// Whether its last name has been removed.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        todo!()
    }

    /// Something was read through it: changes the access time unless the mount forbids it.
    pub fn accessed(&self) {
        todo!()
    }

    /// Lists a directory from `offset` on (0 is the start), with `.` and `..` first, until `emit` says `false`; that
    /// entry counts as not taken.
    /// `emit` must not touch user memory: it may be called with locks held.
    ///
    /// # Errors
    /// ENOTDIR; ENOENT if the directory has been removed; EIO, EUCLEAN.
    pub fn read_dir(&self, root: &Self, offset: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<()> {
        todo!()
    }
}
