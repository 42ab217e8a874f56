//! How the stack tells that something has changed.

use crate::addr::Nanos;
use bitflags::bitflags;

bitflags! {
    /// What a socket is ready for, as poll(2) has it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Events: u32 {
        /// POLLIN: data, the end of data, a connection to accept, or an error to take.
        const READABLE = 0x001;
        /// POLLOUT.
        const WRITABLE = 0x004;
        /// POLLERR: an error is pending.
        const ERROR = 0x008;
        /// POLLHUP: both directions are closed.
        const HANGUP = 0x010;
        /// POLLRDHUP: the peer sends no more.
        const READ_HANGUP = 0x2000;
    }
}

/// Who wants to know what a socket is ready for.
pub trait Notify: Send + Sync {
    /// Some of these events may have become true: look again by the socket's `readiness`. Called from whatever thread made it so, with
    /// no lock of the stack held; it may be called too often, never too seldom. It must not sleep for long: other
    /// packets wait.
    fn notify(&self, events: Events);
}

/// Who calls [`Stack::expire`](crate::Stack::expire) in time: a thread that asks
/// [`Stack::next_deadline`](crate::Stack::next_deadline), sleeps until then or until it is told of an earlier one, calls `expire`, and begins
/// again. Being told between asking and sleeping must end the sleep at once.
pub trait Waker: Send + Sync {
    /// The next deadline is now earlier than what [`Stack::next_deadline`](crate::Stack::next_deadline) said last. Called with no
    /// lock of the stack held.
    fn deadline(&self, at: Nanos);

    /// Something that /proc, netlink or resolv.conf show has changed: links, addresses, routes, name servers.
    fn configuration_changed(&self) {}
}
