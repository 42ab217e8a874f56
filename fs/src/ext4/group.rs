//! Block groups: where the inodes are.

use super::Ext4;
use super::fields::u32_at;
use crate::Result;

impl Ext4 {
    /// Where on the device an inode is, in bytes. The number is in range.
    pub(super) fn inode_position(&self, ino: u32) -> Result<u64> {
        let sb = &self.super_block;
        let group = (ino - 1) / sb.inodes_per_group;
        let index = (ino - 1) % sb.inodes_per_group;
        let table = self.inode_table(group)?;
        let offset = u64::from(index) * u64::from(sb.inode_size);
        self.check_blocks(table, offset / self.block_size() + 1)?;
        Ok(table * self.block_size() + offset)
    }

    /// The first block of a group's inode table.
    fn inode_table(&self, group: u32) -> Result<u64> {
        let sb = &self.super_block;
        let size = u64::from(sb.descriptor_size);
        let per_block = self.block_size() / size;
        let (number, position) = (u64::from(group) / per_block, u64::from(group) % per_block);
        let block = self.descriptor_block(number, per_block);
        let mut bytes = [0; 64];
        let length = (sb.descriptor_size as usize).min(bytes.len());
        self.read_block(block, (position * size) as usize, &mut bytes[..length])?;
        let high = if length == 64 { u64::from(u32_at(&bytes, 40)) << 32 } else { 0 };
        Ok(u64::from(u32_at(&bytes, 8)) | high)
    }

    /// Where the block of descriptors with this number is.
    fn descriptor_block(&self, number: u64, per_block: u64) -> u64 {
        let sb = &self.super_block;
        // The block with the super block itself, at byte 1024.
        let own = u64::from(sb.block_size == 1024);
        match sb.first_meta_bg {
            Some(meta) if number >= u64::from(meta) => {
                // It is in the first of the groups it describes, after that group's copy of the super block.
                let group = number * per_block;
                let first = u64::from(sb.first_data_block) + group * u64::from(sb.blocks_per_group);
                let boot_sector = group == 0 && sb.first_data_block == 0 && own == 1;
                first + u64::from(self.has_super_block(group)) + u64::from(boot_sector)
            }
            _ => own + 1 + number,
        }
    }

    fn has_super_block(&self, group: u64) -> bool {
        let sb = &self.super_block;
        if group == 0 {
            return true;
        }
        if let Some(groups) = sb.backup_groups {
            return groups.iter().any(|&other| u64::from(other) == group);
        }
        if !sb.sparse_super || group == 1 {
            return true;
        }
        [3, 5, 7].iter().any(|&base| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        })
    }
}
