//! stat(2), fstat(2), lstat(2), newfstatat(2), statx(2).

use super::path::{self, At};
use crate::args::{Fd, UserCStr, UserPtr};
use crate::task::Task;
use husk_abi::{Errno, Timespec, err};
use husk_fs::{Metadata, Mount};
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct stat` of x86-64.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Stat {
    dev: u64,
    ino: u64,
    nlink: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    padding: u32,
    rdev: u64,
    size: i64,
    block_size: i64,
    blocks: i64,
    atime: Timespec,
    mtime: Timespec,
    ctime: Timespec,
    unused: [i64; 3],
}

const _: () = assert!(size_of::<Stat>() == size_of::<raw::stat>());

impl From<&Metadata> for Stat {
    fn from(from: &Metadata) -> Self {
        Self {
            dev: from.dev.encode(),
            ino: from.ino,
            nlink: u64::from(from.nlink),
            mode: from.mode,
            uid: from.uid,
            gid: from.gid,
            padding: 0,
            rdev: from.rdev.encode(),
            size: from.size as i64,
            block_size: i64::from(from.block_size),
            blocks: from.blocks as i64,
            atime: from.atime,
            mtime: from.mtime,
            ctime: from.ctime,
            unused: [0; 3],
        }
    }
}

/// stat(2).
pub(crate) fn stat(task: &Task, path: UserCStr, buffer: UserPtr<Stat>) -> Result<(), Errno> {
    newfstatat(task, Fd::CWD, path, buffer, 0)
}

/// lstat(2).
pub(crate) fn lstat(task: &Task, path: UserCStr, buffer: UserPtr<Stat>) -> Result<(), Errno> {
    newfstatat(task, Fd::CWD, path, buffer, raw::AT_SYMLINK_NOFOLLOW)
}

/// fstat(2).
pub(crate) fn fstat(task: &Task, fd: Fd, buffer: UserPtr<Stat>) -> Result<(), Errno> {
    let metadata = task.files().get_any(fd)?.metadata();
    buffer.write(task.mm(), &Stat::from(&metadata))
}

/// newfstatat(2): fstatat(3).
pub(crate) fn newfstatat(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    buffer: UserPtr<Stat>,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_NO_AUTOMOUNT | raw::AT_EMPTY_PATH) != 0 {
        return err!(EINVAL);
    }
    let (metadata, _) = find(task, dir, path, flags)?;
    buffer.write(task.mm(), &Stat::from(&metadata))
}

/// The mount a file was found through, and whether the file is its top.
type MountPlace = (alloc::sync::Arc<Mount>, bool);

/// The metadata of a path or, with AT_EMPTY_PATH and an empty one, of a descriptor; and the mount with whether it is its top.
fn find(task: &Task, dir: Fd, path: UserCStr, flags: u32) -> Result<(Metadata, Option<MountPlace>), Errno> {
    let of = |location: &husk_fs::Location| {
        let mount = location.mount();
        (location.inode().metadata(), Some((mount.clone(), mount.root().is_same(location))))
    };
    if flags & raw::AT_EMPTY_PATH != 0 && dir != Fd::CWD {
        // Since Linux 6.11 a null path is as good as an empty one.
        let empty = path.is_null() || path.path(task.mm())?.is_empty();
        if empty {
            let description = task.files().get_any(dir)?;
            return Ok(match description.location() {
                Some(location) => of(location),
                None => (description.metadata(), None),
            });
        }
    }
    let location = At::new(task, dir, path)?.lookup(path::lookup_flags(flags))?;
    Ok(of(&location))
}

/// `struct statx_timestamp`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StatxTime {
    seconds: i64,
    nanoseconds: u32,
    padding: i32,
}

impl From<Timespec> for StatxTime {
    fn from(time: Timespec) -> Self {
        Self { seconds: time.tv_sec, nanoseconds: time.tv_nsec as u32, padding: 0 }
    }
}

/// `struct statx`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Statx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    nlink: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    padding: u16,
    ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    atime: StatxTime,
    btime: StatxTime,
    ctime: StatxTime,
    mtime: StatxTime,
    rdev_major: u32,
    rdev_minor: u32,
    dev_major: u32,
    dev_minor: u32,
    mnt_id: u64,
    rest: [u64; 13],
}

const _: () = assert!(size_of::<Statx>() == size_of::<raw::statx>());

/// statx(2).
pub(crate) fn statx(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    flags: u32,
    mask: u32,
    buffer: UserPtr<Statx>,
) -> Result<(), Errno> {
    let known =
        raw::AT_SYMLINK_NOFOLLOW | raw::AT_NO_AUTOMOUNT | raw::AT_EMPTY_PATH | raw::AT_STATX_SYNC_TYPE;
    if mask & raw::STATX__RESERVED != 0
        || flags & !known != 0
        || flags & raw::AT_STATX_SYNC_TYPE == raw::AT_STATX_SYNC_TYPE
    {
        return err!(EINVAL);
    }
    let (from, mount) = find(task, dir, path, flags)?;
    let mut to = Statx {
        mask: raw::STATX_BASIC_STATS,
        block_size: from.block_size,
        attributes_mask: u64::from(raw::STATX_ATTR_MOUNT_ROOT),
        nlink: from.nlink,
        uid: from.uid,
        gid: from.gid,
        mode: from.mode as u16,
        ino: from.ino,
        size: from.size,
        blocks: from.blocks,
        atime: from.atime.into(),
        ctime: from.ctime.into(),
        mtime: from.mtime.into(),
        rdev_major: from.rdev.major,
        rdev_minor: from.rdev.minor,
        dev_major: from.dev.major,
        dev_minor: from.dev.minor,
        ..Statx::default()
    };
    if mask & raw::STATX_BTIME != 0
        && let Some(btime) = from.btime
    {
        to.mask |= raw::STATX_BTIME;
        to.btime = btime.into();
    }
    if let Some((mount, is_top)) = mount {
        to.mask |=
            if mask & raw::STATX_MNT_ID_UNIQUE != 0 { raw::STATX_MNT_ID_UNIQUE } else { raw::STATX_MNT_ID };
        to.mnt_id = mount.id();
        if is_top {
            to.attributes |= u64::from(raw::STATX_ATTR_MOUNT_ROOT);
        }
    }
    buffer.write(task.mm(), &to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_are_where_linux_has_them() {
        assert_eq!(offset_of!(Stat, rdev), offset_of!(raw::stat, st_rdev));
        assert_eq!(offset_of!(Stat, size), offset_of!(raw::stat, st_size));
        assert_eq!(offset_of!(Stat, atime), offset_of!(raw::stat, st_atime));
        assert_eq!(offset_of!(Stat, ctime), offset_of!(raw::stat, st_ctime));
        assert_eq!(offset_of!(Statx, ino), offset_of!(raw::statx, stx_ino));
        assert_eq!(offset_of!(Statx, atime), offset_of!(raw::statx, stx_atime));
        assert_eq!(offset_of!(Statx, mtime), offset_of!(raw::statx, stx_mtime));
        assert_eq!(offset_of!(Statx, dev_minor), offset_of!(raw::statx, stx_dev_minor));
        assert_eq!(offset_of!(Statx, mnt_id), offset_of!(raw::statx, stx_mnt_id));
    }
}
