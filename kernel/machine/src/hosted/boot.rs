//! There is nothing to boot.

use crate::boot::BootInfo;

pub(crate) fn init() -> BootInfo {
    BootInfo {
        memory_bytes: (crate::frame::stats().total * crate::frame::PAGE_SIZE) as u64,
        ..BootInfo::default()
    }
}
