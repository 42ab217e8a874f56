//! Directories: listing them, and where the process stands.

use super::path::{At, walk_context};
use crate::args::{Fd, PATH_MAX, UserCStr, UserSlice};
use crate::credentials::Capability;
use crate::task::Task;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{Access, DirEntry, FileKind, Location, LookupFlags, ops};

/// Most bytes of entries that one call returns.
const LISTING_MAX: usize = 1 << 20;

/// getdents(2).
pub(crate) fn getdents(task: &Task, fd: Fd, buffer: UserSlice) -> Result<usize, Errno> {
    list(task, fd, buffer, |entry, out| {
        // struct linux_dirent: the type is the very last byte.
        let len = (18 + entry.name.len() + 2).next_multiple_of(8);
        put_head(entry, len, out);
        out.extend_from_slice(entry.name);
        let end = out.len() + len - 18 - entry.name.len();
        out.resize(end, 0);
        out[end - 1] = entry.kind.dirent_type();
    })
}

/// getdents64(2).
pub(crate) fn getdents64(task: &Task, fd: Fd, buffer: UserSlice) -> Result<usize, Errno> {
    list(task, fd, buffer, |entry, out| {
        let len = (19 + entry.name.len() + 1).next_multiple_of(8);
        put_head(entry, len, out);
        out.push(entry.kind.dirent_type());
        out.extend_from_slice(entry.name);
        out.resize(out.len() + len - 19 - entry.name.len(), 0);
    })
}

fn put_head(entry: &DirEntry<'_>, len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&entry.ino.to_ne_bytes());
    out.extend_from_slice(&entry.next_offset.to_ne_bytes());
    out.extend_from_slice(&(len as u16).to_ne_bytes());
}

fn list(
    task: &Task,
    fd: Fd,
    buffer: UserSlice,
    put: impl Fn(&DirEntry<'_>, &mut Vec<u8>),
) -> Result<usize, Errno> {
    let description = task.files().get(fd)?;
    let location = match description.location() {
        Some(location) if location.inode().kind() == FileKind::Directory => location,
        _ => return err!(ENOTDIR),
    };
    let room = buffer.len.min(LISTING_MAX);
    let mut position = description.position().lock();
    let mut next = *position;
    let mut entries = Vec::new();
    let mut too_small = false;
    location.read_dir(&task.fs().root(), *position, &mut |entry| {
        let before = entries.len();
        put(entry, &mut entries);
        if entries.len() > room {
            too_small = before == 0;
            entries.truncate(before);
            return false;
        }
        next = entry.next_offset;
        true
    })?;
    if too_small {
        return err!(EINVAL);
    }
    task.mm().copy_out(buffer.addr, &entries)?;
    *position = next;
    drop(position);
    location.accessed();
    Ok(entries.len())
}

/// getcwd(2): the answer is the length with the zero byte.
pub(crate) fn getcwd(task: &Task, buffer: UserSlice) -> Result<usize, Errno> {
    let (root, cwd) = task.fs().root_and_cwd();
    if cwd.is_deleted() {
        return err!(ENOENT);
    }
    let mut path = cwd.path(&root);
    path.push(0);
    if path.len() > PATH_MAX {
        return err!(ENAMETOOLONG);
    }
    if path.len() > buffer.len {
        return err!(ERANGE);
    }
    buffer.write(task.mm(), &path)
}

/// chdir(2).
pub(crate) fn chdir(task: &Task, path: UserCStr) -> Result<(), Errno> {
    let at = At::new(task, Fd::CWD, path)?;
    let location = at.lookup(LookupFlags::FOLLOW | LookupFlags::DIRECTORY)?;
    enter(task, location)
}

/// fchdir(2).
pub(crate) fn fchdir(task: &Task, fd: Fd) -> Result<(), Errno> {
    let description = task.files().get_any(fd)?;
    match description.location() {
        Some(location) if location.inode().kind() == FileKind::Directory => enter(task, location.clone()),
        _ => err!(ENOTDIR),
    }
}

fn enter(task: &Task, location: Location) -> Result<(), Errno> {
    ops::check_access(&task.fs_credentials(), &location, Access::EXEC)?;
    task.fs().set_cwd(location);
    Ok(())
}

/// chroot(2).
pub(crate) fn chroot(task: &Task, path: UserCStr) -> Result<(), Errno> {
    let at = At::new(task, Fd::CWD, path)?;
    let location = at.lookup(LookupFlags::FOLLOW | LookupFlags::DIRECTORY)?;
    ops::check_access(&walk_context(task).credentials, &location, Access::EXEC)?;
    if !task.has_capability(Capability::SYS_CHROOT) {
        return err!(EPERM);
    }
    task.fs().set_root(location);
    Ok(())
}
