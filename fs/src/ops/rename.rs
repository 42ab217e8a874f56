//! renameat2(2).

use super::{check_access, check_may_create, check_may_delete, check_writable};
use crate::namespace::{Child, LastName, LookupFlags, Parent, WalkContext, lookup_parent};
use crate::{Access, Dentry, Location, RenameFlags, Result};
use alloc::sync::Arc;
use husk_abi::err;
use husk_machine::sync::MutexGuard;

/// renameat2(2).
///
/// # Errors
/// As rename(2).
pub fn rename(
    ctx: &WalkContext,
    old_start: Option<&Location>,
    old: &[u8],
    new_start: Option<&Location>,
    new: &[u8],
    flags: RenameFlags,
) -> Result<()> {
    if flags.contains(RenameFlags::NOREPLACE | RenameFlags::EXCHANGE) {
        return err!(EINVAL);
    }
    let old = lookup_parent(ctx, old_start, old, LookupFlags::empty())?;
    let new = lookup_parent(ctx, new_start, new, LookupFlags::empty())?;
    if !Arc::ptr_eq(&old.dir.mount, &new.dir.mount) {
        return err!(EXDEV);
    }
    let LastName::Name(old_name) = &old.last else { return err!(EBUSY) };
    let LastName::Name(new_name) = &new.last else {
        return if flags.contains(RenameFlags::NOREPLACE) { err!(EEXIST) } else { err!(EBUSY) };
    };
    check_writable(&old.dir)?;
    let _locks = LockedPair::lock(&old.dir.dentry, &new.dir.dentry)?;
    let moved = old.dir.dentry.lookup_locked(old_name)?.present()?;
    let target = match new.dir.dentry.lookup_locked(new_name)? {
        Child::Present(dentry) => Some(dentry),
        Child::Absent => None,
    };
    check_names(&old, &new, &moved, target.as_ref(), flags)?;
    if target.as_ref().is_some_and(|target| Arc::ptr_eq(target.inode(), moved.inode())) {
        // Two names of one file: both stay.
        return Ok(());
    }
    check_permissions(ctx, &old.dir, &new.dir, &moved, target.as_ref(), flags)?;
    if moved.is_mount_point() || target.as_ref().is_some_and(|target| target.is_mount_point()) {
        return err!(EBUSY);
    }
    match target {
        Some(target) if flags.contains(RenameFlags::EXCHANGE) => {
            old.dir.inode().rename(old_name, new.dir.inode(), new_name, flags)?;
            old.dir.dentry.exchange_children(&moved, &new.dir.dentry, &target);
        }
        target => {
            // A directory about to be replaced must stay empty.
            let _target_guard = match &target {
                Some(target) if target.is_directory() => Some(target.lock()?),
                _ => None,
            };
            old.dir.inode().rename(old_name, new.dir.inode(), new_name, flags)?;
            old.dir.dentry.move_child(&moved, &new.dir.dentry, new_name);
        }
    }
    Ok(())
}

fn check_names(
    old: &Parent,
    new: &Parent,
    moved: &Arc<Dentry>,
    target: Option<&Arc<Dentry>>,
    flags: RenameFlags,
) -> Result<()> {
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    if flags.contains(RenameFlags::NOREPLACE) && target.is_some() {
        return err!(EEXIST);
    }
    if exchange {
        let Some(target) = target else { return err!(ENOENT) };
        if !target.is_directory() && new.trailing_slash {
            return err!(ENOTDIR);
        }
    }
    if !moved.is_directory() && (old.trailing_slash || (!exchange && new.trailing_slash)) {
        return err!(ENOTDIR);
    }
    if moved.is_ancestor_of(&new.dir.dentry) {
        return err!(EINVAL);
    }
    if target.is_some_and(|target| target.is_ancestor_of(&old.dir.dentry)) {
        return if exchange { err!(EINVAL) } else { err!(ENOTEMPTY) };
    }
    Ok(())
}

fn check_permissions(
    ctx: &WalkContext,
    old_dir: &Location,
    new_dir: &Location,
    moved: &Arc<Dentry>,
    target: Option<&Arc<Dentry>>,
    flags: RenameFlags,
) -> Result<()> {
    let credentials = &ctx.credentials;
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    check_may_delete(credentials, old_dir, moved, moved.is_directory())?;
    match target {
        None => check_may_create(credentials, new_dir)?,
        Some(target) => {
            let as_directory = if exchange { target.is_directory() } else { moved.is_directory() };
            check_may_delete(credentials, new_dir, target, as_directory)?;
        }
    }
    if Arc::ptr_eq(&old_dir.dentry, &new_dir.dentry) {
        return Ok(());
    }
    // A directory that moves gets another `..`, which counts as writing it.
    let check_own = |dentry: &Arc<Dentry>| {
        if !dentry.is_directory() {
            return Ok(());
        }
        let place = Location { mount: old_dir.mount.clone(), dentry: dentry.clone() };
        check_access(credentials, &place, Access::WRITE)
    };
    check_own(moved)?;
    if exchange && let Some(target) = target {
        check_own(target)?;
    }
    Ok(())
}

/// The locks of a rename: of one directory; or the filesystem's rename lock and both directories, an ancestor first.
struct LockedPair<'a> {
    _second: Option<MutexGuard<'a, ()>>,
    _first: MutexGuard<'a, ()>,
    _rename: Option<MutexGuard<'a, ()>>,
}

impl<'a> LockedPair<'a> {
    fn lock(old: &'a Arc<Dentry>, new: &'a Arc<Dentry>) -> Result<Self> {
        if Arc::ptr_eq(old, new) {
            return Ok(Self { _second: None, _first: old.lock()?, _rename: None });
        }
        let rename = old.tree().rename.lock();
        // No directory moves now, so the order of the two cannot change; where neither is above the other, any order does, as
        // whoever locks two unrelated directories holds the rename lock.
        let (first, second) = if new.is_ancestor_of(old) { (new, old) } else { (old, new) };
        let first = first.lock()?;
        Ok(Self { _second: Some(second.lock()?), _first: first, _rename: Some(rename) })
    }
}
