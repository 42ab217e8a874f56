//! skeleton
use crate::InodeRef;
/// One name in a directory.
pub struct Dentry {
    pub(crate) inode: InodeRef,
}
