//! Making, removing and changing names: mkdir, mknod, link, symlink, unlink, rmdir, rename, readlink.

use super::path::{self, At, walk_context};
use crate::args::{Fd, UserCStr, UserSlice};
use crate::credentials::Capability;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::{DeviceNumber, LookupFlags, NewKind, RenameFlags, mode, ops};
use linux_raw_sys::general as raw;

fn make(task: &Task, dir: Fd, path: UserCStr, kind: NewKind, mode: u32) -> Result<(), Errno> {
    let at = At::new(task, dir, path)?;
    let mode = mode & !task.fs().umask();
    ops::make(&at.context, at.start.as_ref(), &at.path, kind, mode).map(drop)
}

/// mkdir(2).
pub(crate) fn mkdir(task: &Task, path: UserCStr, mode: u32) -> Result<(), Errno> {
    mkdirat(task, Fd::CWD, path, mode)
}

/// mkdirat(2).
pub(crate) fn mkdirat(task: &Task, dir: Fd, path: UserCStr, mode: u32) -> Result<(), Errno> {
    make(task, dir, path, NewKind::Directory, mode & (0o777 | mode::S_ISVTX))
}

/// mknod(2).
pub(crate) fn mknod(task: &Task, path: UserCStr, mode: u32, device: u32) -> Result<(), Errno> {
    mknodat(task, Fd::CWD, path, mode, device)
}

/// mknodat(2).
pub(crate) fn mknodat(task: &Task, dir: Fd, path: UserCStr, mode: u32, device: u32) -> Result<(), Errno> {
    let device = DeviceNumber::decode(u64::from(device));
    let kind = match mode & mode::S_IFMT {
        0 | mode::S_IFREG => NewKind::Regular,
        mode::S_IFCHR => NewKind::CharDevice(device),
        mode::S_IFBLK => NewKind::BlockDevice(device),
        mode::S_IFIFO => NewKind::Fifo,
        mode::S_IFSOCK => NewKind::Socket,
        mode::S_IFDIR => return err!(EPERM),
        _ => return err!(EINVAL),
    };
    make(task, dir, path, kind, mode & mode::PERMISSIONS)
}

/// symlink(2).
pub(crate) fn symlink(task: &Task, target: UserCStr, path: UserCStr) -> Result<(), Errno> {
    symlinkat(task, target, Fd::CWD, path)
}

/// symlinkat(2).
pub(crate) fn symlinkat(task: &Task, target: UserCStr, dir: Fd, path: UserCStr) -> Result<(), Errno> {
    let target = target.path(task.mm())?;
    if target.is_empty() {
        return err!(ENOENT);
    }
    let at = At::new(task, dir, path)?;
    ops::make(&at.context, at.start.as_ref(), &at.path, NewKind::Symlink(target), 0o777).map(drop)
}

/// link(2).
pub(crate) fn link(task: &Task, old: UserCStr, new: UserCStr) -> Result<(), Errno> {
    linkat(task, Fd::CWD, old, Fd::CWD, new, 0)
}

/// linkat(2).
pub(crate) fn linkat(
    task: &Task,
    old_dir: Fd,
    old: UserCStr,
    new_dir: Fd,
    new: UserCStr,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(raw::AT_SYMLINK_FOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return err!(EINVAL);
    }
    let mut lookup = LookupFlags::empty();
    lookup.set(LookupFlags::FOLLOW, flags & raw::AT_SYMLINK_FOLLOW != 0);
    lookup.set(LookupFlags::EMPTY_PATH, flags & raw::AT_EMPTY_PATH != 0);
    let old = At::new(task, old_dir, old)?;
    if old.path.is_empty()
        && flags & raw::AT_EMPTY_PATH != 0
        && !task.has_capability(Capability::DAC_READ_SEARCH)
    {
        return err!(ENOENT);
    }
    let file = old.lookup(lookup)?;
    let new = At::new(task, new_dir, new)?;
    ops::link(&new.context, &file, new.start.as_ref(), &new.path)
}

