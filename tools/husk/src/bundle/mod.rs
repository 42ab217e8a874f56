//! What goes into an image: files of the host at their places in the guest.
//!
//! A path is entered as the host has it, symbolic links on the way included: `/bin/sh` brings `/bin -> usr/bin`, then
//! `/usr/bin/sh -> dash`, then `/usr/bin/dash`. What is there already is kept, so what is added first wins.
//!
//! Directories that are only passed through take the host's owner and permissions but no time, so that a new file
//! beside a bundled one does not make another image.

mod fingerprint;
mod place;
mod recursive;

pub use fingerprint::Fingerprint;

use crate::image::{HostFile, Kind, Meta, NodeId, Source, Tree};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use place::Located;
pub use recursive::Depth;

/// One thing that was added, for `husk bundle --list`.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its path in the guest.
    pub path: PathBuf,
    /// Why: the name of a rule, `program`, `--add`, or what needs it.
    pub reason: String,
    /// Files it brought, itself included.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Files on their way into an image.
#[derive(Debug, Default)]
pub struct Bundle {
    tree: Tree,
    /// Host inodes with several names, by device and number.
    hard_links: HashMap<(u64, u64), NodeId>,
    items: Vec<Item>,
    /// Files that may be ELF files whose libraries are not in yet, by their path in the guest.
    candidates: Vec<PathBuf>,
    /// What was left out, and why.
    notes: Vec<String>,
    files: u64,
    bytes: u64,
}

