//! What all sockets have, whatever their family.

use super::Kind;
use crate::file::anon::{self, AnonKind};
use crate::wait::Waiters;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_fs::InodeRef;
use husk_machine::time::monotonic_ns;

/// The common part of a socket.
pub(crate) struct Common {
    /// The address family, SO_DOMAIN.
    pub(super) domain: u16,
    /// SO_TYPE.
    pub(super) kind: Kind,
    /// SO_PROTOCOL.
    pub(super) protocol: u32,
    /// What fstat(2) shows.
    pub(super) inode: InodeRef,
    /// SO_RCVTIMEO and SO_SNDTIMEO in nanoseconds; 0 is none.
    timeouts: [AtomicU64; 2],
    pub(super) waiters: Waiters,
}

/// A direction, for [`Common::deadline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Receive = 0,
    Send = 1,
}

impl Common {
    pub(super) fn new(domain: u16, kind: Kind, protocol: u32) -> Self {
        let inode = anon::inode(AnonKind::Socket, None);
        let timeouts = [AtomicU64::new(0), AtomicU64::new(0)];
        Self { domain, kind, protocol, inode, timeouts, waiters: Waiters::new() }
    }

    /// SO_RCVTIMEO or SO_SNDTIMEO in nanoseconds; 0 is none.
    pub(super) fn timeout(&self, direction: Direction) -> u64 {
        self.timeouts[direction as usize].load(Ordering::Relaxed)
    }

    pub(super) fn set_timeout(&self, direction: Direction, nanos: u64) {
        self.timeouts[direction as usize].store(nanos, Ordering::Relaxed);
    }

    /// When a wait that begins now ends.
    pub(super) fn deadline(&self, direction: Direction) -> Option<u64> {
        let timeout = self.timeout(direction);
        (timeout != 0).then(|| monotonic_ns().saturating_add(timeout))
    }
}
