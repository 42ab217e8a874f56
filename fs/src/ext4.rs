//! A reader of ext4 (and ext2, ext3) filesystems.
use crate::Result;
use alloc::sync::Arc;
use husk_machine::block::BlockDevice;

/// An ext4 filesystem on a block device.
pub struct Ext4 {}

impl Ext4 {
    /// Reads the super block and checks that everything the filesystem uses is supported.
    ///
    /// # Errors
    /// EINVAL for what is no ext4 or uses a feature that is not supported (a log line says which), EIO.
    pub fn open(device: Arc<dyn BlockDevice>) -> Result<Arc<Self>> {
        todo!()
    }
}
