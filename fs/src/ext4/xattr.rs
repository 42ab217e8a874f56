//! Extended attributes: in the inode after its fixed fields, and in a block of their own.

use super::fields::{u16_at, u32_at};
use super::inode::DiskInode;
use crate::Result;
use alloc::vec;
use alloc::vec::Vec;

const MAGIC: u32 = 0xea02_0000;
/// Bytes of an entry before its name.
const ENTRY: usize = 16;
/// Bytes of the header of a block.
const BLOCK_HEADER: usize = 32;
/// The name index of `system.`.
pub(super) const INDEX_SYSTEM: u8 = 7;

/// What the name index stands for. Access control lists (2 and 3) have another form on disk than for programs and are not read.
fn prefix(index: u8) -> Option<&'static [u8]> {
    Some(match index {
        0 => b"",
        1 => b"user.",
        4 => b"trusted.",
        6 => b"security.",
        7 => b"system.",
        _ => return None,
    })
}

struct Entry<'a> {
    index: u8,
    name: &'a [u8],
    /// `None` if it is kept in an inode of its own (`ea_inode`) or the entry is damaged.
    value: Option<&'a [u8]>,
}

/// Goes through the entries; values are found from the start of `values`.
fn parse<'a>(mut entries: &'a [u8], values: &'a [u8]) -> Vec<Entry<'a>> {
    let mut found = Vec::new();
    while u32_at(entries, 0) != 0 && entries.len() >= ENTRY {
        let name_length = usize::from(entries[0]);
        let Some(name) = entries.get(ENTRY..ENTRY + name_length) else { break };
        let (offset, size) = (usize::from(u16_at(entries, 2)), u32_at(entries, 8) as usize);
        let in_other_inode = u32_at(entries, 4) != 0;
        let value =
            if in_other_inode { None } else { values.get(offset..).and_then(|rest| rest.get(..size)) };
        found.push(Entry { index: entries[1], name, value });
        let length = (ENTRY + name_length).next_multiple_of(4);
        let Some(rest) = entries.get(length..) else { break };
        entries = rest;
    }
    found
}

fn parse_inode_space(space: &[u8]) -> Vec<Entry<'_>> {
    match space.get(4..) {
        Some(entries) if u32_at(space, 0) == MAGIC => parse(entries, entries),
        _ => Vec::new(),
    }
}

/// The part of an inode after its fixed fields, if it has attributes.
pub(super) fn kept(space: &[u8]) -> Vec<u8> {
    if u32_at(space, 0) == MAGIC { space.to_vec() } else { Vec::new() }
}

/// An attribute in the inode itself.
pub(super) fn in_inode<'a>(space: &'a [u8], index: u8, name: &[u8]) -> Option<&'a [u8]> {
    parse_inode_space(space).into_iter().find(|entry| entry.index == index && entry.name == name)?.value
}

impl DiskInode {
    /// All extended attributes, with full names.
    ///
    /// # Errors
    /// EUCLEAN, EIO.
    pub(crate) fn xattrs(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut all = Vec::new();
        let mut add = |entry: Entry<'_>| {
            if let (Some(prefix), Some(value)) = (prefix(entry.index), entry.value)
                && !(entry.index == INDEX_SYSTEM && entry.name == b"data")
            {
                all.push(([prefix, entry.name].concat(), value.to_vec()));
            }
        };
        parse_inode_space(&self.xattr_space).into_iter().for_each(&mut add);
        if self.xattr_block != 0 {
            let mut block = vec![0; self.fs.block_size() as usize];
            self.fs.read_block(self.xattr_block, 0, &mut block)?;
            if u32_at(&block, 0) != MAGIC {
                return Err(self.fs.damaged(format_args!("inode {}: bad block of attributes", self.ino)));
            }
            parse(&block[BLOCK_HEADER..], &block).into_iter().for_each(&mut add);
        }
        Ok(all)
    }
}
