//! Files of a pseudo filesystem.

use super::{PseudoFile, PseudoFs, PseudoNode};
use crate::{
    DirEntry, FileKind, FileSystem, Inode, InodeRef, Location, Metadata, NewInode, OpenFlags, OpenObject,
    Result, SetAttr, Sink, Slot, Source,
};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use husk_abi::err;
use husk_machine::sync::Mutex;

/// Longest write that a file takes at once.
const LONGEST_WRITE: usize = 4096;

/// A file of a pseudo filesystem, as one path walk found it.
pub(super) struct PseudoInode {
    fs: Arc<PseudoFs>,
    node: PseudoNode,
    ino: u64,
    slot: Slot,
}

impl PseudoInode {
    pub(super) fn new(fs: Arc<PseudoFs>, node: PseudoNode, ino: u64) -> Self {
        Self { fs, node, ino, slot: Slot::default() }
    }

    /// The error for making a name that is not there: procfs says that there is none before anybody asks for making it.
    fn refuse<T>(&self) -> Result<T> {
        if self.fs.name() == "proc" { err!(ENOENT) } else { err!(EPERM) }
    }
}

/// The number of an entry: the same for the same name in the same directory (FNV-1a over both, 47 bits).
fn child_ino(parent: u64, name: &[u8]) -> u64 {
    let hash = parent.to_le_bytes().iter().chain(name).fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 17) | 0x1_0000
}

impl Inode for PseudoInode {
    fn metadata(&self) -> Metadata {
        self.fs.metadata(&self.node, self.ino)
    }

    fn kind(&self) -> FileKind {
        self.node.kind()
    }

    fn ino(&self) -> u64 {
        self.ino
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        // O_TRUNC on something like /proc/sys/kernel/hostname does nothing.
        let only_size = SetAttr { size: None, ..*attr } == SetAttr::default();
        if only_size && self.kind() == FileKind::Regular { Ok(()) } else { err!(EPERM) }
    }

    fn caches_names(&self) -> bool {
        false
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        let PseudoNode::Dir(dir) = &self.node else { return err!(ENOTDIR) };
        match dir.lookup(name) {
            Some(node) => Ok(Arc::new(Self::new(self.fs.clone(), node, child_ino(self.ino, name)))),
            None => err!(ENOENT),
        }
    }

    fn create(&self, _name: &[u8], _new: &NewInode) -> Result<InodeRef> {
        self.refuse()
    }

    fn link(&self, _name: &[u8], _file: &InodeRef) -> Result<()> {
        self.refuse()
    }

    fn read_dir(&self, offset: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<()> {
        let PseudoNode::Dir(dir) = &self.node else { return err!(ENOTDIR) };
        let entries = dir.list();
        // Position 3 is after the first entry.
        let skip = usize::try_from(offset.saturating_sub(2)).unwrap_or(usize::MAX);
        for ((name, kind), next_offset) in entries.iter().zip(3..).skip(skip) {
            let entry = DirEntry { ino: child_ino(self.ino, name), kind: *kind, name, next_offset };
            if !emit(&entry) {
                break;
            }
        }
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        match &self.node {
            PseudoNode::Link(target) => Ok(target.clone()),
            PseudoNode::MagicLink(link) => link.text(),
            _ => err!(EINVAL),
        }
    }

    fn magic_link(&self) -> Option<Result<Location>> {
        match &self.node {
            PseudoNode::MagicLink(link) => Some(link.target()),
            _ => None,
        }
    }

    fn open(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn OpenObject>>> {
        Ok(match &self.node {
            PseudoNode::File(file) => {
                Some(Arc::new(OpenFile { file: file.clone(), contents: Mutex::new(None) }))
            }
            _ => None,
        })
    }
}

/// An opening of a file: what its contents were when it was first read.
struct OpenFile {
    file: Arc<dyn PseudoFile>,
    contents: Mutex<Option<Arc<[u8]>>>,
}

impl OpenObject for OpenFile {
    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let contents = {
            let mut place = self.contents.lock();
            match &*place {
                Some(contents) if offset != 0 => contents.clone(),
                _ => {
                    let contents: Arc<[u8]> = self.file.read()?.into();
                    *place = Some(contents.clone());
                    contents
                }
            }
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        if start == contents.len() || sink.remaining() == 0 {
            return Ok(0);
        }
        sink.push(&contents[start..])
    }

    fn write_at(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let mut bytes = vec![0; source.remaining().min(LONGEST_WRITE)];
        let count = source.pull(&mut bytes)?;
        self.file.write(&bytes[..count])
    }
}
