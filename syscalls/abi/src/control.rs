//! The messages between the kernel and the host tool while the VM runs.
//!
//! A virtio-serial device (virtio 1.2, section 5.3) with multiport carries three ports, known by number:
//!
//! | port | name | bytes |
//! |---|---|---|
//! | 1 | `husk.stdio` | host to guest: standard input (or the terminal's keys); guest to host: standard output |
//! | 2 | `husk.stderr` | guest to host: standard error, when it is not the terminal |
//! | 3 | `husk.control` | both ways: the messages below |
//!
//! The host's end of standard input closing (VIRTIO_CONSOLE_PORT_OPEN with value 0) is the end of the file,
//! after the bytes already sent; but [`Request::StdinEof`] says so too, so that the output direction of the same
//! socket may stay open. A message is its length in bytes (`u32`, little endian), then its postcard
//! encoding.
//!
//! Ordering: the kernel sends an [`Event`] only after the monitor has taken all output bytes that the program wrote before
//! it. So a tool that drains the output ports when an event arrives has all output up to there, and
//! [`Event::ProgramEnded`] counts the bytes, so that it knows where one program's output ends and the next one's begins.

use alloc::string::String;
use alloc::vec::Vec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Number of the port for standard input and output.
pub const PORT_STDIO: u32 = 1;
/// Number of the port for standard error.
pub const PORT_STDERR: u32 = 2;
/// Number of the port for [`Event`]s and [`Request`]s.
pub const PORT_CONTROL: u32 = 3;
/// Longest message accepted, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Kernel to tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The kernel is up and about to enter the first program.
    Started {
        /// Nanoseconds from the kernel's entry point until the first program is loaded and its thread is made (the first
        /// user instruction follows about 2 ms later in emulation).
        boot_ns: u64,
    },
    /// A program ended. Output it wrote has been handed to the monitor.
    ProgramEnded {
        /// Its index in [`BootConfig::programs`](crate::boot::BootConfig).
        index: u32,
        /// How it ended.
        status: ExitStatus,
        /// How long it ran, in nanoseconds.
        ran_ns: u64,
        /// Bytes handed to the stdio port from the start of the VM to this program's end. The next program may have written
        /// more by the time the tool reads this.
        stdout_end: u64,
        /// Bytes handed to the stderr port, counted likewise.
        stderr_end: u64,
    },
    /// One traced system call, as strace(1) prints it, without the line end.
    Trace(String),
    /// A message for the user from the kernel: why a program could not start, where it crashed.
    Message(String),
    /// The last event: all programs have run; the VM powers off.
    PowerOff,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// exit(2) with this status.
    Exited(u8),
    /// Killed by this signal.
    Signaled(u8),
    /// It could not be started; [`Event::Message`] said why. The tool exits with 127 (not found) or 126.
    NotStarted {
        /// The error of execve(2), a positive errno.
        errno: u16,
    },
    /// Killed because its time was up.
    TimedOut,
}

impl ExitStatus {
    /// The exit code a shell would show: the status, 128 plus the signal, 127 or 126, 124 for a timeout.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Signaled(signal) => 128 + (signal & 0x7f),
            Self::NotStarted { errno: 2 } => 127,
            Self::NotStarted { .. } => 126,
            Self::TimedOut => 124,
        }
    }
}

/// Tool to kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The terminal's window changed (the program gets SIGWINCH).
    WindowSize {
        /// Rows of character cells.
        rows: u16,
        /// Columns of character cells.
        cols: u16,
    },
    /// Standard input ends after this many bytes in all. The count is there because the ports are not ordered
    /// against each other: this message may overtake bytes still on their way on the stdio port.
    StdinEof {
        /// Bytes sent on the stdio port from the start of the VM to the end of standard input.
        sent: u64,
    },
    /// The host's wall clock now, in nanoseconds since 1970.
    WallClock {
        /// Nanoseconds since 1970.
        ns: u64,
    },
    /// Send this signal to the program (the tool was asked to end: SIGTERM, SIGINT, SIGHUP).
    Signal(u8),
}

/// Encodes one message with its length before it.
#[must_use]
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    let body = postcard::to_allocvec(message).expect("encoding into memory cannot fail");
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// The peer broke the protocol: a message is too long or cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessage;

/// Collects bytes from a port and yields whole messages.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// [`BadMessage`] if the stream is damaged; nothing after it can be trusted.
    pub fn next_message<M: DeserializeOwned>(&mut self) -> Result<Option<M>, BadMessage> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_MESSAGE {
            return Err(BadMessage);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = postcard::from_bytes(body).map_err(|_| BadMessage)?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_from_pieces() {
        let events = [Event::Started { boot_ns: 7 }, Event::Trace("read(0, …) = 1".into()), Event::PowerOff];
        let bytes: Vec<u8> = events.iter().flat_map(encode).collect();
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            while let Some(event) = decoder.next_message::<Event>().unwrap() {
                seen.push(event);
            }
        }
        assert_eq!(seen, events);
    }

    #[test]
    fn damage_is_an_error() {
        let mut decoder = Decoder::default();
        decoder.push(&[0xff; 8]);
        assert_eq!(decoder.next_message::<Event>(), Err(BadMessage));
    }

    #[test]
    fn exit_codes_are_the_shells() {
        assert_eq!(ExitStatus::Exited(3).exit_code(), 3);
        assert_eq!(ExitStatus::Signaled(11).exit_code(), 139);
        assert_eq!(ExitStatus::NotStarted { errno: 2 }.exit_code(), 127);
        assert_eq!(ExitStatus::NotStarted { errno: 8 }.exit_code(), 126);
    }
}
