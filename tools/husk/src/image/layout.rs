//! Which block holds what: decided before the first byte is written.

use super::extents::{Run, tree_blocks};
use super::inode::{FAST_SYMLINK_MAX, INODE_SIZE};
use super::tree::{HostFile, Kind, Node, Source, Tree};
use super::{BLOCK, BLOCKS_PER_GROUP, ImageError, directory};
use rustix::fs::SeekFrom;
use std::fs::File;

/// Bytes of a group descriptor.
pub(super) const DESCRIPTOR: u64 = 32;
const INODES_PER_BLOCK: u64 = BLOCK / INODE_SIZE;
/// As many as one bitmap block has bits.
const INODES_PER_GROUP_MAX: u64 = 8 * BLOCK;

/// How much room to leave, and how the filesystem is named.
#[derive(Clone, Debug)]
pub struct Options {
    /// The filesystem's UUID; by content, so that the image is deterministic.
    pub uuid: [u8; 16],
    /// Free space left, in bytes. It costs nothing: the image file is sparse.
    pub free_bytes: u64,
    /// Free inodes left.
    pub free_inodes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { uuid: [0; 16], free_bytes: 64 << 20, free_inodes: 4096 }
    }
}

/// Where a node's blocks are.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Runs of data, by their place in the file; in the image they follow each other.
    pub(super) runs: Vec<Run>,
    /// The first block of the extent tree outside the inode.
    pub(super) tree_start: u64,
    /// The first block of data.
    pub(super) data_start: u64,
}

impl Place {
    pub(super) fn data_blocks(&self) -> u64 {
        self.runs.iter().map(|run| run.blocks).sum()
    }

    pub(super) fn blocks(&self) -> u64 {
        tree_blocks(&self.runs) + self.data_blocks()
    }
}

/// The plan of an image.
#[derive(Debug)]
pub struct Layout {
    pub(super) groups: u64,
    pub(super) total_blocks: u64,
    pub(super) inodes_per_group: u64,
    /// First block of the block bitmaps; inode bitmaps and inode tables follow.
    pub(super) bitmaps: u64,
    /// First block that no one uses.
    pub(super) used_end: u64,
    /// By index of the node.
    pub(super) places: Vec<Place>,
}

impl Layout {
    /// Plans the image of a tree. Files with holes are opened to find the holes.
    ///
    /// # Errors
    /// [`ImageError`] when a file cannot be read or the filesystem would be too large.
    pub fn plan(tree: &Tree, options: &Options) -> Result<Self, ImageError> {
        let mut places = Vec::with_capacity(tree.nodes().len());
        let mut data = 0;
        for (_, node) in tree.nodes() {
            let place = Place { runs: runs(node)?, ..Place::default() };
            data += place.blocks();
            places.push(place);
        }
        let inodes = tree.used_inodes() + options.free_inodes;
        let free = options.free_bytes.div_ceil(BLOCK);

        // More blocks need more groups, and more groups need more blocks of metadata.
        let mut groups = inodes.div_ceil(INODES_PER_GROUP_MAX).max(1);
        let (inodes_per_group, metadata) = loop {
            let inodes_per_group = inodes.div_ceil(groups).next_multiple_of(INODES_PER_BLOCK);
            let metadata = 1
                + (groups * DESCRIPTOR).div_ceil(BLOCK)
                + groups * (2 + inodes_per_group / INODES_PER_BLOCK);
            let needed = (metadata + data + free).div_ceil(BLOCKS_PER_GROUP);
            if needed <= groups {
                break (inodes_per_group, metadata);
            }
            groups = needed;
        };
        // The last group may be short, but must not be missing.
        let total_blocks = (metadata + data + free).max((groups - 1) * BLOCKS_PER_GROUP + 1024);
        if u32::try_from(total_blocks).is_err() || u32::try_from(groups * inodes_per_group).is_err() {
            return Err(ImageError::TooLarge("more than 16 TiB or 4 billion files"));
        }

        let mut next = metadata;
        for place in &mut places {
            place.tree_start = next;
            place.data_start = next + tree_blocks(&place.runs);
            next += place.blocks();
        }
        let bitmaps = 1 + (groups * DESCRIPTOR).div_ceil(BLOCK);
        Ok(Self { groups, total_blocks, inodes_per_group, bitmaps, used_end: next, places })
    }

    /// Size of the image file in bytes, holes included.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.total_blocks * BLOCK
    }

    /// Bytes of the image that are in use.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used_end * BLOCK
    }

    /// First block of the inode tables.
    pub(super) const fn inode_tables(&self) -> u64 {
        self.bitmaps + 2 * self.groups
    }

    /// Blocks of one group's inode table.
    pub(super) const fn inode_table_blocks(&self) -> u64 {
        self.inodes_per_group / INODES_PER_BLOCK
    }
}

fn runs(node: &Node) -> Result<Vec<Run>, ImageError> {
    let whole = |size: u64| {
        if size == 0 { Vec::new() } else { vec![Run { logical: 0, blocks: size.div_ceil(BLOCK) }] }
    };
    Ok(match &node.kind {
        Kind::Directory(entries) => {
            whole(BLOCK * directory::blocks_needed(entries.keys().map(Vec::as_slice)))
        }
        Kind::Symlink(target) if target.len() <= FAST_SYMLINK_MAX => Vec::new(),
        Kind::Symlink(target) => whole(target.len() as u64),
        Kind::File(Source::Host(file)) if file.sparse => data_runs(file)?,
        Kind::File(source) => whole(source.size()),
    })
}

/// The parts of a sparse host file that hold data (lseek(2) with SEEK_DATA and SEEK_HOLE).
fn data_runs(host: &HostFile) -> Result<Vec<Run>, ImageError> {
    let read = |source| ImageError::Read { path: host.path.clone(), source };
    let file = File::open(&host.path).map_err(read)?;
    let mut runs: Vec<Run> = Vec::new();
    let mut at = 0;
    while at < host.size {
        let start = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(start) if start < host.size => start,
            Ok(_) | Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(read(error.into())),
        };
        let end = rustix::fs::seek(&file, SeekFrom::Hole(start)).map_err(|e| read(e.into()))?.min(host.size);
        let first = start / BLOCK;
        let last = end.div_ceil(BLOCK);
        match runs.last_mut() {
            Some(run) if run.logical + run.blocks >= first => run.blocks = last - run.logical,
            _ => runs.push(Run { logical: first, blocks: last - first }),
        }
        at = end.max(start + 1);
    }
    Ok(runs)
}
