//! A place in the tree.

use super::dentry::Dentry;
use super::mount::{Mount, MountFlags};
use crate::{DirEntry, FileKind, InodeRef, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::err;

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
    pub const fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// The dentry.
    #[must_use]
    pub const fn dentry(&self) -> &Arc<Dentry> {
        &self.dentry
    }

    /// The file.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        self.dentry.inode()
    }

    /// A file without a name in the tree, such as memfd_create(2) makes: `/name (deleted)` where paths are shown.
    #[must_use]
    pub fn unnamed(mount: &Arc<Mount>, name: &[u8], inode: InodeRef) -> Self {
        Self { mount: mount.clone(), dentry: Dentry::new_deleted(mount.tree().clone(), inode, None, name) }
    }

    /// Whether both are the same dentry through the same mount.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }

    pub(super) fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(self.mount.root_dentry(), &self.dentry)
    }

    /// The top of what is mounted here, if anything is.
    pub(super) fn top_mounted(mut self) -> Self {
        while self.dentry.is_mount_point()
            && let Some(child) = self.mount.child_at(&self.dentry)
        {
            self = child.root();
        }
        self
    }

    /// The directory above, across mounts, but not above `root` (the answer is then the same place).
    #[must_use]
    pub fn parent(&self, root: &Self) -> Self {
        let mut at = self.clone();
        loop {
            if at.is_same(root) {
                return at;
            }
            if at.is_mount_root() {
                match at.mount.mount_point() {
                    Some(point) => at = point,
                    None => return at,
                }
            } else {
                return match at.dentry.parent() {
                    Some(dentry) => Self { mount: at.mount, dentry }.top_mounted(),
                    None => at,
                };
            }
        }
    }

    /// The path from `root`. For something not below `root` it begins with `(unreachable)`, as getcwd(2) shows it; for something
    /// removed it ends in ` (deleted)`.
    #[must_use]
    pub fn path(&self, root: &Self) -> Vec<u8> {
        let clock = &self.dentry.tree().clock;
        loop {
            let moves = clock.moves();
            let path = self.try_path(root);
            if moves.is_multiple_of(2) && clock.moves() == moves {
                return path;
            }
            core::hint::spin_loop();
        }
    }

    fn try_path(&self, root: &Self) -> Vec<u8> {
        // Names from the end to the start.
        let mut names = Vec::new();
        let mut reachable = true;
        let mut at = self.clone();
        while !at.is_same(root) {
            if at.is_mount_root() {
                match at.mount.mount_point() {
                    Some(point) => at = point,
                    None => {
                        reachable = false;
                        break;
                    }
                }
                continue;
            }
            let (parent, name) = at.dentry.place();
            names.push(name);
            match parent {
                Some(parent) => at.dentry = parent,
                // A file without a name in any directory: shown as if it were at the top.
                None => break,
            }
        }
        let mut path = if reachable { Vec::new() } else { b"(unreachable)".to_vec() };
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if names.is_empty() {
            path.push(b'/');
        }
        if self.is_deleted() {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }

    /// Whether its name has been removed.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.dentry.is_deleted()
    }

    /// Something was read through it: changes the access time unless the mount forbids it.
    pub fn accessed(&self) {
        let flags = self.mount.flags();
        let inode = self.inode();
        let forbidden = self.mount.is_read_only()
            || flags.contains(MountFlags::NOATIME)
            || (flags.contains(MountFlags::NODIRATIME) && inode.kind() == FileKind::Directory);
        if !forbidden {
            inode.accessed();
        }
    }

    /// Lists a directory from `offset` on (0 is the start), with `.` and `..` first, until `emit` says `false`; that
    /// entry counts as not taken. `root` is the process's root, above which `..` does not lead.
    /// `emit` must not touch user memory: it may be called with locks held.
    ///
    /// # Errors
    /// ENOTDIR; ENOENT if the directory has been removed; EIO, EUCLEAN.
    pub fn read_dir(
        &self,
        root: &Self,
        offset: u64,
        emit: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<()> {
        if !self.dentry.is_directory() {
            return err!(ENOTDIR);
        }
        if self.is_deleted() {
            return err!(ENOENT);
        }
        let kind = FileKind::Directory;
        if offset == 0 && !emit(&DirEntry { ino: self.inode().ino(), kind, name: b".", next_offset: 1 }) {
            return Ok(());
        }
        if offset <= 1 {
            let ino = self.parent(root).inode().ino();
            if !emit(&DirEntry { ino, kind, name: b"..", next_offset: 2 }) {
                return Ok(());
            }
        }
        self.inode().read_dir(offset.max(2), emit)
    }
}
