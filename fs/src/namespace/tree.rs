//! The tree of mounts.

use super::dentry::{Dentry, DentryTree};
use super::dentry_clock::DentryClock;
use super::location::Location;
use super::mount::{Mount, MountFlags};
use crate::{FileSystem, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::err;
use husk_machine::sync::{Mutex, SpinLock};

/// A tree of mounts.
pub struct Namespace {
    root: Arc<Mount>,
    /// Every mount of the tree, each after the one it is on.
    mounts: SpinLock<Vec<Arc<Mount>>>,
    /// Held while the tree changes.
    change: Mutex<()>,
    next_id: AtomicU64,
    clock: Arc<DentryClock>,
}

impl Namespace {
    /// A tree with this filesystem as its root.
    #[must_use]
    pub fn new(root: Arc<dyn FileSystem>, source: &[u8], flags: MountFlags) -> Arc<Self> {
        Self::with_clock(root, source, flags, DentryClock::new())
    }

    #[cfg(test)]
    pub(crate) fn with_name_limit(root: Arc<dyn FileSystem>, limit: usize) -> Arc<Self> {
        Self::with_clock(root, b"none", MountFlags::empty(), DentryClock::with_limit(limit))
    }

    fn with_clock(
        root: Arc<dyn FileSystem>,
        source: &[u8],
        flags: MountFlags,
        clock: Arc<DentryClock>,
    ) -> Arc<Self> {
        // Linux numbers mounts from a counter that has served the kernel's internal ones before.
        const FIRST_ID: u64 = 21;
        let root = Mount::new(FIRST_ID, new_root_dentry(root, &clock), source, flags);
        Arc::new(Self {
            mounts: SpinLock::new(alloc::vec![root.clone()]),
            root,
            change: Mutex::new(()),
            next_id: AtomicU64::new(FIRST_ID + 1),
            clock,
        })
    }

    /// The top of the tree.
    #[must_use]
    pub fn root(&self) -> Location {
        self.root.root()
    }

    /// Mounts a filesystem on a directory; on the mount there, if one is there already.
    ///
    /// # Errors
    /// ENOTDIR if it is none, ENOENT if it has been removed, EBUSY if the same is mounted there already.
    pub fn mount(
        &self,
        fs: Arc<dyn FileSystem>,
        source: &[u8],
        flags: MountFlags,
        at: &Location,
    ) -> Result<Arc<Mount>> {
        let _change = self.change.lock();
        let at = at.clone().top_mounted();
        if !at.dentry.is_directory() {
            return err!(ENOTDIR);
        }
        if at.dentry.is_deleted() {
            return err!(ENOENT);
        }
        if Arc::ptr_eq(at.mount.root_dentry(), &at.dentry) && Arc::ptr_eq(at.mount.file_system(), &fs) {
            return err!(EBUSY);
        }
        // One filesystem has one tree of dentries, wherever it is mounted.
        let known = self
            .mounts()
            .iter()
            .find(|mount| Arc::ptr_eq(mount.file_system(), &fs))
            .map(|m| m.root_dentry().clone());
        let root = known.unwrap_or_else(|| new_root_dentry(fs, &self.clock));
        let mount = Mount::new(self.next_id.fetch_add(1, Ordering::Relaxed), root, source, flags);
        at.mount.attach(&at.dentry, &mount);
        self.mounts.lock().push(mount.clone());
        Ok(mount)
    }

    /// A mount outside the tree, for files without names (memfd_create(2)).
    #[must_use]
    pub fn mount_internal(&self, fs: Arc<dyn FileSystem>) -> Arc<Mount> {
        let root = new_root_dentry(fs, &self.clock);
        Mount::new(self.next_id.fetch_add(1, Ordering::Relaxed), root, b"none", MountFlags::empty())
    }

    /// Takes a mount out of the tree; `at` is its top. Open files keep it usable.
    ///
    /// # Errors
    /// EINVAL if `at` is not the top of a mount or is the root; EBUSY if other mounts are on it.
    pub fn unmount(&self, at: &Location) -> Result<()> {
        let _change = self.change.lock();
        let mount = &at.mount;
        if !Arc::ptr_eq(mount.root_dentry(), &at.dentry) {
            return err!(EINVAL);
        }
        let Some(on) = mount.mount_point() else { return err!(EINVAL) };
        if mount.has_children() {
            return err!(EBUSY);
        }
        on.mount.detach(mount);
        let mut mounts = self.mounts.lock();
        mounts.retain(|other| !Arc::ptr_eq(other, mount));
        let last = !mounts.iter().any(|other| Arc::ptr_eq(other.file_system(), mount.file_system()));
        drop(mounts);
        if last {
            mount.root_dentry().forget_all();
            mount.file_system().unmounted();
        }
        Ok(())
    }

    /// All mounts of the tree, each after the one it is on.
    #[must_use]
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        self.mounts.lock().clone()
    }
}

fn new_root_dentry(fs: Arc<dyn FileSystem>, clock: &Arc<DentryClock>) -> Arc<Dentry> {
    Dentry::new_root(Arc::new(DentryTree { fs, rename: Mutex::new(()), clock: clock.clone() }))
}
