//! The part of open(2) that finds or makes the file.

use super::{check_access, check_may_create, check_writable, new_inode};
use crate::namespace::{Child, LastName, LookupFlags, WalkContext, Walker, lookup};
use crate::{Access, Dentry, FileKind, InodeRef, Location, MountFlags, NewKind, OpenFlags, Result, SetAttr};
use alloc::format;
use husk_abi::{Errno, err};

/// A file to be opened.
pub struct Opened {
    /// The file.
    pub location: Location,
    /// Whether it was made just now.
    pub created: bool,
}

/// Finds the file for open(2), making it if `flags` say so, with all checks of permissions and kinds; for TRUNC it cuts the
/// file. Opening itself (pipes, devices, [`Inode::open`](crate::Inode::open), counting the writer in
/// [`Slot::write_access`](crate::Slot)) is the caller's.
///
/// # Errors
/// As open(2).
pub fn open_or_create(
    ctx: &WalkContext,
    start: Option<&Location>,
    path: &[u8],
    flags: OpenFlags,
    resolve: LookupFlags,
    mode: u32,
) -> Result<Opened> {
    if flags.contains(OpenFlags::TMPFILE) {
        return open_unnamed(ctx, start, path, flags, resolve, mode);
    }
    if flags.contains(OpenFlags::CREAT) && !flags.contains(OpenFlags::PATH) {
        if flags.contains(OpenFlags::DIRECTORY) {
            return err!(EINVAL);
        }
        return create(ctx, start, path, flags, resolve, mode);
    }
    let mut how = resolve;
    how.set(LookupFlags::FOLLOW, !flags.contains(OpenFlags::NOFOLLOW));
    how.set(LookupFlags::DIRECTORY, flags.contains(OpenFlags::DIRECTORY));
    let location = lookup(ctx, start, path, how)?;
    if !flags.contains(OpenFlags::PATH) {
        may_open(ctx, &location, flags)?;
    }
    Ok(Opened { location, created: false })
}

fn create(
    ctx: &WalkContext,
    start: Option<&Location>,
    path: &[u8],
    flags: OpenFlags,
    resolve: LookupFlags,
    mode: u32,
) -> Result<Opened> {
    let exclusive = flags.contains(OpenFlags::EXCL);
    let mut walker = Walker::new(ctx, start, path, resolve)?;
    loop {
        let LastName::Name(name) = walker.walk_to_last()? else {
            return if exclusive { err!(EEXIST) } else { err!(EISDIR) };
        };
        if walker.trailing_slash() {
            return err!(EISDIR);
        }
        let dir = walker.at().clone();
        // What is there already needs no lock.
        let found = match dir.dentry.remembered(&name) {
            Some(Child::Present(dentry)) => dentry,
            _ => {
                let guard = dir.dentry.lock()?;
                match walker.last_child_locked(&name)? {
                    Child::Present(dentry) => {
                        drop(guard);
                        dentry
                    }
                    Child::Absent => {
                        check_writable(&dir)?;
                        check_may_create(&ctx.credentials, &dir)?;
                        let new = new_inode(&ctx.credentials, &dir, NewKind::Regular, mode);
                        // Where nothing can be made at all, open(2) says EACCES and mkdir(2) and the others EPERM.
                        let refused =
                            |errno| if errno == Errno::EPERM { Errno::EACCES.here() } else { errno };
                        let inode = dir.inode().create(&name, &new).map_err(refused)?;
                        let dentry = dir.dentry.add(&name, inode);
                        return Ok(Opened {
                            location: Location { mount: dir.mount.clone(), dentry },
                            created: true,
                        });
                    }
                }
            }
        };
        if exclusive {
            return err!(EEXIST);
        }
        let location = walker.enter(found)?;
        if location.inode().kind() == FileKind::Symlink && !flags.contains(OpenFlags::NOFOLLOW) {
            if walker.follow(&location)? {
                let location = walker.at().clone();
                return existing(ctx, location, flags);
            }
            continue;
        }
        return existing(ctx, location, flags);
    }
}

fn existing(ctx: &WalkContext, location: Location, flags: OpenFlags) -> Result<Opened> {
    if location.dentry.is_directory() {
        return err!(EISDIR);
    }
    may_open(ctx, &location, flags)?;
    Ok(Opened { location, created: false })
}

fn open_unnamed(
    ctx: &WalkContext,
    start: Option<&Location>,
    path: &[u8],
    flags: OpenFlags,
    resolve: LookupFlags,
    mode: u32,
) -> Result<Opened> {
    if !flags.contains(OpenFlags::DIRECTORY) || flags.contains(OpenFlags::CREAT) || !flags.writes() {
        return err!(EINVAL);
    }
    let mut how = resolve | LookupFlags::DIRECTORY;
    how.set(LookupFlags::FOLLOW, !flags.contains(OpenFlags::NOFOLLOW));
    let dir = lookup(ctx, start, path, how)?;
    check_writable(&dir)?;
    check_may_create(&ctx.credentials, &dir)?;
    let new = new_inode(&ctx.credentials, &dir, NewKind::Regular, mode);
    let inode: InodeRef = dir.inode().create_unnamed(&new, !flags.contains(OpenFlags::EXCL))?;
    let name = format!("#{}", inode.ino());
    let dentry =
        Dentry::new_deleted(dir.dentry.tree().clone(), inode, Some(dir.dentry.clone()), name.as_bytes());
    Ok(Opened { location: Location { mount: dir.mount, dentry }, created: true })
}

/// The checks of open(2) for a file already found (reopening through /proc/self/fd), and the cut for TRUNC.
///
/// # Errors
/// As open(2).
pub fn may_open(ctx: &WalkContext, location: &Location, flags: OpenFlags) -> Result<()> {
    let inode = location.inode();
    let kind = inode.kind();
    if flags.contains(OpenFlags::DIRECTORY) && kind != FileKind::Directory {
        return err!(ENOTDIR);
    }
    let mut wanted = match flags.bits() & 3 {
        0 => Access::READ,
        1 => Access::WRITE,
        _ => Access::READ | Access::WRITE,
    };
    let mut truncates = flags.contains(OpenFlags::TRUNC);
    match kind {
        FileKind::Symlink => return err!(ELOOP),
        FileKind::Directory if truncates || wanted.contains(Access::WRITE) => return err!(EISDIR),
        FileKind::CharDevice | FileKind::BlockDevice => {
            if location.mount().flags().contains(MountFlags::NODEV) {
                return err!(EACCES);
            }
            truncates = false;
        }
        FileKind::Fifo | FileKind::Socket => truncates = false,
        FileKind::Directory | FileKind::Regular => {}
    }
    if flags.contains(OpenFlags::TRUNC) {
        // Also where there is nothing to cut.
        wanted |= Access::WRITE;
    }
    check_access(&ctx.credentials, location, wanted)?;
    if flags.contains(OpenFlags::NOATIME) && !ctx.credentials.owns(&inode.metadata()) {
        return err!(EPERM);
    }
    if kind == FileKind::Socket {
        return err!(ENXIO);
    }
    if truncates {
        let access = &inode.slot().write_access;
        access.get()?;
        let cut = super::remove_privileges(&ctx.credentials, location)
            .and_then(|()| inode.set_attr(&SetAttr { size: Some(0), ..SetAttr::default() }));
        access.put();
        cut?;
    }
    Ok(())
}
