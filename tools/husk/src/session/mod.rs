//! A machine at work: bytes between the program and the command's own descriptors, signals, the terminal, and how it ended.

mod buffers;
mod captured;
mod end;
mod ready;
mod report;
mod signals;
mod stdio;
mod terminal;

pub use report::{Format, ProgramResult, Report};
pub use stdio::detect as detect_stdio;

use crate::monitor::Vm;
use anyhow::{Context, Result};
use buffers::{Outgoing, Read, Tail, read};
use captured::Captured;
use husk_abi::boot::{Stdio, StdioKind};
use husk_abi::control::{Decoder, Event, Request, encode};
use ready::Ready;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCONT, SIGINT, SIGPIPE, SIGWINCH};
use signals::Signals;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use terminal::RawTerminal;

/// The key to end a machine that does not answer, Ctrl-], and how often it has to be struck in a row.
const ESCAPE: (u8, usize) = (0x1d, 3);
/// Ctrl-C, which a raw terminal gives as a byte.
const INTERRUPT: u8 = 3;
/// A kernel that has not come up by then never will; emulation on a loaded host is slow.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// Time for a program to end once its output has nowhere to go.
const PIPE_GRACE: Duration = Duration::from_secs(2);

/// How a session behaves.
pub struct Options {
    /// What the kernel was told about the standard descriptors.
    pub stdio: Stdio,
    /// How many programs run.
    pub programs: usize,
    /// Where traced system calls go; none for standard error.
    pub trace: Option<std::fs::File>,
    /// Show the kernel's log on standard error as it comes.
    pub verbose: bool,
    /// End the machine after this time, whatever it does.
    pub limit: Option<Duration>,
    /// Status lines.
    pub report: Option<Report>,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The programs that ended, in order.
    pub results: Vec<ProgramResult>,
    /// Guest time from the kernel's entry point until the first program's thread is made.
    pub boot: Option<Duration>,
    /// The command's exit code.
    pub code: u8,
}

/// What a session is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// The machine has ended in order; what is left is to write out what it said.
    PoweredOff,
    /// The user or a limit ended it, with this code.
    Killed(u8),
    /// The monitor is gone without a word from the kernel.
    Died,
    /// The monitor says that the machine cannot go on.
    Broken,
}

/// Runs the event loop until the machine has ended and its output is written.
///
/// # Errors
/// When the machine ended otherwise than by running its programs to their ends.
pub fn run(vm: Vm, options: Options) -> Result<Outcome> {
    let raw = if options.stdio.stdin == StdioKind::Tty { RawTerminal::enter() } else { None };
    let signals = Signals::catch()?;
    let session = Session {
        reading_stdin: matches!(options.stdio.stdin, StdioKind::Tty | StdioKind::Pipe),
        capture: options.report.as_ref().is_some_and(|report| report.format == Format::Json),
        vm,
        options,
        signals,
        raw,
        stdin: Outgoing::default(),
        stdin_sent: 0,
        escapes: 0,
        stdout: Outgoing::default(),
        stderr: Outgoing::default(),
        control: Outgoing::default(),
        decoder: Decoder::default(),
        serial: Tail::default(),
        monitor: Tail::default(),
        serial_open: true,
        monitor_open: true,
        current: Captured::default(),
        results: Vec::new(),
        boot: None,
        asked_to_end: 0,
        deadline: None,
        state: State::Running,
    };
    session.run()
}

struct Session {
    vm: Vm,
    options: Options,
    signals: Signals,
    raw: Option<RawTerminal>,
    reading_stdin: bool,
    capture: bool,
    /// To the stdio port.
    stdin: Outgoing,
    stdin_sent: u64,
    escapes: usize,
    /// To descriptors 1 and 2.
    stdout: Outgoing,
    stderr: Outgoing,
    /// To the control port.
    control: Outgoing,
    decoder: Decoder,
    serial: Tail,
    monitor: Tail,
    serial_open: bool,
    monitor_open: bool,
    current: Captured,
    results: Vec<ProgramResult>,
    boot: Option<Duration>,
    asked_to_end: u32,
    /// When to end the machine, and with which code.
    deadline: Option<(Instant, u8)>,
    state: State,
}

