//! /proc/sysrq-trigger (the kernel's Documentation/admin-guide/sysrq.rst): a crash on request shows that a panic is reported
//! as it should be.

use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_fs::PseudoFile;
use husk_machine::power;

/// Exit code of a VM that was told to stop at once.
const STOPPED: u8 = 125;

pub(super) struct Trigger;

impl PseudoFile for Trigger {
    fn mode(&self) -> u32 {
        0o200
    }

    fn read(&self) -> Result<Vec<u8>, Errno> {
        err!(EIO)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match bytes.first() {
            Some(b'c') => panic!("a program asked for a crash (/proc/sysrq-trigger)"),
            Some(b'b' | b'o') => power::power_off(STOPPED),
            _ => log::warn!("sysrq: there are: crash(c) reboot(b) poweroff(o)"),
        }
        Ok(bytes.len())
    }
}
