//! truncate(2), ftruncate(2), fallocate(2).

use super::path::{At, walk_context};
use crate::args::{Fd, UserCStr};
use crate::file::limits::{MAX_FILE_SIZE, check_size};
use crate::file::memfd;
use crate::mm::forget_file_pages;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::{FallocateMode, FileKind, LookupFlags, ops};

/// truncate(2).
pub(crate) fn truncate(task: &Task, path: UserCStr, size: i64) -> Result<(), Errno> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL.here())?;
    let at = At::new(task, Fd::CWD, path)?;
    let location = at.lookup(LookupFlags::FOLLOW)?;
    if size > location.inode().size() && location.inode().kind() == FileKind::Regular {
        check_size(task, size)?;
    }
    ops::truncate(&at.context, &location, size)?;
    forget_file_pages(location.inode(), size..u64::MAX, true);
    Ok(())
}

/// ftruncate(2).
pub(crate) fn ftruncate(task: &Task, fd: Fd, size: i64) -> Result<(), Errno> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL.here())?;
    let description = task.files().get(fd)?;
    let location = match description.location() {
        Some(location) if location.inode().kind() == FileKind::Regular => location,
        _ => return err!(EINVAL),
    };
    if !description.flags().writes() {
        return err!(EINVAL);
    }
    let old = location.inode().size();
    memfd::check_resize(location.inode(), old, size)?;
    if size > old {
        check_size(task, size)?;
    }
    ops::truncate_open(&walk_context(task), location, size)?;
    forget_file_pages(location.inode(), size..u64::MAX, true);
    Ok(())
}

/// fallocate(2).
pub(crate) fn fallocate(task: &Task, fd: Fd, mode: u32, offset: i64, len: i64) -> Result<(), Errno> {
    let description = task.files().get(fd)?;
    if offset < 0 || len <= 0 {
        return err!(EINVAL);
    }
    let mode = FallocateMode::from_bits(mode).ok_or(Errno::EOPNOTSUPP.here())?;
    let kinds = FallocateMode::PUNCH_HOLE
        | FallocateMode::ZERO_RANGE
        | FallocateMode::COLLAPSE_RANGE
        | FallocateMode::INSERT_RANGE
        | FallocateMode::UNSHARE_RANGE;
    // One kind at a time; punching needs KEEP_SIZE, collapsing and inserting must not have it.
    if (mode & kinds).bits().count_ones() > 1 {
        return err!(EOPNOTSUPP);
    }
    if mode.contains(FallocateMode::PUNCH_HOLE) && !mode.contains(FallocateMode::KEEP_SIZE) {
        return err!(EOPNOTSUPP);
    }
    if mode.intersects(FallocateMode::COLLAPSE_RANGE | FallocateMode::INSERT_RANGE)
        && mode.contains(FallocateMode::KEEP_SIZE)
    {
        return err!(EINVAL);
    }
    if !description.flags().writes() {
        return err!(EBADF);
    }
    match description.kind() {
        FileKind::Regular => {}
        FileKind::Fifo => return err!(ESPIPE),
        FileKind::Directory => return err!(EISDIR),
        _ => return err!(ENODEV),
    }
    let Some(inode) = description.inode() else { return err!(ENODEV) };
    let end = (offset as u64) + (len as u64);
    if end > MAX_FILE_SIZE {
        return err!(EFBIG);
    }
    let old = inode.size();
    if mode.contains(FallocateMode::PUNCH_HOLE) {
        memfd::check_write(inode)?;
    } else if !mode.contains(FallocateMode::KEEP_SIZE) && end > old {
        memfd::check_resize(inode, old, end)?;
        check_size(task, end)?;
    }
    inode.fallocate(mode, offset as u64, len as u64)?;
    if mode.intersects(FallocateMode::PUNCH_HOLE | FallocateMode::ZERO_RANGE) {
        forget_file_pages(inode, offset as u64..end, false);
    } else if mode.intersects(FallocateMode::COLLAPSE_RANGE | FallocateMode::INSERT_RANGE) {
        forget_file_pages(inode, offset as u64..u64::MAX, true);
    }
    Ok(())
}
