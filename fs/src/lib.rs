//! Files: the virtual filesystem, the page cache, ext4, the in-memory filesystem and the parts pseudo filesystems are made of.
//!
//! - [`Inode`] and [`FileSystem`] are what a filesystem implements; [`Location`] (a [`Dentry`] seen through a [`Mount`]) is
//!   what an open file, a working directory or a mapping holds.
//! - [`lookup`], [`open_or_create`] and the other functions of [`ops`] are what the system calls do, with Linux's rules and errors.
//! - [`MemFs`] is tmpfs, devtmpfs, and (over an [`Ext4`] image) the root; [`PseudoFs`] carries procfs and sysfs.
//! - [`io`] has the cursors through which bytes go to and from user memory or kernel buffers.
//!
//! Nothing here knows tasks or hardware: frames, block devices and sleeping locks come from `husk_machine`, whose
//! hosted half serves the tests; the time comes from a [`Clock`].
//!
//! # Lock order
//!
//! A lock may be taken while holding one above it, never the other way round.
//!
//! 1. the rename lock of a filesystem (sleeping),
//! 2. a dentry's directory lock (sleeping; an ancestor before its descendant),
//! 3. an inode's write lock (sleeping),
//! 4. a memory directory's entries (sleeping),
//! 5. spin locks: a mount's children, a dentry's name and children, the dentry clock, an inode's attributes, a
//!    mapping's pages, the registry of mappings. Of these only one is held at a time, except a dentry's children over
//!    those of one of them, and the registry over `try_lock` of a mapping's pages in [`reclaim`].
//!
//! A page fault on user memory can happen inside a [`Sink`] or [`Source`], with an inode's write lock held; so resolving a
//! fault ([`Inode::page`], [`Inode::page_for_write`]) takes spin locks only.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
mod credentials;
mod ext4;
mod filesystem;
mod inode;
pub mod io;
mod memfs;
pub mod namespace;
pub mod ops;
mod pseudo;
mod slot;
mod types;

pub use cache::{cached_pages, reclaim};
pub use credentials::{Access, Capabilities, Credentials};
pub use ext4::Ext4;
pub use filesystem::FileSystem;
pub use husk_abi::Errno;
pub use inode::{Inode, InodeRef, OpenObject};
pub use io::{Sink, Source};
pub use memfs::{Limits, MemFs};
pub use namespace::{
    Dentry, Location, LookupFlags, Mount, MountFlags, Namespace, WalkContext, lookup, lookup_parent,
};
pub use pseudo::{MagicLink, PseudoDir, PseudoFile, PseudoFs, PseudoNode, ReadOnlyFile, StaticDir};
pub use slot::{Attachment, Slot, WriteAccess};
pub use types::{
    Clock, DeviceNumber, DirEntry, FallocateMode, FileKind, Metadata, NewInode, NewKind, OpenFlags,
    RenameFlags, SetAttr, StatFs, WriteAt, XattrFlags, mode,
};

/// Shorthand: errors here are Linux's.
pub type Result<T, E = Errno> = core::result::Result<T, E>;

/// Longest name of a directory entry in bytes (NAME_MAX, limits.h).
pub const NAME_MAX: usize = 255;
/// Longest path in bytes with its terminating NUL (PATH_MAX, limits.h).
pub const PATH_MAX: usize = 4096;
