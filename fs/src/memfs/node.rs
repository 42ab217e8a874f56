//! One file of a filesystem in memory.

use super::directory::Directory;
use super::xattr::Xattrs;
use super::{Kind, MemFs};
use crate::cache::Mapping;
use crate::ext4::DiskInode;
use crate::types::mode;
use crate::{
    DeviceNumber, DirEntry, FallocateMode, FileKind, FileSystem, Inode, InodeRef, Metadata, NewInode,
    NewKind, RenameFlags, Result, SetAttr, Sink, Slot, Source, WriteAt, XattrFlags,
};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use husk_abi::{Timespec, err};
use husk_machine::frame::{Frame, PAGE_SIZE};
use husk_machine::sync::{Mutex, SpinLock};

/// Bytes that each entry adds to the size of a directory in memory, as Linux's tmpfs counts.
const ENTRY_SIZE: u64 = 20;
/// An access time older than this is renewed by the next read (relatime).
const DAY: i64 = 24 * 60 * 60;

/// A file in memory, perhaps above one on the image.
pub(super) struct Node {
    pub(super) fs: Arc<MemFs>,
    this: Weak<Self>,
    ino: u64,
    kind: FileKind,
    attributes: SpinLock<Attributes>,
    pub(super) body: Body,
    pub(super) image: Option<Arc<DiskInode>>,
    pub(super) xattrs: Mutex<Xattrs>,
    /// Held while contents or size change.
    pub(super) write: Mutex<()>,
    slot: Slot,
    /// It counts against the limit of files.
    counted: bool,
}

/// What belongs to the kind of file.
pub(super) enum Body {
    Regular(Mapping),
    Directory(Mutex<Directory>),
    /// `None`: as on the image.
    Symlink(Option<Vec<u8>>),
    Special(DeviceNumber),
}

struct Attributes {
    permissions: u32,
    uid: u32,
    gid: u32,
    nlink: u32,
    atime: Timespec,
    mtime: Timespec,
    ctime: Timespec,
    btime: Option<Timespec>,
    /// It has no name yet, but may get one (O_TMPFILE).
    linkable: bool,
    /// It is no longer as on the image.
    changed: bool,
}

impl Node {
    /// The top of a filesystem.
    pub(super) fn root(fs: &Arc<MemFs>, new: &NewInode) -> Arc<Self> {
        Self::new(fs, new, 2, false, false)
    }

    /// A new file.
    ///
    /// # Errors
    /// ENOSPC at the limit of files.
    pub(super) fn create(fs: &Arc<MemFs>, new: &NewInode, nlink: u32, linkable: bool) -> Result<Arc<Self>> {
        fs.inodes.take(1)?;
        Ok(Self::new(fs, new, nlink, linkable, true))
    }

    fn new(fs: &Arc<MemFs>, new: &NewInode, nlink: u32, linkable: bool, counted: bool) -> Arc<Self> {
        let body = match &new.kind {
            NewKind::Regular => Body::Regular(Mapping::in_memory(fs.pages.clone())),
            NewKind::Directory => Body::Directory(Mutex::new(Directory::empty())),
            NewKind::Symlink(target) => Body::Symlink(Some(target.clone())),
            NewKind::CharDevice(number) | NewKind::BlockDevice(number) => Body::Special(*number),
            NewKind::Fifo | NewKind::Socket => Body::Special(DeviceNumber::default()),
        };
        let now = fs.clock.now();
        let permissions = if matches!(new.kind, NewKind::Symlink(_)) { 0o777 } else { new.mode };
        let attributes = Attributes {
            permissions,
            uid: new.uid,
            gid: new.gid,
            nlink,
            atime: now,
            mtime: now,
            ctime: now,
            btime: Some(now),
            linkable,
            changed: false,
        };
        Self::build(fs, fs.next_ino(), new.kind.kind(), attributes, body, counted, None)
    }

    /// The node for an inode of the image.
    pub(super) fn over(fs: &Arc<MemFs>, image: Arc<DiskInode>) -> Arc<Self> {
        let metadata = *image.metadata();
        let body = match metadata.kind() {
            FileKind::Regular => {
                Body::Regular(Mapping::backed(image.clone(), image.size(), fs.pages.clone()))
            }
            FileKind::Directory => Body::Directory(Mutex::new(Directory::on_image())),
            FileKind::Symlink => Body::Symlink(None),
            _ => Body::Special(metadata.rdev),
        };
        let attributes = Attributes {
            permissions: metadata.mode & mode::PERMISSIONS,
            uid: metadata.uid,
            gid: metadata.gid,
            nlink: metadata.nlink,
            atime: metadata.atime,
            mtime: metadata.mtime,
            ctime: metadata.ctime,
            btime: metadata.btime,
            linkable: false,
            changed: false,
        };
        Self::build(fs, u64::from(image.ino()), metadata.kind(), attributes, body, false, Some(image))
    }

