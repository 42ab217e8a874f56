//! pipe(2), pipe2(2).

use super::PipeEnd;
use crate::args::UserPtr;
use crate::file::{FileDescription, file_limit};
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::OpenFlags;

/// pipe(2).
pub(crate) fn pipe(task: &Task, fds: UserPtr<[i32; 2]>) -> Result<(), Errno> {
    pipe2(task, fds, 0)
}

/// pipe2(2).
pub(crate) fn pipe2(task: &Task, fds: UserPtr<[i32; 2]>, flags: u32) -> Result<(), Errno> {
    let flags = OpenFlags::from_bits_retain(flags);
    if !(OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT).contains(flags) {
        return err!(EINVAL);
    }
    let files = task.files();
    let limit = file_limit(task);
    let reserved_read = files.reserve(0, limit)?;
    let reserved_write = files.reserve(0, limit)?;
    fds.write(task.mm(), &[reserved_read.number().0, reserved_write.number().0])?;
    let (read, write) = PipeEnd::pair(flags);
    let close_on_exec = flags.contains(OpenFlags::CLOEXEC);
    // Packets are made by who writes: the flag is on that end only.
    reserved_read.install(FileDescription::new(read, flags - OpenFlags::DIRECT), close_on_exec);
    reserved_write.install(FileDescription::new(write, flags | OpenFlags::WRONLY), close_on_exec);
    Ok(())
}
