//! The small types of the filesystem interface.

use alloc::vec::Vec;
use bitflags::bitflags;
use husk_abi::Timespec;
use linux_raw_sys::general as raw;

/// The bits of `st_mode` (inode(7)).
pub mod mode {
    /// Mask of the file type.
    pub const S_IFMT: u32 = 0o170_000;
    /// A socket.
    pub const S_IFSOCK: u32 = 0o140_000;
    /// A symbolic link.
    pub const S_IFLNK: u32 = 0o120_000;
    /// A regular file.
    pub const S_IFREG: u32 = 0o100_000;
    /// A block device.
    pub const S_IFBLK: u32 = 0o060_000;
    /// A directory.
    pub const S_IFDIR: u32 = 0o040_000;
    /// A character device.
    pub const S_IFCHR: u32 = 0o020_000;
    /// A FIFO.
    pub const S_IFIFO: u32 = 0o010_000;
    /// Set user id on execution.
    pub const S_ISUID: u32 = 0o4000;
    /// Set group id on execution.
    pub const S_ISGID: u32 = 0o2000;
    /// Sticky.
    pub const S_ISVTX: u32 = 0o1000;
    /// The group may execute.
    pub const S_IXGRP: u32 = 0o010;
    /// All permission bits.
    pub const PERMISSIONS: u32 = 0o7777;
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

impl FileKind {
    /// The `S_IF…` bits.
    #[must_use]
    pub const fn mode_bits(self) -> u32 {
        match self {
            Self::Regular => mode::S_IFREG,
            Self::Directory => mode::S_IFDIR,
            Self::Symlink => mode::S_IFLNK,
            Self::CharDevice => mode::S_IFCHR,
            Self::BlockDevice => mode::S_IFBLK,
            Self::Fifo => mode::S_IFIFO,
            Self::Socket => mode::S_IFSOCK,
        }
    }

    /// From the `S_IF…` bits of a mode.
    #[must_use]
    pub const fn from_mode(bits: u32) -> Option<Self> {
        Some(match bits & mode::S_IFMT {
            mode::S_IFREG => Self::Regular,
            mode::S_IFDIR => Self::Directory,
            mode::S_IFLNK => Self::Symlink,
            mode::S_IFCHR => Self::CharDevice,
            mode::S_IFBLK => Self::BlockDevice,
            mode::S_IFIFO => Self::Fifo,
            mode::S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }

    /// The `DT_…` value of getdents64(2).
    #[must_use]
    pub const fn dirent_type(self) -> u8 {
        (self.mode_bits() >> 12) as u8
    }
}

/// A device number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// Which driver (12 bits on Linux).
    pub major: u32,
    /// Which device (20 bits on Linux).
    pub minor: u32,
}

impl DeviceNumber {
    /// From its two parts.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// As in `st_dev` and `st_rdev` (makedev(3) for the sizes Linux uses).
    #[must_use]
    pub const fn encode(self) -> u64 {
        ((self.minor & 0xff) | ((self.major & 0xfff) << 8) | ((self.minor & 0xf_ff00) << 12)) as u64
    }

    /// From the value given to mknod(2) or found on disk.
    #[must_use]
    pub const fn decode(value: u64) -> Self {
        let value = value as u32;
        Self { major: (value >> 8) & 0xfff, minor: (value & 0xff) | ((value >> 12) & 0xf_ff00) }
    }
}

/// What stat(2) and statx(2) tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The filesystem's device number.
    pub dev: DeviceNumber,
    /// Inode number.
    pub ino: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// For a device node, which device.
    pub rdev: DeviceNumber,
    /// Bytes.
    pub size: u64,
    /// Preferred size of reads and writes in bytes.
    pub block_size: u32,
    /// Storage taken, in 512-byte units.
    pub blocks: u64,
    /// Last read (kept as the mount option relatime does).
    pub atime: Timespec,
    /// Last change of contents.
    pub mtime: Timespec,
    /// Last change of the inode.
    pub ctime: Timespec,
    /// Creation, if the filesystem knows it.
    pub btime: Option<Timespec>,
}

impl Metadata {
    /// The kind, from the mode; a mode without a known type counts as a regular file.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        match FileKind::from_mode(self.mode) {
            Some(kind) => kind,
            None => FileKind::Regular,
        }
    }
}

/// A change of attributes. The filesystem does what it is told and sets ctime; who may do it is checked in
/// [`ops`](crate::ops).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// New permission bits (07777).
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size; sets mtime too.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<Timespec>,
    /// New modification time.
    pub mtime: Option<Timespec>,
}

/// What a new inode is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInode {
    /// Its kind.
    pub kind: NewKind,
    /// Permission bits (07777), the umask already applied.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The kind of a new inode with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link to this path.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A FIFO.
    Fifo,
    /// A bound socket.
    Socket,
}