    fn build(
        fs: &Arc<MemFs>,
        ino: u64,
        kind: FileKind,
        attributes: Attributes,
        body: Body,
        counted: bool,
        image: Option<Arc<DiskInode>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            fs: fs.clone(),
            this: this.clone(),
            ino,
            kind,
            attributes: SpinLock::new(attributes),
            body,
            image,
            xattrs: Mutex::new(Xattrs::default()),
            write: Mutex::new(()),
            slot: Slot::default(),
            counted,
        })
    }

    pub(super) const fn number(&self) -> u64 {
        self.ino
    }

    pub(super) const fn file_kind(&self) -> FileKind {
        self.kind
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Its entries and its own data are let go: the filesystem is unmounted.
    pub(super) fn clear(&self) {
        if let Body::Directory(directory) = &self.body {
            // Down the tree without recursion, however deep it is.
            let mut rest = directory.lock().take_nodes();
            while let Some(node) = rest.pop() {
                if let Body::Directory(directory) = &node.body {
                    rest.append(&mut directory.lock().take_nodes());
                }
            }
        }
    }

    /// From now on it differs from the image.
    pub(super) fn set_changed(&self) {
        if self.image.is_none() {
            return;
        }
        let mut attributes = self.attributes.lock();
        let first = !core::mem::replace(&mut attributes.changed, true);
        let named = attributes.nlink != 0;
        drop(attributes);
        if first
            && named
            && let Some(this) = self.this.upgrade()
        {
            self.fs.keep(this);
        }
    }

    fn update<R>(&self, change: impl FnOnce(&mut Attributes, Timespec) -> R) -> R {
        let now = self.fs.clock.now();
        let result = change(&mut self.attributes.lock(), now);
        self.set_changed();
        result
    }

    /// Its contents have changed: mtime and ctime.
    pub(super) fn touch_contents(&self) {
        self.update(|attributes, now| {
            attributes.mtime = now;
            attributes.ctime = now;
        });
    }

    /// Something about it has changed: ctime.
    pub(super) fn touch(&self) {
        self.update(|attributes, now| attributes.ctime = now);
    }

    /// One more name.
    ///
    /// # Errors
    /// ENOENT if the last is gone, EMLINK.
    pub(super) fn add_name(&self) -> Result<()> {
        let most = if self.fs.image().is_some() { 65_000 } else { u32::MAX };
        self.update(|attributes, now| {
            if attributes.nlink == 0 && !attributes.linkable {
                return err!(ENOENT);
            }
            if attributes.nlink >= most {
                return err!(EMLINK);
            }
            attributes.nlink += 1;
            attributes.linkable = false;
            attributes.ctime = now;
            Ok(())
        })
    }

    /// One name less; for a directory the last, with its own `.`.
    pub(super) fn remove_name(&self) {
        let is_directory = self.is_directory();
        let gone = self.update(|attributes, now| {
            attributes.nlink = if is_directory { 0 } else { attributes.nlink.saturating_sub(1) };
            attributes.ctime = now;
            attributes.nlink == 0
        });
        if gone {
            self.fs.release(self.ino);
        }
    }

    /// Entries changed; `by` subdirectories more or less, each of which has a `..` that counts as a name of this one.
    pub(super) fn entries_changed(&self, by: i32) {
        self.update(|attributes, now| {
            attributes.mtime = now;
            attributes.ctime = now;
            // ext4 gives up counting when there are too many and says 1.
            if attributes.nlink > 1 {
                attributes.nlink = attributes.nlink.saturating_add_signed(by);
            }
        });
    }

    pub(super) fn mapping(&self) -> Option<&Mapping> {
        match &self.body {
            Body::Regular(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Size in bytes, and storage in 512-byte units.
    fn extent(&self) -> (u64, u64) {
        const SECTORS: u64 = PAGE_SIZE as u64 / 512;
        let image = self.image.as_ref().map(|image| image.metadata());
        match &self.body {
            Body::Regular(mapping) => {
                let (backed, extra) = mapping.usage();
                let below = image.map_or(0, |image| {
                    let valid = backed.div_ceil(PAGE_SIZE as u64) * SECTORS;
                    if backed == image.size { image.blocks } else { image.blocks.min(valid) }
                });
                (mapping.size(), below + extra * SECTORS)
            }
            Body::Directory(directory) => match (image, &self.fs.kind) {
                (Some(image), _) => (image.size, image.blocks),
                (None, Kind::Over(image, _)) => {
                    let size = u64::from(image.block_bytes());
                    (size, size / 512)
                }
                (None, Kind::Memory(..)) => ((2 + directory.lock().len() as u64) * ENTRY_SIZE, 0),
            },
            Body::Symlink(Some(target)) => (target.len() as u64, 0),
            Body::Symlink(None) => image.map_or((0, 0), |image| (image.size, image.blocks)),
            Body::Special(_) => (0, 0),
        }
    }
}

impl Inode for Node {
    fn metadata(&self) -> Metadata {
        let (size, blocks) = self.extent();
        let block_size = self.fs.image().map_or(PAGE_SIZE as u32, |image| image.block_bytes());
        let attributes = self.attributes.lock();
        Metadata {
            dev: self.fs.dev,
            ino: self.ino,
            mode: self.kind.mode_bits() | attributes.permissions,
            nlink: attributes.nlink,
            uid: attributes.uid,
            gid: attributes.gid,
            rdev: if let Body::Special(number) = self.body { number } else { DeviceNumber::default() },
            size,
            block_size,
            blocks,
            atime: attributes.atime,
            mtime: attributes.mtime,
            ctime: attributes.ctime,
            btime: attributes.btime,
        }
    }

    fn kind(&self) -> FileKind {
        self.kind
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

    fn size(&self) -> u64 {
        self.extent().0
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        if let Some(size) = attr.size {
            self.set_size(size)?;
        }
        self.update(|attributes, now| {
            attributes.permissions =
                attr.mode.map_or(attributes.permissions, |mode| mode & mode::PERMISSIONS);
            attributes.uid = attr.uid.unwrap_or(attributes.uid);
            attributes.gid = attr.gid.unwrap_or(attributes.gid);
            attributes.ctime = now;
            if attr.size.is_some() {
                attributes.mtime = now;
            }
            attributes.atime = attr.atime.unwrap_or(attributes.atime);
            attributes.mtime = attr.mtime.unwrap_or(attributes.mtime);
        });
        Ok(())
    }

    fn accessed(&self) {
        let now = self.fs.clock.now();
        let mut attributes = self.attributes.lock();
        let atime = attributes.atime;
        if atime <= attributes.mtime || atime <= attributes.ctime || now.tv_sec - atime.tv_sec >= DAY {
            attributes.atime = now;
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<InodeRef> {
        Ok(self.find(name)?)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<InodeRef> {
        Ok(self.create_entry(name, new)?)
    }

    fn create_unnamed(&self, new: &NewInode, linkable: bool) -> Result<InodeRef> {
        Ok(Self::create(&self.fs, new, 0, linkable)?)
    }

    fn link(&self, name: &[u8], file: &InodeRef) -> Result<()> {
        self.link_entry(name, &downcast(file)?)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.remove_entry(name, false)
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        self.remove_entry(name, true)
    }

    fn rename(&self, old: &[u8], new_dir: &InodeRef, new: &[u8], flags: RenameFlags) -> Result<()> {
        let new_dir = downcast(new_dir)?;
        if flags.contains(RenameFlags::EXCHANGE) {
            self.exchange_entries(old, &new_dir, new)
        } else {
            self.rename_entry(old, &new_dir, new)
        }
    }

    fn read_dir(&self, offset: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<()> {
        self.list(offset, emit)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        match (&self.body, &self.image) {
            (Body::Symlink(Some(target)), _) => Ok(target.clone()),
            (Body::Symlink(None), Some(image)) => image.read_link(),
            _ => err!(EINVAL),
        }
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        self.contents()?.read_at(offset, sink)
    }

    fn write_at(&self, at: WriteAt, source: &mut dyn Source) -> Result<(usize, u64)> {
        self.write_contents(at, source)
    }

    fn fallocate(&self, mode: FallocateMode, offset: u64, len: u64) -> Result<()> {
        self.allocate(mode, offset, len)
    }

    fn page(&self, index: u64) -> Result<Frame> {
        match self.mapping() {
            Some(mapping) => mapping.page(index),
            None => err!(ENODEV),
        }
    }

    fn page_for_write(&self, index: u64) -> Result<Frame> {
        let Some(mapping) = self.mapping() else { return err!(ENODEV) };
        let frame = mapping.page_for_write(index)?;
        self.touch_contents();
        Ok(frame)
    }

    fn cached_pages(&self, first: u64, count: u64, emit: &mut dyn FnMut(u64, Frame)) {
        if let Some(mapping) = self.mapping() {
            mapping.cached(first, count, emit);
        }
    }

    fn read_ahead(&self, first: u64, count: u64) {
        if let Some(mapping) = self.mapping() {
            mapping.read_ahead(first, count);
        }
    }

    fn seek_data(&self, offset: u64) -> Result<u64> {
        self.contents()?.seek_data(offset)
    }

    fn seek_hole(&self, offset: u64) -> Result<u64> {
        self.contents()?.seek_hole(offset)
    }

    fn sync(&self) -> Result<()> {
        match self.kind {
            FileKind::Regular | FileKind::Directory => Ok(()),
            _ => err!(EINVAL),
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.xattr(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: XattrFlags) -> Result<()> {
        self.store_xattr(name, value, flags)
    }

    fn list_xattr(&self) -> Result<Vec<u8>> {
        self.xattr_names()
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.drop_xattr(name)
    }
}

/// The node behind a file of this kind of filesystem.
fn downcast(inode: &InodeRef) -> Result<Arc<Node>> {
    let any: Arc<dyn core::any::Any + Send + Sync> = inode.clone();
    match any.downcast() {
        Ok(node) => Ok(node),
        Err(_) => err!(EXDEV),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        match self.image {
            Some(_) => self.fs.forget(self.ino, self),
            None if self.counted => self.fs.inodes.give(1),
            None => {}
        }
    }
}
