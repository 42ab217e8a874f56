//! TCP/IP on smoltcp: interfaces, the flow table, the protocol half of sockets.
//!
//! Empty for now: the kernel has no network yet (docs/architecture.md).

#![no_std]
#![forbid(unsafe_code)]
