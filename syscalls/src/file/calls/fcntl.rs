//! fcntl(2).

use crate::args::{Fd, UserPtr};
use crate::file::{FileDescription, file_limit, locks, memfd};
use crate::mm::{Prot, VmFlags};
use crate::pid;
use crate::pipe::PipeEnd;
use crate::task::Task;
use alloc::sync::Arc;
use core::any::Any;
use husk_abi::{Errno, err};
use husk_fs::{Capabilities, InodeRef, OpenFlags};
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct f_owner_ex`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct OwnerEx {
    kind: i32,
    pid: i32,
}

/// Since Linux 6.10 or so: whether two descriptors share one description.
const F_DUPFD_QUERY: u32 = 1027;

/// fcntl(2).
pub(crate) fn fcntl(task: &Task, fd: Fd, command: u32, argument: u64) -> Result<u64, Errno> {
    let files = task.files();
    let description = files.get_any(fd)?;
    let path_only_allows =
        matches!(command, raw::F_DUPFD | raw::F_DUPFD_CLOEXEC | raw::F_GETFD | raw::F_SETFD | raw::F_GETFL);
    if description.is_path_only() && !path_only_allows && command != F_DUPFD_QUERY {
        return err!(EBADF);
    }
    match command {
        raw::F_DUPFD | raw::F_DUPFD_CLOEXEC => {
            let limit = file_limit(task);
            let lowest = u64::from(argument as u32);
            if lowest >= limit {
                return err!(EINVAL);
            }
            let reserved = files.reserve(lowest as usize, limit)?;
            Ok(reserved.install(description, command == raw::F_DUPFD_CLOEXEC).0 as u64)
        }
        F_DUPFD_QUERY => {
            let other = files.get_any(Fd(argument as i32))?;
            Ok(u64::from(Arc::ptr_eq(&description, &other)))
        }
        raw::F_GETFD => Ok(u64::from(files.descriptor(fd)?.close_on_exec)),
        raw::F_SETFD => {
            files.set_close_on_exec(fd, argument as u32 & raw::FD_CLOEXEC != 0)?;
            Ok(0)
        }
        raw::F_GETFL => Ok(u64::from(description.flags().bits())),
        raw::F_SETFL => set_flags(task, &description, OpenFlags::from_bits_retain(argument as u32)),
        raw::F_GETLK => done(locks::get(task, &description, UserPtr::new(argument), false)),
        raw::F_SETLK => done(locks::set(task, &description, UserPtr::new(argument), false, false)),
        raw::F_SETLKW => done(locks::set(task, &description, UserPtr::new(argument), true, false)),
        raw::F_OFD_GETLK => done(locks::get(task, &description, UserPtr::new(argument), true)),
        raw::F_OFD_SETLK => done(locks::set(task, &description, UserPtr::new(argument), false, true)),
        raw::F_OFD_SETLKW => done(locks::set(task, &description, UserPtr::new(argument), true, true)),
        raw::F_GETPIPE_SZ => Ok(pipe(&description)?.capacity() as u64),
        raw::F_SETPIPE_SZ => Ok(pipe(&description)?.set_capacity(task, u64::from(argument as u32))? as u64),
        raw::F_GETLEASE => Ok(u64::from(raw::F_UNLCK)),
        // Without events it ends notification: there is none.
        raw::F_NOTIFY if argument as u32 & !raw::DN_MULTISHOT == 0 => Ok(0),
        raw::F_GET_SEALS => {
            let seals = description.inode().and_then(memfd::seals);
            seals.map(u64::from).ok_or(Errno::EINVAL.here())
        }
        raw::F_ADD_SEALS => {
            if !description.flags().writes() {
                return err!(EPERM);
            }
            let inode = description.inode().ok_or(Errno::EINVAL.here())?;
            done(memfd::add_seals(inode, argument as u32, is_mapped_writable(inode)))
        }
        _ => owner(task, &description, command, argument),
    }
}

/// Whether some process could write to the file through a shared mapping.
fn is_mapped_writable(inode: &InodeRef) -> bool {
    let (dev, ino) = (inode.metadata().dev.encode(), inode.ino());
    pid::processes().iter().any(|process| {
        process.mm().vmas().iter().any(|vma| {
            (vma.dev, vma.ino) == (dev, ino)
                && vma.flags.contains(VmFlags::SHARED)
                && vma.prot.contains(Prot::WRITE)
        })
    })
}

fn done(result: Result<(), Errno>) -> Result<u64, Errno> {
    result.map(|()| 0)
}

fn pipe(description: &FileDescription) -> Result<&PipeEnd, Errno> {
    let any: &dyn Any = &**description.file();
    any.downcast_ref().ok_or(Errno::EBADF.here())
}

fn set_flags(task: &Task, description: &FileDescription, mut new: OpenFlags) -> Result<u64, Errno> {
    let old = description.flags();
    if new.contains(OpenFlags::NOATIME) && !old.contains(OpenFlags::NOATIME) {
        let credentials = task.fs_credentials();
        if !credentials.owns(&description.metadata()) && !credentials.has(Capabilities::FOWNER) {
            return err!(EPERM);
        }
    }
    match pipe(description) {
        Ok(end) => end.set_packets(new.contains(OpenFlags::DIRECT)),
        Err(_) if !new.contains(OpenFlags::DIRECT) || description.inode().is_some() => {}
        Err(_) => return err!(EINVAL),
    }
    if description.location().is_none() && pipe(description).is_err() {
        new -= OpenFlags::DIRECT;
    }
    description.set_flags(new);
    Ok(0)
}

/// The commands about who gets signals.
fn owner(task: &Task, description: &FileDescription, command: u32, argument: u64) -> Result<u64, Errno> {
    let mut owner = *description.owner().lock();
    match command {
        raw::F_GETOWN => return Ok(i64::from(owner.pid) as u64),
        raw::F_GETSIG => return Ok(owner.signal as u64),
        raw::F_GETOWN_EX => {
            let answer = OwnerEx { kind: owner.kind, pid: owner.pid.abs() };
            UserPtr::new(argument).write(task.mm(), &answer)?;
            return Ok(0);
        }
        raw::F_SETOWN => {
            let pid = argument as i32;
            if pid == i32::MIN {
                return err!(EINVAL);
            }
            owner.pid = pid;
            owner.kind = if pid < 0 { raw::F_OWNER_PGRP } else { raw::F_OWNER_PID } as i32;
        }
        raw::F_SETOWN_EX => {
            let wanted: OwnerEx = UserPtr::new(argument).read(task.mm())?;
            if !(raw::F_OWNER_TID as i32..=raw::F_OWNER_PGRP as i32).contains(&wanted.kind) || wanted.pid < 0
            {
                return err!(EINVAL);
            }
            owner.kind = wanted.kind;
            owner.pid = if wanted.kind == raw::F_OWNER_PGRP as i32 { -wanted.pid } else { wanted.pid };
        }
        raw::F_SETSIG => {
            let signal = argument as i32;
            if !(0..=64).contains(&signal) {
                return err!(EINVAL);
            }
            owner.signal = signal;
        }
        _ => return err!(EINVAL),
    }
    *description.owner().lock() = owner;
    Ok(0)
}
