//! Internet sockets: TCP and UDP of the stack (`husk_net`) as files.

mod ioctl;
mod ip_options;
mod tcp;
mod tcp_info;
mod tcp_options;
mod udp;
mod udp_options;

use super::{Common, Kind, family};
use crate::file::File;
use crate::network;
use crate::wait::Events;
use alloc::sync::Arc;
use husk_abi::Errno;
use husk_net::tcp::Shutdown;
use husk_net::{Events as NetEvents, Family, Notify};
use tcp::TcpFile;
use udp::UdpFile;

/// Makes Internet sockets.
pub(super) struct InetSocket;

impl InetSocket {
    /// A TCP socket; `domain` is AF_INET or AF_INET6.
    ///
    /// # Errors
    /// EAFNOSUPPORT if the kernel has no network.
    pub(super) fn stream(domain: u16) -> Result<Arc<dyn File>, Errno> {
        let stack = network::stack().ok_or(Errno::EAFNOSUPPORT.here())?;
        let common = Arc::new(Common::new(domain, Kind::Stream, super::calls::IPPROTO_TCP));
        let socket = stack.tcp_socket(family_of(domain), common.inode.ino(), Arc::new(Waker(common.clone())));
        Ok(Arc::new(TcpFile::new(common, socket)))
    }

    /// A UDP socket; likewise.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub(super) fn datagram(domain: u16) -> Result<Arc<dyn File>, Errno> {
        let stack = network::stack().ok_or(Errno::EAFNOSUPPORT.here())?;
        let common = Arc::new(Common::new(domain, Kind::Datagram, super::calls::IPPROTO_UDP));
        let socket = stack.udp_socket(family_of(domain), common.inode.ino(), Arc::new(Waker(common.clone())));
        Ok(Arc::new(UdpFile::new(common, socket)))
    }
}

/// What shutdown(2) closes.
fn directions(read: bool, write: bool) -> Shutdown {
    match (read, write) {
        (true, false) => Shutdown::Read,
        (false, true) => Shutdown::Write,
        _ => Shutdown::Both,
    }
}

fn family_of(domain: u16) -> Family {
    if domain == family::INET6 { Family::V6 } else { Family::V4 }
}

/// Tells those who wait for a socket what the stack says.
struct Waker(Arc<Common>);

impl Notify for Waker {
    fn notify(&self, events: NetEvents) {
        let mut told = events_of(events);
        // Who waits for one direction is concerned by the end of both, and by an error.
        if told.intersects(Events::ALWAYS) {
            told |= Events::READABLE | Events::WRITABLE;
        }
        self.0.waiters.wake(told);
    }
}

fn events_of(events: NetEvents) -> Events {
    let mut all = Events::empty();
    all.set(Events::READABLE, events.contains(NetEvents::READABLE));
    all.set(Events::WRITABLE, events.contains(NetEvents::WRITABLE));
    all.set(Events::ERR, events.contains(NetEvents::ERROR));
    all.set(Events::HUP, events.contains(NetEvents::HANGUP));
    all.set(Events::RDHUP, events.contains(NetEvents::READ_HANGUP));
    all
}
