//! The levels of this crate's spin locks; a thread takes them in ascending order (`husk_machine::sync`).

pub(crate) const SOCKET: u8 = 10;
pub(crate) const PORTS: u8 = 12;
pub(crate) const FLOWS: u8 = 14;
pub(crate) const LISTENERS: u8 = 15;
pub(crate) const UDP_TABLE: u8 = 16;
pub(crate) const TIME_WAIT: u8 = 18;
pub(crate) const NEIGHBOURS: u8 = 20;
pub(crate) const TX_QUEUE: u8 = 22;
pub(crate) const LOOPBACK: u8 = 24;
pub(crate) const FRAGMENTS: u8 = 26;
pub(crate) const CLIENTS: u8 = 28;
pub(crate) const TIMERS: u8 = 30;
pub(crate) const CONFIGURATION: u8 = 32;
