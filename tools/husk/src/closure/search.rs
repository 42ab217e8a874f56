//! The directories that loaders search (ld.so(8), and musl's documentation of its dynamic linker).

use super::{Flavour, ld_so_conf};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Searched last by Debian's glibc, and by others: what is not there is passed over.
const GLIBC: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// musl's own, where there is no /etc/ld-musl-x86_64.path.
const MUSL: [&str; 3] = ["/lib", "/usr/local/lib", "/usr/lib"];
const MUSL_CONF: &str = "/etc/ld-musl-x86_64.path";

/// The host's search directories.
#[derive(Debug)]
pub struct SearchPaths {
    library_path: Vec<PathBuf>,
    glibc: Vec<PathBuf>,
    musl: Vec<PathBuf>,
}

impl SearchPaths {
    /// Reads the host's configuration.
    #[must_use]
    pub fn of_host(ld_library_path: Option<&OsStr>) -> Self {
        let mut glibc = ld_so_conf::directories(Path::new("/etc/ld.so.conf"));
        glibc.extend(GLIBC.iter().map(PathBuf::from));
        let mut seen = std::collections::HashSet::new();
        glibc.retain(|dir| seen.insert(dir.clone()));
        let musl = match std::fs::read(MUSL_CONF) {
            Ok(bytes) => split(&bytes, |byte| byte == b':' || byte == b'\n'),
            Err(_) => MUSL.iter().map(PathBuf::from).collect(),
        };
        let list = ld_library_path.map_or(&[][..], OsStr::as_bytes);
        // No program's directory stands behind $ORIGIN here.
        let library_path = split(list, |byte| byte == b':' || byte == b';');
        Self { library_path, glibc, musl }
    }

    /// `LD_LIBRARY_PATH`.
    pub(super) fn library_path(&self) -> &[PathBuf] {
        &self.library_path
    }

    /// Where a loader looks at last.
    pub(super) fn defaults(&self, flavour: Flavour) -> &[PathBuf] {
        match flavour {
            Flavour::Glibc => &self.glibc,
            Flavour::Musl => &self.musl,
        }
    }
}

fn split(list: &[u8], separator: impl Fn(u8) -> bool) -> Vec<PathBuf> {
    list.split(|&byte| separator(byte))
        .filter(|dir| dir.starts_with(b"/"))
        .map(|dir| PathBuf::from(OsStr::from_bytes(dir)))
        .collect()
}

/// Splits a DT_RPATH or DT_RUNPATH and puts in what `$ORIGIN`, `$LIB` and `$PLATFORM` stand for, braces or not. `$LIB`
/// is what Debian's glibc has, then what others have. Relative directories are left out.
pub(super) fn expand(list: &[u8], origin: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for entry in list.split(|&byte| byte == b':').filter(|entry| !entry.is_empty()) {
        let has_lib = contains(entry, b"$LIB") || contains(entry, b"${LIB}");
        let variants: &[&[u8]] = if has_lib { &[b"lib/x86_64-linux-gnu", b"lib64"] } else { &[b""] };
        for lib in variants {
            let mut path = entry.to_vec();
            for (name, value) in
                [("ORIGIN", origin.as_os_str().as_bytes()), ("LIB", lib), ("PLATFORM", &b"x86_64"[..])]
            {
                path = replace(&path, format!("${{{name}}}").as_bytes(), value);
                path = replace(&path, format!("${name}").as_bytes(), value);
            }
            if path.starts_with(b"/") {
                dirs.push(normal(Path::new(&OsString::from_vec(path))));
            }
        }
    }
    dirs
}

/// `a/bin/../lib` is `a/lib`: shorter messages, and one spelling for each file.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            // Only where the part before is a real directory does `..` lead back.
            Component::ParentDir if !parts.is_symlink() => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_run_paths_are_expanded() {
        let dirs = expand(b"$ORIGIN/../lib:${ORIGIN}:/a/$LIB:relative:/p/$PLATFORM:", Path::new("/none/bin"));
        let wanted =
            ["/none/lib", "/none/bin", "/a/lib/x86_64-linux-gnu", "/a/lib64", "/p/x86_64"].map(PathBuf::from);
        assert_eq!(dirs, wanted);
    }
}
