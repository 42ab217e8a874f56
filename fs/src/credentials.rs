//! Who asks, and what they may do.

use crate::types::mode;
use crate::{Metadata, Result};
use alloc::vec::Vec;
use bitflags::bitflags;
use husk_abi::err;

bitflags! {
    /// The capabilities (capabilities(7)) that filesystems ask for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Capabilities: u32 {
        /// CAP_CHOWN: change owner and group at will.
        const CHOWN = 1 << 0;
        /// CAP_DAC_OVERRIDE: no permission checks, but execution needs one execute bit.
        const DAC_OVERRIDE = 1 << 1;
        /// CAP_DAC_READ_SEARCH: no checks for reading files, reading and searching directories.
        const DAC_READ_SEARCH = 1 << 2;
        /// CAP_FOWNER: what only the owner may do.
        const FOWNER = 1 << 3;
        /// CAP_FSETID: keep set-id bits.
        const FSETID = 1 << 4;
        /// CAP_MKNOD: make device nodes.
        const MKNOD = 1 << 5;
        /// CAP_SYS_ADMIN: trusted extended attributes.
        const SYS_ADMIN = 1 << 6;
    }
}

bitflags! {
    /// What is wanted of a file, with the values of access(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u32 {
        /// X_OK: execute, or search a directory.
        const EXEC = 1;
        /// W_OK.
        const WRITE = 2;
        /// R_OK.
        const READ = 4;
    }
}

/// The identity that filesystem checks use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The filesystem user id (normally the effective one).
    pub uid: u32,
    /// The filesystem group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The effective capabilities.
    pub capabilities: Capabilities,
}

impl Credentials {
    /// The super-user with all capabilities; the kernel's own.
    #[must_use]
    pub const fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), capabilities: Capabilities::all() }
    }

    /// Whether all of `wanted` are held.
    #[must_use]
    pub const fn has(&self, wanted: Capabilities) -> bool {
        self.capabilities.contains(wanted)
    }

    /// Whether `gid` is the group or one of the supplementary ones.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether they are the file's owner or act as such.
    #[must_use]
    pub const fn owns(&self, metadata: &Metadata) -> bool {
        self.uid == metadata.uid || self.has(Capabilities::FOWNER)
    }

    /// path_resolution(7): may they access the file so?
    ///
    /// # Errors
    /// EACCES.
    pub fn check(&self, metadata: &Metadata, wanted: Access) -> Result<()> {
        let class = if self.uid == metadata.uid {
            metadata.mode >> 6
        } else if self.in_group(metadata.gid) {
            metadata.mode >> 3
        } else {
            metadata.mode
        };
        if wanted.bits() & !class == 0 {
            return Ok(());
        }
        let is_directory = metadata.mode & mode::S_IFMT == mode::S_IFDIR;
        if self.has(Capabilities::DAC_OVERRIDE)
            && (!wanted.contains(Access::EXEC) || is_directory || metadata.mode & 0o111 != 0)
        {
            return Ok(());
        }
        let harmless = if is_directory { !wanted.contains(Access::WRITE) } else { wanted == Access::READ };
        if harmless && self.has(Capabilities::DAC_READ_SEARCH) {
            return Ok(());
        }
        err!(EACCES)
    }

    /// Whether searching a directory needs no look at its mode.
    pub(crate) const fn searches_all(&self) -> bool {
        self.has(Capabilities::DAC_OVERRIDE) || self.has(Capabilities::DAC_READ_SEARCH)
    }
}
