//! Sockets: so far pairs of AF_UNIX.

pub(crate) mod calls;
pub(crate) mod messages;
mod unix;

/// Address family of sockets inside one system.
const AF_UNIX: u32 = 1;

/// Flags of send(2) and recv(2).
mod msg {
    pub(super) const PEEK: u32 = 0x2;
    pub(super) const CTRUNC: u32 = 0x8;
    pub(super) const TRUNC: u32 = 0x20;
    pub(super) const DONTWAIT: u32 = 0x40;
    pub(super) const EOR: u32 = 0x80;
    pub(super) const WAITALL: u32 = 0x100;
    pub(super) const NOSIGNAL: u32 = 0x4000;
    pub(super) const CMSG_CLOEXEC: u32 = 0x4000_0000;
}
