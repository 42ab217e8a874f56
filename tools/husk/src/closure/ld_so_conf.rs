//! /etc/ld.so.conf, which ldconfig(8) describes: a directory a line, `include PATTERN`, comments.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files that may be included, one in the other, before it is taken to be a loop.
const DEPTH_MAX: usize = 8;

/// The directories in order; none if there is no such file.
pub(super) fn directories(path: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    read(path, &mut dirs, 0);
    let mut seen = HashSet::new();
    dirs.retain(|dir| seen.insert(dir.clone()));
    dirs
}

fn read(path: &Path, dirs: &mut Vec<PathBuf>, depth: usize) {
    let Ok(bytes) = std::fs::read(path) else { return };
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if let Some(patterns) =
            line.strip_prefix(b"include").filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
        {
            for pattern in patterns.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                let pattern = path.parent().unwrap_or(Path::new("/")).join(OsStr::from_bytes(pattern));
                if depth < DEPTH_MAX {
                    for file in crate::rules::expand_pattern(&pattern) {
                        read(&file, dirs, depth + 1);
                    }
                }
            }
        } else if line.starts_with(b"/") {
            // An old way to give a library's type: `/lib=libc6`.
            let dir = line.split(|&byte| byte == b'=').next().unwrap_or(line);
            dirs.push(PathBuf::from(OsStr::from_bytes(dir.trim_ascii())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_comments_and_loops() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("d");
        std::fs::create_dir(&sub).unwrap();
        let conf = dir.path().join("conf");
        std::fs::write(&conf, "# c\ninclude d/*.conf\n/last # why\n /one\n\n").unwrap();
        std::fs::write(sub.join("b.conf"), "/two\n").unwrap();
        std::fs::write(sub.join("a.conf"), "/one\ninclude ../conf\n").unwrap();
        std::fs::write(sub.join("other"), "/no\n").unwrap();
        let wanted: Vec<PathBuf> = ["/one", "/two", "/last"].iter().map(PathBuf::from).collect();
        let mut found = directories(&conf);
        found.sort();
        let mut sorted = wanted.clone();
        sorted.sort();
        assert_eq!(found, sorted);
    }
}
