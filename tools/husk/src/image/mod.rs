//! Writing an ext4 filesystem image, without root and without mke2fs.
//!
//! The image is written once, front to back, from a [`Tree`] of files; nothing is ever moved. That makes a plain
//! layout possible: all metadata first, then all data in one run, then free space.
//!
//! ```text
//! block 0      superblock (at byte 1024)
//!              group descriptors
//!              block bitmaps, one block a group
//!              inode bitmaps, one block a group
//!              inode tables of all groups, which is one array of all inodes
//!              directories, extent-tree blocks, long symbolic links and files, in the order of the inodes
//!              free blocks
//! ```
//!
//! Features: `filetype`, `extents`, `flex_bg` (it is what lets metadata of every group live at the front),
//! `sparse_super2` without backups (so that data is not interrupted by copies of the superblock),
//! `large_file`, `extra_isize`. No journal, no checksums, no `dir_index`, no `64bit`. The same tree always gives the same
//! bytes. Source for the format: the kernel's Documentation/filesystems/ext4.

mod directory;
mod extents;
mod inode;
mod layout;
mod superblock;
mod tree;
mod writer;

pub use layout::{Layout, Options};
pub use tree::{HostFile, Kind, Meta, Node, NodeId, Source, Tree, TreeError};
pub use writer::{Progress, write};

/// Bytes in a block.
pub const BLOCK: u64 = 4096;
/// Blocks in a block group: as many as one bitmap block has bits.
pub const BLOCKS_PER_GROUP: u64 = 8 * BLOCK;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A host file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The host file.
        path: std::path::PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// A host file got shorter while it was being copied.
    #[error("{} changed while it was being copied into the image", path.display())]
    Changed {
        /// The host file.
        path: std::path::PathBuf,
    },
    /// The image file could not be written.
    #[error("cannot write to the image")]
    Write(#[source] std::io::Error),
    /// More than ext4 without the `64bit` feature can hold.
    #[error("the image would be too large: {0}")]
    TooLarge(&'static str),
}

/// Writes a little-endian number of any width into a byte slice.
fn put<const N: usize>(bytes: &mut [u8], offset: usize, value: [u8; N]) {
    bytes[offset..offset + N].copy_from_slice(&value);
}

fn put16(bytes: &mut [u8], offset: usize, value: u16) {
    put(bytes, offset, value.to_le_bytes());
}

fn put32(bytes: &mut [u8], offset: usize, value: u32) {
    put(bytes, offset, value.to_le_bytes());
}