impl Session {
    fn run(mut self) -> Result<Outcome> {
        let start = Instant::now();
        let limit = self.options.limit.map(|limit| start + limit);
        loop {
            let boot_limit = self.boot.is_none().then(|| start + BOOT_LIMIT);
            let wake = [limit, boot_limit, self.deadline.map(|(at, _)| at)].into_iter().flatten().min();
            let ready = self.wait(wake)?;
            for signal in self.signals.take() {
                self.signal(signal);
            }
            self.move_bytes(&ready)?;
            let now = Instant::now();
            if self.state == State::Running {
                if ready.ended {
                    self.drain_ports()?;
                    // It may have said its last words just before.
                    if self.state == State::Running {
                        self.state = State::Died;
                    }
                } else if limit.is_some_and(|limit| now >= limit) {
                    self.say("the time limit is over and the machine did not end: stopped");
                    self.state = State::Killed(124);
                } else if boot_limit.is_some_and(|limit| now >= limit) {
                    self.vm.kill().context("cannot stop the monitor")?;
                    self.drain_logs();
                    self.flush();
                    return Err(end::never_started(BOOT_LIMIT, &self.serial.text(), &self.monitor.text()));
                } else if let Some((at, code)) = self.deadline
                    && now >= at
                {
                    self.state = State::Killed(code);
                }
            }
            match self.state {
                State::Running => {}
                State::Died => {
                    let status = self.vm.wait().context("cannot wait for the monitor")?;
                    self.drain_logs();
                    self.flush();
                    if self.results.len() == self.options.programs {
                        return Ok(self.outcome(None));
                    }
                    return Err(end::died(status, &self.serial.text(), &self.monitor.text()));
                }
                State::Broken => {
                    self.vm.kill().context("cannot stop the monitor")?;
                    self.drain_logs();
                    self.drain_ports()?;
                    self.flush();
                    return Err(end::broken(&self.monitor.text()));
                }
                State::PoweredOff if self.stdout.is_empty() && self.stderr.is_empty() => {
                    self.vm.kill().context("cannot stop the monitor")?;
                    if self.results.len() < self.options.programs {
                        return Err(end::gave_up(&self.current.messages));
                    }
                    return Ok(self.outcome(None));
                }
                State::PoweredOff => {}
                State::Killed(code) => {
                    self.vm.kill().context("cannot stop the monitor")?;
                    self.drain_ports()?;
                    self.flush();
                    return Ok(self.outcome(Some(code)));
                }
            }
        }
    }

    fn outcome(self, code: Option<u8>) -> Outcome {
        let first_failure =
            self.results.iter().map(|result| result.status.exit_code()).find(|code| *code != 0);
        Outcome { code: code.or(first_failure).unwrap_or(0), results: self.results, boot: self.boot }
    }

    fn move_bytes(&mut self, ready: &Ready) -> Result<()> {
        if ready.serial {
            self.read_serial();
        }
        if ready.monitor {
            self.read_monitor();
        }
        if ready.stdin {
            self.read_stdin();
        }
        if ready.to_stdio {
            self.stdin.write(&self.vm.ports.stdio, true);
        }
        if ready.stdio {
            self.read_output(false);
        }
        if ready.stderr {
            self.read_output(true);
        }
        if ready.control {
            self.read_control()?;
        }
        if ready.to_control {
            self.control.write(&self.vm.ports.control, true);
        }
        if ready.to_stdout {
            self.stdout.write(std::io::stdout(), false);
            if self.stdout.broken && self.deadline.is_none() {
                // As for any writer in a pipeline whose reader has gone.
                self.request(&Request::Signal(SIGPIPE as u8));
                self.deadline = Some((Instant::now() + PIPE_GRACE, 128 + SIGPIPE as u8));
            }
        }
        if ready.to_stderr {
            self.stderr.write(std::io::stderr(), false);
        }
        Ok(())
    }

