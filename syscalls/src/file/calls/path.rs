//! Paths of the `…at` calls: a descriptor of a directory and a path relative to it.

use crate::args::{Fd, UserCStr};
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{FileKind, Location, LookupFlags, WalkContext};
use linux_raw_sys::general as raw;

/// Where the task stands and who it is.
pub(crate) fn walk_context(task: &Task) -> WalkContext {
    let (root, cwd) = task.fs().root_and_cwd();
    WalkContext { root, cwd, credentials: Arc::new(task.fs_credentials()) }
}

/// The directory that a path is relative to; `None` is the working directory (or does not matter).
///
/// # Errors
/// EBADF; ENOTDIR if the descriptor is none of a directory.
pub(crate) fn start(task: &Task, dir: Fd, path: &[u8]) -> Result<Option<Location>, Errno> {
    if dir == Fd::CWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    let description = task.files().get_any(dir)?;
    match description.location() {
        Some(location) if path.is_empty() || location.inode().kind() == FileKind::Directory => {
            Ok(Some(location.clone()))
        }
        _ => err!(ENOTDIR),
    }
}

/// A path with what it is relative to.
pub(crate) struct At {
    pub(crate) context: WalkContext,
    pub(crate) start: Option<Location>,
    pub(crate) path: Vec<u8>,
}

impl At {
    /// Reads the path and finds its start.
    ///
    /// # Errors
    /// EFAULT, ENAMETOOLONG, EBADF, ENOTDIR.
    pub(crate) fn new(task: &Task, dir: Fd, path: UserCStr) -> Result<Self, Errno> {
        let path = path.path(task.mm())?;
        Ok(Self { context: walk_context(task), start: start(task, dir, &path)?, path })
    }

    /// Finds the file.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub(crate) fn lookup(&self, flags: LookupFlags) -> Result<Location, Errno> {
        husk_fs::lookup(&self.context, self.start.as_ref(), &self.path, flags)
    }
}

/// The look-up flags for AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
pub(crate) fn lookup_flags(at_flags: u32) -> LookupFlags {
    let mut flags = LookupFlags::empty();
    flags.set(LookupFlags::FOLLOW, at_flags & raw::AT_SYMLINK_NOFOLLOW == 0);
    flags.set(LookupFlags::EMPTY_PATH, at_flags & raw::AT_EMPTY_PATH != 0);
    flags
}
