//! What is in /dev.

use crate::boot::mounts::{anonymous_device, clock, tmpfs_limits};
use alloc::sync::Arc;
use husk_fs::{DeviceNumber, FileSystem, MemFs, NewInode, NewKind};

/// Character devices: name, major and minor number, permission bits, group.
const DEVICES: [(&str, u32, u32, u32, u32); 7] = [
    ("null", 1, 3, 0o666, 0),
    ("zero", 1, 5, 0o666, 0),
    ("full", 1, 7, 0o666, 0),
    ("random", 1, 8, 0o666, 0),
    ("urandom", 1, 9, 0o666, 0),
    ("tty", 5, 0, 0o666, TTY_GROUP),
    ("console", 5, 1, 0o600, 0),
];

/// Debian's group `tty`.
const TTY_GROUP: u32 = 5;

/// Symbolic links: name and target.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Directories that other filesystems are mounted on.
const DIRECTORIES: [(&str, u32); 3] = [("shm", 0o1777), ("pts", 0o755), ("mqueue", 0o1777)];

/// A new filesystem for /dev.
pub(crate) fn new() -> Arc<dyn FileSystem> {
    let fs = MemFs::devtmpfs(anonymous_device(), clock(), tmpfs_limits());
    let root = fs.root();
    let make = |name: &str, kind: NewKind, mode: u32, gid: u32| {
        if let Err(error) = root.create(name.as_bytes(), &NewInode { kind, mode, uid: 0, gid }) {
            log::error!("/dev/{name} cannot be made: {error}");
        }
    };
    for (name, major, minor, mode, gid) in DEVICES {
        make(name, NewKind::CharDevice(DeviceNumber::new(major, minor)), mode, gid);
    }
    for (name, target) in LINKS {
        make(name, NewKind::Symlink(target.as_bytes().to_vec()), 0o777, 0);
    }
    for (name, mode) in DIRECTORIES {
        make(name, NewKind::Directory, mode, 0);
    }
    fs
}
