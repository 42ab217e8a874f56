//! The page cache: the contents of files in pages, read from a [`Backing`] when asked for, or only in memory.
//!
//! A page is *clean* (the backing has the same; it can be dropped and read again) or *changed* (only memory has it). A page that
//! changes stays the same frame, so all that map it see the change.

mod backing;
mod budget;
mod load;
mod mapping;
mod pages;
mod read_ahead;
mod registry;
mod seek;
mod write;

pub(crate) use backing::{Backing, Place, Run};
pub(crate) use budget::Budget;
pub(crate) use mapping::Mapping;
pub use registry::{cached_pages, reclaim};
