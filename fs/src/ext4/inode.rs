//! Inodes.

use super::Ext4;
use super::fields::{split_u64, u16_at, u32_at};
use super::xattr;
use crate::cache::{Backing, Place, Run};
use crate::{DeviceNumber, FileKind, Metadata, Result};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use husk_abi::Timespec;
use husk_machine::block::{BlockDevice, SECTOR_SIZE};
use husk_machine::frame::{Frame, PAGE_SIZE};

/// `i_flags`.
mod flag {
    pub(super) const ENCRYPT: u32 = 0x800;
    pub(super) const HUGE_FILE: u32 = 0x4_0000;
    pub(super) const EXTENTS: u32 = 0x8_0000;
    pub(super) const INLINE_DATA: u32 = 0x1000_0000;
}

/// Bytes of `i_block`.
const BLOCK_FIELD: usize = 60;
/// Longest symbolic link.
const MAX_LINK: u64 = 4096;
const PAGE: u64 = PAGE_SIZE as u64;

/// Consecutive blocks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where on the filesystem they begin; `None` for a hole.
    pub(super) physical: Option<u64>,
    /// How many; never 0.
    pub(super) count: u64,
}

/// How a file's data is found.
enum Layout {
    Extents,
    BlockMap,
    Inline(Vec<u8>),
}

/// An inode as read from the disk. It does not change.
pub(crate) struct DiskInode {
    pub(super) fs: Arc<Ext4>,
    pub(super) ino: u32,
    metadata: Metadata,
    /// `i_block`: the root of the extent tree or block map, a short link's text, a device number.
    pub(super) block: [u8; BLOCK_FIELD],
    layout: Layout,
    /// The block with extended attributes, or 0.
    pub(super) xattr_block: u64,
    /// The part of the inode after the fixed fields.
    pub(super) xattr_space: Vec<u8>,
    has_blocks: bool,
}

impl DiskInode {
    pub(super) fn read(fs: &Arc<Ext4>, ino: u32) -> Result<Self> {
        let mut bytes = vec![0; usize::from(fs.super_block.inode_size)];
        fs.raw.read_exact(fs.inode_position(ino)?, &mut bytes)?;
        Self::parse(fs, ino, &bytes)
    }

    fn parse(fs: &Arc<Ext4>, ino: u32, bytes: &[u8]) -> Result<Self> {
        let mode = u32::from(u16_at(bytes, 0));
        let nlink = u32::from(u16_at(bytes, 26));
        let Some(kind) = FileKind::from_mode(mode) else {
            return Err(fs.damaged(format_args!("inode {ino} has the impossible mode {mode:o}")));
        };
        if nlink == 0 {
            return Err(fs.damaged(format_args!("inode {ino} is deleted, but has a name")));
        }
        let flags = u32_at(bytes, 32);
        if flags & flag::ENCRYPT != 0 {
            return fs.unsupported(ino, "encryption");
        }
        let size = split_u64(bytes, 4, 108);
        // Blocks are counted with 32 bits.
        if size > fs.block_size() << 32 {
            return Err(fs.damaged(format_args!("inode {ino} has the impossible size {size}")));
        }
        let extra = if bytes.len() > 128 { usize::from(u16_at(bytes, 128)) } else { 0 };
        if !extra.is_multiple_of(4) || 128 + extra > bytes.len() {
            return Err(fs.damaged(format_args!("inode {ino} has {extra} extra bytes")));
        }
        let fixed = &bytes[..128 + extra];
        let xattr_space = xattr::kept(&bytes[128 + extra..]);
        let mut block = [0; BLOCK_FIELD];
        block.copy_from_slice(&bytes[40..100]);
        let blocks = u64::from(u32_at(bytes, 28)) | u64::from(u16_at(bytes, 116)) << 32;
        let blocks =
            if flags & flag::HUGE_FILE != 0 { blocks.saturating_mul(fs.block_size() / 512) } else { blocks };
        let xattr_block = u64::from(u32_at(bytes, 104)) | u64::from(u16_at(bytes, 118)) << 32;
        let xattr_sectors = if xattr_block != 0 { fs.block_size() / 512 } else { 0 };
        let metadata = Metadata {
            dev: DeviceNumber::default(),
            ino: u64::from(ino),
            mode,
            nlink,
            uid: u32::from(u16_at(bytes, 2)) | u32::from(u16_at(bytes, 120)) << 16,
            gid: u32::from(u16_at(bytes, 24)) | u32::from(u16_at(bytes, 122)) << 16,
            rdev: device_number(kind, &block),
            size,
            block_size: fs.super_block.block_size,
            blocks,
            atime: time(fixed, 8, 140),
            mtime: time(fixed, 16, 136),
            ctime: time(fixed, 12, 132),
            btime: (fixed.len() >= 152).then(|| time(fixed, 144, 148)),
        };
        let mut inode = Self {
            fs: fs.clone(),
            ino,
            metadata,
            block,
            layout: if flags & flag::EXTENTS != 0 { Layout::Extents } else { Layout::BlockMap },
            xattr_block,
            xattr_space,
            has_blocks: blocks > xattr_sectors,
        };
        if flags & flag::INLINE_DATA != 0 {
            inode.layout = Layout::Inline(inode.inline_data()?);
        }
        Ok(inode)
    }

