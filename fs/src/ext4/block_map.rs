//! The block map of ext2 and ext3: direct, indirect, double and triple indirect blocks.

use super::fields::u32_at;
use super::inode::{DiskInode, Extent};
use crate::Result;
use alloc::vec;
use alloc::vec::Vec;

const DIRECT: u64 = 12;

impl DiskInode {
    /// Where the blocks from `logical` on are.
    pub(super) fn map_by_blocks(&self, logical: u32) -> Result<Extent> {
        let mut index = u64::from(logical);
        if index < DIRECT {
            return Ok(run_of(&self.block[..DIRECT as usize * 4], index as usize));
        }
        index -= DIRECT;
        let per_block = self.fs.block_size() / 4;
        let mut span = per_block;
        for level in 1..=3_usize {
            if index < span {
                let top = u32_at(&self.block, (DIRECT as usize + level - 1) * 4);
                return self.descend(top, index, span);
            }
            index -= span;
            span = span.saturating_mul(per_block);
        }
        // No file can have a block there.
        Ok(Extent { physical: None, count: u64::from(u32::MAX) })
    }

    /// Goes down from a block of pointers that stands for `span` blocks to the one with this index among them.
    fn descend(&self, top: u32, index: u64, span: u64) -> Result<Extent> {
        let per_block = self.fs.block_size() / 4;
        let (mut block, mut index, mut span) = (top, index, span);
        loop {
            if block == 0 {
                return Ok(Extent { physical: None, count: span - index });
            }
            let pointers = self.pointers(block)?;
            let below = span / per_block;
            if below <= 1 {
                return Ok(run_of(&pointers, index as usize));
            }
            block = u32_at(&pointers, (index / below) as usize * 4);
            index %= below;
            span = below;
        }
    }

    fn pointers(&self, block: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.fs.block_size() as usize];
        self.fs.read_block(u64::from(block), 0, &mut bytes)?;
        Ok(bytes)
    }
}

/// The run that begins at the pointer with this index: consecutive blocks, or a hole.
fn run_of(pointers: &[u8], index: usize) -> Extent {
    let first = u32_at(pointers, index * 4);
    let expected = |ahead: usize| if first == 0 { Some(0) } else { first.checked_add(ahead as u32) };
    let longest = pointers.len() / 4 - index;
    let count = (1..longest)
        .take_while(|&ahead| expected(ahead) == Some(u32_at(pointers, (index + ahead) * 4)))
        .count();
    Extent { physical: (first != 0).then_some(u64::from(first)), count: 1 + count as u64 }
}
