//! Finding places in the guest, with the host's directories and links taken over where they are missing.

use super::Bundle;
use crate::image::{Kind, NodeId, Source, Tree};
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Links followed before a path is taken to be a loop (Linux's limit).
const LINKS_MAX: usize = 40;

/// What is at a path of the guest.
#[derive(Debug)]
pub enum Located {
    /// A directory in the bundle.
    Directory(NodeId),
    /// A file, in the bundle or to be taken from the host: where its bytes are on the host.
    File(PathBuf),
    /// A file made by the tool itself.
    Made,
    /// Nothing.
    Missing,
}

enum Walk {
    Found(NodeId, PathBuf),
    Missing { dir: NodeId, real: PathBuf, name: OsString, rest: Vec<OsString> },
    NotADirectory(PathBuf),
    Loop,
}

impl Bundle {
    /// Follows a path in the bundle, symbolic links included, to where it ends or leaves the bundle.
    fn walk(&self, path: &Path) -> Walk {
        let mut todo: Vec<OsString> = Vec::new();
        let push = |todo: &mut Vec<OsString>, path: &Path| {
            for part in path.components().rev() {
                match part {
                    Component::Normal(name) => todo.push(name.to_owned()),
                    Component::ParentDir => todo.push("..".into()),
                    Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                }
            }
        };
        push(&mut todo, path);
        let (mut at, mut real, mut links) = (Tree::ROOT, PathBuf::from("/"), 0);
        while let Some(name) = todo.pop() {
            if name == ".." {
                at = self.tree.node(at).parent;
                real.pop();
                continue;
            }
            let Some(id) = self.tree.child(at, name.as_bytes()) else {
                return Walk::Missing { dir: at, real, name, rest: todo };
            };
            match &self.tree.node(id).kind {
                Kind::Directory(_) => {
                    at = id;
                    real.push(name);
                }
                Kind::File(_) if todo.is_empty() => {
                    real.push(name);
                    return Walk::Found(id, real);
                }
                Kind::File(_) => return Walk::NotADirectory(real.join(name)),
                Kind::Symlink(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Walk::Loop;
                    }
                    let target = Path::new(OsStr::from_bytes(target));
                    if target.is_absolute() {
                        (at, real) = (Tree::ROOT, PathBuf::from("/"));
                    }
                    push(&mut todo, target);
                }
            }
        }
        Walk::Found(at, real)
    }

    /// Looks a path up in the bundle, and on the host where the bundle does not have it yet.
    #[must_use]
    pub fn look(&self, path: &Path) -> Located {
        match self.walk(path) {
            Walk::Found(id, _) => match &self.tree.node(id).kind {
                Kind::Directory(_) => Located::Directory(id),
                Kind::File(Source::Host(file)) => Located::File(file.path.clone()),
                Kind::File(Source::Bytes(_)) => Located::Made,
                Kind::Symlink(_) => Located::Missing,
            },
            Walk::Missing { mut real, name, rest, .. } => {
                real.push(name);
                real.extend(rest.iter().rev());
                match std::fs::metadata(&real) {
                    Ok(meta) if meta.is_file() => Located::File(real),
                    _ => Located::Missing,
                }
            }
            Walk::NotADirectory(_) | Walk::Loop => Located::Missing,
        }
    }

    /// Whether the path is in the bundle itself.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        matches!(self.walk(path), Walk::Found(..))
    }

    /// The path with all symbolic links of the bundle resolved, if it is in the bundle.
    #[must_use]
    pub fn real_path(&self, path: &Path) -> Option<PathBuf> {
        match self.walk(path) {
            Walk::Found(_, real) => Some(real),
            _ => None,
        }
    }

    /// Enters every part of the path that the host has and the bundle does not. Gives the path with links resolved.
    pub(super) fn bring(&mut self, path: &Path) -> Result<PathBuf> {
        loop {
            match self.walk(path) {
                Walk::Found(_, real) => return Ok(real),
                Walk::NotADirectory(part) => {
                    bail!("{}: {} is not a directory", path.display(), part.display())
                }
                Walk::Loop => bail!("{}: too many levels of symbolic links", path.display()),
                Walk::Missing { dir, real, name, .. } => {
                    let host = real.join(&name);
                    let meta = std::fs::symlink_metadata(&host).with_context(|| {
                        if host == path {
                            format!("cannot read {}", path.display())
                        } else {
                            format!("cannot read {} (for {})", host.display(), path.display())
                        }
                    })?;
                    self.insert_host(dir, &name, &host, &meta, false)?;
                }
            }
        }
    }

    /// Makes the directory that a path is in, as on the host where the host has it. Gives the directory, its real path,
    /// and the last name of the path (none for the root).
    pub(super) fn make_parent(&mut self, path: &Path) -> Result<(NodeId, PathBuf, Option<OsString>)> {
        let name = path.file_name().map(OsStr::to_owned);
        let parent = path.parent().unwrap_or(Path::new("/"));
        loop {
            match self.walk(parent) {
                Walk::Found(id, real) if matches!(self.tree.node(id).kind, Kind::Directory(_)) => {
                    return Ok((id, real, name));
                }
                Walk::Found(_, real) | Walk::NotADirectory(real) => {
                    bail!("{}: {} is not a directory", path.display(), real.display());
                }
                Walk::Loop => bail!("{}: too many levels of symbolic links", path.display()),
                Walk::Missing { dir, real, name, .. } => {
                    let host = real.join(&name);
                    match std::fs::symlink_metadata(&host) {
                        Ok(meta) if meta.is_dir() || meta.is_symlink() => {
                            self.insert_host(dir, &name, &host, &meta, false)?;
                        }
                        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                            bail!("cannot read {}: {error}", host.display());
                        }
                        _ => {
                            let kind = Kind::Directory(std::collections::BTreeMap::new());
                            self.tree.insert(dir, name.as_bytes(), kind, crate::image::Meta::root(0o755))?;
                        }
                    }
                }
            }
        }
    }
}
