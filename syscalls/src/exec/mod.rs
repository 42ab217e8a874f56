//! Starting a program: its file, its interpreter, its memory, its stack (execve(2)).

mod image;
mod start;
#[cfg(test)]
mod tests;
mod vdso;

pub(crate) use start::{ProgramStart, start};

use alloc::string::String;
use husk_abi::Errno;

/// Why a program could not be started.
#[derive(Debug)]
pub(crate) struct ExecError {
    /// What execve(2) would fail with.
    pub(crate) errno: Errno,
    /// For the user: which file, and what is wrong with it.
    pub(crate) message: String,
}

impl ExecError {
    fn new(errno: Errno, message: String) -> Self {
        Self { errno, message }
    }
}

/// A path or other bytes in a message.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
