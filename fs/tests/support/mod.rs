//! What the tests share: a clock that moves, a namespace to work in, images made by mke2fs.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use husk_fs::io::{SliceSource, VecSink};
use husk_fs::ops::{self, Opened};
use husk_fs::{
    Clock, Credentials, DeviceNumber, Ext4, FileKind, FileSystem, Limits, Location, LookupFlags, MemFs,
    MountFlags, Namespace, NewKind, OpenFlags, Result, WalkContext, WriteAt, lookup,
};
use husk_machine::block::MemoryDisk;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const LIMITS: Limits = Limits { pages: 1 << 20, inodes: 1 << 20 };

/// Each look is a nanosecond later.
pub struct TestClock(AtomicU64);

pub const START: u64 = 1_700_000_000_000_000_000;

impl Clock for TestClock {
    fn now(&self) -> husk_abi::Timespec {
        husk_abi::Timespec::from_nanos(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicU64::new(START)))
}

pub struct World {
    pub namespace: Arc<Namespace>,
    pub ctx: WalkContext,
}

impl World {
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        Self::in_namespace(Namespace::new(fs, b"none", MountFlags::empty()))
    }

    pub fn in_namespace(namespace: Arc<Namespace>) -> Self {
        let root = namespace.root();
        let ctx = WalkContext { cwd: root.clone(), root, credentials: Arc::new(Credentials::root()) };
        Self { namespace, ctx }
    }

    pub fn tmpfs() -> Self {
        Self::new(MemFs::tmpfs(DeviceNumber::new(0, 30), clock(), LIMITS))
    }

    pub fn image(bytes: Vec<u8>) -> Self {
        Self::try_image(bytes).expect("a sound image")
    }

    pub fn try_image(bytes: Vec<u8>) -> Result<Self> {
        let ext4 = Ext4::open(Arc::new(MemoryDisk::new(bytes, true)))?;
        Ok(Self::new(MemFs::over(ext4, DeviceNumber::new(254, 0), clock(), LIMITS)?))
    }

    pub fn find(&self, path: &str) -> Result<Location> {
        lookup(&self.ctx, None, path.as_bytes(), LookupFlags::FOLLOW)
    }

    pub fn find_link(&self, path: &str) -> Result<Location> {
        lookup(&self.ctx, None, path.as_bytes(), LookupFlags::empty())
    }

    pub fn open(&self, path: &str, flags: OpenFlags) -> Result<Opened> {
        ops::open_or_create(&self.ctx, None, path.as_bytes(), flags, LookupFlags::empty(), 0o644)
    }

    pub fn mkdir(&self, path: &str) -> Result<Location> {
        ops::make(&self.ctx, None, path.as_bytes(), NewKind::Directory, 0o755)
    }

    pub fn symlink(&self, target: &str, path: &str) -> Result<Location> {
        ops::make(&self.ctx, None, path.as_bytes(), NewKind::Symlink(target.as_bytes().to_vec()), 0o777)
    }

    pub fn write(&self, path: &str, bytes: &[u8]) -> Location {
        let opened = self
            .open(path, OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC)
            .expect("open for writing");
        write_at(&opened.location, 0, bytes);
        opened.location
    }

    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        read_all(&self.find(path)?)
    }

    pub fn names(&self, path: &str) -> Result<Vec<String>> {
        self.list(&self.find(path)?)
    }

    /// The names in a directory without the dots, sorted, read a few at a time.
    pub fn list(&self, dir: &Location) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut offset = 0;
        loop {
            let mut count = 0;
            dir.read_dir(&self.ctx.root, offset, &mut |entry| {
                if count == 7 {
                    return false;
                }
                count += 1;
                names.push(String::from_utf8_lossy(entry.name).into_owned());
                offset = entry.next_offset;
                true
            })?;
            if count == 0 {
                break;
            }
        }
        assert_eq!(names[..2], [".", ".."]);
        names.drain(..2);
        names.sort();
        Ok(names)
    }
}

pub fn write_at(file: &Location, offset: u64, bytes: &[u8]) {
    let (count, end) =
        file.inode().write_at(WriteAt::Offset(offset), &mut SliceSource::new(bytes)).expect("writing");
    assert_eq!((count, end), (bytes.len(), offset + bytes.len() as u64));
}

pub fn read_at(file: &Location, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut sink = VecSink::new(len);
    let count = file.inode().read_at(offset, &mut sink)?;
    let bytes = sink.into_bytes();
    assert_eq!(bytes.len(), count);
    Ok(bytes)
}

pub fn read_all(file: &Location) -> Result<Vec<u8>> {
    read_at(file, 0, file.inode().size() as usize)
}

/// Bytes that tell their own position.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// mke2fs, if the host has it.
pub fn mke2fs() -> Option<PathBuf> {
    let found = ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs", "/usr/local/sbin/mke2fs"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: this host has no mke2fs (package e2fsprogs)");
    }
    found
}

/// An image of the directory, made with these options; `None` if the host's mke2fs does not know them.
pub fn make_image(mke2fs: &Path, options: &[&str], tree: &Path, size: &str) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let image = dir.path().join("image");
    let output = Command::new(mke2fs)
        .args(["-q", "-F", "-E", "root_owner=0:0"])
        .args(options)
        .arg("-d")
        .args([tree, &image])
        .arg(size)
        .output()
        .expect("running mke2fs");
    if !output.status.success() {
        println!("skipped {options:?}: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(std::fs::read(&image).expect("reading the image"))
}

pub fn is_directory(location: &Location) -> bool {
    location.inode().kind() == FileKind::Directory
}
