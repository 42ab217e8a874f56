//! The walk along a path (path_resolution(7), openat2(2)).

use super::dentry::{Child, Dentry};
use super::location::Location;
use crate::{Access, Credentials, FileKind, PATH_MAX, Result};
use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use husk_abi::err;

/// More symbolic links than this in one walk are a loop.
const MAX_LINKS: u32 = 40;

/// Where a process stands and who it is.
#[derive(Clone)]
pub struct WalkContext {
    /// Its root directory.
    pub root: Location,
    /// Its working directory.
    pub cwd: Location,
    /// Whose permissions count.
    pub credentials: Arc<Credentials>,
}

bitflags! {
    /// How to walk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct LookupFlags: u32 {
        /// Follow a symbolic link in the last place too.
        const FOLLOW = 1;
        /// The result must be a directory.
        const DIRECTORY = 2;
        /// An empty path means the start itself (AT_EMPTY_PATH).
        const EMPTY_PATH = 4;
        /// RESOLVE_NO_SYMLINKS: ELOOP at any symbolic link.
        const NO_SYMLINKS = 8;
        /// RESOLVE_NO_MAGICLINKS: ELOOP at procfs's magic links.
        const NO_MAGICLINKS = 16;
        /// RESOLVE_BENEATH: EXDEV on leaving the start.
        const BENEATH = 32;
        /// RESOLVE_IN_ROOT: the start is the root.
        const IN_ROOT = 64;
        /// RESOLVE_NO_XDEV: EXDEV at a mount.
        const NO_XDEV = 128;
    }
}

/// The last part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastName {
    /// An ordinary name.
    Name(Vec<u8>),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// Nothing: the path is `/`.
    Root,
}

/// A path walked to its last part but not further.
pub struct Parent {
    /// The directory the last part is in.
    pub dir: Location,
    /// The last part.
    pub last: LastName,
    /// Whether slashes follow it.
    pub trailing_slash: bool,
}

/// Finds the file a path leads to. A path that is not absolute starts at `start`, or at the working directory if that is `None`.
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES, ELOOP (more than 40 symbolic links), ENAMETOOLONG, EXDEV, EIO.
pub fn lookup(
    ctx: &WalkContext,
    start: Option<&Location>,
    path: &[u8],
    flags: LookupFlags,
) -> Result<Location> {
    if path.is_empty() && flags.contains(LookupFlags::EMPTY_PATH) {
        return Ok(start.unwrap_or(&ctx.cwd).clone());
    }
    Walker::new(ctx, start, path, flags)?.walk_to_end()
}

/// Finds the directory that the last part of a path is in. The last part itself is not looked at.
///
/// # Errors
/// As [`lookup`].
pub fn lookup_parent(
    ctx: &WalkContext,
    start: Option<&Location>,
    path: &[u8],
    flags: LookupFlags,
) -> Result<Parent> {
    Walker::new(ctx, start, path, flags)?.into_parent()
}

/// A walk under way.
pub(crate) struct Walker<'a> {
    credentials: &'a Credentials,
    flags: LookupFlags,
    /// `..` does not lead above it, and absolute links start there.
    root: Location,
    at: Location,
    path: Cow<'a, [u8]>,
    position: usize,
    links: u32,
    /// A trailing slash was seen after the last part, perhaps before following a link there.
    trailing_slash: bool,
}

impl<'a> Walker<'a> {
    /// Begins a walk.
    ///
    /// # Errors
    /// ENOENT for an empty path, ENAMETOOLONG; EXDEV for an absolute one with BENEATH.
    pub(crate) fn new(
        ctx: &'a WalkContext,
        start: Option<&Location>,
        path: &'a [u8],
        flags: LookupFlags,
    ) -> Result<Self> {
        if path.is_empty() {
            return err!(ENOENT);
        }
        if path.len() >= PATH_MAX {
            return err!(ENAMETOOLONG);
        }
        let start = start.unwrap_or(&ctx.cwd);
        let scoped = flags.intersects(LookupFlags::BENEATH | LookupFlags::IN_ROOT);
        let root = if scoped { start.clone() } else { ctx.root.clone() };
        let mut walker = Self {
            credentials: &ctx.credentials,
            flags,
            at: start.clone(),
            root,
            path: Cow::Borrowed(path),
            position: 0,
            links: 0,
            trailing_slash: false,
        };
        if path[0] == b'/' {
            walker.go_to_root()?;
        }
        Ok(walker)
    }

    fn go_to_root(&mut self) -> Result<()> {
        if self.flags.contains(LookupFlags::BENEATH) {
            return err!(EXDEV);
        }
        if self.flags.contains(LookupFlags::NO_XDEV) && !Arc::ptr_eq(&self.at.mount, &self.root.mount) {
            return err!(EXDEV);
        }
        self.at = self.root.clone();
        Ok(())
    }

    /// Walks to the end.
    ///
    /// # Errors
    /// As [`lookup`].
    pub(crate) fn walk_to_end(mut self) -> Result<Location> {
        while let Some((range, is_last)) = self.next_part() {
            if !self.at.dentry.is_directory() {
                return err!(ENOTDIR);
            }
            self.check_search()?;
            match &self.path[range.clone()] {
                b"." => {}
                b".." => self.up()?,
                _ => {
                    let child = self.child(range)?;
                    let wanted = !is_last || self.trailing_slash || self.flags.contains(LookupFlags::FOLLOW);
                    if wanted && child.inode().kind() == FileKind::Symlink {
                        self.follow(&child)?;
                    } else {
                        self.at = child;
                    }
                }
            }
        }
        let must_be_directory = self.trailing_slash || self.flags.contains(LookupFlags::DIRECTORY);
        if must_be_directory && !self.at.dentry.is_directory() {
            return err!(ENOTDIR);
        }
        Ok(self.at)
    }

