//! Small types that several layers share.
//!
//! - [`Errno`]: Linux's error numbers, used by every crate that can fail on a program's behalf.
//! - [`Timespec`]: seconds and nanoseconds.
//! - [`boot`]: what the host tool tells the kernel to run (the boot module).
//! - [`network`]: its part about the network.
//! - [`control`]: the messages the two exchange while the VM runs (the control port).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod boot;
pub mod control;
mod errno;
pub mod network;
mod timespec;

pub use errno::Errno;
pub use timespec::Timespec;
