//! The filesystem in memory.
use crate::ext4::Ext4;
use crate::{Clock, DeviceNumber, FileSystem, InodeRef, StatFs, NewInode};
use alloc::sync::Arc;

/// How much an in-memory filesystem may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages of file contents (Linux's tmpfs: half of the memory).
    pub pages: u64,
    /// Files.
    pub inodes: u64,
}

/// A filesystem in memory: tmpfs, devtmpfs, or the changes above an ext4 image.
pub struct MemFs {}

impl MemFs {
    /// An empty tmpfs; its top directory is root's with mode 1777.
    #[must_use]
    pub fn tmpfs(dev: DeviceNumber, clock: Arc<dyn Clock>, limits: Limits) -> Arc<Self> {
        todo!()
    }

    /// An empty devtmpfs; its top directory is root's with mode 755.
    #[must_use]
    pub fn devtmpfs(dev: DeviceNumber, clock: Arc<dyn Clock>, limits: Limits) -> Arc<Self> {
        todo!()
    }

    /// The files of an ext4 image, with every change kept in memory only. Shows itself as ext4.
    ///
    /// # Errors
    /// EIO, EUCLEAN if the root directory cannot be read.
    pub fn over(lower: Arc<Ext4>, dev: DeviceNumber, clock: Arc<dyn Clock>, limits: Limits) -> crate::Result<Arc<Self>> {
        todo!()
    }

    /// A new regular file without a name (memfd_create(2)).
    ///
    /// # Errors
    /// ENOSPC at the limit of files.
    pub fn unnamed_file(&self, new: &NewInode) -> crate::Result<InodeRef> {
        todo!()
    }
}

impl FileSystem for MemFs {
    fn name(&self) -> &str { todo!() }
    fn root(&self) -> InodeRef { todo!() }
    fn statfs(&self) -> StatFs { todo!() }
    fn dev(&self) -> DeviceNumber { todo!() }
}
