//! Names removed: unlink(2), rmdir(2).

use super::{check_may_delete, check_writable};
use crate::namespace::{LastName, LookupFlags, Parent, WalkContext, lookup_parent};
use crate::{Location, Result};
use husk_abi::err;

/// unlink(2).
///
/// # Errors
/// As unlink(2).
pub fn unlink(ctx: &WalkContext, start: Option<&Location>, path: &[u8]) -> Result<()> {
    let Parent { dir, last, trailing_slash } = lookup_parent(ctx, start, path, LookupFlags::empty())?;
    let LastName::Name(name) = last else { return err!(EISDIR) };
    check_writable(&dir)?;
    let _guard = dir.dentry.lock()?;
    let victim = dir.dentry.lookup_locked(&name)?.present()?;
    if trailing_slash {
        return if victim.is_directory() { err!(EISDIR) } else { err!(ENOTDIR) };
    }
    check_may_delete(&ctx.credentials, &dir, &victim, false)?;
    if victim.is_mount_point() {
        return err!(EBUSY);
    }
    dir.inode().unlink(&name)?;
    dir.dentry.remove(&victim);
    Ok(())
}

/// rmdir(2).
///
/// # Errors
/// As rmdir(2).
pub fn rmdir(ctx: &WalkContext, start: Option<&Location>, path: &[u8]) -> Result<()> {
    let Parent { dir, last, .. } = lookup_parent(ctx, start, path, LookupFlags::empty())?;
    let name = match last {
        LastName::Name(name) => name,
        LastName::Dot => return err!(EINVAL),
        LastName::DotDot => return err!(ENOTEMPTY),
        LastName::Root => return err!(EBUSY),
    };
    check_writable(&dir)?;
    let _guard = dir.dentry.lock()?;
    let victim = dir.dentry.lookup_locked(&name)?.present()?;
    check_may_delete(&ctx.credentials, &dir, &victim, true)?;
    if victim.is_mount_point() {
        return err!(EBUSY);
    }
    // Nobody may add an entry between the look that finds it empty and its removal.
    let _victim_guard = victim.lock()?;
    dir.inode().rmdir(&name)?;
    dir.dentry.remove(&victim);
    Ok(())
}
