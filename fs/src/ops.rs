//! What the system calls on names and attributes do, with their checks. Paths are relative to `start`, or to the working
//! directory if it is `None`. Modes come with the umask already applied.

mod attributes;
mod create;
mod open;
mod remove;
mod rename;

pub use attributes::{
    SetTime, chmod, chown, lost_set_id, remove_privileges, set_times, truncate, truncate_open,
};
pub use create::{link, make};
pub use open::{Opened, may_open, open_or_create};
pub use remove::{rmdir, unlink};
pub use rename::rename;

use crate::types::mode;
use crate::{Access, Capabilities, Credentials, Dentry, FileKind, Location, NewInode, NewKind, Result};
use alloc::sync::Arc;
use husk_abi::err;

/// May they access the file so (access(2))?
///
/// # Errors
/// EACCES; EROFS for writing through a read-only mount.
pub fn check_access(credentials: &Credentials, location: &Location, wanted: Access) -> Result<()> {
    let inode = location.inode();
    if wanted.contains(Access::WRITE)
        && location.mount().is_read_only()
        && matches!(inode.kind(), FileKind::Regular | FileKind::Directory | FileKind::Symlink)
    {
        return err!(EROFS);
    }
    credentials.check(&inode.metadata(), wanted)
}

/// Whether anything can be changed through the mount.
fn check_writable(location: &Location) -> Result<()> {
    if location.mount().is_read_only() { err!(EROFS) } else { Ok(()) }
}

/// May they put a new name into the directory?
fn check_may_create(credentials: &Credentials, dir: &Location) -> Result<()> {
    check_access(credentials, dir, Access::WRITE | Access::EXEC)
}

/// May they take this name out of the directory? `as_directory`: the caller removes a directory.
fn check_may_delete(
    credentials: &Credentials,
    dir: &Location,
    victim: &Arc<Dentry>,
    as_directory: bool,
) -> Result<()> {
    check_access(credentials, dir, Access::WRITE | Access::EXEC)?;
    let dir_metadata = dir.inode().metadata();
    if dir_metadata.mode & mode::S_ISVTX != 0
        && credentials.uid != dir_metadata.uid
        && !credentials.has(Capabilities::FOWNER)
        && credentials.uid != victim.inode().metadata().uid
    {
        return err!(EPERM);
    }
    match (as_directory, victim.is_directory()) {
        (true, false) => err!(ENOTDIR),
        (false, true) => err!(EISDIR),
        _ => Ok(()),
    }
}

/// Owner, group and mode of a new file in a directory: inode(7) on the set-group-id bit.
fn new_inode(credentials: &Credentials, dir: &Location, kind: NewKind, permissions: u32) -> NewInode {
    let dir = dir.inode().metadata();
    let inherits = dir.mode & mode::S_ISGID != 0;
    let gid = if inherits { dir.gid } else { credentials.gid };
    let mut permissions = permissions & mode::PERMISSIONS;
    if inherits && kind == NewKind::Directory {
        permissions |= mode::S_ISGID;
    } else if permissions & (mode::S_ISGID | mode::S_IXGRP) == mode::S_ISGID | mode::S_IXGRP
        && inherits
        && !credentials.in_group(gid)
        && !credentials.has(Capabilities::FSETID)
    {
        permissions &= !mode::S_ISGID;
    }
    NewInode { kind, mode: permissions, uid: credentials.uid, gid }
}
