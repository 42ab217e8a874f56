//! Tests of the whole stack: two or more on a wire in one process, with a clock of their own.

mod autoconf;
mod dhcp;
mod fuzz;
mod harness;
mod icmp;
mod peer;
mod scale;
mod tcp_states;
mod tcp_transfer;
mod threads;
mod udp;

use harness::{Client, Wire, World, addr, pattern};
