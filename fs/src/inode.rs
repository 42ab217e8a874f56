//! What every file of every filesystem implements.

use crate::namespace::Location;
use crate::{DirEntry, FileKind::Directory};
use crate::{
    FallocateMode, FileKind, FileSystem, Metadata, NewInode, OpenFlags, RenameFlags, Result, SetAttr, Sink,
    Slot, Source, WriteAt, XattrFlags,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use husk_abi::err;
use husk_machine::frame::Frame;

/// A shared file.
pub type InodeRef = Arc<dyn Inode>;

/// A file: the thing itself, without its names. Methods not overridden answer as Linux does for a file that cannot do
/// that. Who may do something is checked before, in [`ops`](crate::ops), not here.
///
/// Methods on directory entries are called with the directory locked by its dentry, so that they never run twice at a time
/// in one directory.
pub trait Inode: Any + Send + Sync {
    /// What stat(2) tells.
    fn metadata(&self) -> Metadata;

    /// Its kind; never changes.
    fn kind(&self) -> FileKind;

    /// Its number; never changes.
    fn ino(&self) -> u64;

    /// The filesystem it is in.
    fn file_system(&self) -> Arc<dyn FileSystem>;

    /// Where other layers keep what belongs to it.
    fn slot(&self) -> &Slot;

    /// Size in bytes.
    fn size(&self) -> u64 {
        self.metadata().size
    }

    /// Changes attributes as told. A new size needs a regular file.
    ///
    /// # Errors
    /// EPERM if the filesystem keeps none; EINVAL, EFBIG, ENOSPC for a size.
    fn set_attr(&self, _attr: &SetAttr) -> Result<()> {
        err!(EPERM)
    }

    /// Something was read from it: brings the access time up to date as relatime does.
    fn accessed(&self) {}

    // Directories.

    /// Whether names found in it may be remembered. If not, every path walk asks again.
    fn caches_names(&self) -> bool {
        true
    }

    /// The file with this name, never `.` or `..`.
    ///
    /// # Errors
    /// ENOENT if there is none.
    fn lookup(&self, _name: &[u8]) -> Result<InodeRef> {
        err!(ENOTDIR)
    }

    /// Makes a new file with this name.
    ///
    /// # Errors
    /// EEXIST if there is one; ENOENT if the directory itself has been removed.
    fn create(&self, _name: &[u8], _new: &NewInode) -> Result<InodeRef> {
        err!(EPERM)
    }

    /// Makes a new regular file without a name (O_TMPFILE). If `linkable`, link(2) may name it later.
    ///
    /// # Errors
    /// EOPNOTSUPP if the filesystem cannot.
    fn create_unnamed(&self, _new: &NewInode, _linkable: bool) -> Result<InodeRef> {
        err!(EOPNOTSUPP)
    }

    /// Gives a file of the same filesystem one more name.
    ///
    /// # Errors
    /// EEXIST, EMLINK; ENOENT if the file's last name is gone.
    fn link(&self, _name: &[u8], _file: &InodeRef) -> Result<()> {
        err!(EPERM)
    }

    /// Removes the name of something that is not a directory.
    ///
    /// # Errors
    /// ENOENT, EISDIR.
    fn unlink(&self, _name: &[u8]) -> Result<()> {
        err!(EPERM)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY.
    fn rmdir(&self, _name: &[u8]) -> Result<()> {
        err!(EPERM)
    }

    /// Renames an entry, perhaps into another directory of the same filesystem, perhaps replacing what has that name.
    ///
    /// # Errors
    /// ENOENT, EEXIST (NOREPLACE), EISDIR, ENOTDIR, ENOTEMPTY.
    fn rename(&self, _old: &[u8], _new_dir: &InodeRef, _new: &[u8], _flags: RenameFlags) -> Result<()> {
        err!(EPERM)
    }

    /// Lists the entries from `offset` on without `.` and `..` (see [`Location::read_dir`]) until `emit` says
    /// `false`; that entry counts as not taken. Offsets 0 to 2 mean the start; entries' own offsets are above 2. `emit`
    /// must not touch user memory: it may be called with locks held.
    ///
    /// # Errors
    /// EIO, EUCLEAN if the directory cannot be read.
    fn read_dir(&self, _offset: u64, _emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<()> {
        err!(ENOTDIR)
    }

    // Symbolic links.

    /// The path a symbolic link holds.
    ///
    /// # Errors
    /// EINVAL if it is none.
    fn read_link(&self) -> Result<Vec<u8>> {
        err!(EINVAL)
    }

    /// For procfs's links that lead to a place whatever their text says (fd, exe, cwd, root): that place.
    fn magic_link(&self) -> Option<Result<Location>> {
        None
    }

    // Contents.

    /// What an open file of it should work on instead, where each opening has contents or a state of its own (procfs).
    ///
    /// # Errors
    /// As open(2).
    fn open(&self, _flags: OpenFlags) -> Result<Option<Arc<dyn OpenObject>>> {
        Ok(None)
    }

    /// Reads from `offset` until the sink is full or the file ends. The answer is the number of bytes.
    ///
    /// # Errors
    /// EISDIR for a directory, EIO; EFAULT from the sink; each only if nothing was read.
    fn read_at(&self, _offset: u64, _sink: &mut dyn Sink) -> Result<usize> {
        if self.kind() == Directory { err!(EISDIR) } else { err!(EINVAL) }
    }

    /// Writes all the source has. The answer is the number of bytes and the position after the last.
    ///
    /// # Errors
    /// EBADF/EISDIR for what has no contents, ENOSPC, EFBIG, EIO; EFAULT from the source; each only if nothing was written.
    fn write_at(&self, _at: WriteAt, _source: &mut dyn Source) -> Result<(usize, u64)> {
        if self.kind() == Directory { err!(EISDIR) } else { err!(EINVAL) }
    }

    /// fallocate(2) on a valid range (not negative, not empty).
    ///
    /// # Errors
    /// EOPNOTSUPP for a mode the filesystem has not, ENODEV for what is no regular file, ENOSPC, EFBIG.
    fn fallocate(&self, _mode: FallocateMode, _offset: u64, _len: u64) -> Result<()> {
        match self.kind() {
            Directory => err!(EISDIR),
            FileKind::Fifo => err!(ESPIPE),
            FileKind::Regular => err!(EOPNOTSUPP),
            _ => err!(ENODEV),
        }
    }

    /// The page-cache page with the bytes from `index * 4096`, for mapping it; read from disk if needed (sleeps).
    /// It is shared: whoever maps it for a private mapping must map it read-only.
    ///
    /// # Errors
    /// ENXIO wholly beyond the end (SIGBUS), ENODEV if it cannot be mapped, EIO, ENOMEM.
    fn page(&self, _index: u64) -> Result<Frame> {
        err!(ENODEV)
    }

    /// As [`page`](Self::page), but the page is about to be written through a shared mapping: it counts as changed from now on. It is
    /// the same page that [`page`](Self::page) gave before.
    ///
    /// # Errors
    /// As [`page`](Self::page), and ENOSPC.
    fn page_for_write(&self, _index: u64) -> Result<Frame> {
        err!(ENODEV)
    }

    /// Hands out those pages of `first..first + count` that are in memory now, without reading any: a fault maps its
    /// neighbours too. `emit` runs with a spin lock held: it may only put the frames aside.
    fn cached_pages(&self, _first: u64, _count: u64, _emit: &mut dyn FnMut(u64, Frame)) {}

    /// Starts reading these pages without waiting for them (readahead(2), POSIX_FADV_WILLNEED, MADV_WILLNEED).
    fn read_ahead(&self, _first: u64, _count: u64) {}

    /// The next offset at or after `offset` that has data (SEEK_DATA). By default all of a file is data.
    ///
    /// # Errors
    /// ENXIO at or beyond the end.
    fn seek_data(&self, offset: u64) -> Result<u64> {
        if offset < self.size() { Ok(offset) } else { err!(ENXIO) }
    }

    /// The next offset at or after `offset` that is in a hole (SEEK_HOLE); the end of the file counts as one.
    ///
    /// # Errors
    /// ENXIO at or beyond the end.
    fn seek_hole(&self, offset: u64) -> Result<u64> {
        let size = self.size();
        if offset < size { Ok(size) } else { err!(ENXIO) }
    }

    /// fsync(2).
    ///
    /// # Errors
    /// EINVAL for what cannot be synchronised, EIO.
    fn sync(&self) -> Result<()> {
        err!(EINVAL)
    }

    // Extended attributes (xattr(7)); names as bytes with their namespace: `user.x`.

    /// getxattr(2).
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP.
    fn get_xattr(&self, _name: &[u8]) -> Result<Vec<u8>> {
        err!(EOPNOTSUPP)
    }

    /// setxattr(2).
    ///
    /// # Errors
    /// EEXIST, ENODATA, ENOSPC, EOPNOTSUPP.
    fn set_xattr(&self, _name: &[u8], _value: &[u8], _flags: XattrFlags) -> Result<()> {
        err!(EOPNOTSUPP)
    }

    /// listxattr(2): each name followed by NUL.
    ///
    /// # Errors
    /// EOPNOTSUPP.
    fn list_xattr(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// removexattr(2).
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP.
    fn remove_xattr(&self, _name: &[u8]) -> Result<()> {
        err!(EOPNOTSUPP)
    }
}

/// One opening of a file that has contents or a state of its own ([`Inode::open`]).
pub trait OpenObject: Send + Sync {
    /// As [`Inode::read_at`].
    ///
    /// # Errors
    /// As [`Inode::read_at`].
    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize>;

    /// As [`Inode::write_at`] with an offset; the answer is the number of bytes.
    ///
    /// # Errors
    /// As [`Inode::write_at`].
    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize>;
}
