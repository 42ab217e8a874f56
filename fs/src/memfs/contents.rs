//! Contents of regular files.

use super::node::Node;
use crate::cache::Mapping;
use crate::{FallocateMode, FileKind, Result, Source, WriteAt};
use husk_abi::err;

impl Node {
    /// The pages, where there are any.
    pub(super) fn contents(&self) -> Result<&Mapping> {
        match (self.mapping(), self.file_kind()) {
            (Some(mapping), _) => Ok(mapping),
            (None, FileKind::Directory) => err!(EISDIR),
            (None, _) => err!(EINVAL),
        }
    }

    pub(super) fn set_size(&self, size: u64) -> Result<()> {
        let mapping = self.contents()?;
        let _guard = self.write.lock();
        mapping.set_size(size)
    }

    pub(super) fn write_contents(&self, at: WriteAt, source: &mut dyn Source) -> Result<(usize, u64)> {
        let mapping = self.contents()?;
        let _guard = self.write.lock();
        let offset = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::Append => mapping.size(),
        };
        let count = mapping.write_at(offset, source)?;
        if count > 0 {
            self.touch_contents();
        }
        Ok((count, offset + count as u64))
    }

    /// fallocate(2). COLLAPSE_RANGE and INSERT_RANGE are not offered, as on Linux's tmpfs; ZERO_RANGE only above an image, as
    /// ext4 has it and tmpfs not.
    pub(super) fn allocate(&self, mode: FallocateMode, offset: u64, len: u64) -> Result<()> {
        let Some(mapping) = self.mapping() else {
            return match self.file_kind() {
                FileKind::Directory => err!(EISDIR),
                FileKind::Fifo => err!(ESPIPE),
                _ => err!(ENODEV),
            };
        };
        let Some(end) = offset.checked_add(len).filter(|&end| i64::try_from(end).is_ok()) else {
            return err!(EFBIG);
        };
        let keep_size = mode.contains(FallocateMode::KEEP_SIZE);
        let what = mode.difference(FallocateMode::KEEP_SIZE);
        let _guard = self.write.lock();
        if what == FallocateMode::PUNCH_HOLE && keep_size {
            mapping.punch_hole(offset, len)?;
        } else if what == FallocateMode::ZERO_RANGE && self.fs.image().is_some() {
            mapping.punch_hole(offset, len)?;
            mapping.allocate(offset, len)?;
        } else if what.is_empty() {
            mapping.allocate(offset, len)?;
        } else {
            return err!(EOPNOTSUPP);
        }
        if !keep_size && end > mapping.size() {
            mapping.set_size(end)?;
        }
        self.touch_contents();
        Ok(())
    }
}
