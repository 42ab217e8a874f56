//! Extended attributes (xattr(7)).

use super::path::At;
use crate::args::{Fd, UserCStr, UserPtr, UserSlice};
use crate::task::Task;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{Access, Capabilities, FileKind, Location, LookupFlags, XattrFlags, ops};

/// Longest name in bytes.
const NAME_MAX: usize = 255;
/// Longest value in bytes.
const SIZE_MAX: usize = 65536;

fn follow(task: &Task, path: UserCStr, flags: LookupFlags) -> Result<Location, Errno> {
    At::new(task, Fd::CWD, path)?.lookup(flags)
}

fn open(task: &Task, fd: Fd) -> Result<Location, Errno> {
    task.files().get(fd)?.location().cloned().ok_or(Errno::EOPNOTSUPP.here())
}

fn name(task: &Task, name: UserCStr) -> Result<Vec<u8>, Errno> {
    let name = name.read(task.mm(), NAME_MAX + 1)?.ok_or(Errno::ERANGE.here())?;
    if name.is_empty() {
        return err!(ERANGE);
    }
    Ok(name)
}

/// Who may read or change an attribute depends on its namespace.
fn check(task: &Task, location: &Location, name: &[u8], write: bool) -> Result<(), Errno> {
    let credentials = task.fs_credentials();
    if write && location.mount().is_read_only() {
        return err!(EROFS);
    }
    if name.starts_with(b"trusted.") {
        return match (credentials.has(Capabilities::SYS_ADMIN), write) {
            (true, _) => Ok(()),
            (false, true) => err!(EPERM),
            (false, false) => err!(ENODATA),
        };
    }
    if name.starts_with(b"system.") || name.starts_with(b"security.") {
        if write && !credentials.owns(&location.inode().metadata()) {
            return err!(EPERM);
        }
        return Ok(());
    }
    if name.starts_with(b"user.") {
        let kind = location.inode().kind();
        if !matches!(kind, FileKind::Regular | FileKind::Directory) {
            return if write { err!(EPERM) } else { err!(ENODATA) };
        }
    }
    ops::check_access(&credentials, location, if write { Access::WRITE } else { Access::READ })
}

/// Hands an answer out, or only its size if the buffer's length is 0.
fn answer(task: &Task, bytes: &[u8], buffer: UserSlice) -> Result<usize, Errno> {
    if buffer.len == 0 {
        return Ok(bytes.len());
    }
    if bytes.len() > buffer.len {
        return err!(ERANGE);
    }
    buffer.write(task.mm(), bytes)
}

fn get(task: &Task, location: &Location, key: UserCStr, buffer: UserSlice) -> Result<usize, Errno> {
    let key = name(task, key)?;
    check(task, location, &key, false)?;
    answer(task, &location.inode().get_xattr(&key)?, buffer)
}

fn set(
    task: &Task,
    location: &Location,
    key: UserCStr,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<(), Errno> {
    let flags = XattrFlags::from_bits(flags).ok_or(Errno::EINVAL.here())?;
    let key = name(task, key)?;
    if size > SIZE_MAX {
        return err!(E2BIG);
    }
    let value = value.read_array(task.mm(), size)?;
    check(task, location, &key, true)?;
    location.inode().set_xattr(&key, &value, flags)
}

fn remove(task: &Task, location: &Location, key: UserCStr) -> Result<(), Errno> {
    let key = name(task, key)?;
    check(task, location, &key, true)?;
    location.inode().remove_xattr(&key)
}

fn list(task: &Task, location: &Location, buffer: UserSlice) -> Result<usize, Errno> {
    answer(task, &location.inode().list_xattr()?, buffer)
}

/// getxattr(2).
pub(crate) fn getxattr(
    task: &Task,
    path: UserCStr,
    name: UserCStr,
    buffer: UserSlice,
) -> Result<usize, Errno> {
    get(task, &follow(task, path, LookupFlags::FOLLOW)?, name, buffer)
}

/// lgetxattr(2).
pub(crate) fn lgetxattr(
    task: &Task,
    path: UserCStr,
    name: UserCStr,
    buffer: UserSlice,
) -> Result<usize, Errno> {
    get(task, &follow(task, path, LookupFlags::empty())?, name, buffer)
}

/// fgetxattr(2).
pub(crate) fn fgetxattr(task: &Task, fd: Fd, name: UserCStr, buffer: UserSlice) -> Result<usize, Errno> {
    get(task, &open(task, fd)?, name, buffer)
}

/// setxattr(2).
pub(crate) fn setxattr(
    task: &Task,
    path: UserCStr,
    name: UserCStr,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<(), Errno> {
    set(task, &follow(task, path, LookupFlags::FOLLOW)?, name, value, size, flags)
}

/// lsetxattr(2).
pub(crate) fn lsetxattr(
    task: &Task,
    path: UserCStr,
    name: UserCStr,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<(), Errno> {
    set(task, &follow(task, path, LookupFlags::empty())?, name, value, size, flags)
}

/// fsetxattr(2).
pub(crate) fn fsetxattr(
    task: &Task,
    fd: Fd,
    name: UserCStr,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<(), Errno> {
    set(task, &open(task, fd)?, name, value, size, flags)
}

/// listxattr(2).
pub(crate) fn listxattr(task: &Task, path: UserCStr, buffer: UserSlice) -> Result<usize, Errno> {
    list(task, &follow(task, path, LookupFlags::FOLLOW)?, buffer)
}

/// llistxattr(2).
pub(crate) fn llistxattr(task: &Task, path: UserCStr, buffer: UserSlice) -> Result<usize, Errno> {
    list(task, &follow(task, path, LookupFlags::empty())?, buffer)
}

/// flistxattr(2).
pub(crate) fn flistxattr(task: &Task, fd: Fd, buffer: UserSlice) -> Result<usize, Errno> {
    list(task, &open(task, fd)?, buffer)
}

/// removexattr(2).
pub(crate) fn removexattr(task: &Task, path: UserCStr, name: UserCStr) -> Result<(), Errno> {
    remove(task, &follow(task, path, LookupFlags::FOLLOW)?, name)
}

/// lremovexattr(2).
pub(crate) fn lremovexattr(task: &Task, path: UserCStr, name: UserCStr) -> Result<(), Errno> {
    remove(task, &follow(task, path, LookupFlags::empty())?, name)
}

/// fremovexattr(2).
pub(crate) fn fremovexattr(task: &Task, fd: Fd, name: UserCStr) -> Result<(), Errno> {
    remove(task, &open(task, fd)?, name)
}
