//! Bytes on their way, and the last of a log.

use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::AsFd;

/// As many bytes are taken from one side before the other has taken some.
pub(super) const HIGH_WATER: usize = 256 << 10;
/// A pipe that can be written takes at least this much without blocking (POSIX: PIPE_BUF).
const PIPE_SAFE: usize = 4096;

/// Bytes waiting to be written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: VecDeque<u8>,
    /// The reader is gone; what comes is thrown away.
    pub(super) broken: bool,
}

impl Outgoing {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.bytes.extend(bytes);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= HIGH_WATER
    }

    /// Writes some of it to a descriptor that is ready; a blocking one must not be given more than it can take, so
    /// little is written at once unless `all` says that it does not block.
    pub(super) fn write(&mut self, fd: impl AsFd, all: bool) {
        while !self.bytes.is_empty() {
            let (piece, _) = self.bytes.as_slices();
            let piece = if all { piece } else { &piece[..piece.len().min(PIPE_SAFE)] };
            match rustix::io::write(&fd, piece) {
                Ok(count) => {
                    self.bytes.drain(..count);
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => {
                    self.broken = true;
                    self.bytes.clear();
                    return;
                }
            }
            if !all {
                return;
            }
        }
    }
}

/// What reading from a port gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

pub(super) fn read(fd: impl AsFd, buffer: &mut [u8]) -> Read {
    match rustix::io::read(fd, buffer) {
        Ok(0) => Read::End,
        Ok(count) => Read::Bytes(count),
        Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
        Err(_) => Read::End,
    }
}

/// The last bytes of a log.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    const LIMIT: usize = 64 << 10;

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(Self::LIMIT);
        self.bytes.drain(..surplus);
    }

    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_bounded() {
        let mut tail = Tail::default();
        for i in 0..20_000 {
            tail.push(format!("line {i}\r\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= Tail::LIMIT && text.ends_with("line 19999\n"));
    }

    #[test]
    fn a_broken_pipe_takes_everything() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut out = Outgoing::default();
        out.push(b"seen");
        out.write(&writer, false);
        assert!(out.is_empty() && !out.broken);
        drop(reader);
        out.push(b"lost");
        out.write(&writer, false);
        assert!(out.is_empty() && out.broken);
    }
}
