//! What the system calls on names and attributes do, with their checks. Paths are relative to `start`, or to the working
//! directory if it is `None`. Modes come with the umask already applied.

use crate::namespace::{Location, LookupFlags, WalkContext};
use crate::{Access, Credentials, NewKind, OpenFlags, RenameFlags, Result};
use husk_abi::Timespec;

/// A file to be opened.
pub struct Opened {
    /// The file.
    pub location: Location,
    /// Whether it was made just now.
    pub created: bool,
}

/// A time to set: utimensat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// UTIME_OMIT.
    Keep,
    /// UTIME_NOW.
    Now,
    /// This time.
    To(Timespec),
}

/// Finds the file for open(2), making it if `flags` say so, with all checks of permissions and kinds; for TRUNC it cuts the
/// file. Opening itself (pipes, devices, [`Inode::open`](crate::Inode::open)) is the caller's.
///
/// # Errors
/// As open(2).
pub fn open_or_create(
    ctx: &WalkContext, start: Option<&Location>, path: &[u8], flags: OpenFlags, resolve: LookupFlags, mode: u32,
) -> Result<Opened> {
    todo!()
}

/// The checks of open(2) for a file already found (reopening through /proc/self/fd), and the cut for TRUNC.
///
/// # Errors
/// As open(2).
pub fn may_open(ctx: &WalkContext, location: &Location, flags: OpenFlags) -> Result<()> {
    todo!()
}

/// mknod(2), mkdir(2), symlink(2) and the file of bind(2).
///
/// # Errors
/// As mknod(2).
pub fn make(ctx: &WalkContext, start: Option<&Location>, path: &[u8], kind: NewKind, mode: u32) -> Result<Location> {
    todo!()
}

/// link(2) to a file already found.
///
/// # Errors
/// As link(2).
pub fn link(ctx: &WalkContext, file: &Location, new_start: Option<&Location>, new_path: &[u8]) -> Result<()> {
    todo!()
}

/// unlink(2).
///
/// # Errors
/// As unlink(2).
pub fn unlink(ctx: &WalkContext, start: Option<&Location>, path: &[u8]) -> Result<()> {
    todo!()
}

/// rmdir(2).
///
/// # Errors
/// As rmdir(2).
pub fn rmdir(ctx: &WalkContext, start: Option<&Location>, path: &[u8]) -> Result<()> {
    todo!()
}

/// renameat2(2).
///
/// # Errors
/// As rename(2).
pub fn rename(
    ctx: &WalkContext, old_start: Option<&Location>, old: &[u8], new_start: Option<&Location>, new: &[u8],
    flags: RenameFlags,
) -> Result<()> {
    todo!()
}

/// May they access the file so (access(2), with the credentials of `ctx`)?
///
/// # Errors
/// EACCES; EROFS for writing through a read-only mount.
pub fn check_access(credentials: &Credentials, location: &Location, wanted: Access) -> Result<()> {
    todo!()
}

/// chmod(2).
///
/// # Errors
/// EPERM, EROFS; EOPNOTSUPP for a symbolic link.
pub fn chmod(ctx: &WalkContext, location: &Location, mode: u32) -> Result<()> {
    todo!()
}

/// chown(2); `None` keeps.
///
/// # Errors
/// EPERM, EROFS.
pub fn chown(ctx: &WalkContext, location: &Location, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    todo!()
}

/// utimensat(2): access time, then modification time.
///
/// # Errors
/// EPERM, EACCES, EROFS.
pub fn set_times(ctx: &WalkContext, location: &Location, atime: SetTime, mtime: SetTime) -> Result<()> {
    todo!()
}

/// truncate(2): checks that the file may be written.
///
/// # Errors
/// EACCES, EISDIR, EINVAL, EROFS, ETXTBSY, EFBIG.
pub fn truncate(ctx: &WalkContext, location: &Location, size: u64) -> Result<()> {
    todo!()
}

/// ftruncate(2) on a file open for writing: clears set-id bits, then sets the size.
///
/// # Errors
/// EINVAL if it is no regular file, EFBIG, ENOSPC.
pub fn truncate_open(ctx: &WalkContext, location: &Location, size: u64) -> Result<()> {
    todo!()
}

/// What a write to a file does to its set-id bits; call it after writing with the writer's credentials.
///
/// # Errors
/// As [`Inode::set_attr`](crate::Inode::set_attr).
pub fn remove_privileges(credentials: &Credentials, location: &Location) -> Result<()> {
    todo!()
}
