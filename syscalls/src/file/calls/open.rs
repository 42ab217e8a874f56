//! open(2), openat(2), creat(2), openat2(2).

use super::path::At;
use crate::args::{Fd, UserCStr, UserPtr, UserSlice};
use crate::file::{file_limit, open_location};
use crate::task::Task;
use husk_abi::{Errno, err};
use husk_fs::{LookupFlags, OpenFlags, mode, ops};
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct open_how`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const _: () = assert!(size_of::<OpenHow>() == size_of::<raw::open_how>());

/// Longest `struct open_how` that is looked at: a page.
const OPEN_HOW_MAX: usize = 4096;

/// openat(2).
pub(crate) fn openat(task: &Task, dir: Fd, path: UserCStr, flags: u32, mode: u32) -> Result<Fd, Errno> {
    // Like Linux: open(2) ignores flags it does not know, O_PATH ignores all but a few.
    let mut flags = OpenFlags::from_bits_truncate(flags) | OpenFlags::LARGEFILE;
    if flags.contains(OpenFlags::PATH) {
        flags &= OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    }
    let creates = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE);
    open_with(
        task,
        dir,
        path,
        flags,
        if creates { mode & mode::PERMISSIONS } else { 0 },
        LookupFlags::empty(),
    )
}

/// open(2).
pub(crate) fn open(task: &Task, path: UserCStr, flags: u32, mode: u32) -> Result<Fd, Errno> {
    openat(task, Fd::CWD, path, flags, mode)
}

/// creat(2).
pub(crate) fn creat(task: &Task, path: UserCStr, mode: u32) -> Result<Fd, Errno> {
    openat(task, Fd::CWD, path, raw::O_CREAT | raw::O_WRONLY | raw::O_TRUNC, mode)
}

/// openat2(2): as openat(2), but nothing unknown is ignored, and with rules for the walk.
pub(crate) fn openat2(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    how: UserPtr<OpenHow>,
    size: usize,
) -> Result<Fd, Errno> {
    if size < size_of::<OpenHow>() {
        return err!(EINVAL);
    }
    if size > OPEN_HOW_MAX {
        return err!(E2BIG);
    }
    let rest = UserSlice { addr: how.add(1).addr(), len: size - size_of::<OpenHow>() }.read(task.mm())?;
    if rest.iter().any(|byte| *byte != 0) {
        return err!(E2BIG);
    }
    let how = how.read(task.mm())?;
    let flags = u32::try_from(how.flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL.here())?;
    let creates = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE);
    if how.mode & !u64::from(mode::PERMISSIONS) != 0 || (!creates && how.mode != 0) {
        return err!(EINVAL);
    }
    let path_flags = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW | OpenFlags::CLOEXEC;
    if flags.contains(OpenFlags::PATH) && !path_flags.contains(flags) {
        return err!(EINVAL);
    }
    let resolve = resolve_flags(how.resolve)?;
    if how.resolve & u64::from(raw::RESOLVE_CACHED) != 0 {
        // Never wrong: it says that the walk would have to wait, and programs then try without it.
        return err!(EAGAIN);
    }
    open_with(task, dir, path, flags | OpenFlags::LARGEFILE, how.mode as u32, resolve)
}

fn resolve_flags(resolve: u64) -> Result<LookupFlags, Errno> {
    const KNOWN: [(u32, LookupFlags); 5] = [
        (raw::RESOLVE_NO_XDEV, LookupFlags::NO_XDEV),
        (raw::RESOLVE_NO_MAGICLINKS, LookupFlags::NO_MAGICLINKS),
        (raw::RESOLVE_NO_SYMLINKS, LookupFlags::NO_SYMLINKS),
        (raw::RESOLVE_BENEATH, LookupFlags::BENEATH),
        (raw::RESOLVE_IN_ROOT, LookupFlags::IN_ROOT),
    ];
    let all = KNOWN.iter().fold(raw::RESOLVE_CACHED, |all, (bit, _)| all | bit);
    if resolve & !u64::from(all) != 0 {
        return err!(EINVAL);
    }
    let chosen = KNOWN.iter().filter(|(bit, _)| resolve & u64::from(*bit) != 0);
    let flags = chosen.fold(LookupFlags::empty(), |flags, (_, flag)| flags | *flag);
    if flags.contains(LookupFlags::BENEATH | LookupFlags::IN_ROOT) { err!(EINVAL) } else { Ok(flags) }
}

fn open_with(
    task: &Task,
    dir: Fd,
    path: UserCStr,
    mut flags: OpenFlags,
    mode: u32,
    resolve: LookupFlags,
) -> Result<Fd, Errno> {
    if flags.contains(OpenFlags::SYNC) {
        flags |= OpenFlags::DSYNC;
    }
    if flags.contains(OpenFlags::TMPFILE) {
        // O_TMPFILE includes O_DIRECTORY, so that kernels that do not know it fail.
        if !flags.contains(OpenFlags::DIRECTORY) || !flags.writes() {
            return err!(EINVAL);
        }
    } else if flags.contains(OpenFlags::CREAT | OpenFlags::DIRECTORY) {
        return err!(EINVAL);
    }
    let at = At::new(task, dir, path)?;
    let files = task.files();
    let reserved = files.reserve(0, file_limit(task))?;
    let mode = mode & !task.fs().umask();
    let opened = ops::open_or_create(&at.context, at.start.as_ref(), &at.path, flags, resolve, mode)?;
    if flags.contains(OpenFlags::TRUNC) {
        crate::mm::forget_file_pages(opened.location.inode(), 0..u64::MAX, true);
    }
    let description = open_location(task, &opened.location, flags)?;
    Ok(reserved.install(description, flags.contains(OpenFlags::CLOEXEC)))
}