    /// One piece from the stdio port or the stderr port; whether there was any.
    fn read_output(&mut self, from_stderr: bool) -> bool {
        let mut buffer = [0; 64 << 10];
        let ports = &self.vm.ports;
        let port = if from_stderr { &ports.stderr } else { &ports.stdio };
        let Read::Bytes(count) = read(port, &mut buffer) else { return false };
        let bytes = &buffer[..count];
        match (self.capture, from_stderr) {
            (true, false) => self.current.stdout.extend_from_slice(bytes),
            (true, true) => self.current.stderr.extend_from_slice(bytes),
            (false, false) => self.stdout.push(bytes),
            (false, true) => self.stderr.push(bytes),
        }
        true
    }

    fn read_control(&mut self) -> Result<()> {
        let mut buffer = [0; 64 << 10];
        if let Read::Bytes(count) = read(&self.vm.ports.control, &mut buffer) {
            self.decoder.push(&buffer[..count]);
        }
        loop {
            match self.decoder.next_message::<Event>() {
                Ok(Some(event)) => self.event(event)?,
                Ok(None) => return Ok(()),
                Err(_) => {
                    return Err(crate::error::failure(
                        "the kernel sent a message that is not understood",
                        "the kernel and this command are of different versions: build both with `cargo xtask build`",
                    ));
                }
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Started { boot_ns } => self.boot = Some(Duration::from_nanos(boot_ns)),
            Event::Trace(line) => match &mut self.options.trace {
                Some(file) => writeln!(file, "{line}").context("cannot write the trace")?,
                None => self.print(&line),
            },
            Event::Message(text) => {
                // After all that the program wrote before it.
                while self.read_output(true) {}
                if self.capture {
                    self.current.messages.push(text);
                } else {
                    self.say(&text);
                }
            }
            Event::ProgramEnded { index, status, ran_ns, stdout_end, stderr_end } => {
                while self.read_output(false) || self.read_output(true) {}
                let captured = self.current.up_to(stdout_end, stderr_end);
                let result = ProgramResult {
                    index,
                    status,
                    ran: Duration::from_nanos(ran_ns),
                    stdout: captured.stdout,
                    stderr: captured.stderr,
                    messages: captured.messages,
                };
                if let Some(report) = &mut self.options.report
                    && let Some(line) = report.write(&result).context("cannot write the report")?
                {
                    self.print(line.trim_end());
                }
                self.results.push(result);
            }
            Event::PowerOff => {
                while self.read_output(false) || self.read_output(true) {}
                self.state = State::PoweredOff;
            }
        }
        Ok(())
    }

    fn read_stdin(&mut self) {
        let mut buffer = [0; 64 << 10];
        match read(std::io::stdin(), &mut buffer) {
            Read::Bytes(count) => {
                let bytes = &buffer[..count];
                if self.raw.is_some() && self.escape(bytes) {
                    self.say("ended by Ctrl-]");
                    self.state = State::Killed(128 + 9);
                    return;
                }
                if self.holds_keys() && bytes.contains(&INTERRUPT) {
                    self.state = State::Killed(128 + SIGINT as u8);
                    return;
                }
                self.stdin_sent += count as u64;
                self.stdin.push(bytes);
                if !self.holds_keys() {
                    // Most of the time there is room at once.
                    self.stdin.write(&self.vm.ports.stdio, true);
                }
            }
            Read::Nothing => {}
            Read::End => {
                self.reading_stdin = false;
                self.request(&Request::StdinEof { sent: self.stdin_sent });
            }
        }
    }

    /// Before a program has started there is no one whom the guest's terminal could interrupt: keys wait here.
    fn holds_keys(&self) -> bool {
        self.raw.is_some() && self.boot.is_none()
    }

    /// Whether the escape key has now been struck often enough in a row.
    fn escape(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            self.escapes = if byte == ESCAPE.0 { self.escapes + 1 } else { 0 };
            if self.escapes == ESCAPE.1 {
                return true;
            }
        }
        false
    }

