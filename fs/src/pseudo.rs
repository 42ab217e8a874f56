//! Building blocks for procfs and sysfs: trees whose entries and contents are made when somebody asks.
//!
//! The contents come from the crate above. Nothing is remembered between two path walks: every name is looked up again, so that a
//! process that has ended is gone at once.

mod inode;
mod static_dir;

pub use static_dir::{ReadOnlyFile, StaticDir};

use crate::{Clock, DeviceNumber, FileKind, FileSystem, InodeRef, Location, Metadata, Result, StatFs};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use husk_abi::err;
use inode::PseudoInode;

/// A directory whose entries are made up when asked for.
pub trait PseudoDir: Send + Sync {
    /// Permission bits (0777).
    fn mode(&self) -> u32 {
        0o555
    }

    /// Owner and group.
    fn owner(&self) -> (u32, u32) {
        (0, 0)
    }

    /// The entry with this name.
    fn lookup(&self, name: &[u8]) -> Option<PseudoNode>;

    /// All entries, in order.
    fn list(&self) -> Vec<(Vec<u8>, FileKind)>;
}

/// A file whose contents are made when it is opened and read.
pub trait PseudoFile: Send + Sync {
    /// Permission bits (0777).
    fn mode(&self) -> u32 {
        0o444
    }

    /// Owner and group.
    fn owner(&self) -> (u32, u32) {
        (0, 0)
    }

    /// The size stat(2) shows: 0 in procfs, a page in sysfs.
    fn shown_size(&self) -> u64 {
        0
    }

    /// The contents. Asked at the first read of an opening and again at every read from offset 0.
    ///
    /// # Errors
    /// As read(2).
    fn read(&self) -> Result<Vec<u8>>;

    /// Takes what one write(2) brings, at most a page. The answer is how many bytes it took.
    ///
    /// # Errors
    /// As write(2).
    fn write(&self, _bytes: &[u8]) -> Result<usize> {
        err!(EINVAL)
    }
}

/// Something in a pseudo filesystem.
#[derive(Clone)]
pub enum PseudoNode {
    /// A directory.
    Dir(Arc<dyn PseudoDir>),
    /// A file.
    File(Arc<dyn PseudoFile>),
    /// A symbolic link to this path.
    Link(Vec<u8>),
    /// A link that leads to a place whatever its text says.
    MagicLink(Arc<dyn MagicLink>),
    /// A character device with its permission bits.
    Device(DeviceNumber, u32),
}

impl PseudoNode {
    /// The kind of file it is.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        match self {
            Self::Dir(_) => FileKind::Directory,
            Self::File(_) => FileKind::Regular,
            Self::Link(_) | Self::MagicLink(_) => FileKind::Symlink,
            Self::Device(..) => FileKind::CharDevice,
        }
    }
}

/// Where a magic link leads.
pub trait MagicLink: Send + Sync {
    /// Permission bits (0777): for /proc/self/fd they show how it is open.
    fn mode(&self) -> u32 {
        0o777
    }

    /// Owner and group.
    fn owner(&self) -> (u32, u32) {
        (0, 0)
    }

    /// The text readlink(2) gives.
    ///
    /// # Errors
    /// ENOENT, EACCES.
    fn text(&self) -> Result<Vec<u8>>;

    /// The place.
    ///
    /// # Errors
    /// ENOENT, EACCES; ENXIO for what has no place in the tree.
    fn target(&self) -> Result<Location>;
}

/// A pseudo filesystem.
pub struct PseudoFs {
    this: Weak<Self>,
    name: &'static str,
    f_type: u64,
    dev: DeviceNumber,
    clock: Arc<dyn Clock>,
    root: Arc<dyn PseudoDir>,
}

impl PseudoFs {
    /// A filesystem of the type `name` (`proc`, `sysfs`) with the magic number `f_type` for statfs(2), and `root` at its top.
    #[must_use]
    pub fn new(
        name: &'static str,
        f_type: u64,
        dev: DeviceNumber,
        clock: Arc<dyn Clock>,
        root: Arc<dyn PseudoDir>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { this: this.clone(), name, f_type, dev, clock, root })
    }

    fn arc(&self) -> Arc<Self> {
        // Whoever calls a method has an Arc, as nothing else is ever given out.
        self.this.upgrade().expect("a filesystem is only ever reached through an Arc")
    }

    /// The attributes of a node; its times are now, as it was made now.
    fn metadata(&self, node: &PseudoNode, ino: u64) -> Metadata {
        let (permissions, (uid, gid), size) = match node {
            PseudoNode::Dir(dir) => (dir.mode(), dir.owner(), 0),
            PseudoNode::File(file) => (file.mode(), file.owner(), file.shown_size()),
            PseudoNode::Link(_) => (0o777, (0, 0), 0),
            PseudoNode::MagicLink(link) => (link.mode(), link.owner(), 64),
            PseudoNode::Device(_, mode) => (*mode, (0, 0), 0),
        };
        let now = self.clock.now();
        Metadata {
            dev: self.dev,
            ino,
            mode: node.kind().mode_bits() | permissions,
            nlink: if node.kind() == FileKind::Directory { 2 } else { 1 },
            uid,
            gid,
            rdev: if let PseudoNode::Device(number, _) = node { *number } else { DeviceNumber::default() },
            size,
            block_size: if self.name == "proc" { 1024 } else { 4096 },
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: None,
        }
    }
}

impl FileSystem for PseudoFs {
    fn name(&self) -> &str {
        self.name
    }

    fn root(&self) -> InodeRef {
        Arc::new(PseudoInode::new(self.arc(), PseudoNode::Dir(self.root.clone()), 1))
    }

    fn statfs(&self) -> StatFs {
        StatFs {
            f_type: self.f_type,
            bsize: 4096,
            fsid: self.dev.encode(),
            namelen: 255,
            ..StatFs::default()
        }
    }

    fn dev(&self) -> DeviceNumber {
        self.dev
    }
}
