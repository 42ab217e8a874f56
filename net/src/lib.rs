//! TCP/IP: interfaces, routes, neighbours, sockets' protocol half.
//!
//! - [`Stack`] is all of it. It has the loopback interface from the start; [`Stack::add_interface`] adds a card, which is a [`Link`]. Its
//!   driver calls [`Stack::receive`]; a thread that sleeps until [`Stack::next_deadline`] calls [`Stack::expire`].
//! - [`TcpSocket`], [`UdpSocket`] and [`PingSocket`] are what descriptors stand for. They never wait: what cannot be done now is EAGAIN, and the
//!   [`Notify`] given for each tells when to try again.
//! - [`Configuration`] shows interfaces, addresses and routes; [`Stack::start_dhcp`] has a server set them.
//!
//! Nothing here knows tasks or hardware, and nothing reads a clock: the monotonic time in nanoseconds is an argument. Errors are Linux's.
//!
//! # How a packet goes
//!
//! A received segment's connection is found by a keyed hash of both ends, and only its lock is taken; no cost grows with the number of
//! connections, and those that wait for nothing have no timer. What is to be sent and who is to be woken is gathered in an `Output`
//! and done by `Stack::finish` after all locks are released, which also receives what went to this machine itself.
//!
//! smoltcp's `wire` reads and writes Ethernet, ARP, IP and DHCP. Its TCP socket is not used: its buffers and its window's shift are fixed
//! when it is made, its first sequence number cannot be chosen (so no SYN cookies), its timeouts and TIME-WAIT cannot be set, it sends nothing
//! again selectively, and its state cannot be read (TCP_INFO). It is the independent peer in the tests.
//!
//! # Lock order
//!
//! All are spin locks, taken in this order; their levels are in `lock_level`. A socket's also has two sleeping locks, taken before all of them,
//! for its writers and its readers. Only those are held while a program's memory is touched.
//!
//! 1. a socket's state (two at a time only while the second is not known to anybody else),
//! 2. a protocol's taken ports,
//! 3. a part of the table of TCP flows; the listeners; the tables of UDP and of ping sockets,
//! 4. the queue of connections in TIME-WAIT,
//! 5. an interface's neighbours; its queue of frames for a full card,
//! 6. a queue of the loopback interface,
//! 7. fragments; the DHCP clients; the limit of ICMP errors,
//! 8. the timers,
//! 9. the configuration.
//!
//! [`Notify`], [`Waker`] and [`Link`] are called with none of them held.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod addr;
mod autoconf;
mod configure;
mod dhcp;
mod ethernet;
mod fragment;
mod hash;
mod icmp;
mod icmpv6;
pub mod interface;
mod ip;
mod link;
mod lock_level;
mod loopback;
mod neighbour;
mod notify;
mod output;
mod packet;
mod ping;
mod ports;
mod receive;
mod route;
mod settings;
mod snmp;
mod stack;
pub mod tcp;
#[cfg(test)]
mod tests;
mod timer;
pub mod udp;

pub use addr::{Cidr, Family, Nanos};
pub use dhcp::Lease;
pub use husk_abi::Errno;
pub use interface::{Interface, InterfaceIndex, LOOPBACK};
pub use link::{Link, Offloads, PartialChecksum, RxChecksum, Segmentation, TxOffload};
pub use neighbour::{Neighbour, NeighbourState};
pub use notify::{Events, Notify, Waker};
pub use packet::Frame;
pub use ping::PingSocket;
pub use route::{Address, Configuration, Route, RouteOrigin};
pub use settings::Settings;
pub use snmp::Snmp;
pub use stack::Stack;
pub use tcp::TcpSocket;
pub use udp::UdpSocket;

/// Shorthand: errors here are Linux's.
pub type Result<T, E = Errno> = core::result::Result<T, E>;
