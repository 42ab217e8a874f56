//! Open file descriptions (open(2)): what descriptors that were duplicated from each other share.

use super::locks;
use super::object::File;
use super::table::FdTable;
use crate::mm::Mappable;
use crate::poll::epoll::Watchers;
use crate::task::Task;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{FileKind, InodeRef, Location, Metadata, OpenFlags, Sink, Source, WriteAt};
use husk_machine::sync::{Mutex, SpinLock};

/// The flags F_SETFL may change.
const SETTABLE: OpenFlags = OpenFlags::APPEND
    .union(OpenFlags::NONBLOCK)
    .union(OpenFlags::ASYNC)
    .union(OpenFlags::DIRECT)
    .union(OpenFlags::NOATIME);

/// Who gets signals about the file (F_SETOWN, F_SETSIG).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owner {
    /// A process (positive), a process group (negative) or nobody.
    pub(crate) pid: i32,
    /// `F_OWNER_TID`, `F_OWNER_PID` or `F_OWNER_PGRP`.
    pub(crate) kind: i32,
    /// The signal; 0 is SIGIO.
    pub(crate) signal: i32,
}

/// An open file description.
pub(crate) struct FileDescription {
    file: Arc<dyn File>,
    flags: AtomicU32,
    /// Held while reading or writing moves it.
    position: Mutex<u64>,
    location: Option<Location>,
    owner: SpinLock<Owner>,
    /// Counted as a writer of the inode.
    counted_as_writer: bool,
    /// A lock of flock(2) or an OFD lock may be held.
    may_hold_locks: AtomicBool,
    /// The epoll instances that watch it.
    watchers: Watchers,
}

impl FileDescription {
    /// A description of something without a place in the tree of files.
    pub(crate) fn new(file: Arc<dyn File>, flags: OpenFlags) -> Arc<Self> {
        Arc::new(Self::build(file, flags, None, false))
    }

    /// A description of a file that was opened by its path. Flags that only matter while opening are left out.
    ///
    /// # Errors
    /// ETXTBSY if it is opened for writing and a program runs from it.
    pub(crate) fn at(file: Arc<dyn File>, flags: OpenFlags, location: Location) -> Result<Arc<Self>, Errno> {
        let regular = location.inode().kind() == FileKind::Regular;
        let writer = regular && flags.writes() && !flags.contains(OpenFlags::PATH);
        if writer {
            location.inode().slot().write_access.get()?;
        }
        Ok(Arc::new(Self::build(file, flags, Some(location), writer)))
    }

    fn build(file: Arc<dyn File>, flags: OpenFlags, location: Option<Location>, writer: bool) -> Self {
        let opening =
            OpenFlags::CREAT | OpenFlags::EXCL | OpenFlags::NOCTTY | OpenFlags::TRUNC | OpenFlags::CLOEXEC;
        Self {
            file,
            flags: AtomicU32::new((flags - opening).bits()),
            position: Mutex::new(0),
            location,
            owner: SpinLock::new(Owner::default()),
            counted_as_writer: writer,
            may_hold_locks: AtomicBool::new(false),
            watchers: Watchers::default(),
        }
    }

    /// The object.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Where it was opened.
    pub(crate) fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// The inode, if it is a file of a filesystem.
    pub(crate) fn inode(&self) -> Option<&InodeRef> {
        self.file.inode()
    }

