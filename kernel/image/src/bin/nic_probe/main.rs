//! A kernel that tries the network devices out, for `cargo xtask nic`: no system calls, no stack, just frames.
//!
//! What stands behind a device its address says: after 02, QEMU's user network or, after 06, a peer that sends every frame back. The
//! serial line tells how it went; the last line is "nic-probe: passed".
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod frames;
#[cfg(target_os = "none")]
mod listener;
#[cfg(target_os = "none")]
mod probe;

#[cfg(target_os = "none")]
husk_machine::entry!(main);

#[cfg(target_os = "none")]
fn main() -> ! {
    husk_machine::init();
    husk_machine::thread::start(|| {
        probe::run();
        husk_machine::power::power_off(0)
    })
}

/// On any other target there is nothing to boot.
#[cfg(not(target_os = "none"))]
fn main() {}
