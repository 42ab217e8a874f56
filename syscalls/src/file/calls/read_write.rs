//! read(2), write(2) and their relatives, and lseek(2).

use crate::args::{Fd, IoVec, MAX_RW_COUNT, UserPtr, UserSlice, read_iovecs};
use crate::file::FileDescription;
use crate::file::limits::MAX_FILE_SIZE;
use crate::task::Task;
use crate::user_io::{UserSink, UserSource};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{FileKind, WriteAt};
use linux_raw_sys::general as raw;

/// End of the addresses that user memory could have.
const USER_ADDRESSES_END: u64 = 1 << 47;

/// A buffer that cannot lie in user memory as a whole is refused (`access_ok` in Linux), a very long one shortened.
fn checked(buffer: UserSlice) -> Result<UserSlice, Errno> {
    match buffer.addr.checked_add(buffer.len as u64) {
        Some(0..=USER_ADDRESSES_END) => Ok(buffer.truncated(MAX_RW_COUNT)),
        _ => err!(EFAULT),
    }
}

/// An offset argument: not negative.
fn checked_offset(offset: i64) -> Result<u64, Errno> {
    u64::try_from(offset).map_err(|_| Errno::EINVAL.here())
}

fn read_into(
    task: &Task,
    file: &FileDescription,
    buffers: Vec<UserSlice>,
    nowait: bool,
) -> Result<usize, Errno> {
    file.read(task, nowait || file.is_nonblocking(), &mut UserSink::vectored(task.mm(), buffers))
}

fn write_from(
    task: &Task,
    file: &FileDescription,
    buffers: Vec<UserSlice>,
    nowait: bool,
) -> Result<usize, Errno> {
    let mut source = UserSource::vectored(task.mm(), buffers);
    file.write(task, nowait || file.is_nonblocking(), &mut source)
}

fn get(task: &Task, fd: Fd) -> Result<Arc<FileDescription>, Errno> {
    task.files().get(fd)
}

/// read(2).
pub(crate) fn read(task: &Task, fd: Fd, buffer: UserSlice) -> Result<usize, Errno> {
    let file = get(task, fd)?;
    if !file.flags().reads() {
        return err!(EBADF);
    }
    file.read(task, file.is_nonblocking(), &mut UserSink::new(task.mm(), checked(buffer)?))
}

/// write(2).
pub(crate) fn write(task: &Task, fd: Fd, buffer: UserSlice) -> Result<usize, Errno> {
    let file = get(task, fd)?;
    if !file.flags().writes() {
        return err!(EBADF);
    }
    let mut source = UserSource::new(task.mm(), checked(buffer)?);
    file.write(task, file.is_nonblocking(), &mut source)
}

/// readv(2).
pub(crate) fn readv(task: &Task, fd: Fd, vector: UserPtr<IoVec>, count: usize) -> Result<usize, Errno> {
    let file = get(task, fd)?;
    if !file.flags().reads() {
        return err!(EBADF);
    }
    read_into(task, &file, read_iovecs(task.mm(), vector, count)?, false)
}

/// writev(2).
pub(crate) fn writev(task: &Task, fd: Fd, vector: UserPtr<IoVec>, count: usize) -> Result<usize, Errno> {
    let file = get(task, fd)?;
    if !file.flags().writes() {
        return err!(EBADF);
    }
    write_from(task, &file, read_iovecs(task.mm(), vector, count)?, false)
}

/// pread64(2).
pub(crate) fn pread64(task: &Task, fd: Fd, buffer: UserSlice, offset: i64) -> Result<usize, Errno> {
    let offset = checked_offset(offset)?;
    let file = get(task, fd)?;
    file.read_at(offset, &mut UserSink::new(task.mm(), checked(buffer)?))
}

/// pwrite64(2).
pub(crate) fn pwrite64(task: &Task, fd: Fd, buffer: UserSlice, offset: i64) -> Result<usize, Errno> {
    let offset = checked_offset(offset)?;
    let file = get(task, fd)?;
    file.write_at(task, WriteAt::Offset(offset), &mut UserSource::new(task.mm(), checked(buffer)?))
}

/// preadv(2).
pub(crate) fn preadv(
    task: &Task,
    fd: Fd,
    vector: UserPtr<IoVec>,
    count: usize,
    offset: i64,
) -> Result<usize, Errno> {
    let offset = checked_offset(offset)?;
    let file = get(task, fd)?;
    check_seekable(&file, file.flags().reads())?;
    file.read_at(offset, &mut UserSink::vectored(task.mm(), read_iovecs(task.mm(), vector, count)?))
}

/// pwritev(2).
pub(crate) fn pwritev(
    task: &Task,
    fd: Fd,
    vector: UserPtr<IoVec>,
    count: usize,
    offset: i64,
) -> Result<usize, Errno> {
    let offset = checked_offset(offset)?;
    let file = get(task, fd)?;
    check_seekable(&file, file.flags().writes())?;
    let mut source = UserSource::vectored(task.mm(), read_iovecs(task.mm(), vector, count)?);
    file.write_at(task, WriteAt::Offset(offset), &mut source)
}

