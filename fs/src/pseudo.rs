//! Building blocks for procfs and sysfs.

use crate::namespace::Location;
use crate::{Clock, DeviceNumber, FileKind, FileSystem, Inode, InodeRef, Result, Slot, StatFs, Metadata};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::err;

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

    /// The contents. Asked once an opening, at the first read and again at every read from offset 0.
    ///
    /// # Errors
    /// As read(2).
    fn read(&self) -> Result<Vec<u8>>;

    /// Takes what one write(2) brings.
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
    /// A character device with permission bits.
    Device(DeviceNumber, u32),
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
pub struct PseudoFs {}

impl PseudoFs {
    /// A filesystem of the type `name` (`proc`, `sysfs`) with the magic number `f_type` for statfs(2), and `root` at its top.
    #[must_use]
    pub fn new(name: &'static str, f_type: u64, dev: DeviceNumber, clock: Arc<dyn Clock>, root: Arc<dyn PseudoDir>) -> Arc<Self> {
        todo!()
    }
}

impl FileSystem for PseudoFs {
    fn name(&self) -> &str { todo!() }
    fn root(&self) -> InodeRef { todo!() }
    fn statfs(&self) -> StatFs { todo!() }
    fn dev(&self) -> DeviceNumber { todo!() }
}

/// A directory with entries fixed when it was built.
#[derive(Default)]
pub struct StaticDir {
    entries: Vec<(Vec<u8>, PseudoNode)>,
}

impl StaticDir {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// With one more entry.
    #[must_use]
    pub fn with(mut self, name: &str, node: PseudoNode) -> Self {
        self.entries.push((name.as_bytes().to_vec(), node));
        self
    }

    /// With a file whose contents `read` makes.
    #[must_use]
    pub fn with_file(self, name: &str, read: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        todo!()
    }

    /// With a directory.
    #[must_use]
    pub fn with_dir(self, name: &str, dir: impl PseudoDir + 'static) -> Self {
        self.with(name, PseudoNode::Dir(Arc::new(dir)))
    }
}

impl PseudoDir for StaticDir {
    fn lookup(&self, name: &[u8]) -> Option<PseudoNode> { todo!() }
    fn list(&self) -> Vec<(Vec<u8>, FileKind)> { todo!() }
}

/// A file whose contents a function makes.
pub struct ReadOnlyFile<F>(pub F);

impl<F: Fn() -> Result<Vec<u8>> + Send + Sync> PseudoFile for ReadOnlyFile<F> {
    fn read(&self) -> Result<Vec<u8>> {
        self.0()
    }
}
