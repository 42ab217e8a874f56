//! A filesystem at a place.

use super::dentry::{Dentry, DentryTree};
use super::location::Location;
use crate::FileSystem;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU32, Ordering};
use husk_machine::sync::SpinLock;

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
    id: u64,
    tree: Arc<DentryTree>,
    root: Arc<Dentry>,
    source: Vec<u8>,
    flags: AtomicU32,
    on: SpinLock<Option<Location>>,
    /// Mounts on this one, by the dentry they are on; few.
    children: SpinLock<Vec<(Arc<Dentry>, Arc<Mount>)>>,
}

impl Mount {
    pub(super) fn new(id: u64, root: Arc<Dentry>, source: &[u8], flags: MountFlags) -> Arc<Self> {
        Arc::new(Self {
            id,
            tree: root.tree().clone(),
            root,
            source: source.to_vec(),
            flags: AtomicU32::new(flags.bits()),
            on: SpinLock::new(None),
            children: SpinLock::new(Vec::new()),
        })
    }

    /// The filesystem.
    #[must_use]
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.tree.fs
    }

    /// Its number: `mnt_id` in statx(2) and mountinfo.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Acquire))
    }

    /// Sets the flags: MS_REMOUNT | MS_BIND of mount(2).
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Release);
    }

    /// What was mounted: first column of /proc/mounts.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Whether nothing can be changed through it: its flag or the filesystem's nature.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.flags().contains(MountFlags::RDONLY) || self.tree.fs.is_read_only()
    }

    /// Its top.
    #[must_use]
    pub fn root(self: &Arc<Self>) -> Location {
        Location { mount: self.clone(), dentry: self.root.clone() }
    }

    /// Where it is mounted; `None` for the root mount and those not in the tree.
    #[must_use]
    pub fn mount_point(&self) -> Option<Location> {
        self.on.lock().clone()
    }

    pub(super) fn tree(&self) -> &Arc<DentryTree> {
        &self.tree
    }

    pub(super) fn root_dentry(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The mount on this dentry.
    pub(super) fn child_at(&self, dentry: &Arc<Dentry>) -> Option<Arc<Self>> {
        self.children.lock().iter().find(|(on, _)| Arc::ptr_eq(on, dentry)).map(|(_, mount)| mount.clone())
    }

    pub(super) fn has_children(&self) -> bool {
        !self.children.lock().is_empty()
    }

    /// Puts `child` on a dentry of this mount that has none yet.
    pub(super) fn attach(self: &Arc<Self>, dentry: &Arc<Dentry>, child: &Arc<Self>) {
        *child.on.lock() = Some(Location { mount: self.clone(), dentry: dentry.clone() });
        self.children.lock().push((dentry.clone(), child.clone()));
        dentry.mount_added();
    }

    /// Takes `child` off.
    pub(super) fn detach(&self, child: &Arc<Self>) {
        let mut children = self.children.lock();
        let position = children.iter().position(|(_, mount)| Arc::ptr_eq(mount, child));
        let removed = position.map(|position| children.remove(position));
        drop(children);
        if let Some((dentry, mount)) = removed {
            dentry.mount_removed();
            let on = mount.on.lock().take();
            drop(on);
        }
    }
}
