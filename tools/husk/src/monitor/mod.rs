//! The monitor, QEMU: how it is started, and what of it the session talks to.

mod accel;
mod arguments;
mod files;
mod kernel;
mod spawn;

pub use accel::{Decision, Trial, decide};
pub use arguments::{Files, arguments};
pub use files::{memory_file, passed_path};
pub use kernel::KernelSource;
pub use spawn::{Ports, Vm, run_trampoline, spawn};

use crate::closure::find_in_path;
use crate::error::failure;
use crate::network::Plan;
use anyhow::Result;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// First argument of the command when it is to become the monitor (see [`run_trampoline`]).
pub const TRAMPOLINE: &str = "__monitor";

/// The kind of machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// virtio over MMIO, no PCI; starts fastest.
    #[default]
    Microvm,
    /// A PC with PCI Express; virtio over PCI.
    Q35,
}

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM where a probe shows that it works, else emulation.
    #[default]
    Auto,
    /// The host's CPU.
    Kvm,
    /// Emulation.
    Tcg,
}

/// The virtual machine.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// The kind of machine.
    pub machine: Machine,
    /// What runs the guest's instructions.
    pub accel: Accel,
    /// Memory in bytes.
    pub memory: u64,
    /// Number of CPUs.
    pub cpus: u32,
    /// The network devices.
    pub network: Plan,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            machine: Machine::default(),
            accel: Accel::default(),
            memory: 256 << 20,
            cpus: 1,
            network: Plan::default(),
        }
    }
}

/// Finds QEMU.
///
/// # Errors
/// When it is not installed.
pub fn find_qemu(given: Option<&Path>) -> Result<PathBuf> {
    let hint = "install it (Debian and Ubuntu: apt install qemu-system-x86), or name it with --qemu PATH";
    if let Some(path) = given {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(failure(format!("there is no QEMU at {}", path.display()), hint))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| crate::prepare::DEFAULT_PATH.into());
    find_in_path(OsStr::new("qemu-system-x86_64"), &path)
        .ok_or_else(|| failure("QEMU (qemu-system-x86_64) is not installed", hint))
}

/// Reads a size of memory: a number of MiB, or one with `K`, `M`, `G` (also `KiB`, `MB` and so on; all powers of 1024).
///
/// # Errors
/// When it is no such number, or too small to be a machine's memory.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_uppercase();
    let shift = match unit.trim_end_matches("IB").trim_end_matches('B') {
        "K" => 10,
        "" | "M" => 20,
        "G" => 30,
        _ => return Err("write a size such as 64M or 2G".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "write a size such as 64M or 2G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes <= 1 << 46);
    match bytes {
        Some(bytes) if bytes >= 2 << 20 => Ok(bytes),
        Some(_) => Err("a machine needs at least 2 MiB".into()),
        None => Err("more memory than a machine can have".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_memory("256"), Ok(256 << 20));
        assert_eq!(parse_memory("256M"), Ok(256 << 20));
        assert_eq!(parse_memory("4GiB"), Ok(4 << 30));
        assert_eq!(parse_memory("65536k"), Ok(64 << 20));
        for bad in ["", "M", "1.5G", "-1", "1", "12X", "99999999999G"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
    }
}
