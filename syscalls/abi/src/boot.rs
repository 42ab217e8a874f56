//! What the host tool tells the kernel to run.
//!
//! The tool passes one boot module (QEMU's `-initrd`): the 8 bytes of [`MAGIC`], then a [`BootConfig`] in postcard
//! encoding. The root filesystem is the first virtio block device. Names, arguments and variables are
//! bytes, not text, as on Linux.

use crate::network::Network;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The first eight bytes of the boot module; the last digit is the version of the format.
pub const MAGIC: [u8; 8] = *b"HUSKCFG2";

/// Everything the kernel is told at boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootConfig {
    /// Wall-clock time on the host when the VM was started, in nanoseconds since 1970.
    pub wall_clock_ns: u64,
    /// What uname(2) gives as the node name.
    pub hostname: Vec<u8>,
    /// The programs, run one after another, each in a fresh process.
    pub programs: Vec<Program>,
    /// What stands behind descriptors 0, 1 and 2.
    pub stdio: Stdio,
    /// Print every system call as strace(1) does (as [`Event::Trace`](crate::control::Event::Trace)).
    pub trace: bool,
    /// Kernel log level on the serial line: 0 errors only, 1 warnings, 2 information, 3 debugging.
    pub log_level: u8,
    /// The network.
    pub network: Network,
}

/// One program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Path of the executable in the guest.
    pub path: Vec<u8>,
    /// `argv`, the first element included.
    pub argv: Vec<Vec<u8>>,
    /// The environment, each `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// The working directory; it must exist in the image.
    pub cwd: Vec<u8>,
    /// Kill it (SIGKILL, reported as [`ExitStatus::TimedOut`](crate::control::ExitStatus)) after so many
    /// milliseconds; 0 is no limit.
    pub timeout_ms: u64,
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// Initial stack limit (RLIMIT_STACK) in bytes; 0 is Linux's default of 8 MiB.
    pub stack_limit: u64,
}

/// What stands behind the standard descriptors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stdio {
    /// Descriptor 0.
    pub stdin: StdioKind,
    /// Descriptor 1.
    pub stdout: StdioKind,
    /// Descriptor 2.
    pub stderr: StdioKind,
    /// Size of the terminal window in character cells at start, if any descriptor is a terminal.
    pub rows: u16,
    /// Columns of the terminal window.
    pub cols: u16,
}

/// How a standard descriptor looks to the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StdioKind {
    /// A pipe to or from the host (fstat says FIFO, lseek fails with ESPIPE).
    #[default]
    Pipe,
    /// The terminal `/dev/console`; the kernel's line discipline is in charge, the host's terminal is raw.
    Tty,
    /// `/dev/null`.
    Null,
    /// Not open at all.
    Closed,
}

/// Why a boot module was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBootConfig {
    /// It does not begin with [`MAGIC`]: some other file, or another version of the tool.
    Magic,
    /// It is truncated or damaged.
    Encoding,
}

impl BootConfig {
    /// The boot module's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = postcard::to_allocvec(self).expect("encoding into memory cannot fail");
        let mut bytes = Vec::with_capacity(MAGIC.len() + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads the boot module. Bytes after the end are ignored: a monitor may round the size up.
    ///
    /// # Errors
    /// [`BadBootConfig`] says whether it is a foreign or a damaged module.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadBootConfig> {
        let body = bytes.strip_prefix(&MAGIC).ok_or(BadBootConfig::Magic)?;
        postcard::take_from_bytes(body).map(|(config, _rest)| config).map_err(|_| BadBootConfig::Encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Address, Host, Interface};

    fn network() -> Network {
        let interface = Interface {
            mac: [2, 0, 0, 0, 0, 1],
            addresses: vec![Address { ip: "10.0.2.15".parse().unwrap(), prefix: 24 }],
            gateways: vec!["10.0.2.2".parse().unwrap(), "fe80::2".parse().unwrap()],
        };
        let host = Host { name: b"db".to_vec(), ip: "fd00::5".parse().unwrap() };
        Network { interfaces: vec![interface], hosts: vec![host], ..Network::default() }
    }

    #[test]
    fn round_trip_and_damage() {
        let config = BootConfig {
            hostname: b"husk".to_vec(),
            network: network(),
            programs: vec![Program { argv: vec![b"a b".to_vec(), vec![0xff]], ..Program::default() }],
            ..BootConfig::default()
        };
        let mut bytes = config.encode();
        bytes.push(0);
        assert_eq!(BootConfig::decode(&bytes), Ok(config));
        assert_eq!(BootConfig::decode(&bytes[..12]), Err(BadBootConfig::Encoding));
        assert_eq!(BootConfig::decode(b"\x7fELF"), Err(BadBootConfig::Magic));
    }
}
