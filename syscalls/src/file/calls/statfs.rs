//! statfs(2), fstatfs(2).

use super::path::At;
use crate::args::{Fd, UserCStr, UserPtr};
use crate::file::anon;
use crate::task::Task;
use husk_abi::Errno;
use husk_fs::{LookupFlags, Mount, MountFlags, StatFs};
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct statfs` of x86-64.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct UserStatFs {
    f_type: i64,
    bsize: i64,
    blocks: u64,
    bfree: u64,
    bavail: u64,
    files: u64,
    ffree: u64,
    fsid: u64,
    namelen: i64,
    frsize: i64,
    flags: i64,
    spare: [i64; 4],
}

const _: () = assert!(size_of::<UserStatFs>() == size_of::<raw::statfs>());

/// The flags valid (`ST_VALID`), which is always set.
const VALID: u32 = 0x20;

/// A mount's flags as statfs(2) numbers them.
fn flags(mount: &Mount) -> u32 {
    let own = mount.flags();
    let pairs = [
        (MountFlags::NOSUID, 2),
        (MountFlags::NODEV, 4),
        (MountFlags::NOEXEC, 8),
        (MountFlags::NOATIME, 0x400),
        (MountFlags::NODIRATIME, 0x800),
        (MountFlags::RELATIME, 0x1000),
    ];
    let set = pairs.iter().filter(|(flag, _)| own.contains(*flag)).fold(VALID, |all, (_, bit)| all | bit);
    set | u32::from(mount.is_read_only())
}

fn to_user(from: &StatFs, flags: u32) -> UserStatFs {
    UserStatFs {
        f_type: from.f_type as i64,
        bsize: from.bsize as i64,
        blocks: from.blocks,
        bfree: from.bfree,
        bavail: from.bavail,
        files: from.files,
        ffree: from.ffree,
        fsid: from.fsid,
        namelen: from.namelen as i64,
        frsize: from.bsize as i64,
        flags: i64::from(flags),
        spare: [0; 4],
    }
}

/// statfs(2).
pub(crate) fn statfs(task: &Task, path: UserCStr, buffer: UserPtr<UserStatFs>) -> Result<(), Errno> {
    let location = At::new(task, Fd::CWD, path)?.lookup(LookupFlags::FOLLOW)?;
    let mount = location.mount();
    buffer.write(task.mm(), &to_user(&mount.file_system().statfs(), flags(mount)))
}

/// fstatfs(2).
pub(crate) fn fstatfs(task: &Task, fd: Fd, buffer: UserPtr<UserStatFs>) -> Result<(), Errno> {
    let description = task.files().get_any(fd)?;
    let answer = match (description.location(), description.inode()) {
        (Some(location), _) => to_user(&location.mount().file_system().statfs(), flags(location.mount())),
        (None, Some(inode)) => to_user(&inode.file_system().statfs(), VALID),
        (None, None) => to_user(&anon::inode(anon::AnonKind::Other, None).file_system().statfs(), VALID),
    };
    buffer.write(task.mm(), &answer)
}
