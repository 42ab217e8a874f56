//! TCP (RFC 9293), with Linux's behaviour where the RFC leaves a choice.
//!
//! [`TcpSocket`] is what a program's descriptor stands for. A listening one keeps half-open connections as small records and
//! makes sockets of them when the handshake is done ([`listener`]); a connected one has a [`connection`]. A connection in
//! TIME-WAIT is a record in the table of flows ([`flows`]), not a socket.

mod ack;
mod close;
mod congestion;
mod connect;
mod connection;
mod cookie;
mod events;
mod flows;
mod info;
mod input;
mod listener;
mod options;
mod output;
mod ranges;
mod receive_queue;
mod rtt;
mod segment;
mod send_queue;
mod seq;
mod socket;
mod status;
mod stream;
mod time_wait;
mod timers;

pub use info::{TcpInfo, TcpSummary};
pub use options::{Options, Shutdown};
pub use socket::TcpSocket;
pub use stream::RecvFlags;

pub(crate) use connect::scope_of;
pub(crate) use flows::{Flow, Flows, Found};
pub(crate) use listener::Listeners;
pub(crate) use receive_queue::{Chunk, Payload};
pub(crate) use segment::{Flags, Segment};
pub(crate) use seq::Seq;
pub(crate) use time_wait::{Outcome as TimeWaitOutcome, TimeWaits};

/// A connection's state. The numbers are Linux's, as /proc/net/tcp and TCP_INFO show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of RFC 9293, section 3.3.2")]
pub enum State {
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait1 = 4,
    FinWait2 = 5,
    TimeWait = 6,
    Closed = 7,
    CloseWait = 8,
    LastAck = 9,
    Listen = 10,
    Closing = 11,
}

impl State {
    /// Both ends know the other's sequence numbers.
    fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::Listen | Self::SynSent)
    }

    /// Data or FIN may be sent, or may have to be sent again.
    fn may_send(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait | Self::FinWait1 | Self::Closing | Self::LastAck)
    }
}

/// Bytes of memory of an idle connection: what it is itself, and its counts.
#[cfg(test)]
pub(crate) fn size_of_connection() -> usize {
    size_of::<TcpSocket>() + 2 * size_of::<usize>() + size_of::<connection::Connection>()
}
