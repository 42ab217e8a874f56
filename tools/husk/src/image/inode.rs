//! One inode of 256 bytes.

use super::tree::{Kind, Node};
use super::{put16, put32};

/// Bytes of an inode.
pub(super) const INODE_SIZE: u64 = 256;
/// Bytes used beyond the first 128 (`i_extra_isize`).
pub(super) const EXTRA_ISIZE: u16 = 32;
/// The longest symbolic link that is kept in the inode itself.
pub(super) const FAST_SYMLINK_MAX: usize = 59;

const EXTENTS_FLAG: u32 = 0x8_0000;

/// What the layout found out about a node.
pub(super) struct Contents<'a> {
    /// Length in bytes.
    pub(super) size: u64,
    /// Blocks of data and of the extent tree.
    pub(super) blocks: u64,
    /// The root of the extent tree, or a short link's target.
    pub(super) body: &'a [u8; 60],
    /// The body is an extent tree.
    pub(super) extents: bool,
}

/// Encodes a node into its place in the inode table.
pub(super) fn encode(bytes: &mut [u8], node: &Node, contents: &Contents<'_>) {
    let format = match node.kind {
        Kind::File(_) => 0o100_000,
        Kind::Directory(_) => 0o040_000,
        Kind::Symlink(_) => 0o120_000,
    };
    let meta = node.meta;
    put16(bytes, 0, format | (meta.mode & 0o7777));
    put16(bytes, 2, meta.uid as u16);
    put32(bytes, 4, contents.size as u32);
    let seconds = meta.mtime as u32;
    for offset in [8, 12, 16] {
        put32(bytes, offset, seconds);
    }
    put16(bytes, 24, meta.gid as u16);
    put16(bytes, 26, node.links as u16);
    // In units of 512 bytes.
    let sectors = contents.blocks * 8;
    put32(bytes, 28, sectors as u32);
    put32(bytes, 32, if contents.extents { EXTENTS_FLAG } else { 0 });
    bytes[40..100].copy_from_slice(contents.body);
    put32(bytes, 108, (contents.size >> 32) as u32);
    put16(bytes, 116, (sectors >> 32) as u16);
    put16(bytes, 120, (meta.uid >> 16) as u16);
    put16(bytes, 122, (meta.gid >> 16) as u16);
    put16(bytes, 128, EXTRA_ISIZE);
    // The two low bits extend the seconds beyond 2038.
    let epoch = ((meta.mtime - i64::from(meta.mtime as i32)) >> 32) as u32 & 3;
    let extra = meta.mtime_nsec << 2 | epoch;
    for offset in [132, 136, 140] {
        put32(bytes, offset, extra);
    }
    put32(bytes, 144, seconds);
    put32(bytes, 148, extra);
}
