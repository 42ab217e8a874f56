//! The superblock and the group descriptors.

use super::inode::{EXTRA_ISIZE, INODE_SIZE};
use super::layout::{DESCRIPTOR, Layout, Options};
use super::tree::{Kind, Tree};
use super::{BLOCK, BLOCKS_PER_GROUP, put, put16, put32};

const COMPAT_SPARSE_SUPER2: u32 = 0x200;
const INCOMPAT_FILETYPE: u32 = 0x2;
const INCOMPAT_EXTENTS: u32 = 0x40;
const INCOMPAT_FLEX_BG: u32 = 0x200;
const RO_COMPAT_LARGE_FILE: u32 = 0x2;
const RO_COMPAT_EXTRA_ISIZE: u32 = 0x40;

/// Free blocks of one group.
fn free_blocks(layout: &Layout, group: u64) -> u64 {
    let start = group * BLOCKS_PER_GROUP;
    let end = (start + BLOCKS_PER_GROUP).min(layout.total_blocks);
    end - layout.used_end.clamp(start, end)
}

/// Inodes in use from the start of a group; they are given out in order.
fn used_inodes(layout: &Layout, tree: &Tree, group: u64) -> u64 {
    (tree.used_inodes()).saturating_sub(group * layout.inodes_per_group).min(layout.inodes_per_group)
}

/// Superblock and descriptors: the image from its first byte to the block bitmaps.
pub(super) fn encode(layout: &Layout, tree: &Tree, options: &Options) -> Vec<u8> {
    let mut bytes = vec![0; (layout.bitmaps * BLOCK) as usize];
    encode_superblock(&mut bytes[1024..2048], layout, tree, options);

    let mut directories = vec![0_u16; layout.groups as usize];
    for (id, node) in tree.nodes() {
        if matches!(node.kind, Kind::Directory(_)) {
            directories[((u64::from(id.inode()) - 1) / layout.inodes_per_group) as usize] += 1;
        }
    }
    let descriptors = bytes[BLOCK as usize..].chunks_exact_mut(DESCRIPTOR as usize);
    for (group, (descriptor, dirs)) in (0..layout.groups).zip(descriptors.zip(directories)) {
        put32(descriptor, 0, (layout.bitmaps + group) as u32);
        put32(descriptor, 4, (layout.bitmaps + layout.groups + group) as u32);
        put32(descriptor, 8, (layout.inode_tables() + group * layout.inode_table_blocks()) as u32);
        put16(descriptor, 12, free_blocks(layout, group) as u16);
        put16(descriptor, 14, (layout.inodes_per_group - used_inodes(layout, tree, group)) as u16);
        put16(descriptor, 16, dirs);
    }
    bytes
}

fn encode_superblock(sb: &mut [u8], layout: &Layout, tree: &Tree, options: &Options) {
    let inodes = layout.groups * layout.inodes_per_group;
    put32(sb, 0, inodes as u32);
    put32(sb, 4, layout.total_blocks as u32);
    put32(sb, 12, (layout.total_blocks - layout.used_end) as u32);
    put32(sb, 16, (inodes - tree.used_inodes()) as u32);
    // Block and cluster size: 1024 << 2.
    put32(sb, 24, 2);
    put32(sb, 28, 2);
    put32(sb, 32, BLOCKS_PER_GROUP as u32);
    put32(sb, 36, BLOCKS_PER_GROUP as u32);
    put32(sb, 40, layout.inodes_per_group as u32);
    // No check is due after any number of mounts.
    put16(sb, 54, u16::MAX);
    put16(sb, 56, 0xef53);
    // Cleanly unmounted; on errors go on.
    put16(sb, 58, 1);
    put16(sb, 60, 1);
    // Revision 1: inode size and features are stated.
    put32(sb, 76, 1);
    put32(sb, 84, 11);
    put16(sb, 88, INODE_SIZE as u16);
    put32(sb, 92, COMPAT_SPARSE_SUPER2);
    put32(sb, 96, INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_FLEX_BG);
    put32(sb, 100, RO_COMPAT_LARGE_FILE | RO_COMPAT_EXTRA_ISIZE);
    put(sb, 104, options.uuid);
    put(sb, 120, *b"husk");
    // For directories that a later writer indexes: the hash's seed, half-MD4, signed.
    put(sb, 236, options.uuid);
    sb[252] = 1;
    put16(sb, 348, EXTRA_ISIZE);
    put16(sb, 350, EXTRA_ISIZE);
    put32(sb, 352, 1);
    // One flexible group that holds all groups.
    sb[372] = layout.groups.next_power_of_two().trailing_zeros().max(1) as u8;
}

/// The block bitmap of a group, or `None` when all its blocks are free (a hole in the image reads the same).
pub(super) fn block_bitmap(layout: &Layout, group: u64) -> Option<Vec<u8>> {
    let start = group * BLOCKS_PER_GROUP;
    let used = layout.used_end.saturating_sub(start).min(BLOCKS_PER_GROUP);
    let present = (layout.total_blocks - start).min(BLOCKS_PER_GROUP);
    bitmap(used, present)
}

/// The inode bitmap of a group, or `None` when it is all zero.
pub(super) fn inode_bitmap(layout: &Layout, tree: &Tree, group: u64) -> Option<Vec<u8>> {
    bitmap(used_inodes(layout, tree, group), layout.inodes_per_group)
}

/// Ones for what is used and for what is beyond the end of the group.
fn bitmap(used: u64, present: u64) -> Option<Vec<u8>> {
    if used == 0 && present == 8 * BLOCK {
        return None;
    }
    let mut bytes = vec![0_u8; BLOCK as usize];
    for (start, end) in [(0, used), (present, 8 * BLOCK)] {
        for bit in start..end {
            bytes[(bit / 8) as usize] |= 1 << (bit % 8);
        }
    }
    Some(bytes)
}
