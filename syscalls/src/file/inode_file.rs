//! Files and directories of a filesystem, opened.

use super::anon::ReopenSlot;
use super::description::FileDescription;
use super::devices;
use super::memfd;
use super::object::File;
use crate::mm::Mappable;
use crate::pipe::Pipe;
use crate::task::Task;
use crate::wait::Events;
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::{
    FileKind, InodeRef, Location, Metadata, MountFlags, OpenFlags, OpenObject, Sink, Source, WriteAt,
};
use linux_raw_sys::general::F_SEAL_GROW;

/// A regular file or directory.
pub(crate) struct InodeFile {
    location: Location,
    /// What this opening works on instead of the inode (procfs).
    object: Option<Arc<dyn OpenObject>>,
    notes_access: bool,
}

impl InodeFile {
    /// Opens it.
    ///
    /// # Errors
    /// Those of the filesystem.
    pub(crate) fn open(location: &Location, flags: OpenFlags) -> Result<Arc<Self>, Errno> {
        let object = location.inode().open(flags)?;
        Ok(Arc::new(Self {
            location: location.clone(),
            object,
            notes_access: !flags.contains(OpenFlags::NOATIME),
        }))
    }

    /// For O_PATH: nothing is opened.
    fn path_only(location: &Location) -> Arc<Self> {
        Arc::new(Self { location: location.clone(), object: None, notes_access: false })
    }
}

impl File for InodeFile {
    fn metadata(&self) -> Metadata {
        self.location.inode().metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(self.location.inode())
    }

    fn name(&self) -> Vec<u8> {
        self.location.path(&self.location.mount().root())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn is_pollable(&self) -> bool {
        self.object.is_some()
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let count = match &self.object {
            Some(object) => object.read_at(offset, sink)?,
            None => self.location.inode().read_at(offset, sink)?,
        };
        if count > 0 && self.notes_access {
            self.location.accessed();
        }
        Ok(count)
    }

    fn write_at(&self, at: WriteAt, source: &mut dyn Source) -> Result<(usize, u64), Errno> {
        let Some(object) = &self.object else {
            let inode = self.location.inode();
            memfd::check_write(inode)?;
            if memfd::seals(inode).is_some_and(|seals| seals & F_SEAL_GROW != 0) {
                let size = inode.size();
                let start = if let WriteAt::Offset(offset) = at { offset } else { size };
                memfd::check_resize(inode, size, size.max(start.saturating_add(source.remaining() as u64)))?;
            }
            return inode.write_at(at, source);
        };
        let offset = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::Append => 0,
        };
        let count = object.write_at(offset, source)?;
        Ok((count, offset + count as u64))
    }

    fn mappable(&self) -> Result<Mappable, Errno> {
        let inode = self.location.inode();
        if inode.kind() == FileKind::Regular && self.object.is_none() {
            Ok(Mappable::Inode(inode.clone()))
        } else {
            err!(ENODEV)
        }
    }

    fn poll(&self) -> Events {
        Events::READABLE | Events::WRITABLE
    }
}

/// Opens a file that was found and may be opened.
///
/// # Errors
/// ENXIO for a device or socket nobody serves, ELOOP for a symbolic link, ETXTBSY; for a FIFO those of waiting.
pub(crate) fn open_location(
    task: &Task,
    location: &Location,
    flags: OpenFlags,
) -> Result<Arc<FileDescription>, Errno> {
    if flags.contains(OpenFlags::PATH) {
        let kept = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW;
        return FileDescription::at(InodeFile::path_only(location), flags & kept, location.clone());
    }
    let inode = location.inode();
    let file: Arc<dyn File> = match inode.kind() {
        FileKind::Regular | FileKind::Directory => InodeFile::open(location, flags)?,
        FileKind::CharDevice => {
            if location.mount().flags().contains(MountFlags::NODEV) {
                return err!(EACCES);
            }
            devices::open(task, inode, flags)?
        }
        FileKind::Fifo => {
            let slot = Arc::new(ReopenSlot(Pipe::new()));
            let slot = inode.slot().object.get_or_insert(slot).ok_or(Errno::ENXIO.here())?;
            let file = slot.0.clone().open(task, inode, flags)?;
            if super::anon::is_anonymous(inode) {
                return Ok(FileDescription::new(file, flags));
            }
            file
        }
        FileKind::BlockDevice | FileKind::Socket => return err!(ENXIO),
        FileKind::Symlink => return err!(ELOOP),
    };
    FileDescription::at(file, flags, location.clone())
}
