//! The system calls on files, a group a file.

pub(crate) mod access;
pub(crate) mod advise;
pub(crate) mod attributes;
pub(crate) mod descriptor;
pub(crate) mod directory;
pub(crate) mod fcntl;
pub(crate) mod ioctl;
pub(crate) mod memfd;
pub(crate) mod names;
pub(crate) mod open;
pub(crate) mod path;
pub(crate) mod read_write;
pub(crate) mod size;
pub(crate) mod stat;
pub(crate) mod statfs;
pub(crate) mod transfer;
pub(crate) mod xattr;
