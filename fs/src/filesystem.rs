//! What every filesystem implements.

use crate::{DeviceNumber, InodeRef, Result, StatFs};
use core::any::Any;

/// One mounted instance of a filesystem (Linux's super block).
pub trait FileSystem: Any + Send + Sync {
    /// The type as /proc/mounts shows it: `ext4`, `tmpfs`, `proc`.
    fn name(&self) -> &str;

    /// The directory at its top.
    fn root(&self) -> InodeRef;

    /// statfs(2).
    fn statfs(&self) -> StatFs;

    /// The device number of every file in it (`st_dev`).
    fn dev(&self) -> DeviceNumber;

    /// Whether it can never be written, whatever the mount's flags.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Options for /proc/mounts after `rw` or `ro`, without a leading comma; may be empty.
    fn mount_options(&self) -> alloc::string::String {
        alloc::string::String::new()
    }

    /// Makes everything written durable: syncfs(2).
    ///
    /// # Errors
    /// EIO if the device failed.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Told when the last mount of it is gone; it lets go of what it holds in memory.
    fn unmounted(&self) {}
}