/// unlink(2).
pub(crate) fn unlink(task: &Task, path: UserCStr) -> Result<(), Errno> {
    unlinkat(task, Fd::CWD, path, 0)
}

/// rmdir(2).
pub(crate) fn rmdir(task: &Task, path: UserCStr) -> Result<(), Errno> {
    unlinkat(task, Fd::CWD, path, raw::AT_REMOVEDIR)
}

/// unlinkat(2).
pub(crate) fn unlinkat(task: &Task, dir: Fd, path: UserCStr, flags: u32) -> Result<(), Errno> {
    if flags & !raw::AT_REMOVEDIR != 0 {
        return err!(EINVAL);
    }
    let at = At::new(task, dir, path)?;
    if flags & raw::AT_REMOVEDIR != 0 {
        ops::rmdir(&at.context, at.start.as_ref(), &at.path)
    } else {
        ops::unlink(&at.context, at.start.as_ref(), &at.path)
    }
}

/// rename(2).
pub(crate) fn rename(task: &Task, old: UserCStr, new: UserCStr) -> Result<(), Errno> {
    renameat2(task, Fd::CWD, old, Fd::CWD, new, 0)
}

/// renameat(2).
pub(crate) fn renameat(
    task: &Task,
    old_dir: Fd,
    old: UserCStr,
    new_dir: Fd,
    new: UserCStr,
) -> Result<(), Errno> {
    renameat2(task, old_dir, old, new_dir, new, 0)
}

/// renameat2(2).
pub(crate) fn renameat2(
    task: &Task,
    old_dir: Fd,
    old: UserCStr,
    new_dir: Fd,
    new: UserCStr,
    flags: u32,
) -> Result<(), Errno> {
    // RENAME_WHITEOUT is for the lower layers of overlays and not known here: EINVAL, as on filesystems without it.
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL.here())?;
    if flags.contains(RenameFlags::NOREPLACE | RenameFlags::EXCHANGE) {
        return err!(EINVAL);
    }
    let old_path = old.path(task.mm())?;
    let new_path = new.path(task.mm())?;
    let old_start = path::start(task, old_dir, &old_path)?;
    let new_start = path::start(task, new_dir, &new_path)?;
    let context = walk_context(task);
    ops::rename(&context, old_start.as_ref(), &old_path, new_start.as_ref(), &new_path, flags)
}

/// readlink(2).
pub(crate) fn readlink(task: &Task, path: UserCStr, buffer: UserPtrLen) -> Result<usize, Errno> {
    readlinkat(task, Fd::CWD, path, buffer)
}

/// The buffer of readlink(2): its length is an `int`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserPtrLen {
    addr: u64,
    len: i32,
}

impl crate::args::FromArg for UserPtrLen {
    fn from_arg(args: &mut crate::args::ArgReader<'_>) -> Result<Self, Errno> {
        Ok(Self { addr: u64::from_arg(args)?, len: i32::from_arg(args)? })
    }
}

/// readlinkat(2). An empty path means the symbolic link that the descriptor was opened for (O_PATH).
pub(crate) fn readlinkat(task: &Task, dir: Fd, path: UserCStr, buffer: UserPtrLen) -> Result<usize, Errno> {
    let len = usize::try_from(buffer.len).ok().filter(|len| *len > 0).ok_or(Errno::EINVAL.here())?;
    let at = At::new(task, dir, path)?;
    let mut flags = LookupFlags::empty();
    flags.set(LookupFlags::EMPTY_PATH, dir != Fd::CWD);
    let location = at.lookup(flags)?;
    let inode = location.inode();
    if at.path.is_empty() && inode.kind() != husk_fs::FileKind::Symlink {
        return err!(ENOENT);
    }
    let target = inode.read_link()?;
    location.accessed();
    UserSlice { addr: buffer.addr, len }.write(task.mm(), &target)
}
