//! /proc/PID/mounts and /proc/PID/mountinfo.

use crate::boot::namespace;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_fs::{Location, Mount, MountFlags};

/// Space, tab, newline, backslash and `#` are shown as octal numbers.
pub(super) fn escaped(bytes: &[u8], special: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if special.contains(byte) {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    out
}

const SPECIAL: &[u8] = b" \t\n\\#";

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&escaped(bytes, SPECIAL)).into_owned()
}

/// A mount's flags in text.
fn options(mount: &Mount) -> String {
    let flags = mount.flags();
    let mut out =
        String::from(if flags.contains(MountFlags::RDONLY) || mount.is_read_only() { "ro" } else { "rw" });
    for (flag, name) in [
        (MountFlags::NOSUID, ",nosuid"),
        (MountFlags::NODEV, ",nodev"),
        (MountFlags::NOEXEC, ",noexec"),
        (MountFlags::NOATIME, ",noatime"),
        (MountFlags::NODIRATIME, ",nodiratime"),
        (MountFlags::RELATIME, ",relatime"),
    ] {
        if flags.contains(flag) {
            out += name;
        }
    }
    out
}

/// The filesystem's own options, with a comma before them.
fn own_options(mount: &Mount) -> String {
    match mount.file_system().mount_options() {
        options if options.is_empty() => options,
        options => format!(",{options}"),
    }
}

fn all() -> Vec<Arc<Mount>> {
    namespace().map(|namespace| namespace.mounts()).unwrap_or_default()
}

fn place(mount: &Arc<Mount>, root: &Location) -> String {
    shown(&mount.root().path(root))
}

/// /proc/PID/mounts.
pub(super) fn mounts(root: &Location) -> Vec<u8> {
    let line = |mount: &Arc<Mount>| {
        let fs = mount.file_system();
        format!(
            "{} {} {} {}{} 0 0\n",
            shown(mount.source()),
            place(mount, root),
            fs.name(),
            options(mount),
            own_options(mount)
        )
    };
    all().iter().map(line).collect::<String>().into_bytes()
}

/// /proc/PID/mountinfo.
pub(super) fn mountinfo(root: &Location) -> Vec<u8> {
    let line = |mount: &Arc<Mount>| {
        let fs = mount.file_system();
        let parent = mount.mount_point().map_or(1, |place| place.mount().id());
        let dev = fs.dev();
        format!(
            "{} {parent} {}:{} / {} {} - {} {} {}{}\n",
            mount.id(),
            dev.major,
            dev.minor,
            place(mount, root),
            options(mount),
            fs.name(),
            shown(mount.source()),
            if fs.is_read_only() { "ro" } else { "rw" },
            own_options(mount)
        )
    };
    all().iter().map(line).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_escaped() {
        assert_eq!(shown(b"/a b\\c"), "/a\\040b\\134c");
    }
}
