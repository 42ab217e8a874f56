//! The filesystem in memory: tmpfs, devtmpfs, and the root.
//!
//! The root is an ext4 image with all changes kept in memory above it. Its directories are taken over from the image when first
//! looked into; a file's unchanged pages stay clean pages of the page cache, which can be dropped and read again. A
//! node that has been changed is kept as long as it has a name; one that has not is made again from the image when needed. (A
//! changed access time alone does not count: it may fall back when memory was short.)

mod contents;
mod directory;
mod node;
mod xattr;

use crate::cache::Budget;
use crate::ext4::{DiskInode, Ext4, ROOT_INO};
use crate::{Clock, DeviceNumber, FileSystem, InodeRef, NewInode, NewKind, Result, StatFs};
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};
use hashbrown::HashMap;
use husk_machine::frame::PAGE_SIZE;
use husk_machine::sync::SpinLock;
use node::Node;

/// `f_type` of tmpfs and devtmpfs.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// How much an in-memory filesystem may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages of file contents (Linux's tmpfs: half of the memory).
    pub pages: u64,
    /// Files.
    pub inodes: u64,
}

/// A filesystem in memory: tmpfs, devtmpfs, or the changes above an ext4 image.
pub struct MemFs {
    this: Weak<Self>,
    kind: Kind,
    dev: DeviceNumber,
    clock: Arc<dyn Clock>,
    pages: Arc<Budget>,
    inodes: Arc<Budget>,
    next_ino: AtomicU64,
    root: SpinLock<Option<Arc<Node>>>,
    /// The nodes that stand for inodes of the image.
    known: SpinLock<HashMap<u64, Weak<Node>>>,
    /// Those of them that have been changed and still have a name.
    changed: SpinLock<HashMap<u64, Arc<Node>>>,
}

enum Kind {
    /// Type name and mode of the top directory.
    Memory(&'static str, u32),
    Over(Arc<Ext4>, Arc<DiskInode>),
}

impl MemFs {
    /// An empty tmpfs; its top directory is root's with mode 1777. When it is unmounted its contents are gone.
    #[must_use]
    pub fn tmpfs(dev: DeviceNumber, clock: Arc<dyn Clock>, limits: Limits) -> Arc<Self> {
        Self::new(Kind::Memory("tmpfs", 0o1777), dev, clock, limits, 1)
    }

    /// An empty devtmpfs; its top directory is root's with mode 755.
    #[must_use]
    pub fn devtmpfs(dev: DeviceNumber, clock: Arc<dyn Clock>, limits: Limits) -> Arc<Self> {
        Self::new(Kind::Memory("devtmpfs", 0o755), dev, clock, limits, 1)
    }

    /// The files of an ext4 image, with every change kept in memory only. Shows itself as ext4.
    ///
    /// # Errors
    /// EIO, EUCLEAN if the root directory cannot be read.
    pub fn over(
        lower: Arc<Ext4>,
        dev: DeviceNumber,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Arc<Self>> {
        let root = lower.inode(ROOT_INO)?;
        if root.metadata().kind() != crate::FileKind::Directory {
            log::error!("ext4 on {}: the root inode is no directory", lower.device().name());
            return husk_abi::err!(EUCLEAN);
        }
        let first_new = u64::from(lower.inodes()) + 1;
        Ok(Self::new(Kind::Over(lower, root), dev, clock, limits, first_new))
    }

    fn new(
        kind: Kind,
        dev: DeviceNumber,
        clock: Arc<dyn Clock>,
        limits: Limits,
        first_ino: u64,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            kind,
            dev,
            clock,
            pages: Arc::new(Budget::new(limits.pages)),
            inodes: Arc::new(Budget::new(limits.inodes)),
            next_ino: AtomicU64::new(first_ino),
            root: SpinLock::new(None),
            known: SpinLock::new(HashMap::new()),
            changed: SpinLock::new(HashMap::new()),
        })
    }

    /// A new regular file without a name (memfd_create(2)).
    ///
    /// # Errors
    /// ENOSPC at the limit of files.
    pub fn unnamed_file(&self, new: &NewInode) -> Result<InodeRef> {
        Ok(Node::create(&self.arc(), new, 0, false)?)
    }

    fn arc(&self) -> Arc<Self> {
        // Whoever calls a method has an Arc, as nothing else is ever given out.
        self.this.upgrade().expect("a filesystem is only ever reached through an Arc")
    }

    fn next_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    fn image(&self) -> Option<&Arc<Ext4>> {
        match &self.kind {
            Kind::Over(image, _) => Some(image),
            Kind::Memory(..) => None,
        }
    }

