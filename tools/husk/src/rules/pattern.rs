//! Patterns with `*` in names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Whether a name fits a pattern in which `*` stands for any bytes.
#[must_use]
pub fn matches(pattern: &str, name: &[u8]) -> bool {
    let mut parts = pattern.as_bytes().split(|&byte| byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut last: Option<&[u8]> = None;
    for part in parts {
        if let Some(middle) = last {
            let Some(at) = find(rest, middle) else { return false };
            rest = &rest[at + middle.len()..];
        }
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() { Some(0) } else { text.windows(part.len()).position(|window| window == part) }
}

/// The paths on the host that fit a pattern, in order of their names. A pattern without `*` gives itself if it exists.
#[must_use]
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str();
        let wild = matches!(part, Component::Normal(_)) && name.as_bytes().contains(&b'*');
        if !wild {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let Some(name) = name.to_str() else { return Vec::new() };
        found = found.iter().flat_map(|dir| children(dir, name)).collect();
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found
}

fn children(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(list) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<PathBuf> = list
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name: &std::ffi::OsString| {
            let hidden = OsStr::as_bytes(name).starts_with(b".") && !pattern.starts_with('.');
            !hidden && matches(pattern, name.as_bytes())
        })
        .map(|name| dir.join(name))
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fits) in [
            ("python3*", "python3.11", true),
            ("python3*", "python2", false),
            ("*.so.*", "libz.so.1", true),
            ("*.so.*", "libz.so", false),
            ("perl", "perl", true),
            ("perl", "perl5", false),
            ("lib*.so*", "libssl.so.3", true),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn paths_are_expanded_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.other", ".hidden.conf"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = expand(&dir.path().join("*.conf"));
        assert_eq!(names, [dir.path().join("a.conf"), dir.path().join("b.conf")]);
        assert!(expand(&dir.path().join("none")).is_empty());
    }
}
