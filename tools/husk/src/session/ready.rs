//! Waiting for whatever can be done next.

use super::{Session, State};
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::time::Instant;

/// What was found ready.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) ended: bool,
    pub(super) stdio: bool,
    pub(super) stderr: bool,
    pub(super) control: bool,
    pub(super) serial: bool,
    pub(super) monitor: bool,
    pub(super) stdin: bool,
    pub(super) to_stdio: bool,
    pub(super) to_control: bool,
    pub(super) to_stdout: bool,
    pub(super) to_stderr: bool,
}

impl Session {
    /// Waits until something can be done.
    pub(super) fn wait(&self, wake: Option<Instant>) -> Result<Ready> {
        let timeout = wake.map(|wake| {
            let left = wake.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
        });
        let flags = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let running = self.state == State::Running;
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let ports = &self.vm.ports;
        let held = self.holds_keys();
        let reads_stdin =
            running && self.reading_stdin && if held { !self.stdin.is_full() } else { self.stdin.is_empty() };
        let wanted = [
            (self.vm.ended.as_fd(), flags(running, PollFlags::IN)),
            (
                ports.stdio.as_fd(),
                flags(running && !self.stdout.is_full(), PollFlags::IN)
                    | flags(running && !self.stdin.is_empty() && !held, PollFlags::OUT),
            ),
            (ports.stderr.as_fd(), flags(running && !self.stderr.is_full(), PollFlags::IN)),
            (
                ports.control.as_fd(),
                flags(running && !self.stderr.is_full(), PollFlags::IN)
                    | flags(running && !self.control.is_empty(), PollFlags::OUT),
            ),
            (ports.serial.as_fd(), flags(self.serial_open, PollFlags::IN)),
            (ports.monitor.as_fd(), flags(self.monitor_open, PollFlags::IN)),
            (stdin.as_fd(), flags(reads_stdin, PollFlags::IN)),
            (stdout.as_fd(), flags(!self.stdout.is_empty(), PollFlags::OUT)),
            (stderr.as_fd(), flags(!self.stderr.is_empty(), PollFlags::OUT)),
        ];
        // A descriptor that nothing is wanted of is left out: poll(2) would report its hang-up again and again.
        let mut index = [None; 9];
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(16);
        for (at, (fd, flags)) in wanted.into_iter().enumerate() {
            if !flags.is_empty() {
                index[at] = Some(fds.len());
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            }
        }
        fds.extend(self.signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error).context("cannot wait for the machine"),
        }
        let is = |at: usize, flag: PollFlags| {
            index[at].is_some_and(|place: usize| {
                fds[place].revents().intersects(flag | PollFlags::HUP | PollFlags::ERR)
            })
        };
        Ok(Ready {
            ended: is(0, PollFlags::IN),
            stdio: is(1, PollFlags::IN),
            to_stdio: is(1, PollFlags::OUT),
            stderr: is(2, PollFlags::IN),
            control: is(3, PollFlags::IN),
            to_control: is(3, PollFlags::OUT),
            serial: is(4, PollFlags::IN),
            monitor: is(5, PollFlags::IN),
            stdin: is(6, PollFlags::IN),
            to_stdout: is(7, PollFlags::OUT),
            to_stderr: is(8, PollFlags::OUT),
        })
    }
}