    /// The node for an inode of the image.
    ///
    /// # Errors
    /// EUCLEAN, EIO.
    fn node_of(&self, ino: u64) -> Result<Arc<Node>> {
        if let Some(node) = self.known_node(ino) {
            return Ok(node);
        }
        let Some(image) = self.image() else { return husk_abi::err!(EUCLEAN) };
        let inode = image.inode(u32::try_from(ino).unwrap_or(0))?;
        Ok(self.adopt(inode))
    }

    fn known_node(&self, ino: u64) -> Option<Arc<Node>> {
        self.known.lock().get(&ino)?.upgrade()
    }

    /// The node for an inode that has been read.
    fn adopt(&self, inode: Arc<DiskInode>) -> Arc<Node> {
        let ino = u64::from(inode.ino());
        let new = Node::over(&self.arc(), inode);
        let mut known = self.known.lock();
        let other = known.get(&ino).and_then(Weak::upgrade);
        if other.is_none() {
            known.insert(ino, Arc::downgrade(&new));
        }
        drop(known);
        other.unwrap_or(new)
    }

    /// A node for an inode of the image is gone.
    fn forget(&self, ino: u64, node: *const Node) {
        let mut known = self.known.lock();
        if known.get(&ino).is_some_and(|there| core::ptr::eq(there.as_ptr(), node)) {
            known.remove(&ino);
        }
    }

    /// Keeps a node that is no longer as on the image.
    fn keep(&self, node: Arc<Node>) {
        self.changed.lock().insert(node.number(), node);
    }

    /// Its last name is gone: open files alone keep it now.
    fn release(&self, ino: u64) {
        let node = self.changed.lock().remove(&ino);
        drop(node);
    }
}

impl FileSystem for MemFs {
    fn name(&self) -> &str {
        match &self.kind {
            Kind::Memory(name, _) => name,
            Kind::Over(..) => "ext4",
        }
    }

    fn root(&self) -> InodeRef {
        if let Some(root) = &*self.root.lock() {
            return root.clone();
        }
        let new = match &self.kind {
            Kind::Over(_, root) => self.adopt(root.clone()),
            Kind::Memory(_, mode) => {
                let new = NewInode { kind: NewKind::Directory, mode: *mode, uid: 0, gid: 0 };
                Node::root(&self.arc(), &new)
            }
        };
        self.root.lock().get_or_insert(new).clone()
    }

    fn statfs(&self) -> StatFs {
        let free = self.pages.limit() - self.pages.used().min(self.pages.limit());
        let free_inodes = self.inodes.limit() - self.inodes.used().min(self.inodes.limit());
        match &self.kind {
            Kind::Memory(..) => StatFs {
                f_type: TMPFS_MAGIC,
                bsize: PAGE_SIZE as u64,
                blocks: self.pages.limit(),
                bfree: free,
                bavail: free,
                files: self.inodes.limit(),
                ffree: free_inodes,
                fsid: self.dev.encode(),
                namelen: 255,
            },
            // What the image holds counts as used; what is free is what memory can take.
            Kind::Over(image, _) => {
                let below = image.statfs();
                let blocks = |pages: u64| pages.saturating_mul(PAGE_SIZE as u64) / below.bsize;
                let used = below.blocks.saturating_sub(below.bfree);
                StatFs {
                    blocks: used.saturating_add(blocks(self.pages.limit())),
                    bfree: blocks(free),
                    bavail: blocks(free),
                    files: below.files.saturating_sub(below.ffree).saturating_add(self.inodes.limit()),
                    ffree: free_inodes,
                    ..below
                }
            }
        }
    }

    fn dev(&self) -> DeviceNumber {
        self.dev
    }

    fn mount_options(&self) -> String {
        match &self.kind {
            Kind::Memory("tmpfs", _) => {
                format!("size={}k", self.pages.limit().saturating_mul(PAGE_SIZE as u64 / 1024))
            }
            Kind::Memory(..) => format!(
                "size={}k,nr_inodes={},mode=755",
                self.pages.limit().saturating_mul(PAGE_SIZE as u64 / 1024),
                self.inodes.limit()
            ),
            Kind::Over(..) => String::new(),
        }
    }

    fn unmounted(&self) {
        let root = self.root.lock().take();
        if let Some(root) = root {
            root.clear();
        }
        let changed = core::mem::take(&mut *self.changed.lock());
        for node in changed.into_values() {
            node.clear();
        }
    }
}