    fn signal(&mut self, signal: i32) {
        match signal {
            SIGCONT | SIGWINCH => {
                if let Some(raw) = self.raw.as_ref().filter(|_| signal == SIGCONT) {
                    raw.enter_again();
                }
                if let Some((rows, cols)) = stdio::window_size() {
                    self.request(&Request::WindowSize { rows, cols });
                }
            }
            ending if self.state == State::Running => {
                self.asked_to_end += 1;
                if self.asked_to_end == 1 {
                    self.request(&Request::Signal(ending as u8));
                } else {
                    self.state = State::Killed(128 + ending as u8);
                }
            }
            // The machine is off already; only its output is being written. To someone who does not read it, perhaps.
            ending => self.state = State::Killed(128 + ending as u8),
        }
    }

    fn request(&mut self, request: &Request) {
        self.control.push(&encode(request));
        self.control.write(&self.vm.ports.control, true);
    }

    fn read_serial(&mut self) {
        let mut buffer = [0; 16 << 10];
        match read(&self.vm.ports.serial, &mut buffer) {
            Read::Bytes(count) => {
                self.serial.push(&buffer[..count]);
                if self.options.verbose {
                    self.stderr.push(&buffer[..count]);
                }
            }
            Read::Nothing => {}
            Read::End => self.serial_open = false,
        }
    }

    fn read_monitor(&mut self) {
        let mut buffer = [0; 16 << 10];
        match read(&self.vm.ports.monitor, &mut buffer) {
            Read::Bytes(count) => {
                self.monitor.push(&buffer[..count]);
                if self.options.verbose {
                    self.stderr.push(&buffer[..count]);
                }
            }
            Read::Nothing => {}
            Read::End => self.monitor_open = false,
        }
        // The machine stands still then, and the monitor waits for someone to look into it.
        if self.state == State::Running && self.monitor.text().contains("KVM internal error") {
            self.state = State::Broken;
        }
    }

    /// Takes what a monitor that has ended left in the ports.
    fn drain_ports(&mut self) -> Result<()> {
        while self.read_output(false) || self.read_output(true) {}
        self.read_control()
    }

    fn drain_logs(&mut self) {
        while self.serial_open {
            self.read_serial();
        }
        // A child of the monitor may keep this one open; what is there now is all that counts.
        let mut buffer = [0; 16 << 10];
        while let Read::Bytes(count) = read(&self.vm.ports.monitor, &mut buffer) {
            self.monitor.push(&buffer[..count]);
        }
    }

    /// Writes what is left; a reader that does not read is not waited for for long.
    fn flush(&mut self) {
        let end = Instant::now() + PIPE_GRACE;
        while !(self.stdout.is_empty() && self.stderr.is_empty()) && Instant::now() < end {
            let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
            let mut fds = Vec::new();
            if !self.stdout.is_empty() {
                fds.push(PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::OUT));
            }
            if !self.stderr.is_empty() {
                fds.push(PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT));
            }
            let step = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            let ready: Vec<bool> = match poll(&mut fds, Some(&step)) {
                Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
                Err(_) => continue,
            };
            let mut ready = ready.into_iter();
            if !self.stdout.is_empty() && ready.next() == Some(true) {
                self.stdout.write(&stdout, false);
            }
            if !self.stderr.is_empty() && ready.next() == Some(true) {
                self.stderr.write(&stderr, false);
            }
        }
    }

    /// A message of the command or the kernel to the user.
    fn say(&mut self, text: &str) {
        for line in text.lines() {
            self.print(&format!("husk: {line}"));
        }
    }

    /// A line on standard error, after what the program wrote there.
    fn print(&mut self, line: &str) {
        self.stderr.push(line.as_bytes());
        // The terminal does not make line ends of its own while it is raw.
        self.stderr.push(if self.raw.is_some() { b"\r\n" } else { b"\n" });
    }
}