    pub(crate) const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) const fn ino(&self) -> u32 {
        self.ino
    }

    pub(crate) const fn size(&self) -> u64 {
        self.metadata.size
    }

    /// The data, if it is in the inode itself.
    pub(super) fn inline(&self) -> Option<&[u8]> {
        match &self.layout {
            Layout::Inline(data) => Some(data),
            Layout::Extents | Layout::BlockMap => None,
        }
    }

    /// Where the blocks of the file from `logical` on are; at least one, at most `most`.
    pub(super) fn map(&self, logical: u64, most: u64) -> Result<Extent> {
        let found = match u32::try_from(logical) {
            // No file can have a block there.
            Err(_) => Extent { physical: None, count: most },
            Ok(logical) => match self.layout {
                Layout::Extents => self.map_by_extents(logical)?,
                Layout::BlockMap => self.map_by_blocks(logical)?,
                Layout::Inline(_) => Extent { physical: None, count: most },
            },
        };
        let count = found.count.clamp(1, most.max(1));
        if let Some(physical) = found.physical {
            self.fs.check_blocks(physical, count)?;
        }
        Ok(Extent { count, ..found })
    }

    /// Reads exactly these bytes of the file's data, not through its own page cache.
    pub(super) fn read_data(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        if let Some(data) = self.inline() {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
            let part = &data[start..data.len().min(start.saturating_add(bytes.len()))];
            bytes[..part.len()].copy_from_slice(part);
            bytes[part.len()..].fill(0);
            return Ok(());
        }
        let block_size = self.fs.block_size();
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let in_block = at % block_size;
            let left = (bytes.len() - done) as u64;
            let extent = self.map(at / block_size, (in_block + left).div_ceil(block_size))?;
            let count = left.min(extent.count * block_size - in_block) as usize;
            let part = &mut bytes[done..done + count];
            match extent.physical {
                Some(physical) => self.fs.raw.read_exact(physical * block_size + in_block, part)?,
                None => part.fill(0),
            }
            done += count;
        }
        Ok(())
    }

    /// The path a symbolic link holds.
    pub(crate) fn read_link(&self) -> Result<Vec<u8>> {
        let size = self.size();
        if size > MAX_LINK {
            return Err(self.fs.damaged(format_args!("inode {} is a link of {size} bytes", self.ino)));
        }
        let mut target = vec![0; size as usize];
        let is_fast =
            matches!(self.layout, Layout::BlockMap) && !self.has_blocks && target.len() < BLOCK_FIELD;
        if is_fast {
            target.copy_from_slice(&self.block[..size as usize]);
        } else {
            self.read_data(0, &mut target)?;
        }
        Ok(target)
    }
}

impl Backing for DiskInode {
    fn device(&self) -> &Arc<dyn BlockDevice> {
        self.fs.device()
    }

    fn locate(&self, first: u64, count: u64) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        let block_size = self.fs.block_size();
        let (mut page, end) = (first, first + count);
        while page < end {
            if self.inline().is_some() {
                runs.push(Run { pages: 1, place: Place::Pieces });
                page += 1;
                continue;
            }
            let offset = page * PAGE;
            let in_block = offset % block_size;
            let wanted = ((end - page) * PAGE + in_block).div_ceil(block_size);
            let extent = self.map(offset / block_size, wanted)?;
            let covered = extent.count * block_size - in_block;
            let (pages, direct) = if covered >= PAGE {
                ((covered / PAGE).min(end - page), true)
            } else {
                // Blocks smaller than a page that are not all in one place; after the end of the file nothing is needed.
                (1, offset + covered >= self.size())
            };
            let place = match extent.physical {
                _ if !direct => Place::Pieces,
                Some(physical) => Place::Sector((physical * block_size + in_block) / SECTOR_SIZE as u64),
                None => Place::Zero,
            };
            runs.push(Run { pages, place });
            page += pages;
        }
        Ok(runs)
    }

    fn read_page(&self, index: u64, frame: &Frame) -> Result<()> {
        let mut bytes = vec![0; PAGE_SIZE];
        self.read_data(index * PAGE, &mut bytes)?;
        frame.write(0, &bytes);
        Ok(())
    }
}

fn device_number(kind: FileKind, block: &[u8; BLOCK_FIELD]) -> DeviceNumber {
    if !matches!(kind, FileKind::CharDevice | FileKind::BlockDevice) {
        return DeviceNumber::default();
    }
    match u32_at(block, 0) {
        0 => DeviceNumber::decode(u64::from(u32_at(block, 4))),
        old => DeviceNumber::new((old >> 8) & 0xff, old & 0xff),
    }
}

/// A time: 32 signed bits of seconds, and in the extra field two more bits and the nanoseconds.
fn time(bytes: &[u8], seconds: usize, extra: usize) -> Timespec {
    let low = i64::from(u32_at(bytes, seconds).cast_signed());
    let extra = u32_at(bytes, extra);
    Timespec { tv_sec: low + (i64::from(extra & 3) << 32), tv_nsec: i64::from(extra >> 2).min(999_999_999) }
}