fn check_seekable(file: &FileDescription, allowed: bool) -> Result<(), Errno> {
    if !file.file().is_seekable() {
        return err!(ESPIPE);
    }
    if allowed { Ok(()) } else { err!(EBADF) }
}

const READ_FLAGS: u32 = raw::RWF_HIPRI | raw::RWF_DSYNC | raw::RWF_SYNC | raw::RWF_NOWAIT;
const WRITE_FLAGS: u32 = READ_FLAGS | raw::RWF_APPEND;

/// preadv2(2). The register of the offset's upper half comes before the flags.
pub(crate) fn preadv2(
    task: &Task,
    fd: Fd,
    vector: UserPtr<IoVec>,
    count: usize,
    offset: i64,
    _offset_high: u64,
    flags: u32,
) -> Result<usize, Errno> {
    if offset < -1 {
        return err!(EINVAL);
    }
    let file = get(task, fd)?;
    if offset >= 0 {
        check_seekable(&file, file.flags().reads())?;
    } else if !file.flags().reads() {
        return err!(EBADF);
    }
    let buffers = read_iovecs(task.mm(), vector, count)?;
    if flags & !READ_FLAGS != 0 {
        return err!(EOPNOTSUPP);
    }
    if offset < 0 {
        return read_into(task, &file, buffers, flags & raw::RWF_NOWAIT != 0);
    }
    file.read_at(offset as u64, &mut UserSink::vectored(task.mm(), buffers))
}

/// pwritev2(2).
pub(crate) fn pwritev2(
    task: &Task,
    fd: Fd,
    vector: UserPtr<IoVec>,
    count: usize,
    offset: i64,
    _offset_high: u64,
    flags: u32,
) -> Result<usize, Errno> {
    if offset < -1 {
        return err!(EINVAL);
    }
    let file = get(task, fd)?;
    if offset >= 0 {
        check_seekable(&file, file.flags().writes())?;
    } else if !file.flags().writes() {
        return err!(EBADF);
    }
    let buffers = read_iovecs(task.mm(), vector, count)?;
    let regular = file.kind() == FileKind::Regular;
    if flags & !WRITE_FLAGS != 0 || (regular && flags & raw::RWF_NOWAIT != 0) {
        return err!(EOPNOTSUPP);
    }
    let done = match (offset, flags & raw::RWF_APPEND != 0) {
        (0.., append) => {
            let at = if append { WriteAt::Append } else { WriteAt::Offset(offset as u64) };
            file.write_at(task, at, &mut UserSource::vectored(task.mm(), buffers))?
        }
        (_, true) if file.file().is_seekable() => {
            let mut position = file.position().lock();
            let done = file.write_at(task, WriteAt::Append, &mut UserSource::vectored(task.mm(), buffers))?;
            *position = file.metadata().size;
            done
        }
        _ => write_from(task, &file, buffers, flags & raw::RWF_NOWAIT != 0)?,
    };
    if regular
        && flags & (raw::RWF_DSYNC | raw::RWF_SYNC) != 0
        && let Some(inode) = file.inode()
    {
        inode.sync()?;
    }
    Ok(done)
}

/// lseek(2).
pub(crate) fn lseek(task: &Task, fd: Fd, offset: i64, whence: u32) -> Result<u64, Errno> {
    let file = get(task, fd)?;
    if whence > raw::SEEK_HOLE {
        return err!(EINVAL);
    }
    if file.file().ignores_seeks() {
        return Ok(0);
    }
    if !file.file().is_seekable() {
        return err!(ESPIPE);
    }
    let mut position = file.position().lock();
    if file.kind() == FileKind::CharDevice {
        // Memory devices have no size: their position stays at the start.
        *position = 0;
        return Ok(0);
    }
    let inode = file.inode().ok_or(Errno::ESPIPE.here())?;
    let from = |base: u64| {
        let target = (base as i64).checked_add(offset).filter(|target| *target >= 0);
        target.map(|target| target as u64).ok_or(Errno::EINVAL.here())
    };
    let target = match whence {
        raw::SEEK_SET => from(0)?,
        raw::SEEK_CUR => from(*position)?,
        raw::SEEK_END => from(inode.size())?,
        _ if offset < 0 => return err!(ENXIO),
        raw::SEEK_DATA => inode.seek_data(offset as u64)?,
        _ => inode.seek_hole(offset as u64)?,
    };
    if target > MAX_FILE_SIZE {
        return err!(EINVAL);
    }
    *position = target;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_offsets() {
        assert_eq!(checked(UserSlice { addr: 1, len: usize::MAX }), Err(Errno::EFAULT));
        assert_eq!(checked(UserSlice { addr: 0, len: i64::MAX as usize }), Err(Errno::EFAULT));
        assert_eq!(checked(UserSlice { addr: 0, len: 1 << 40 }).unwrap().len, MAX_RW_COUNT);
        assert_eq!(checked_offset(-1), Err(Errno::EINVAL));
    }
}
