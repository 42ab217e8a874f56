//! The walk along a path (path_resolution(7), openat2(2)).

use super::Location;
use crate::{Credentials, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;

/// Where a process stands and who it is.
#[derive(Clone)]
pub struct WalkContext {
    /// Its root directory.
    pub root: Location,
    /// Its working directory.
    pub cwd: Location,
    /// Whose permissions count.
    pub credentials: Arc<Credentials>,
}

bitflags! {
    /// How to walk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct LookupFlags: u32 {
        /// Follow a symbolic link in the last place too.
        const FOLLOW = 1;
        /// The result must be a directory.
        const DIRECTORY = 2;
        /// An empty path means the start itself (AT_EMPTY_PATH).
        const EMPTY_PATH = 4;
        /// RESOLVE_NO_SYMLINKS: ELOOP at any symbolic link.
        const NO_SYMLINKS = 8;
        /// RESOLVE_NO_MAGICLINKS: ELOOP at procfs's magic links.
        const NO_MAGICLINKS = 16;
        /// RESOLVE_BENEATH: EXDEV on leaving the start.
        const BENEATH = 32;
        /// RESOLVE_IN_ROOT: the start is the root.
        const IN_ROOT = 64;
        /// RESOLVE_NO_XDEV: EXDEV at a mount.
        const NO_XDEV = 128;
    }
}

/// The last part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastName {
    /// An ordinary name.
    Name(Vec<u8>),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// Nothing: the path is `/`.
    Root,
}

/// A path walked to its last part but not further.
pub struct Parent {
    /// The directory the last part is in.
    pub dir: Location,
    /// The last part.
    pub last: LastName,
    /// Whether slashes follow it.
    pub trailing_slash: bool,
}

/// Finds the file a path leads to. A path that is not absolute starts at `start`, or at the working directory if that is `None`.
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES, ELOOP (more than 40 symbolic links), ENAMETOOLONG, EXDEV, EIO.
pub fn lookup(ctx: &WalkContext, start: Option<&Location>, path: &[u8], flags: LookupFlags) -> Result<Location> {
    todo!()
}

/// Finds the directory that the last part of a path is in. The last part itself is not looked at.
///
/// # Errors
/// As [`lookup`].
pub fn lookup_parent(ctx: &WalkContext, start: Option<&Location>, path: &[u8], flags: LookupFlags) -> Result<Parent> {
    todo!()
}
