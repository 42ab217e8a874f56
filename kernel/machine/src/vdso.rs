//! What every program gets mapped to read the clocks without a system call: code, and a page of data that the kernel keeps up to date.
//!
//! The code is in Linux's calling convention and does what the system calls of these names do. It has to be mapped [`CODE_OFFSET`]
//! bytes into an object that starts [`DATA_DISTANCE`] bytes above the data page.

use crate::arch::vdso;
use crate::frame::Frame;

/// Where in the object the code starts: before it is room for the tables that make it a shared object.
pub const CODE_OFFSET: usize = vdso::CODE_OFFSET;

/// From the start of the data page to the start of the object.
pub const DATA_DISTANCE: usize = vdso::DATA_DISTANCE;

/// Resolution of the coarse clocks in nanoseconds.
pub const COARSE_NS: u32 = vdso::COARSE_NS;

/// The code.
#[must_use]
pub fn code() -> &'static [u8] {
    vdso::code()
}

/// The functions: name, and where in the code each starts; in ascending order.
#[must_use]
pub fn functions() -> [(&'static str, usize); 5] {
    vdso::functions()
}

/// The data page. Programs may read it, never write it.
#[must_use]
pub fn data() -> &'static Frame {
    crate::arch::time::vdso_data()
}
