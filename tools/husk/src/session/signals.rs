//! Signals to the command, as bytes on a socket that the event loop can wait for.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::low_level::{pipe, unregister};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// What a session reacts to.
const SIGNALS: [i32; 6] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT];

/// Catches signals for as long as it lives.
#[derive(Debug)]
pub(super) struct Signals {
    caught: Vec<(i32, UnixStream, signal_hook::SigId)>,
}

impl Signals {
    pub(super) fn catch() -> Result<Self> {
        let mut caught = Vec::new();
        for signal in SIGNALS {
            let (ours, theirs) = UnixStream::pair().context("cannot make a socket for signals")?;
            ours.set_nonblocking(true)?;
            theirs.set_nonblocking(true)?;
            let id = pipe::register(signal, theirs).context("cannot catch signals")?;
            caught.push((signal, ours, id));
        }
        Ok(Self { caught })
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.caught.iter().map(|(_, stream, _)| stream.as_fd())
    }

    /// The signals that have come since the last call.
    pub(super) fn take(&mut self) -> Vec<i32> {
        let mut seen = Vec::new();
        for (signal, stream, _) in &mut self.caught {
            let mut bytes = [0; 16];
            if let Ok(count @ 1..) = stream.read(&mut bytes) {
                // Only for ending signals does it matter whether it was one or more.
                let repeat = if matches!(*signal, SIGWINCH | SIGCONT) { 1 } else { count };
                seen.extend(std::iter::repeat_n(*signal, repeat));
            }
        }
        seen
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (_, _, id) in &self.caught {
            unregister(*id);
        }
    }
}
