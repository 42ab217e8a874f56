//! A reader of ext4 filesystems, and so of ext2 and ext3. The format: "ext4 Data Structures and Algorithms" in Linux's
//! documentation.
//!
//! Nothing here changes the disk; [`MemFs::over`](crate::MemFs::over) keeps changes in memory above it. Metadata is read through
//! a page cache of the device. Checksums are not verified: a wrong structure is found by its own contents (EUCLEAN
//! and a log line), and whatever the disk holds, the reader ends and does not panic.

mod block_map;
mod directory;
mod extents;
mod fields;
mod group;
mod inline;
mod inode;
mod super_block;
mod xattr;

pub(crate) use directory::RawEntry;
pub(crate) use inode::DiskInode;

use crate::cache::Mapping;
use crate::{Result, StatFs};
use alloc::sync::Arc;
use husk_abi::{Errno, err};
use husk_machine::block::BlockDevice;
use super_block::SuperBlock;

/// The root directory's inode number.
pub(crate) const ROOT_INO: u32 = 2;
/// `f_type` of statfs(2).
const MAGIC: u64 = 0xef53;

/// An ext4 filesystem on a block device.
pub struct Ext4 {
    device: Arc<dyn BlockDevice>,
    /// The device as pages, for metadata.
    raw: Mapping,
    super_block: SuperBlock,
}

impl Ext4 {
    /// Reads the super block and checks that everything the filesystem uses is supported.
    ///
    /// # Errors
    /// EINVAL for what is no ext4 or uses a feature that is not supported, EROFS if its journal must be replayed first,
    /// EUCLEAN for one that is damaged (a log line says which), EIO.
    pub fn open(device: Arc<dyn BlockDevice>) -> Result<Arc<Self>> {
        let raw = Mapping::of_device(device.clone());
        let super_block = SuperBlock::read(&raw, device.name())?;
        Ok(Arc::new(Self { device, raw, super_block }))
    }

    /// The volume's name.
    #[must_use]
    pub fn label(&self) -> &[u8] {
        &self.super_block.label
    }

    /// The device it is on.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn BlockDevice> {
        &self.device
    }

    pub(crate) fn statfs(&self) -> StatFs {
        let sb = &self.super_block;
        StatFs {
            f_type: MAGIC,
            bsize: u64::from(sb.block_size),
            blocks: sb.blocks.saturating_sub(sb.overhead),
            bfree: sb.free_blocks,
            bavail: sb.free_blocks.saturating_sub(sb.reserved_blocks),
            files: u64::from(sb.inodes),
            ffree: u64::from(sb.free_inodes),
            fsid: sb.fsid(),
            namelen: 255,
        }
    }

    /// Bytes of a block.
    pub(crate) const fn block_bytes(&self) -> u32 {
        self.super_block.block_size
    }

    fn block_size(&self) -> u64 {
        u64::from(self.super_block.block_size)
    }

    /// Reads bytes of one block.
    fn read_block(&self, block: u64, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.check_blocks(block, 1)?;
        self.raw.read_exact(block * self.block_size() + offset as u64, bytes)
    }

    /// Checks that the blocks are on the filesystem.
    fn check_blocks(&self, first: u64, count: u64) -> Result<()> {
        let end = first.checked_add(count).filter(|&end| end <= self.super_block.blocks);
        if first == 0 || end.is_none() {
            return Err(
                self.damaged(format_args!("block {first} (and {count} on) is outside the filesystem"))
            );
        }
        Ok(())
    }

    /// Logs what is wrong and makes the error for it.
    fn damaged(&self, what: core::fmt::Arguments<'_>) -> Errno {
        log::error!("ext4 on {}: {what}", self.device.name());
        Errno::EUCLEAN.here()
    }

    /// The largest inode number.
    pub(crate) const fn inodes(&self) -> u32 {
        self.super_block.inodes
    }

    /// Reads an inode.
    ///
    /// # Errors
    /// EUCLEAN, EIO.
    pub(crate) fn inode(self: &Arc<Self>, ino: u32) -> Result<Arc<DiskInode>> {
        if ino == 0 || ino > self.super_block.inodes {
            return Err(self.damaged(format_args!("there is no inode {ino}")));
        }
        DiskInode::read(self, ino).map(Arc::new)
    }

    /// Refuses what this reader does not read.
    fn unsupported<T>(&self, ino: u32, what: &str) -> Result<T> {
        log::error!("ext4 on {}: inode {ino}: {what} is not supported", self.device.name());
        err!(EOPNOTSUPP)
    }
}
