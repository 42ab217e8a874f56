//! Files handed to the monitor by descriptor, so that nothing has to be removed afterwards.

use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

/// A file in memory with these contents.
///
/// # Errors
/// When the host is out of memory or descriptors.
pub fn memory_file(name: &str, bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

/// The path by which a child process reaches a descriptor that it inherits.
pub fn passed_path(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}
