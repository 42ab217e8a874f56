//! Writing the planned image to its file.

use super::extents::{self, Run};
use super::inode::{self, Contents, FAST_SYMLINK_MAX, INODE_SIZE};
use super::layout::{Layout, Options, Place};
use super::tree::{HostFile, Kind, NodeId, Source, Tree};
use super::{BLOCK, ImageError, directory, superblock};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Told now and then how many of how many bytes have been written.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Bytes gathered before one write.
const STAGE: usize = 1 << 20;
/// Host files from this size on are copied by the host kernel, not through our memory.
const COPY_IN_KERNEL: u64 = 256 << 10;

/// Writes the image of a tree into an empty file.
///
/// # Errors
/// [`ImageError`]; the file's contents are worthless then.
pub fn write(
    tree: &Tree,
    layout: &Layout,
    options: &Options,
    out: &File,
    progress: Progress<'_>,
) -> Result<(), ImageError> {
    out.set_len(layout.size()).map_err(ImageError::Write)?;
    let at = |bytes: &[u8], block: u64| out.write_all_at(bytes, block * BLOCK).map_err(ImageError::Write);
    at(&superblock::encode(layout, tree, options), 0)?;
    for group in 0..layout.groups {
        if let Some(bitmap) = superblock::block_bitmap(layout, group) {
            at(&bitmap, layout.bitmaps + group)?;
        }
        if let Some(bitmap) = superblock::inode_bitmap(layout, tree, group) {
            at(&bitmap, layout.bitmaps + layout.groups + group)?;
        }
    }

    let mut inodes = vec![0; (tree.used_inodes() * INODE_SIZE) as usize];
    let mut stream = Stream { out, start: 0, staged: Vec::with_capacity(2 * STAGE) };
    for ((id, node), place) in tree.nodes().zip(&layout.places) {
        let (size, body) = write_node(tree, id, place, &mut stream)?;
        let contents = Contents { size, blocks: place.blocks(), extents: body.1, body: &body.0 };
        let offset = (id.inode() as usize - 1) * INODE_SIZE as usize;
        inode::encode(&mut inodes[offset..offset + INODE_SIZE as usize], node, &contents);
        progress(stream.start, layout.used());
    }
    stream.flush()?;
    at(&inodes, layout.inode_tables())
}

/// The 60 bytes in the inode, and whether they are an extent tree.
type Body = ([u8; 60], bool);

/// Writes a node's blocks; gives its length in bytes and what goes into the inode.
fn write_node(
    tree: &Tree,
    id: NodeId,
    place: &Place,
    stream: &mut Stream<'_>,
) -> Result<(u64, Body), ImageError> {
    let kind = &tree.node(id).kind;
    if let Kind::Symlink(target) = kind
        && target.len() <= FAST_SYMLINK_MAX
    {
        let mut body = [0; 60];
        body[..target.len()].copy_from_slice(target);
        return Ok((target.len() as u64, (body, false)));
    }
    let encoded = extents::encode(&place.runs, place.tree_start, place.data_start)?;
    stream.seek(place.tree_start)?;
    for block in &encoded.blocks {
        stream.put(block)?;
    }
    let size = match kind {
        Kind::Directory(_) => {
            let bytes = directory::encode(tree, id);
            stream.put(&bytes)?;
            bytes.len() as u64
        }
        Kind::Symlink(target) => {
            stream.put(target)?;
            target.len() as u64
        }
        Kind::File(Source::Bytes(bytes)) => {
            stream.put(bytes)?;
            bytes.len() as u64
        }
        Kind::File(Source::Host(file)) => {
            if !place.runs.is_empty() {
                copy_host_file(file, &place.runs, stream)?;
            }
            file.size
        }
    };
    Ok((size, (encoded.root, true)))
}

fn copy_host_file(host: &HostFile, runs: &[Run], stream: &mut Stream<'_>) -> Result<(), ImageError> {
    let read = |source| ImageError::Read { path: host.path.clone(), source };
    let file = File::open(&host.path).map_err(read)?;
    for run in runs {
        let start = run.logical * BLOCK;
        let length = (run.blocks * BLOCK).min(host.size - start);
        let copied = if length >= COPY_IN_KERNEL { stream.copy_in_kernel(&file, start, length)? } else { 0 };
        stream.copy_through_memory(&file, start + copied, length - copied).map_err(|error| match error {
            CopyError::Read(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                ImageError::Changed { path: host.path.clone() }
            }
            CopyError::Read(source) => read(source),
            CopyError::Write(error) => error,
        })?;
        stream.pad();
    }
    Ok(())
}

enum CopyError {
    Read(std::io::Error),
    Write(ImageError),
}

/// Data on its way into the image; small pieces are gathered into large writes.
struct Stream<'a> {
    out: &'a File,
    /// Where the staged bytes belong.
    start: u64,
    staged: Vec<u8>,
}

impl Stream<'_> {
    /// Goes on at this block; what lies between is left as a hole.
    fn seek(&mut self, block: u64) -> Result<(), ImageError> {
        self.pad();
        if self.start + self.staged.len() as u64 != block * BLOCK {
            self.flush()?;
            self.start = block * BLOCK;
        }
        Ok(())
    }

    /// Fills the last block with zeros.
    fn pad(&mut self) {
        let end = self.start + self.staged.len() as u64;
        let missing = end.next_multiple_of(BLOCK) - end;
        self.staged.resize(self.staged.len() + missing as usize, 0);
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.staged.extend_from_slice(bytes);
        if self.staged.len() >= STAGE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ImageError> {
        self.out.write_all_at(&self.staged, self.start).map_err(ImageError::Write)?;
        self.start += self.staged.len() as u64;
        self.staged.clear();
        Ok(())
    }

    fn copy_through_memory(&mut self, file: &File, mut from: u64, mut length: u64) -> Result<(), CopyError> {
        while length > 0 {
            let piece = length.min(STAGE as u64) as usize;
            let old = self.staged.len();
            self.staged.resize(old + piece, 0);
            file.read_exact_at(&mut self.staged[old..], from).map_err(CopyError::Read)?;
            if self.staged.len() >= STAGE {
                self.flush().map_err(CopyError::Write)?;
            }
            from += piece as u64;
            length -= piece as u64;
        }
        Ok(())
    }

    /// copy_file_range(2): shares blocks or copies without our memory. Gives how many whole blocks it copied; the
    /// caller copies the rest, all of it where the host cannot do this between these two files.
    fn copy_in_kernel(&mut self, file: &File, from: u64, length: u64) -> Result<u64, ImageError> {
        self.pad();
        self.flush()?;
        let length = length - length % BLOCK;
        let (mut source, mut target) = (from, self.start);
        while source - from < length {
            let left = (length - (source - from)) as usize;
            match rustix::fs::copy_file_range(file, Some(&mut source), self.out, Some(&mut target), left) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(
                    Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::IO,
                ) => break,
                Err(error) => return Err(ImageError::Write(error.into())),
            }
        }
        let copied = (source - from) / BLOCK * BLOCK;
        self.start += copied;
        Ok(copied)
    }
}