impl Bundle {
    /// The tree so far.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What was added, in order.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What was left out, and why.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Bytes in all files.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a remark for `--verbose`.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Files added by trees since the last call that may be programs or libraries.
    pub fn take_candidates(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.candidates)
    }

    /// Adds a path of the host at the same path: a file, or a directory without its contents, with the links on the way.
    /// Gives the path with all links resolved.
    ///
    /// # Errors
    /// When it does not exist, cannot be read, or is no file or directory.
    pub fn add(&mut self, path: &Path, reason: &str) -> Result<PathBuf> {
        let before = (self.files, self.bytes);
        let real = self.bring(path)?;
        self.account(path, reason, before);
        Ok(real)
    }

    /// Adds a path of the host with everything below it, at the same path.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub fn add_tree(&mut self, path: &Path, skip: &[&str], reason: &str) -> Result<()> {
        let before = (self.files, self.bytes);
        let real = self.bring(path)?;
        if let Located::Directory(dir) = self.look(&real) {
            self.fill(dir, &real, &real, &Depth { skip, follow_directories: false })?;
        } else {
            self.candidates.push(real);
        }
        self.account(path, reason, before);
        Ok(())
    }

    /// Adds a file or directory of the host, everything below it included, at any path (`--add`). A symbolic link as
    /// `host` stands for what it points to.
    ///
    /// # Errors
    /// When it does not exist or cannot be read, or when another file is at that path already.
    pub fn add_at(&mut self, host: &Path, guest: &Path, reason: &str) -> Result<()> {
        let before = (self.files, self.bytes);
        if std::path::absolute(host).is_ok_and(|absolute| absolute == guest) {
            // Like all others, so that links on the way stay links.
            let real = self.bring(guest)?;
            if let Located::Directory(dir) = self.look(&real) {
                self.fill(dir, &real, &real, &Depth { skip: &[], follow_directories: true })?;
            } else {
                self.candidates.push(real);
            }
        } else {
            let meta = std::fs::metadata(host).with_context(|| format!("cannot read {}", host.display()))?;
            let (dir, real, name) = self.make_parent(guest)?;
            let Some(name) = name else {
                // The root itself: DIR:/
                self.fill(dir, host, &real, &Depth { skip: &[], follow_directories: true })?;
                self.account(guest, reason, before);
                return Ok(());
            };
            let real = real.join(&name);
            let existing = self.tree.child(dir, name.as_bytes());
            match existing.map(|id| &self.tree.node(id).kind) {
                Some(Kind::Directory(_)) if meta.is_dir() => {}
                Some(_) => bail!("{} is there already", guest.display()),
                None => {}
            }
            let id = match existing {
                Some(id) => id,
                None => self.insert_host(dir, &name, host, &meta, true)?,
            };
            if meta.is_dir() {
                self.fill(id, host, &real, &Depth { skip: &[], follow_directories: true })?;
            } else {
                self.candidates.push(real);
            }
        }
        self.account(guest, reason, before);
        Ok(())
    }

    /// Adds a file with these contents, unless the path is taken.
    ///
    /// # Errors
    /// When a parent is not a directory.
    pub fn add_bytes(&mut self, guest: &Path, bytes: Vec<u8>, mode: u16, reason: &str) -> Result<()> {
        let before = (self.files, self.bytes);
        let (dir, _, name) = self.make_parent(guest)?;
        let Some(name) = name else { bail!("{} is a directory", guest.display()) };
        if self.tree.child(dir, name.as_bytes()).is_none() {
            self.files += 1;
            self.bytes += bytes.len() as u64;
            self.tree.insert(dir, name.as_bytes(), Kind::File(Source::Bytes(bytes)), Meta::root(mode))?;
            self.account(guest, reason, before);
        }
        Ok(())
    }

    /// Makes a directory with these permissions, unless the path is taken.
    ///
    /// # Errors
    /// When a parent is not a directory.
    pub fn add_directory(&mut self, guest: &Path, mode: u16) -> Result<()> {
        let (dir, _, name) = self.make_parent(guest)?;
        if let Some(name) = name
            && self.tree.child(dir, name.as_bytes()).is_none()
        {
            self.tree.insert(dir, name.as_bytes(), Kind::Directory(BTreeMap::new()), Meta::root(mode))?;
        }
        Ok(())
    }

    fn account(&mut self, path: &Path, reason: &str, before: (u64, u64)) {
        let (files, bytes) = (self.files - before.0, self.bytes - before.1);
        if files > 0 {
            self.items.push(Item { path: path.to_owned(), reason: reason.to_owned(), files, bytes });
        }
    }

    /// Enters one file, link or empty directory of the host.
    fn insert_host(
        &mut self,
        dir: NodeId,
        name: &OsStr,
        host: &Path,
        meta: &Metadata,
        whole: bool,
    ) -> Result<NodeId> {
        let name = name.as_bytes();
        let kind = meta.file_type();
        if kind.is_file() {
            let identity = (meta.dev(), meta.ino());
            if meta.nlink() > 1
                && let Some(&id) = self.hard_links.get(&identity)
            {
                self.tree.link(dir, name, id)?;
                self.files += 1;
                return Ok(id);
            }
            let file = HostFile {
                path: host.to_owned(),
                size: meta.size(),
                sparse: meta.blocks() * 512 < meta.size(),
                identity,
                changed_ns: i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()),
            };
            let id = self.tree.insert(dir, name, Kind::File(Source::Host(file)), host_meta(meta))?;
            if meta.nlink() > 1 {
                self.hard_links.insert(identity, id);
            }
            self.files += 1;
            self.bytes += meta.size();
            return Ok(id);
        }
        if kind.is_dir() {
            let meta = host_meta(meta);
            let meta = if whole { meta } else { Meta { mtime: 0, mtime_nsec: 0, ..meta } };
            return Ok(self.tree.insert(dir, name, Kind::Directory(BTreeMap::new()), meta)?);
        }
        if kind.is_symlink() {
            let target =
                std::fs::read_link(host).with_context(|| format!("cannot read {}", host.display()))?;
            let target = target.into_os_string().into_encoded_bytes();
            return Ok(self.tree.insert(dir, name, Kind::Symlink(target), host_meta(meta))?);
        }
        bail!("{} is neither a file, a directory nor a symbolic link", host.display())
    }
}

fn host_meta(meta: &Metadata) -> Meta {
    Meta {
        mode: (meta.mode() & 0o7777) as u16,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: meta.mtime(),
        mtime_nsec: meta.mtime_nsec() as u32,
    }
}
