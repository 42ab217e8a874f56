//! The Linux personality: processes, memory maps, signals, files, time; and the table of system calls.
//!
//! [`boot::run`] takes over after the machine and its devices are up. Each thread of a program is a kernel thread that runs
//! [`run::user_loop`]: into user mode, and out of it for a system call, a fault or a signal.
//!
//! There is no global "current process": a handler gets the [`task::Task`] it works for. What a process consists of
//! (address space, descriptors, signal handlers, working directory, credentials) are objects of their own, counted one by
//! one, since clone(2) can share each of them separately.
//!
//! # Lock order
//!
//! A lock may be taken only while none further down this list is held.
//!
//! 1. sleeping locks: a file description's position, the registry of System V segments ([`shm`]), `mm` maps, a filesystem's
//!    own;
//! 2. the registry of processes ([`pid`]);
//! 3. a process's parts: threads, limits, signal state of the process, then of a task;
//! 4. waiters' lists of objects;
//! 5. everything in `husk_machine`.
//!
//! No lock is held while user code runs, and no spin lock while user memory is copied.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod args;
pub mod boot;
mod calls;
mod control;
mod cpu_times;
mod crash;
mod credentials;
mod devfs;
mod dispatch;
mod exec;
mod file;
mod fs_state;
mod futex;
mod lazy_dir;
mod limits;
mod mm;
#[cfg(test)]
mod model;
mod network;
mod pid;
mod pipe;
mod poll;
mod process;
mod procfs;
mod run;
mod shm;
mod signal;
mod socket;
mod stdio;
mod sysfs;
pub mod table;
mod task;
#[cfg(test)]
mod test_support;
mod time;
mod trace;
mod tty;
mod user_io;
mod wait;
