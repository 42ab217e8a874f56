//! Mounts.

use super::Location;
use crate::{FileSystem, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;

bitflags! {
    /// Per-mount flags, with the values of mount(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// Nothing may be changed through it.
        const RDONLY = 1;
        /// Set-id bits mean nothing.
        const NOSUID = 2;
        /// Device nodes cannot be opened.
        const NODEV = 4;
        /// Programs cannot be run.
        const NOEXEC = 8;
        /// Access times do not change.
        const NOATIME = 1 << 10;
        /// Directories' access times do not change.
        const NODIRATIME = 1 << 11;
        /// Access times change only when older than the other times, or than a day.
        const RELATIME = 1 << 21;
    }
}

/// One filesystem at one place.
pub struct Mount {
    fs: Arc<dyn FileSystem>,
}

impl Mount {
    /// The filesystem.
    #[must_use]
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// Its number: `mnt_id` in statx(2) and mountinfo.
    #[must_use]
    pub fn id(&self) -> u64 {
        todo!()
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> MountFlags {
        todo!()
    }

    /// What was mounted: first column of /proc/mounts.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        todo!()
    }

    /// Whether nothing can be changed through it: its flag or the filesystem's nature.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        todo!()
    }

    /// Its top.
    #[must_use]
    pub fn root(self: &Arc<Self>) -> Location {
        todo!()
    }

    /// The mount it is on and where; `None` for the root mount and those not in the tree.
    #[must_use]
    pub fn mount_point(&self) -> Option<Location> {
        todo!()
    }
}

/// A tree of mounts.
pub struct Namespace {}

impl Namespace {
    /// A tree with this filesystem as its root.
    #[must_use]
    pub fn new(root: Arc<dyn FileSystem>, source: &[u8], flags: MountFlags) -> Arc<Self> {
        todo!()
    }

    /// The top of the tree.
    #[must_use]
    pub fn root(&self) -> Location {
        todo!()
    }

    /// Mounts a filesystem on a directory.
    ///
    /// # Errors
    /// ENOTDIR if it is none, ENOENT if it has been removed, EBUSY if the same is mounted there already.
    pub fn mount(&self, fs: Arc<dyn FileSystem>, source: &[u8], flags: MountFlags, at: &Location) -> Result<Arc<Mount>> {
        todo!()
    }

    /// A mount outside the tree, for files without names (memfd_create(2)).
    #[must_use]
    pub fn mount_internal(&self, fs: Arc<dyn FileSystem>) -> Arc<Mount> {
        todo!()
    }

    /// Takes a mount out of the tree; `at` is its top. Open files keep it usable.
    ///
    /// # Errors
    /// EINVAL if `at` is not the top of a mount or is the root; EBUSY if other mounts are on it.
    pub fn unmount(&self, at: &Location) -> Result<()> {
        todo!()
    }

    /// All mounts of the tree, each after the one it is on.
    #[must_use]
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        todo!()
    }
}