impl NewKind {
    /// The kind without what belongs to it.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        match self {
            Self::Regular => FileKind::Regular,
            Self::Directory => FileKind::Directory,
            Self::Symlink(_) => FileKind::Symlink,
            Self::CharDevice(_) => FileKind::CharDevice,
            Self::BlockDevice(_) => FileKind::BlockDevice,
            Self::Fifo => FileKind::Fifo,
            Self::Socket => FileKind::Socket,
        }
    }
}

/// One entry of a directory listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Inode number.
    pub ino: u64,
    /// Kind of the file.
    pub kind: FileKind,
    /// The name.
    pub name: &'a [u8],
    /// The position after it (`d_off`): where a later listing goes on.
    pub next_offset: u64,
}

/// statfs(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatFs {
    /// The magic number of the type.
    pub f_type: u64,
    /// Block size in bytes.
    pub bsize: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks free.
    pub bfree: u64,
    /// Blocks free for ordinary users.
    pub bavail: u64,
    /// Inodes in all.
    pub files: u64,
    /// Inodes free.
    pub ffree: u64,
    /// An id.
    pub fsid: u64,
    /// Longest name in bytes.
    pub namelen: u64,
}

/// Tells the time of day; each filesystem has one.
pub trait Clock: Send + Sync {
    /// Now, since 1970.
    fn now(&self) -> Timespec;
}

/// Where to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAt {
    /// At this byte offset.
    Offset(u64),
    /// At the end, wherever it is by then (O_APPEND).
    Append,
}

bitflags! {
    /// Flags of renameat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// Fail if the new name exists.
        const NOREPLACE = raw::RENAME_NOREPLACE;
        /// Exchange the two.
        const EXCHANGE = raw::RENAME_EXCHANGE;
    }

    /// Flags of setxattr(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct XattrFlags: u32 {
        /// Fail if it exists.
        const CREATE = raw::XATTR_CREATE;
        /// Fail unless it exists.
        const REPLACE = raw::XATTR_REPLACE;
    }

    /// Modes of fallocate(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FallocateMode: u32 {
        /// Do not grow the file.
        const KEEP_SIZE = raw::FALLOC_FL_KEEP_SIZE;
        /// Free the range (with KEEP_SIZE).
        const PUNCH_HOLE = raw::FALLOC_FL_PUNCH_HOLE;
        /// Make the range read as zeros.
        const ZERO_RANGE = raw::FALLOC_FL_ZERO_RANGE;
        /// Cut the range out.
        const COLLAPSE_RANGE = raw::FALLOC_FL_COLLAPSE_RANGE;
        /// Open a gap.
        const INSERT_RANGE = raw::FALLOC_FL_INSERT_RANGE;
        /// Unshare shared extents.
        const UNSHARE_RANGE = raw::FALLOC_FL_UNSHARE_RANGE;
    }

    /// Flags of open(2), with their values on x86-64.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OpenFlags: u32 {
        /// Write only. Neither this nor `RDWR` is read only.
        const WRONLY = raw::O_WRONLY;
        /// Read and write.
        const RDWR = raw::O_RDWR;
        /// Create it if it is not there.
        const CREAT = raw::O_CREAT;
        /// With CREAT: fail if it is there.
        const EXCL = raw::O_EXCL;
        /// Do not make a terminal the controlling one.
        const NOCTTY = raw::O_NOCTTY;
        /// Cut a regular file to nothing.
        const TRUNC = raw::O_TRUNC;
        /// Every write goes to the end.
        const APPEND = raw::O_APPEND;
        /// Do not wait.
        const NONBLOCK = raw::O_NONBLOCK;
        /// Writes are durable (data).
        const DSYNC = raw::O_DSYNC;
        /// Signal-driven input and output.
        const ASYNC = raw::FASYNC;
        /// Go around the cache.
        const DIRECT = raw::O_DIRECT;
        /// Implied on 64-bit machines.
        const LARGEFILE = raw::O_LARGEFILE;
        /// Fail unless it is a directory.
        const DIRECTORY = raw::O_DIRECTORY;
        /// Do not follow a symbolic link at the end.
        const NOFOLLOW = raw::O_NOFOLLOW;
        /// Reading does not change the access time.
        const NOATIME = raw::O_NOATIME;
        /// Close on exec.
        const CLOEXEC = raw::O_CLOEXEC;
        /// Writes are durable (data and metadata), together with DSYNC.
        const SYNC = raw::__O_SYNC;
        /// Only a handle on the place in the tree.
        const PATH = raw::O_PATH;
        /// A file without a name, together with DIRECTORY.
        const TMPFILE = raw::__O_TMPFILE;
    }
}

impl OpenFlags {
    /// Whether it is opened for reading (access mode 3, Linux's ioctl-only mode, reads and writes not).
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self.bits() & raw::O_ACCMODE, raw::O_RDONLY | raw::O_RDWR)
    }

    /// Whether it is opened for writing.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self.bits() & raw::O_ACCMODE, raw::O_WRONLY | raw::O_RDWR)
    }
}
