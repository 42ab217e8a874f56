//! Bytes of an ELF file to a checked plan of what to map, and the initial stack of a program.
//!
//! Nothing here maps or reads anything: a caller reads the first [`HEADER_SIZE`] bytes of a file, asks
//! [`program_headers_at`] where the rest of what matters lies, and hands both to [`parse`]. What comes back has been
//! checked field by field, so that mapping it needs no further checks. Addresses are those of the file; a caller
//! adds its load bias to each.
//!
//! The rules are those of Linux's `fs/binfmt_elf.c` and `fs/binfmt_script.c`; they are stricter only where Linux would start a
//! program that is bound to die of its file (a truncated one, segments that overlap).
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = std::fs::read(std::env::current_exe()?)?;
//! let table = husk_elf_loader::program_headers_at(&file, file.len() as u64)?;
//! let bytes = &file[table.offset as usize..][..table.len];
//! let plan = husk_elf_loader::parse(&file, bytes, file.len() as u64)?;
//! assert!(!plan.segments.is_empty());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod header;
mod plan;
mod segment;

pub mod dynamic;
pub mod script;
pub mod stack;
pub mod symbols;
pub mod vdso;

pub use error::{ElfError, Part};
pub use header::{HEADER_SIZE, program_headers_at};
pub use plan::{FileRange, Kind, Plan, StackRequest, interpreter_path, parse};
pub use segment::{Protection, Segment};

/// Size of a page of x86-64, and the unit in which segments are mapped.
pub const PAGE_SIZE: u64 = 4096;

/// End of the addresses a program may use: the 47-bit user half without its last page (Linux's `TASK_SIZE`).
pub const USER_END: u64 = (1 << 47) - PAGE_SIZE;

/// Down to a page boundary.
const fn page_down(value: u64) -> u64 {
    value & !(PAGE_SIZE - 1)
}

/// Up to a page boundary; callers have checked that `value` is at most [`USER_END`].
const fn page_up(value: u64) -> u64 {
    page_down(value + (PAGE_SIZE - 1))
}
