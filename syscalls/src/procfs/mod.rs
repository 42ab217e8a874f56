//! procfs (proc(5)).

use crate::boot::mounts::{anonymous_device, clock};
use alloc::sync::Arc;
use husk_fs::{FileSystem, PseudoFs, StaticDir};
use linux_raw_sys::general::PROC_SUPER_MAGIC;

/// A new filesystem for /proc.
pub(crate) fn new() -> Arc<dyn FileSystem> {
    PseudoFs::new(
        "proc",
        u64::from(PROC_SUPER_MAGIC),
        anonymous_device(),
        clock(),
        Arc::new(StaticDir::new()),
    )
}
