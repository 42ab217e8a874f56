//! The limits of writing to a regular file: RLIMIT_FSIZE and the largest size Linux allows; and the set-id bits that
//! writing takes away.

use crate::credentials::Capability;
use crate::limits::{INFINITY, Resource};
use crate::signal::{self, Signal};
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, SetAttr, Source, WriteAt, mode, ops};
use husk_machine::frame::Frame;

/// Largest size of a file in bytes (`MAX_LFS_FILESIZE` of 64-bit machines).
pub(crate) const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// A source that ends early.
struct Limited<'a> {
    source: &'a mut dyn Source,
    left: usize,
}

impl Source for Limited<'_> {
    fn remaining(&self) -> usize {
        self.source.remaining().min(self.left)
    }

    fn pull(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let count = bytes.len().min(self.left);
        let done = self.source.pull(&mut bytes[..count])?;
        self.left -= done;
        Ok(done)
    }

    fn pull_to_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let done = self.source.pull_to_frame(frame, offset, len.min(self.left))?;
        self.left -= done;
        Ok(done)
    }
}

/// Checks a new size against the limits (truncate, fallocate).
///
/// # Errors
/// EFBIG; beyond RLIMIT_FSIZE with SIGXFSZ.
pub(crate) fn check_size(task: &Task, size: u64) -> Result<(), Errno> {
    if size > task.process().limit(Resource::FSIZE).soft {
        signal::raise(task, Signal::SIGXFSZ);
        return err!(EFBIG);
    }
    if size > MAX_FILE_SIZE { err!(EFBIG) } else { Ok(()) }
}

/// Writes to a regular file as far as the limits allow.
///
/// # Errors
/// EFBIG (with SIGXFSZ) if not even one byte fits; those of `write`.
pub(super) fn write_limited(
    task: &Task,
    inode: &InodeRef,
    at: WriteAt,
    source: &mut dyn Source,
    write: impl FnOnce(&mut dyn Source) -> Result<(usize, u64), Errno>,
) -> Result<(usize, u64), Errno> {
    let wanted = source.remaining();
    if wanted > 0 {
        drop_set_id(task, inode)?;
    }
    let limit = task.process().limit(Resource::FSIZE).soft;
    let position = match at {
        WriteAt::Offset(offset) => offset,
        WriteAt::Append if limit == INFINITY => 0,
        WriteAt::Append => inode.size(),
    };
    let end = limit.min(MAX_FILE_SIZE);
    if wanted == 0 || position.checked_add(wanted as u64).is_some_and(|after| after <= end) {
        return write(source);
    }
    if position >= limit {
        signal::raise(task, Signal::SIGXFSZ);
    }
    if position >= end {
        return err!(EFBIG);
    }
    write(&mut Limited { source, left: (end - position) as usize })
}

/// Writing by one who may not keep them clears the set-id bits (`file_remove_privs`).
fn drop_set_id(task: &Task, inode: &InodeRef) -> Result<(), Errno> {
    if task.has_capability(Capability::FSETID) {
        return Ok(());
    }
    let metadata = inode.metadata();
    let bits = metadata.mode;
    if bits & (mode::S_ISUID | mode::S_ISGID) == 0 {
        return Ok(());
    }
    let clear = ops::lost_set_id(&metadata, &task.fs_credentials());
    if clear == 0 {
        return Ok(());
    }
    inode.set_attr(&SetAttr { mode: Some(bits & mode::PERMISSIONS & !clear), ..SetAttr::default() })
}
