//! chmod(2), chown(2), utimensat(2), truncate(2).

use super::{check_access, check_writable};
use crate::namespace::WalkContext;
use crate::types::mode;
use crate::{Access, Capabilities, Credentials, FileKind, Location, Metadata, Result, SetAttr};
use husk_abi::{Timespec, err};

/// A time to set: utimensat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// UTIME_OMIT.
    Keep,
    /// UTIME_NOW; the caller reads the clock.
    Now(Timespec),
    /// This time.
    To(Timespec),
}

impl SetTime {
    const fn value(self) -> Option<Timespec> {
        match self {
            Self::Keep => None,
            Self::Now(time) | Self::To(time) => Some(time),
        }
    }
}

/// Largest file: the largest positive offset (`MAX_LFS_FILESIZE`).
const MAX_SIZE: u64 = i64::MAX as u64;

/// chmod(2).
///
/// # Errors
/// EPERM, EROFS; EOPNOTSUPP for a symbolic link.
pub fn chmod(ctx: &WalkContext, location: &Location, permissions: u32) -> Result<()> {
    check_writable(location)?;
    let inode = location.inode();
    let metadata = inode.metadata();
    if inode.kind() == FileKind::Symlink {
        return err!(EOPNOTSUPP);
    }
    if !ctx.credentials.owns(&metadata) {
        return err!(EPERM);
    }
    let mut permissions = permissions & mode::PERMISSIONS;
    if !ctx.credentials.in_group(metadata.gid) && !ctx.credentials.has(Capabilities::FSETID) {
        permissions &= !mode::S_ISGID;
    }
    inode.set_attr(&SetAttr { mode: Some(permissions), ..SetAttr::default() })
}

/// chown(2); `None` keeps.
///
/// # Errors
/// EPERM, EROFS.
pub fn chown(ctx: &WalkContext, location: &Location, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    check_writable(location)?;
    let inode = location.inode();
    let metadata = inode.metadata();
    let credentials = &ctx.credentials;
    if !credentials.has(Capabilities::CHOWN) {
        let is_owner = credentials.uid == metadata.uid;
        let uid_fine = uid.is_none_or(|uid| is_owner && uid == metadata.uid);
        let gid_fine = gid.is_none_or(|gid| is_owner && (gid == metadata.gid || credentials.in_group(gid)));
        if !uid_fine || !gid_fine {
            return err!(EPERM);
        }
    }
    let mut attr = SetAttr { uid, gid, ..SetAttr::default() };
    if inode.kind() != FileKind::Directory {
        let mut drop = metadata.mode & mode::S_ISUID;
        if metadata.mode & mode::S_IXGRP != 0
            || !(credentials.in_group(metadata.gid) || credentials.has(Capabilities::FSETID))
        {
            drop |= metadata.mode & mode::S_ISGID;
        }
        if drop != 0 {
            // Even if no owner changes, that is a chmod(2) (notify_change() in Linux).
            if !credentials.owns(&metadata) {
                return err!(EPERM);
            }
            attr.mode = Some(metadata.mode & mode::PERMISSIONS & !drop);
        }
    }
    inode.set_attr(&attr)
}

/// utimensat(2): access time, then modification time.
///
/// # Errors
/// EPERM, EACCES, EROFS.
pub fn set_times(ctx: &WalkContext, location: &Location, atime: SetTime, mtime: SetTime) -> Result<()> {
    let both_now = matches!((atime, mtime), (SetTime::Now(_), SetTime::Now(_)));
    if (atime, mtime) == (SetTime::Keep, SetTime::Keep) {
        return Ok(());
    }
    check_writable(location)?;
    let inode = location.inode();
    if !ctx.credentials.owns(&inode.metadata()) {
        if !both_now {
            return err!(EPERM);
        }
        check_access(&ctx.credentials, location, Access::WRITE)?;
    }
    inode.set_attr(&SetAttr { atime: atime.value(), mtime: mtime.value(), ..SetAttr::default() })
}

/// truncate(2): checks that the file may be written.
///
/// # Errors
/// EACCES, EISDIR, EINVAL, EROFS, ETXTBSY, EFBIG.
pub fn truncate(ctx: &WalkContext, location: &Location, size: u64) -> Result<()> {
    let inode = location.inode();
    match inode.kind() {
        FileKind::Regular => {}
        FileKind::Directory => return err!(EISDIR),
        _ => return err!(EINVAL),
    }
    check_access(&ctx.credentials, location, Access::WRITE)?;
    let access = &inode.slot().write_access;
    access.get()?;
    let cut = truncate_open(ctx, location, size);
    access.put();
    cut
}

/// ftruncate(2) on a file open for writing: clears set-id bits, then sets the size.
///
/// # Errors
/// EINVAL if it is no regular file, EFBIG, ENOSPC.
pub fn truncate_open(ctx: &WalkContext, location: &Location, size: u64) -> Result<()> {
    if location.inode().kind() != FileKind::Regular {
        return err!(EINVAL);
    }
    if size > MAX_SIZE {
        return err!(EFBIG);
    }
    remove_privileges(&ctx.credentials, location)?;
    location.inode().set_attr(&SetAttr { size: Some(size), ..SetAttr::default() })
}

/// What a write to a file does to its set-id bits; call it before writing with the writer's credentials.
///
/// # Errors
/// As [`Inode::set_attr`](crate::Inode::set_attr).
pub fn remove_privileges(credentials: &Credentials, location: &Location) -> Result<()> {
    if credentials.has(Capabilities::FSETID) {
        return Ok(());
    }
    let inode = location.inode();
    let metadata = inode.metadata();
    match lost_set_id(&metadata, credentials) {
        0 => Ok(()),
        bits => inode.set_attr(&SetAttr {
            mode: Some(metadata.mode & mode::PERMISSIONS & !bits),
            ..SetAttr::default()
        }),
    }
}

/// The set-id bits that a change of contents by somebody removes (setattr_should_drop_suidgid() in Linux).
#[must_use]
pub fn lost_set_id(metadata: &Metadata, credentials: &Credentials) -> u32 {
    if metadata.mode & mode::S_IFMT != mode::S_IFREG {
        return 0;
    }
    let drops_group = metadata.mode & mode::S_IXGRP != 0 || !credentials.in_group(metadata.gid);
    metadata.mode & (mode::S_ISUID | if drops_group { mode::S_ISGID } else { 0 })
}
