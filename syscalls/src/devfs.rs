//! What is in /dev.

use crate::boot::mounts::{anonymous_device, clock, tmpfs_limits};
use alloc::sync::Arc;
use husk_fs::{DeviceNumber, FileSystem, MemFs, NewInode, NewKind};

/// What a name stands for.
#[derive(Clone, Copy)]
enum Entry {
    /// A character device with major and minor number.
    Device(u32, u32),
    /// A symbolic link.
    Link(&'static str),
    /// A directory that another filesystem is mounted on.
    Directory,
}

/// Name, permission bits, group, and what it is.
const ENTRIES: [(&str, u32, u32, Entry); 14] = [
    ("null", 0o666, 0, Entry::Device(1, 3)),
    ("zero", 0o666, 0, Entry::Device(1, 5)),
    ("full", 0o666, 0, Entry::Device(1, 7)),
    ("random", 0o666, 0, Entry::Device(1, 8)),
    ("urandom", 0o666, 0, Entry::Device(1, 9)),
    ("tty", 0o666, TTY_GROUP, Entry::Device(5, 0)),
    ("console", 0o600, 0, Entry::Device(5, 1)),
    ("fd", 0o777, 0, Entry::Link("/proc/self/fd")),
    ("stdin", 0o777, 0, Entry::Link("/proc/self/fd/0")),
    ("stdout", 0o777, 0, Entry::Link("/proc/self/fd/1")),
    ("stderr", 0o777, 0, Entry::Link("/proc/self/fd/2")),
    ("shm", 0o1777, 0, Entry::Directory),
    ("pts", 0o755, 0, Entry::Directory),
    ("mqueue", 0o1777, 0, Entry::Directory),
];

/// Debian's group `tty`.
const TTY_GROUP: u32 = 5;

/// A new filesystem for /dev.
pub(crate) fn new() -> Arc<dyn FileSystem> {
    let fs = MemFs::devtmpfs(anonymous_device(), clock(), tmpfs_limits());
    let root = fs.root();
    for (name, mode, gid, entry) in ENTRIES {
        let kind = match entry {
            Entry::Device(major, minor) => NewKind::CharDevice(DeviceNumber::new(major, minor)),
            Entry::Link(target) => NewKind::Symlink(target.as_bytes().to_vec()),
            Entry::Directory => NewKind::Directory,
        };
        if let Err(error) = root.create(name.as_bytes(), &NewInode { kind, mode, uid: 0, gid }) {
            log::error!("/dev/{name} cannot be made: {error}");
        }
    }
    fs
}
