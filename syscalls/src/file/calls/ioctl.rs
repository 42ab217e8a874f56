//! ioctl(2): the commands that all files share; the rest goes to the object.

use crate::args::{Fd, UserPtr};
use crate::file::put_int;
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::{FileKind, OpenFlags};
use linux_raw_sys::ioctl as raw;

/// ioctl(2).
pub(crate) fn ioctl(task: &Task, fd: Fd, command: u32, argument: u64) -> Result<u64, Errno> {
    let files = task.files();
    let description = files.get(fd)?;
    let flag = |task: &Task| UserPtr::<i32>::new(argument).read(task.mm()).map(|value| value != 0);
    match command {
        raw::FIOCLEX => files.set_close_on_exec(fd, true).map(|()| 0),
        raw::FIONCLEX => files.set_close_on_exec(fd, false).map(|()| 0),
        raw::FIONBIO => {
            description.set_flag(OpenFlags::NONBLOCK, flag(task)?);
            Ok(0)
        }
        raw::FIOASYNC => {
            description.set_flag(OpenFlags::ASYNC, flag(task)?);
            Ok(0)
        }
        raw::FIOQSIZE => match description.kind() {
            FileKind::Regular | FileKind::Directory | FileKind::Symlink => {
                UserPtr::new(argument).write(task.mm(), &description.metadata().size)?;
                Ok(0)
            }
            _ => err!(ENOTTY),
        },
        raw::FIGETBSZ if description.location().is_some() => {
            put_int(task, argument, description.metadata().block_size as i32)
        }
        raw::FIONREAD if description.kind() == FileKind::Regular && description.inode().is_some() => {
            let left = description.metadata().size as i64 - *description.position().lock() as i64;
            put_int(task, argument, left as i32)
        }
        raw::FICLONE | raw::FICLONERANGE | raw::FIDEDUPERANGE if description.kind() == FileKind::Regular => {
            err!(EOPNOTSUPP)
        }
        _ => description.file().ioctl(task, command, argument),
    }
}
