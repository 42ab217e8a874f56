//! Extent trees.

use super::fields::{u16_at, u32_at};
use super::inode::{DiskInode, Extent};
use crate::Result;
use alloc::vec;

const MAGIC: u16 = 0xf30a;
/// Bytes of the header and of each entry.
const ENTRY: usize = 12;
/// Deepest tree that ext4 makes.
const MAX_DEPTH: u16 = 5;
/// An extent longer than this is allocated but not written: it reads as zeros.
const MAX_WRITTEN: u16 = 32768;

impl DiskInode {
    /// Where the blocks from `logical` on are.
    pub(super) fn map_by_extents(&self, logical: u32) -> Result<Extent> {
        // Where the next entry of a node above begins: a hole found below ends there at the latest.
        let mut limit = 1 << 32;
        let depth = u16_at(&self.block, 6);
        if depth > MAX_DEPTH {
            return self.bad_tree("is too deep");
        }
        let mut node = self.block.to_vec();
        for level in (0..=depth).rev() {
            let count = usize::from(u16_at(&node, 2));
            if u16_at(&node, 0) != MAGIC || u16_at(&node, 6) != level || (count + 1) * ENTRY > node.len() {
                return self.bad_tree("has a bad node");
            }
            let start_of = |entry: usize| u64::from(u32_at(&node, (entry + 1) * ENTRY));
            // The last entry that begins at or before the block.
            let after = partition(count, |entry| start_of(entry) <= u64::from(logical));
            if after < count {
                limit = limit.min(start_of(after));
            }
            let hole = Extent { physical: None, count: limit.saturating_sub(u64::from(logical)).max(1) };
            let Some(entry) = after.checked_sub(1) else { return Ok(hole) };
            let at = (entry + 1) * ENTRY;
            if level == 0 {
                let length = u16_at(&node, at + 4);
                let written = length <= MAX_WRITTEN;
                let length = u64::from(if written { length } else { length - MAX_WRITTEN });
                let skipped = u64::from(logical) - start_of(entry);
                if skipped >= length {
                    return Ok(hole);
                }
                let start = u64::from(u32_at(&node, at + 8)) | u64::from(u16_at(&node, at + 6)) << 32;
                let physical = written.then_some(start + skipped);
                return Ok(Extent { physical, count: length - skipped });
            }
            let child = u64::from(u32_at(&node, at + 4)) | u64::from(u16_at(&node, at + 8)) << 32;
            let mut bytes = vec![0; self.fs.block_size() as usize];
            self.fs.read_block(child, 0, &mut bytes)?;
            node = bytes;
        }
        self.bad_tree("has no leaf")
    }

    fn bad_tree<T>(&self, what: &str) -> Result<T> {
        Err(self.fs.damaged(format_args!("inode {}: the extent tree {what}", self.ino)))
    }
}

/// How many of the first entries satisfy `holds`, by halving.
fn partition(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
