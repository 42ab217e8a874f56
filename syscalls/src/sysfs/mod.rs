//! sysfs (sysfs(5)).

use crate::boot::mounts::{anonymous_device, clock};
use alloc::sync::Arc;
use husk_fs::{FileSystem, PseudoFs, StaticDir};
use linux_raw_sys::general::SYSFS_MAGIC;

/// A new filesystem for /sys.
pub(crate) fn new() -> Arc<dyn FileSystem> {
    PseudoFs::new("sysfs", u64::from(SYSFS_MAGIC), anonymous_device(), clock(), Arc::new(StaticDir::new()))
}
