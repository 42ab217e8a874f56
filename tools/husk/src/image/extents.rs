//! The tree of extents that says where a file's blocks are.

use super::{BLOCK, ImageError, put16, put32};

/// Most blocks one initialised extent covers.
const EXTENT_MAX: u64 = 32_768;
/// Bytes of a header and of an entry, which are the same.
const ENTRY: usize = 12;
/// Entries that fit into the inode.
const IN_INODE: usize = 4;
/// Entries that fit into a block.
const IN_BLOCK: usize = (BLOCK as usize - ENTRY) / ENTRY;
const MAGIC: u16 = 0xf30a;

/// A run of blocks of a file that has data; what lies between two is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// First block, counted from the start of the file.
    pub(super) logical: u64,
    /// Number of blocks.
    pub(super) blocks: u64,
}

/// The inode's 60 bytes, and the blocks of the tree outside it.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) root: [u8; 60],
    /// In the order of their block numbers.
    pub(super) blocks: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Entry {
    logical: u32,
    physical: u64,
    /// Blocks covered; 0 in an index entry.
    length: u16,
}

/// Blocks that the tree of a file with these runs needs outside the inode.
pub(super) fn tree_blocks(runs: &[Run]) -> u64 {
    let mut entries: u64 = runs.iter().map(|run| run.blocks.div_ceil(EXTENT_MAX)).sum();
    let mut blocks = 0;
    while entries > IN_INODE as u64 {
        entries = entries.div_ceil(IN_BLOCK as u64);
        blocks += entries;
    }
    blocks
}

/// Encodes the tree. The tree's own blocks are at `tree_start`, the data of all runs follows from `data_start`
/// without gaps.
///
/// # Errors
/// [`ImageError::TooLarge`] for a file of 16 TiB or more.
pub(super) fn encode(runs: &[Run], tree_start: u64, data_start: u64) -> Result<Encoded, ImageError> {
    let mut entries = Vec::new();
    let mut physical = data_start;
    for run in runs {
        let mut done = 0;
        while done < run.blocks {
            let length = (run.blocks - done).min(EXTENT_MAX);
            let logical = u32::try_from(run.logical + done)
                .map_err(|_| ImageError::TooLarge("a file has more than 16 TiB"))?;
            entries.push(Entry { logical, physical, length: length as u16 });
            done += length;
            physical += length;
        }
    }
    let mut blocks = Vec::new();
    let mut depth = 0;
    while entries.len() > IN_INODE {
        let mut above = Vec::new();
        for chunk in entries.chunks(IN_BLOCK) {
            let mut block = vec![0; BLOCK as usize];
            encode_node(&mut block, chunk, IN_BLOCK, depth);
            above.push(Entry {
                logical: chunk[0].logical,
                physical: tree_start + blocks.len() as u64,
                length: 0,
            });
            blocks.push(block);
        }
        entries = above;
        depth += 1;
    }
    let mut root = [0; 60];
    encode_node(&mut root, &entries, IN_INODE, depth);
    Ok(Encoded { root, blocks })
}

fn encode_node(bytes: &mut [u8], entries: &[Entry], capacity: usize, depth: u16) {
    put16(bytes, 0, MAGIC);
    put16(bytes, 2, entries.len() as u16);
    put16(bytes, 4, capacity as u16);
    put16(bytes, 6, depth);
    for (entry, bytes) in entries.iter().zip(bytes[ENTRY..].chunks_exact_mut(ENTRY)) {
        let (low, high) = (entry.physical as u32, (entry.physical >> 32) as u16);
        put32(bytes, 0, entry.logical);
        if depth == 0 {
            put16(bytes, 4, entry.length);
            put16(bytes, 6, high);
            put32(bytes, 8, low);
        } else {
            put32(bytes, 4, low);
            put16(bytes, 8, high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_grows_with_the_number_of_extents() {
        let runs = |count: u64| (0..count).map(|i| Run { logical: 2 * i, blocks: 1 }).collect::<Vec<_>>();
        for (count, depth, blocks) in [(0, 0, 0), (4, 0, 0), (5, 1, 1), (341, 1, 2), (1361, 2, 6)] {
            let encoded = encode(&runs(count), 100, 1000).unwrap();
            assert_eq!(u16::from_le_bytes([encoded.root[6], encoded.root[7]]), depth, "{count} extents");
            assert_eq!(encoded.blocks.len(), blocks);
            assert_eq!(tree_blocks(&runs(count)), blocks as u64);
        }
    }

    #[test]
    fn a_long_run_is_split() {
        let encoded = encode(&[Run { logical: 0, blocks: 40_000 }], 0, 500).unwrap();
        assert_eq!(encoded.root[2], 2);
        assert_eq!(u32::from_le_bytes(encoded.root[32..36].try_into().unwrap()), 500 + 32_768);
    }
}
