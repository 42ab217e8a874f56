//! New names: mkdir(2), mknod(2), symlink(2), link(2).

use super::{check_may_create, check_writable, new_inode};
use crate::namespace::{Child, LastName, LookupFlags, Parent, WalkContext, lookup_parent};
use crate::{Capabilities, Location, NewKind, PATH_MAX, Result};
use alloc::sync::Arc;
use husk_abi::err;

/// mknod(2), mkdir(2), symlink(2) and the file of bind(2). The answer is the new file.
///
/// # Errors
/// As mknod(2).
pub fn make(
    ctx: &WalkContext,
    start: Option<&Location>,
    path: &[u8],
    kind: NewKind,
    mode: u32,
) -> Result<Location> {
    if let NewKind::Symlink(target) = &kind {
        if target.is_empty() {
            return err!(ENOENT);
        }
        if target.len() >= PATH_MAX {
            return err!(ENAMETOOLONG);
        }
    }
    let parent = lookup_parent(ctx, start, path, LookupFlags::empty())?;
    in_new_place(ctx, parent, kind == NewKind::Directory, |dir, name| {
        if matches!(kind, NewKind::CharDevice(_) | NewKind::BlockDevice(_))
            && !ctx.credentials.has(Capabilities::MKNOD)
        {
            return err!(EPERM);
        }
        let inode = dir.inode().create(name, &new_inode(&ctx.credentials, dir, kind, mode))?;
        Ok(Location { mount: dir.mount.clone(), dentry: dir.dentry.add(name, inode) })
    })
}

/// link(2) to a file already found.
///
/// # Errors
/// As link(2).
pub fn link(ctx: &WalkContext, file: &Location, new_start: Option<&Location>, new_path: &[u8]) -> Result<()> {
    let parent = lookup_parent(ctx, new_start, new_path, LookupFlags::empty())?;
    in_new_place(ctx, parent, false, |dir, name| {
        if !Arc::ptr_eq(&dir.mount, &file.mount) {
            return err!(EXDEV);
        }
        if file.dentry.is_directory() {
            return err!(EPERM);
        }
        dir.inode().link(name, file.inode())?;
        dir.dentry.add(name, file.inode().clone());
        Ok(())
    })
}

/// Runs `make` for a name that is not there yet, with its directory locked and checked.
fn in_new_place<R>(
    ctx: &WalkContext,
    parent: Parent,
    directory: bool,
    make: impl FnOnce(&Location, &[u8]) -> Result<R>,
) -> Result<R> {
    let Parent { dir, last, trailing_slash } = parent;
    let LastName::Name(name) = last else { return err!(EEXIST) };
    let _guard = dir.dentry.lock()?;
    if let Child::Present(_) = dir.dentry.lookup_locked(&name)? {
        return err!(EEXIST);
    }
    if trailing_slash && !directory {
        return err!(ENOENT);
    }
    check_writable(&dir)?;
    check_may_create(&ctx.credentials, &dir)?;
    make(&dir, &name)
}
