//! A directory's blocks: linear entries, the last of each block reaching to its end.

use super::tree::{Kind, NodeId, Tree};
use super::{BLOCK, put16, put32};

/// Bytes of an entry before its name.
const HEADER: usize = 8;

const fn entry_size(name_len: usize) -> usize {
    (HEADER + name_len).next_multiple_of(4)
}

/// Blocks that a directory with these names needs.
pub(super) fn blocks_needed<'a>(names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut used = entry_size(1) + entry_size(2);
    let mut blocks = 1;
    for name in names {
        let size = entry_size(name.len());
        if used + size > BLOCK as usize {
            blocks += 1;
            used = 0;
        }
        used += size;
    }
    blocks
}

/// The contents of a directory; empty for anything else.
pub(super) fn encode(tree: &Tree, dir: NodeId) -> Vec<u8> {
    let node = tree.node(dir);
    let Kind::Directory(entries) = &node.kind else { return Vec::new() };
    let own = [(&b"."[..], dir), (&b".."[..], node.parent)];
    let mut bytes: Vec<u8> = Vec::new();
    let mut last = 0;
    for (name, id) in own.into_iter().chain(entries.iter().map(|(name, &id)| (name.as_slice(), id))) {
        let size = entry_size(name.len());
        let room = bytes.len().next_multiple_of(BLOCK as usize) - bytes.len();
        if size > room && room > 0 {
            stretch_last(&mut bytes, last);
        }
        last = bytes.len();
        bytes.resize(last + size, 0);
        let entry = &mut bytes[last..];
        put32(entry, 0, id.inode());
        put16(entry, 4, size as u16);
        entry[6] = name.len() as u8;
        entry[7] = file_type(&tree.node(id).kind);
        entry[HEADER..HEADER + name.len()].copy_from_slice(name);
    }
    stretch_last(&mut bytes, last);
    bytes
}

fn stretch_last(bytes: &mut Vec<u8>, last: usize) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    let length = bytes.len() - last;
    put16(bytes, last + 4, length as u16);
}

const fn file_type(kind: &Kind) -> u8 {
    match kind {
        Kind::File(_) => 1,
        Kind::Directory(_) => 2,
        Kind::Symlink(_) => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Meta, Source};
    use super::*;

    #[test]
    fn the_estimate_is_the_length() {
        for count in [0_usize, 1, 14, 15, 16, 300, 3000] {
            let mut tree = Tree::new();
            let dir = tree
                .insert(Tree::ROOT, b"d", Kind::Directory(Default::default()), Meta::root(0o755))
                .unwrap();
            for i in 0..count {
                let name = format!("{i:0width$}", width = 1 + (i * 37) % 255);
                let kind = Kind::File(Source::Bytes(Vec::new()));
                // Short widths give the same name twice; the tree refuses the second.
                let _ = tree.insert(dir, name.as_bytes(), kind, Meta::root(0o644));
            }
            let Kind::Directory(entries) = &tree.node(dir).kind else { unreachable!() };
            let bytes = encode(&tree, dir);
            assert_eq!(bytes.len() as u64, BLOCK * blocks_needed(entries.keys().map(Vec::as_slice)));
            for block in bytes.chunks(BLOCK as usize) {
                let mut at = 0;
                while at < block.len() {
                    let length = usize::from(u16::from_le_bytes([block[at + 4], block[at + 5]]));
                    assert!(length >= 12 && length % 4 == 0);
                    at += length;
                }
                assert_eq!(at, block.len());
            }
        }
    }
}
