//! Moving bytes between files inside the kernel: sendfile(2), copy_file_range(2).

use crate::args::{Fd, MAX_RW_COUNT, UserPtr};
use crate::file::FileDescription;
use crate::task::Task;
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use husk_fs::io::{SliceSource, VecSink};
use husk_fs::{FileKind, OpenFlags, WriteAt};

/// How much is moved at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// Where one side of a copy stands.
enum Side {
    /// At the file position.
    Position,
    /// At an offset of the caller's, which moves along.
    Offset(u64),
}

fn side(task: &Task, offset: UserPtr<i64>) -> Result<Side, Errno> {
    let Some(offset) = offset.non_null() else { return Ok(Side::Position) };
    let offset = u64::try_from(offset.read(task.mm())?).map_err(|_| Errno::EINVAL.here())?;
    Ok(Side::Offset(offset))
}

fn finish(task: &Task, side: &Side, offset: UserPtr<i64>) -> Result<(), Errno> {
    match side {
        Side::Position => Ok(()),
        Side::Offset(end) => offset.write(task.mm(), &(*end as i64)),
    }
}

/// Copies until `count` bytes are moved, the input ends or something fails.
fn copy(
    task: &Task,
    from: &FileDescription,
    from_side: &mut Side,
    to: &FileDescription,
    to_side: &mut Side,
    count: usize,
) -> Result<usize, Errno> {
    let mut done = 0;
    let mut position = None;
    let mut start = match from_side {
        Side::Offset(offset) => *offset,
        Side::Position => **position.insert(from.position().lock()),
    };
    let result = loop {
        if done == count {
            break Ok(());
        }
        let mut sink = VecSink::new((count - done).min(CHUNK));
        match from.read_at(start, &mut sink) {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
        let bytes = sink.into_bytes();
        let mut source = SliceSource::new(&bytes);
        let written = match to_side {
            Side::Position => to.write(task, to.is_nonblocking(), &mut source),
            Side::Offset(offset) => to.write_at(task, WriteAt::Offset(*offset), &mut source),
        };
        match written {
            Ok(written) => {
                done += written;
                start += written as u64;
                if let Side::Offset(offset) = to_side {
                    *offset += written as u64;
                }
                if written < bytes.len() {
                    break Ok(());
                }
            }
            Err(error) => break Err(error),
        }
    };
    match (&mut position, from_side) {
        (Some(position), _) => **position = start,
        (None, Side::Offset(offset)) => *offset = start,
        (None, Side::Position) => {}
    }
    match result {
        Err(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// sendfile(2).
pub(crate) fn sendfile(
    task: &Task,
    out: Fd,
    input: Fd,
    offset: UserPtr<i64>,
    count: usize,
) -> Result<usize, Errno> {
    let mut from_side = side(task, offset)?;
    let from = task.files().get(input)?;
    if !from.flags().reads() {
        return err!(EBADF);
    }
    if !from.file().is_seekable() {
        return if matches!(from_side, Side::Offset(_)) { err!(ESPIPE) } else { err!(EINVAL) };
    }
    let to = task.files().get(out)?;
    if !to.flags().writes() {
        return err!(EBADF);
    }
    if to.flags().contains(OpenFlags::APPEND) || from.kind() == FileKind::Directory {
        return err!(EINVAL);
    }
    if (count as i64) < 0 {
        return err!(EINVAL);
    }
    if Arc::ptr_eq(&from, &to) {
        // Both would move one position: Linux copies the bytes after each other until the end.
        return err!(EINVAL);
    }
    let count = count.min(MAX_RW_COUNT);
    let copied = copy(task, &from, &mut from_side, &to, &mut Side::Position, count)?;
    finish(task, &from_side, offset)?;
    Ok(copied)
}

/// copy_file_range(2).
pub(crate) fn copy_file_range(
    task: &Task,
    input: Fd,
    input_offset: UserPtr<i64>,
    out: Fd,
    out_offset: UserPtr<i64>,
    count: usize,
    flags: u32,
) -> Result<usize, Errno> {
    if flags != 0 {
        return err!(EINVAL);
    }
    let from = task.files().get(input)?;
    let to = task.files().get(out)?;
    let mut from_side = side(task, input_offset)?;
    let mut to_side = side(task, out_offset)?;
    let kinds = [from.kind(), to.kind()];
    if kinds.contains(&FileKind::Directory) {
        return err!(EISDIR);
    }
    if kinds != [FileKind::Regular; 2] {
        return err!(EINVAL);
    }
    if !from.flags().reads() || !to.flags().writes() || to.flags().contains(OpenFlags::APPEND) {
        return err!(EBADF);
    }
    let (Some(from_inode), Some(to_inode)) = (from.inode(), to.inode()) else { return err!(EINVAL) };
    if from_inode.file_system().dev() != to_inode.file_system().dev() {
        return err!(EXDEV);
    }
    let count = count.min(MAX_RW_COUNT);
    if Arc::ptr_eq(from_inode, to_inode) {
        let at = |side: &Side, file: &FileDescription| match side {
            Side::Position => *file.position().lock(),
            Side::Offset(offset) => *offset,
        };
        let (first, second) = (at(&from_side, &from), at(&to_side, &to));
        let overlaps =
            first < second.saturating_add(count as u64) && second < first.saturating_add(count as u64);
        if overlaps || Arc::ptr_eq(&from, &to) {
            return err!(EINVAL);
        }
    }
    let copied = copy(task, &from, &mut from_side, &to, &mut to_side, count)?;
    finish(task, &from_side, input_offset)?;
    finish(task, &to_side, out_offset)?;
    Ok(copied)
}
