//! A name in a directory, remembered.

use super::dentry_clock::DentryClock;
use crate::{FileKind, FileSystem, InodeRef, NAME_MAX, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use hashbrown::HashMap;
use husk_abi::{Errno, err};
use husk_machine::sync::{Mutex, MutexGuard, SpinLock};

/// What all dentries of one filesystem share.
pub(crate) struct DentryTree {
    pub(crate) fs: Arc<dyn FileSystem>,
    /// Held while a rename between directories runs, so that no directory becomes its own descendant.
    pub(crate) rename: Mutex<()>,
    pub(super) clock: Arc<DentryClock>,
}

/// A file under one name (hard links have several dentries). Children are remembered, so that a path walk over
/// known names asks no filesystem.
pub struct Dentry {
    inode: InodeRef,
    tree: Arc<DentryTree>,
    place: SpinLock<Place>,
    directory: Option<Box<Directory>>,
    deleted: AtomicBool,
    used: AtomicBool,
    mounts: AtomicU32,
}

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

#[derive(Default)]
struct Directory {
    /// Held over every operation on the directory's entries.
    lock: Mutex<()>,
    children: SpinLock<HashMap<Arc<[u8]>, Child>>,
}

/// What is known of a name.
#[derive(Clone)]
pub(crate) enum Child {
    /// It is there.
    Present(Arc<Dentry>),
    /// It is not there.
    Absent,
}

impl Child {
    pub(crate) fn present(self) -> Result<Arc<Dentry>> {
        match self {
            Self::Present(dentry) => Ok(dentry),
            Self::Absent => err!(ENOENT),
        }
    }
}

impl Dentry {
    pub(super) fn new_root(tree: Arc<DentryTree>) -> Arc<Self> {
        let inode = tree.fs.root();
        Self::new(tree, inode, None, Arc::from(&b"/"[..]))
    }

    /// One that has no name in the tree, with `parent` for what is shown of it.
    pub(crate) fn new_deleted(
        tree: Arc<DentryTree>,
        inode: InodeRef,
        parent: Option<Arc<Self>>,
        name: &[u8],
    ) -> Arc<Self> {
        let dentry = Self::new(tree, inode, parent, Arc::from(name));
        dentry.deleted.store(true, Ordering::Release);
        dentry
    }

    fn new(tree: Arc<DentryTree>, inode: InodeRef, parent: Option<Arc<Self>>, name: Arc<[u8]>) -> Arc<Self> {
        let directory = (inode.kind() == FileKind::Directory).then(Box::default);
        Arc::new(Self {
            inode,
            tree,
            place: SpinLock::new(Place { parent, name }),
            directory,
            deleted: AtomicBool::new(false),
            used: AtomicBool::new(true),
            mounts: AtomicU32::new(0),
        })
    }

    /// The file.
    #[must_use]
    pub fn inode(&self) -> &InodeRef {
        &self.inode
    }

    /// The name; `/` for the top of a filesystem.
    #[must_use]
    pub fn name(&self) -> Arc<[u8]> {
        self.place.lock().name.clone()
    }

    /// The directory it is in; `None` for the top of a filesystem.
    #[must_use]
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.place.lock().parent.clone()
    }

    /// Whether the name has been removed.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.directory.is_some()
    }

    pub(crate) fn tree(&self) -> &Arc<DentryTree> {
        &self.tree
    }

    pub(super) fn place(&self) -> (Option<Arc<Self>>, Arc<[u8]>) {
        let place = self.place.lock();
        (place.parent.clone(), place.name.clone())
    }

    pub(crate) fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    pub(super) fn mount_added(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn mount_removed(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether it is `other` or above it.
    pub(crate) fn is_ancestor_of(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut at = Some(other.clone());
        while let Some(dentry) = at {
            if Arc::ptr_eq(self, &dentry) {
                return true;
            }
            at = dentry.parent();
        }
        false
    }

    /// Locks the directory for operations on its entries.
    ///
    /// # Errors
    /// ENOTDIR; ENOENT if it has been removed.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, ()>> {
        let Some(directory) = &self.directory else { return err!(ENOTDIR) };
        let guard = directory.lock.lock();
        if self.is_deleted() { err!(ENOENT) } else { Ok(guard) }
    }

    /// What is remembered of the name.
    pub(crate) fn remembered(&self, name: &[u8]) -> Option<Child> {
        let child = self.directory.as_ref()?.children.lock().get(name).cloned()?;
        if let Child::Present(dentry) = &child {
            dentry.used.store(true, Ordering::Relaxed);
        }
        Some(child)
    }

    /// Finds the child with this name, in memory or by asking the filesystem.
    ///
    /// # Errors
    /// ENOTDIR, ENAMETOOLONG, EIO, EUCLEAN; ENOENT if the directory itself has been removed.
    pub(crate) fn lookup(self: &Arc<Self>, name: &[u8]) -> Result<Child> {
        if let Some(child) = self.remembered(name) {
            return Ok(child);
        }
        let _guard = self.lock()?;
        self.lookup_locked(name)
    }

    /// As [`lookup`](Self::lookup), with the directory locked by the caller.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub(crate) fn lookup_locked(self: &Arc<Self>, name: &[u8]) -> Result<Child> {
        if name.len() > NAME_MAX {
            return err!(ENAMETOOLONG);
        }
        if let Some(child) = self.remembered(name) {
            return Ok(child);
        }
        match self.inode.lookup(name) {
            Ok(inode) => Ok(Child::Present(self.add(name, inode))),
            Err(error) if error == Errno::ENOENT => {
                self.set_child(Arc::from(name), Child::Absent);
                Ok(Child::Absent)
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers a child that has been found or made. The directory is locked.
    pub(crate) fn add(self: &Arc<Self>, name: &[u8], inode: InodeRef) -> Arc<Self> {
        let name: Arc<[u8]> = Arc::from(name);
        let dentry = Self::new(self.tree.clone(), inode, Some(self.clone()), name.clone());
        self.set_child(name, Child::Present(dentry.clone()));
        dentry
    }

    /// The child has been removed. The directory is locked.
    pub(crate) fn remove(self: &Arc<Self>, child: &Arc<Self>) {
        child.deleted.store(true, Ordering::Release);
        self.set_child(child.name(), Child::Absent);
    }

    fn set_child(self: &Arc<Self>, name: Arc<[u8]>, child: Child) {
        let Some(directory) = &self.directory else { return };
        if !self.inode.caches_names() {
            return;
        }
        let old = directory.children.lock().insert(name.clone(), child);
        if old.is_none() {
            self.tree.clock.added(self, name);
        }
    }

    /// A rename has moved `child` from this directory to `new_dir`. Both are locked.
    pub(crate) fn move_child(self: &Arc<Self>, child: &Arc<Self>, new_dir: &Arc<Self>, new_name: &[u8]) {
        let new_name: Arc<[u8]> = Arc::from(new_name);
        let clock = &self.tree.clock;
        clock.begin_move();
        let old_name = child.name();
        let old_place = core::mem::replace(
            &mut *child.place.lock(),
            Place { parent: Some(new_dir.clone()), name: new_name.clone() },
        );
        clock.end_move();
        drop(old_place);
        self.set_child(old_name, Child::Absent);
        if let Some(Child::Present(replaced)) = new_dir.remembered(&new_name)
            && !Arc::ptr_eq(&replaced, child)
        {
            replaced.deleted.store(true, Ordering::Release);
        }
        new_dir.set_child(new_name, Child::Present(child.clone()));
    }

    /// A rename has exchanged the two children. Both directories are locked.
    pub(crate) fn exchange_children(
        self: &Arc<Self>,
        mine: &Arc<Self>,
        other_dir: &Arc<Self>,
        other: &Arc<Self>,
    ) {
        let clock = &self.tree.clock;
        let (my_name, other_name) = (mine.name(), other.name());
        clock.begin_move();
        let old_mine = core::mem::replace(
            &mut *mine.place.lock(),
            Place { parent: Some(other_dir.clone()), name: other_name.clone() },
        );
        let old_other = core::mem::replace(
            &mut *other.place.lock(),
            Place { parent: Some(self.clone()), name: my_name.clone() },
        );
        clock.end_move();
        drop((old_mine, old_other));
        self.set_child(my_name, Child::Present(other.clone()));
        other_dir.set_child(other_name, Child::Present(mine.clone()));
    }

    /// Forgets a child that nobody uses. `false` if it must stay for now.
    pub(super) fn forget_if_unused(&self, name: &[u8]) -> bool {
        let Some(directory) = &self.directory else { return true };
        let mut children = directory.children.lock();
        let unused = match children.get(name) {
            None | Some(Child::Absent) => true,
            Some(Child::Present(dentry)) => {
                !dentry.used.swap(false, Ordering::Relaxed)
                    && Arc::strong_count(dentry) == 1
                    && dentry.directory.as_ref().is_none_or(|directory| directory.children.lock().is_empty())
            }
        };
        let forgotten = if unused { children.remove(name) } else { None };
        drop(children);
        // Only now, as it may take other locks.
        drop(forgotten);
        unused
    }

    /// Forgets everything below: the filesystem is no longer mounted.
    pub(super) fn forget_all(&self) {
        let mut rest: Vec<Child> = Vec::new();
        let take = |dentry: &Self, rest: &mut Vec<Child>| {
            if let Some(directory) = &dentry.directory {
                let children = core::mem::take(&mut *directory.children.lock());
                rest.extend(children.into_values());
            }
        };
        take(self, &mut rest);
        while let Some(child) = rest.pop() {
            if let Child::Present(dentry) = child {
                take(&dentry, &mut rest);
            }
        }
    }
}

impl Drop for Dentry {
    /// Lets the directories above go one by one: by recursion, a deep tree would need a deep stack.
    fn drop(&mut self) {
        let mut above = self.place.get_mut().parent.take();
        while let Some(mut parent) = above.and_then(Arc::into_inner) {
            above = parent.place.get_mut().parent.take();
        }
    }
}
