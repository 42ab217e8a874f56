//! Small files and directories kept in the inode itself (the `inline_data` feature).

use super::inode::DiskInode;
use super::xattr;
use crate::Result;
use alloc::vec::Vec;

impl DiskInode {
    /// `i_block` and, if it is longer, the rest from the attribute `system.data` in the inode; cut to the size.
    pub(super) fn inline_data(&self) -> Result<Vec<u8>> {
        let mut data = self.block.to_vec();
        if let Some(rest) = xattr::in_inode(&self.xattr_space, xattr::INDEX_SYSTEM, b"data") {
            data.extend_from_slice(rest);
        }
        let size = self.size();
        if size > data.len() as u64 {
            return Err(self.fs.damaged(format_args!(
                "inode {} has {size} bytes of inline data in room for {}",
                self.ino,
                data.len()
            )));
        }
        data.truncate(size as usize);
        Ok(data)
    }
}
