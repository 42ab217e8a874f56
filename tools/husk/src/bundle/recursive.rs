//! Whole directories of the host.

use super::{Bundle, host_meta};
use crate::image::{Kind, NodeId};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Depth<'a> {
    /// Names left out, wherever they are.
    pub skip: &'a [&'a str],
    /// Also bring directories outside that a symbolic link points to, not only files.
    pub follow_directories: bool,
}

impl Bundle {
    /// Enters everything below a directory of the host into a directory of the bundle.
    pub(super) fn fill(&mut self, dir: NodeId, host: &Path, guest: &Path, depth: &Depth<'_>) -> Result<()> {
        let mut links = Vec::new();
        self.fill_directory(dir, host, guest, depth, &mut links)?;
        for link in links {
            self.bring_target(&link, depth);
        }
        Ok(())
    }

    fn fill_directory(
        &mut self,
        dir: NodeId,
        host: &Path,
        guest: &Path,
        depth: &Depth<'_>,
        links: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let meta = std::fs::metadata(host).with_context(|| format!("cannot read {}", host.display()))?;
        self.tree.set_meta(dir, host_meta(&meta));
        let mut entries: Vec<(OsString, Metadata)> = Vec::new();
        let list = std::fs::read_dir(host).with_context(|| format!("cannot read {}", host.display()))?;
        for entry in list {
            let entry = entry.with_context(|| format!("cannot read {}", host.display()))?;
            let name = entry.file_name();
            // A file may vanish between the two calls.
            if let Ok(meta) = entry.metadata()
                && !depth.skip.iter().any(|skipped| name == *skipped)
            {
                entries.push((name, meta));
            }
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, meta) in entries {
            let (host, guest) = (host.join(&name), guest.join(&name));
            let kind = meta.file_type();
            let existing = self.tree.child(dir, name.as_bytes());
            if kind.is_dir() {
                let id = match existing {
                    Some(id) if matches!(self.tree.node(id).kind, Kind::Directory(_)) => id,
                    Some(_) => continue,
                    None if !readable(&host, &meta) => {
                        self.note(format!("{} cannot be read and was left out", host.display()));
                        continue;
                    }
                    None => self.insert_host(dir, &name, &host, &meta, true)?,
                };
                self.fill_directory(id, &host, &guest, depth, links)?;
            } else if existing.is_some() {
            } else if kind.is_symlink() {
                self.insert_host(dir, &name, &host, &meta, true)?;
                links.push(guest);
            } else if kind.is_file() && readable(&host, &meta) {
                self.insert_host(dir, &name, &host, &meta, true)?;
                if may_be_elf(name.as_bytes(), &meta) {
                    self.candidates.push(guest);
                }
            } else {
                let why = if kind.is_file() { "cannot be read" } else { "is a device, socket or pipe" };
                self.note(format!("{} {why} and was left out", host.display()));
            }
        }
        Ok(())
    }

    /// What a symbolic link inside a tree points to may be outside of it.
    fn bring_target(&mut self, link: &Path, depth: &Depth<'_>) {
        if self.has(link) {
            return;
        }
        match std::fs::canonicalize(link) {
            Ok(target) if target.is_dir() && !depth.follow_directories => {}
            Ok(_) => {
                let outcome = self.bring(link).and_then(|real| match self.look(&real) {
                    super::Located::Directory(dir) => self.fill(dir, &real, &real, depth),
                    _ => Ok(()),
                });
                if let Err(error) = outcome {
                    self.note(format!("{}: {error:#}", link.display()));
                }
            }
            // A link to nothing on the host is one in the guest.
            Err(_) => {}
        }
    }
}

/// Whether it can be opened; asked of the host only where the permissions leave a doubt.
fn readable(path: &Path, meta: &Metadata) -> bool {
    meta.mode() & 0o444 == 0o444 || rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// Programs are executable, libraries have `.so` in their names.
fn may_be_elf(name: &[u8], meta: &Metadata) -> bool {
    meta.mode() & 0o111 != 0 || name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}
