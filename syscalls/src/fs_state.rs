//! Where path look-ups of a process start, and the mask for new files (what clone(2) shares by CLONE_FS).

use core::sync::atomic::{AtomicU32, Ordering};
use husk_fs::Location;
use husk_machine::sync::SpinLock;

/// Root directory, working directory, umask.
pub(crate) struct FsState {
    places: SpinLock<Places>,
    umask: AtomicU32,
}

#[derive(Clone)]
struct Places {
    root: Location,
    cwd: Location,
}

impl FsState {
    /// With Linux's initial umask, 022.
    pub(crate) fn new(root: Location, cwd: Location) -> Self {
        Self { places: SpinLock::new(Places { root, cwd }), umask: AtomicU32::new(0o022) }
    }

    /// A copy that changes on its own.
    pub(crate) fn duplicate(&self) -> Self {
        Self { places: SpinLock::new(self.places.lock().clone()), umask: AtomicU32::new(self.umask()) }
    }

    /// The root directory.
    pub(crate) fn root(&self) -> Location {
        self.places.lock().root.clone()
    }

    /// The working directory.
    pub(crate) fn cwd(&self) -> Location {
        self.places.lock().cwd.clone()
    }

    /// Both, root first.
    pub(crate) fn root_and_cwd(&self) -> (Location, Location) {
        let places = self.places.lock();
        (places.root.clone(), places.cwd.clone())
    }

    /// Changes the root directory (chroot(2)); the caller has checked that it may.
    pub(crate) fn set_root(&self, root: Location) {
        let old = core::mem::replace(&mut self.places.lock().root, root);
        drop(old);
    }

    /// Changes the working directory; the caller has checked that it is a directory that may be searched.
    pub(crate) fn set_cwd(&self, cwd: Location) {
        let old = core::mem::replace(&mut self.places.lock().cwd, cwd);
        drop(old);
    }

    /// The mask for new files.
    pub(crate) fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Changes the mask, of which only the permission bits count, and returns the old one.
    pub(crate) fn set_umask(&self, mask: u32) -> u32 {
        self.umask.swap(mask & 0o777, Ordering::Relaxed)
    }
}