    /// The status flags with the access mode.
    pub(crate) fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// F_SETFL: replaces those flags that may change.
    pub(crate) fn set_flags(&self, new: OpenFlags) {
        let change = |old| Some(old & !SETTABLE.bits() | (new & SETTABLE).bits());
        // Another thread may set a single flag meanwhile.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// Sets or clears one status flag.
    pub(crate) fn set_flag(&self, flag: OpenFlags, value: bool) {
        if value {
            self.flags.fetch_or(flag.bits(), Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag.bits(), Ordering::Relaxed);
        }
    }

    /// Whether it only names a place in the tree (O_PATH).
    pub(crate) fn is_path_only(&self) -> bool {
        self.flags().contains(OpenFlags::PATH)
    }

    /// Whether it is open for reading.
    pub(crate) fn is_readable(&self) -> bool {
        self.flags().reads()
    }

    /// Whether it is open for writing.
    pub(crate) fn is_writable(&self) -> bool {
        self.flags().writes()
    }

    /// What mmap(2) maps.
    ///
    /// # Errors
    /// ENODEV if it cannot be mapped.
    pub(crate) fn mappable(&self) -> Result<Mappable, Errno> {
        self.file.mappable()
    }

    /// Whether calls fail instead of waiting.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// The epoll instances that watch it.
    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// The file position; hold it while moving it.
    pub(crate) fn position(&self) -> &Mutex<u64> {
        &self.position
    }

    /// Who gets signals about it.
    pub(crate) fn owner(&self) -> &SpinLock<Owner> {
        &self.owner
    }

    /// What fstat(2) tells.
    pub(crate) fn metadata(&self) -> Metadata {
        match &self.location {
            Some(location) => location.inode().metadata(),
            None => self.file.metadata(),
        }
    }

    /// The kind of file.
    pub(crate) fn kind(&self) -> FileKind {
        match &self.location {
            Some(location) => location.inode().kind(),
            None => self.file.metadata().kind(),
        }
    }

    /// What /proc/self/fd/N leads to, as text seen from `root`.
    pub(crate) fn path(&self, root: &Location) -> Vec<u8> {
        match &self.location {
            Some(location) => location.path(root),
            None => self.file.name(),
        }
    }

    /// Reads at the position and moves it.
    ///
    /// # Errors
    /// EBADF if it is not open for reading; the object's.
    pub(crate) fn read(&self, task: &Task, nonblocking: bool, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if !self.flags().reads() {
            return err!(EBADF);
        }
        if !self.file.is_seekable() {
            self.file.check_job_control(task, false)?;
            return self.file.wait_read(task, nonblocking, sink);
        }
        let mut position = self.position.lock();
        let count = self.file.read_at(*position, sink)?;
        *position += count as u64;
        Ok(count)
    }

    /// Reads at an offset (pread).
    ///
    /// # Errors
    /// EBADF, ESPIPE; the object's.
    pub(crate) fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if !self.file.is_seekable() {
            return err!(ESPIPE);
        }
        if !self.flags().reads() {
            return err!(EBADF);
        }
        self.file.read_at(offset, sink)
    }

    /// Writes at the position, or at the end with O_APPEND, and moves the position behind it.
    ///
    /// # Errors
    /// EBADF if it is not open for writing; the object's.
    pub(crate) fn write(
        &self,
        task: &Task,
        nonblocking: bool,
        source: &mut dyn Source,
    ) -> Result<usize, Errno> {
        if !self.flags().writes() {
            return err!(EBADF);
        }
        if !self.file.is_seekable() {
            self.file.check_job_control(task, true)?;
            return self.file.wait_write(task, nonblocking, source);
        }
        let mut position = self.position.lock();
        let append = self.flags().contains(OpenFlags::APPEND);
        let at = if append { WriteAt::Append } else { WriteAt::Offset(*position) };
        let (count, end) = self.write_file(task, at, source)?;
        *position = end;
        Ok(count)
    }

    /// Writes at an offset (pwrite). With O_APPEND Linux writes at the end whatever the offset.
    ///
    /// # Errors
    /// EBADF, ESPIPE; the object's.
    pub(crate) fn write_at(&self, task: &Task, at: WriteAt, source: &mut dyn Source) -> Result<usize, Errno> {
        if !self.file.is_seekable() {
            return err!(ESPIPE);
        }
        if !self.flags().writes() {
            return err!(EBADF);
        }
        let at = if self.flags().contains(OpenFlags::APPEND) { WriteAt::Append } else { at };
        self.write_file(task, at, source).map(|(count, _)| count)
    }

    fn write_file(&self, task: &Task, at: WriteAt, source: &mut dyn Source) -> Result<(usize, u64), Errno> {
        let result = match self.inode() {
            Some(inode) if inode.kind() == FileKind::Regular => {
                super::limits::write_limited(task, inode, at, source, |source| {
                    self.file.write_at(at, source)
                })?
            }
            _ => self.file.write_at(at, source)?,
        };
        if self.flags().intersects(OpenFlags::DSYNC | OpenFlags::SYNC)
            && let Some(inode) = self.inode()
            && inode.kind() == FileKind::Regular
        {
            inode.sync()?;
        }
        Ok(result)
    }

    /// Notes that locks may be held through this description, to be released with it.
    pub(crate) fn note_locks(&self) {
        self.may_hold_locks.store(true, Ordering::Relaxed);
    }

    /// What close(2) of a descriptor in `table` does besides dropping it: the process's record locks on the file go away.
    pub(crate) fn closed_by(&self, table: &FdTable) {
        if let Some(inode) = self.inode() {
            locks::release_process(inode, table);
        }
    }
}

impl Drop for FileDescription {
    fn drop(&mut self) {
        self.watchers.file_closed(&*self.file);
        if *self.may_hold_locks.get_mut()
            && let Some(inode) = self.file.inode()
        {
            locks::release_description(inode, core::ptr::from_ref(self).addr());
        }
        if self.counted_as_writer
            && let Some(location) = &self.location
        {
            location.inode().slot().write_access.put();
        }
    }
}
