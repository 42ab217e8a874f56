//! Inodes without a name in the tree: pipes, and the one inode that eventfd, epoll and the like share (pipefs,
//! anon_inodefs).

use super::object::File;
use crate::boot::namespace;
use crate::task::Task;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::{Errno, Timespec};
use husk_fs::{
    DeviceNumber, FileKind, FileSystem, Inode, InodeRef, Location, Metadata, Mount, OpenFlags, Slot, StatFs,
    mode,
};
use husk_machine::sync::{Lazy, Once};

/// Something that can be opened again by a name: a FIFO, or a pipe through /proc/self/fd.
pub(crate) trait Reopen: Send + Sync {
    /// Opens it once more with the access mode and O_NONBLOCK of `flags`.
    ///
    /// # Errors
    /// As open(2).
    fn open(self: Arc<Self>, task: &Task, inode: &InodeRef, flags: OpenFlags)
    -> Result<Arc<dyn File>, Errno>;
}

/// What hangs on the slot of an inode that can be opened again.
pub(crate) struct ReopenSlot(pub(crate) Arc<dyn Reopen>);

/// The kind of an inode without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnonKind {
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// Neither file nor directory: eventfd, epoll, timerfd.
    Other,
}

struct AnonFs {
    kind: AnonKind,
}

static PIPEFS: Lazy<Arc<AnonFs>> = Lazy::new(|| Arc::new(AnonFs { kind: AnonKind::Pipe }));
static SOCKFS: Lazy<Arc<AnonFs>> = Lazy::new(|| Arc::new(AnonFs { kind: AnonKind::Socket }));
static ANON_INODEFS: Lazy<Arc<AnonFs>> = Lazy::new(|| Arc::new(AnonFs { kind: AnonKind::Other }));

/// Where pipes are seen through when /proc/self/fd leads to one: a mount outside the tree, made for the first of them.
/// `None` before there is a tree.
fn pipe_mount() -> Option<&'static Arc<Mount>> {
    static PIPE_MOUNT: Once<Arc<Mount>> = Once::new();
    let namespace = namespace()?;
    Some(PIPE_MOUNT.call_once(|| namespace.mount_internal(PIPEFS.clone())))
}

impl FileSystem for AnonFs {
    fn name(&self) -> &str {
        match self.kind {
            AnonKind::Pipe => "pipefs",
            AnonKind::Socket => "sockfs",
            AnonKind::Other => "anon_inodefs",
        }
    }

    fn root(&self) -> InodeRef {
        inode(self.kind, None)
    }

    fn statfs(&self) -> StatFs {
        let f_type = match self.kind {
            AnonKind::Pipe => linux_raw_sys::general::PIPEFS_MAGIC,
            AnonKind::Socket => linux_raw_sys::general::SOCKFS_MAGIC,
            AnonKind::Other => linux_raw_sys::general::ANON_INODE_FS_MAGIC,
        };
        StatFs { f_type: u64::from(f_type), bsize: 4096, namelen: 255, ..StatFs::default() }
    }

    fn dev(&self) -> DeviceNumber {
        match self.kind {
            AnonKind::Pipe => DeviceNumber::new(0, 13),
            AnonKind::Socket => DeviceNumber::new(0, 8),
            AnonKind::Other => DeviceNumber::new(0, 14),
        }
    }
}

struct AnonInode {
    kind: AnonKind,
    ino: u64,
    made: Timespec,
    slot: Slot,
}

/// A new inode; `reopen` says how it is opened through /proc/self/fd.
pub(crate) fn inode(kind: AnonKind, reopen: Option<Arc<dyn Reopen>>) -> InodeRef {
    static NEXT_INO: AtomicU64 = AtomicU64::new(1024);
    let made = Timespec::from_nanos(husk_machine::time::realtime_ns());
    let inode =
        AnonInode { kind, ino: NEXT_INO.fetch_add(1, Ordering::Relaxed), made, slot: Slot::default() };
    if let Some(reopen) = reopen {
        // A new inode has nothing there yet.
        let _ = inode.slot.object.get_or_insert(Arc::new(ReopenSlot(reopen)));
    }
    Arc::new(inode)
}

/// Metadata of what has no inode of its own.
pub(crate) fn shared_metadata() -> Metadata {
    static SHARED: Lazy<InodeRef> = Lazy::new(|| inode(AnonKind::Other, None));
    SHARED.metadata()
}

/// Whether an inode is one of these.
pub(crate) fn is_anonymous(inode: &InodeRef) -> bool {
    let any: &dyn Any = &**inode;
    any.is::<AnonInode>()
}

/// The text of the link in /proc/self/fd.
pub(crate) fn name(inode: &InodeRef) -> Vec<u8> {
    let kind = if inode.kind() == FileKind::Socket { "socket" } else { "pipe" };
    format!("{kind}:[{}]", inode.ino()).into_bytes()
}

/// The place of a pipe for opening it through /proc/self/fd; `None` before there is a tree of files.
pub(crate) fn location(inode: &InodeRef) -> Option<Location> {
    is_anonymous(inode)
        .then(|| pipe_mount().map(|mount| Location::unnamed(mount, &name(inode), inode.clone())))
        .flatten()
}

impl Inode for AnonInode {
    fn metadata(&self) -> Metadata {
        let (mode, nlink) = match self.kind {
            AnonKind::Pipe => (mode::S_IFIFO | 0o600, 1),
            AnonKind::Socket => (mode::S_IFSOCK | 0o777, 1),
            AnonKind::Other => (0o600, 1),
        };
        Metadata {
            dev: self.file_system().dev(),
            ino: self.ino,
            mode,
            nlink,
            block_size: 4096,
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            ..Metadata::default()
        }
    }

    fn kind(&self) -> FileKind {
        match self.kind {
            AnonKind::Pipe => FileKind::Fifo,
            AnonKind::Socket => FileKind::Socket,
            AnonKind::Other => FileKind::Regular,
        }
    }

    fn ino(&self) -> u64 {
        self.ino
    }

    fn file_system(&self) -> Arc<dyn FileSystem> {
        match self.kind {
            AnonKind::Pipe => PIPEFS.clone(),
            AnonKind::Socket => SOCKFS.clone(),
            AnonKind::Other => ANON_INODEFS.clone(),
        }
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
