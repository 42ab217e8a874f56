//! Making changes durable, and advice about what will be read: fsync, sync, syncfs, sync_file_range, fadvise64, readahead.

use crate::args::Fd;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::FileKind;
use husk_machine::frame::PAGE_SIZE;
use linux_raw_sys::general as raw;

/// Most bytes that one piece of advice makes the kernel read ahead.
const READ_AHEAD_MAX: u64 = 2 << 20;

/// fsync(2).
pub(crate) fn fsync(task: &Task, fd: Fd) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    match (description.kind(), description.location()) {
        (FileKind::Regular | FileKind::Directory, Some(location)) => location.inode().sync(),
        _ => err!(EINVAL),
    }
}

/// fdatasync(2).
pub(crate) fn fdatasync(task: &Task, fd: Fd) -> Result<(), Errno> {
    fsync(task, fd)
}

/// sync(2).
pub(crate) fn sync(task: &Task) -> Result<(), Errno> {
    // Like Linux, sync(2) reports no errors.
    let _ = task.fs().root().mount().file_system().sync();
    Ok(())
}

/// syncfs(2).
pub(crate) fn syncfs(task: &Task, fd: Fd) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    match description.location() {
        Some(location) => location.mount().file_system().sync(),
        None => Ok(()),
    }
}

/// sync_file_range(2).
pub(crate) fn sync_file_range(task: &Task, fd: Fd, offset: i64, len: i64, flags: u32) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    let all = raw::SYNC_FILE_RANGE_WAIT_BEFORE | raw::SYNC_FILE_RANGE_WRITE | raw::SYNC_FILE_RANGE_WAIT_AFTER;
    if flags & !all != 0 || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return err!(EINVAL);
    }
    match description.kind() {
        FileKind::Regular | FileKind::Directory => {}
        _ => return err!(ESPIPE),
    }
    match description.inode() {
        Some(inode) if flags != 0 => inode.sync(),
        _ => Ok(()),
    }
}

/// fadvise64(2). Only the advice to read ahead changes anything; the rest is about caching that goes by use.
pub(crate) fn fadvise64(task: &Task, fd: Fd, offset: i64, len: i64, advice: u32) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    if description.kind() == FileKind::Fifo {
        return err!(ESPIPE);
    }
    if len < 0 || advice > raw::POSIX_FADV_NOREUSE {
        return err!(EINVAL);
    }
    if advice == raw::POSIX_FADV_WILLNEED
        && let (Some(inode), Ok(offset)) = (description.inode(), u64::try_from(offset))
        && inode.kind() == FileKind::Regular
    {
        let len = if len == 0 { u64::MAX } else { len as u64 };
        let end = offset.saturating_add(len.min(READ_AHEAD_MAX)).min(inode.size());
        let first = offset / PAGE_SIZE as u64;
        let last = end.div_ceil(PAGE_SIZE as u64);
        if last > first {
            inode.read_ahead(first, last - first);
        }
    }
    Ok(())
}

/// readahead(2).
pub(crate) fn readahead(task: &Task, fd: Fd, offset: i64, count: usize) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    if !description.flags().reads() {
        return err!(EBADF);
    }
    if description.kind() != FileKind::Regular {
        return err!(EINVAL);
    }
    fadvise64(task, fd, offset, i64::try_from(count).unwrap_or(i64::MAX), raw::POSIX_FADV_WILLNEED)
}
