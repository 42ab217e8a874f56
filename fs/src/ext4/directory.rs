//! Directories. All entries are read in order; the hash tree of a large one (`dir_index`) is arranged so that this finds them all.

use super::fields::{u16_at, u32_at};
use super::inode::DiskInode;
use crate::{FileKind, Result};
use alloc::vec;

/// Bytes of an entry before its name.
const HEADER: usize = 8;
/// In an inline directory the first bytes are the parent's inode number.
const INLINE_START: usize = 4;
/// The part of an inline directory that is in `i_block`.
const INLINE_FIRST: usize = 60;

/// An entry on disk.
pub(crate) struct RawEntry<'a> {
    pub(crate) ino: u32,
    /// The kind, where directories say it.
    pub(crate) kind: Option<FileKind>,
    pub(crate) name: &'a [u8],
}

impl DiskInode {
    /// Calls `found` for every entry but `.` and `..`.
    ///
    /// # Errors
    /// EUCLEAN for a damaged block (entries before it have been given), EIO, and what `found` says.
    pub(crate) fn read_entries(&self, found: &mut dyn FnMut(RawEntry<'_>) -> Result<()>) -> Result<()> {
        if let Some(data) = self.inline() {
            let middle = data.len().min(INLINE_FIRST);
            self.parse_block(data.get(INLINE_START..middle).unwrap_or_default(), found)?;
            return self.parse_block(&data[middle..], found);
        }
        let block_size = self.fs.block_size();
        let blocks = self.size().div_ceil(block_size);
        if blocks > self.fs.super_block.blocks {
            return self.bad_directory("it is larger than the filesystem");
        }
        let mut bytes = vec![0; block_size as usize];
        let mut logical = 0;
        while logical < blocks {
            let extent = self.map(logical, blocks - logical)?;
            if let Some(physical) = extent.physical {
                for block in physical..physical + extent.count {
                    self.fs.read_block(block, 0, &mut bytes)?;
                    self.parse_block(&bytes, found)?;
                }
            }
            logical += extent.count;
        }
        Ok(())
    }

    /// Goes through the entries of one block.
    fn parse_block(&self, block: &[u8], found: &mut dyn FnMut(RawEntry<'_>) -> Result<()>) -> Result<()> {
        let has_kind = self.fs.super_block.has_file_type;
        let mut rest = block;
        while rest.len() >= HEADER {
            let ino = u32_at(rest, 0);
            let length = entry_length(u16_at(rest, 4), block.len());
            let name_length = if has_kind { usize::from(rest[6]) } else { usize::from(u16_at(rest, 6)) };
            if length < HEADER || length > rest.len() || !length.is_multiple_of(4) {
                return self.bad_directory("an entry has a bad length");
            }
            if ino != 0 {
                let Some(name) =
                    rest.get(HEADER..HEADER + name_length).filter(|_| HEADER + name_length <= length)
                else {
                    return self.bad_directory("a name is longer than its entry");
                };
                if name.is_empty() || name.contains(&0) || name.contains(&b'/') {
                    return self.bad_directory("a name is impossible");
                }
                if name != b"." && name != b".." {
                    found(RawEntry { ino, kind: if has_kind { kind(rest[7]) } else { None }, name })?;
                }
            }
            rest = &rest[length..];
        }
        Ok(())
    }

    fn bad_directory<T>(&self, what: &str) -> Result<T> {
        Err(self.fs.damaged(format_args!("directory {}: {what}", self.ino)))
    }
}

/// The length of an entry. With blocks of 64 KiB a whole block does not fit the field and is written as 65535 or 0.
fn entry_length(field: u16, block: usize) -> usize {
    if block >= 65536 && (field == u16::MAX || field == 0) { block } else { usize::from(field) }
}

fn kind(file_type: u8) -> Option<FileKind> {
    Some(match file_type {
        1 => FileKind::Regular,
        2 => FileKind::Directory,
        3 => FileKind::CharDevice,
        4 => FileKind::BlockDevice,
        5 => FileKind::Fifo,
        6 => FileKind::Socket,
        7 => FileKind::Symlink,
        _ => return None,
    })
}