    /// Walks up to, not including, the last part, which is the answer.
    ///
    /// # Errors
    /// As [`lookup`].
    pub(crate) fn walk_to_last(&mut self) -> Result<LastName> {
        loop {
            let Some((range, is_last)) = self.next_part() else { return Ok(LastName::Root) };
            if !self.at.dentry.is_directory() {
                return err!(ENOTDIR);
            }
            self.check_search()?;
            let part = &self.path[range.clone()];
            if is_last {
                return Ok(match part {
                    b"." => LastName::Dot,
                    b".." => LastName::DotDot,
                    name => LastName::Name(name.to_vec()),
                });
            }
            match part {
                b"." => {}
                b".." => self.up()?,
                _ => {
                    let child = self.child(range)?;
                    if child.inode().kind() == FileKind::Symlink {
                        self.follow(&child)?;
                    } else {
                        self.at = child;
                    }
                }
            }
        }
    }

    /// Walks up to the last part.
    ///
    /// # Errors
    /// As [`lookup`].
    pub(crate) fn into_parent(mut self) -> Result<Parent> {
        let last = self.walk_to_last()?;
        Ok(Parent { dir: self.at, last, trailing_slash: self.trailing_slash })
    }

    /// The directory reached.
    pub(crate) const fn at(&self) -> &Location {
        &self.at
    }

    /// Whether slashes followed the last part.
    pub(crate) const fn trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// The next part of the path, and whether it is the last.
    fn next_part(&mut self) -> Option<(core::ops::Range<usize>, bool)> {
        let skip =
            |from: usize| self.path[from..].iter().position(|&byte| byte != b'/').map(|more| from + more);
        let start = skip(self.position)?;
        let end = self.path[start..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(self.path.len(), |len| start + len);
        let is_last = skip(end).is_none();
        if is_last && end < self.path.len() {
            self.trailing_slash = true;
        }
        self.position = end;
        Some((start..end, is_last))
    }

    fn check_search(&self) -> Result<()> {
        if self.credentials.searches_all() {
            return Ok(());
        }
        self.credentials.check(&self.at.inode().metadata(), Access::EXEC)
    }

    fn up(&mut self) -> Result<()> {
        let above = self.at.parent(&self.root);
        if self.flags.contains(LookupFlags::BENEATH) && self.at.is_same(&self.root) {
            return err!(EXDEV);
        }
        if self.flags.contains(LookupFlags::NO_XDEV) && !Arc::ptr_eq(&above.mount, &self.at.mount) {
            return err!(EXDEV);
        }
        self.at = above;
        Ok(())
    }

    fn child(&self, range: core::ops::Range<usize>) -> Result<Location> {
        let dentry = self.at.dentry.lookup(&self.path[range])?.present()?;
        self.enter(dentry)
    }

    /// What a walk sees at a child of the directory reached: the top of what is mounted on it.
    ///
    /// # Errors
    /// EXDEV with NO_XDEV.
    pub(crate) fn enter(&self, dentry: Arc<Dentry>) -> Result<Location> {
        let place = Location { mount: self.at.mount.clone(), dentry };
        if !place.dentry.is_mount_point() {
            return Ok(place);
        }
        let top = place.top_mounted();
        if self.flags.contains(LookupFlags::NO_XDEV) && !Arc::ptr_eq(&top.mount, &self.at.mount) {
            return err!(EXDEV);
        }
        Ok(top)
    }

    /// Goes on along a symbolic link in the directory reached; the rest of the path comes after it. The answer is whether it was
    /// a magic link, which leads to a file without any path.
    ///
    /// # Errors
    /// ELOOP; ENOENT for an empty link; EXDEV.
    pub(crate) fn follow(&mut self, link: &Location) -> Result<bool> {
        self.links += 1;
        if self.links > MAX_LINKS || self.flags.contains(LookupFlags::NO_SYMLINKS) {
            return err!(ELOOP);
        }
        if let Some(target) = link.inode().magic_link() {
            if self.flags.contains(LookupFlags::NO_MAGICLINKS) {
                return err!(ELOOP);
            }
            if self.flags.intersects(LookupFlags::BENEATH | LookupFlags::IN_ROOT) {
                return err!(EXDEV);
            }
            let target = target?;
            if self.flags.contains(LookupFlags::NO_XDEV) && !Arc::ptr_eq(&target.mount, &self.at.mount) {
                return err!(EXDEV);
            }
            self.at = target;
            return Ok(true);
        }
        let mut path = link.inode().read_link()?;
        link.accessed();
        if path.is_empty() {
            return err!(ENOENT);
        }
        if path[0] == b'/' {
            self.go_to_root()?;
        }
        path.extend_from_slice(&self.path[self.position..]);
        self.path = Cow::Owned(path);
        self.position = 0;
        Ok(false)
    }

    /// Looks at the child named by the last part; the directory reached is locked by the caller.
    ///
    /// # Errors
    /// As [`lookup`].
    pub(crate) fn last_child_locked(&self, name: &[u8]) -> Result<Child> {
        self.at.dentry.lookup_locked(name)
    }
}
