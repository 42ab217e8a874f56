//! The terminal: a line discipline between the programs and the host's terminal, with job control.

mod ioctl;
mod job_control;
mod line_discipline;
mod output;
mod termios;

use crate::file::File;
use crate::process::Process;
use crate::signal::{SigInfo, Signal, send_to_group};
use crate::stdio::Output;
use crate::task::Task;
use crate::wait::{self, Events, Waiters};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use husk_abi::{Errno, err};
use husk_fs::{InodeRef, Metadata, OpenFlags, Sink, Source};
use husk_machine::port::Port;
use husk_machine::sync::{Once, SpinLock};
use line_discipline::{Effects, Key, LineDiscipline};

/// Major number of /dev/tty (minor 0) and /dev/console (minor 1).
pub(crate) const TTYAUX_MAJOR: u32 = 5;

/// How many bytes of a program's output are processed at a time.
const CHUNK: usize = 2048;

/// Nanoseconds in the unit of VTIME.
const DECISECOND: u64 = 100_000_000;

/// The terminal behind /dev/console, if standard input or output is one.
static CONSOLE: Once<Arc<Tty>> = Once::new();

/// Makes this the terminal behind /dev/console.
pub(crate) fn set_console(tty: Arc<Tty>) {
    CONSOLE.call_once(|| tty);
}

/// Opens /dev/tty (the terminal of the caller's session) or /dev/console.
///
/// # Errors
/// ENXIO if there is no terminal.
pub(crate) fn open(
    task: &Task,
    inode: &InodeRef,
    minor: u32,
    _flags: OpenFlags,
) -> Result<Arc<dyn File>, Errno> {
    let tty = CONSOLE.get().ok_or(Errno::ENXIO.here())?;
    let own = tty.is_of_session(task.process());
    match minor {
        0 if own => Ok(tty.clone().opened(inode)),
        1 => Ok(tty.clone().opened(inode)),
        _ => err!(ENXIO),
    }
}

/// The controlling terminal of a process: its device number and foreground group, for /proc/PID/stat.
pub(crate) fn controlling(process: &Process) -> Option<(husk_fs::DeviceNumber, i32)> {
    let tty = CONSOLE.get().filter(|tty| tty.is_of_session(process))?;
    Some((husk_fs::DeviceNumber::new(TTYAUX_MAJOR, 1), tty.foreground.load(Ordering::Relaxed)))
}

/// A terminal.
pub(crate) struct Tty {
    discipline: SpinLock<LineDiscipline>,
    /// Where it shows things.
    shown: Arc<Output>,
    /// Where its keys come from.
    keys: Option<Arc<dyn Port>>,
    received: AtomicU64,
    /// How many bytes of keys come in all, once that is known: then the terminal has hung up.
    total: AtomicU64,
    hung_up: AtomicBool,
    /// Session and foreground process group; 0 is none.
    session: AtomicI32,
    foreground: AtomicI32,
    /// Rows and columns.
    window: SpinLock<[u16; 4]>,
    exclusive: AtomicBool,
    waiters: Waiters,
}

impl Tty {
    /// A terminal that shows things on `shown` and takes keys from `keys`.
    pub(crate) fn new(shown: Arc<Output>, keys: Option<Arc<dyn Port>>) -> Arc<Self> {
        Arc::new(Self {
            discipline: SpinLock::new(LineDiscipline::default()),
            shown,
            keys,
            received: AtomicU64::new(0),
            total: AtomicU64::new(u64::MAX),
            hung_up: AtomicBool::new(false),
            session: AtomicI32::new(0),
            foreground: AtomicI32::new(0),
            window: SpinLock::new([0; 4]),
            exclusive: AtomicBool::new(false),
            waiters: Waiters::new(),
        })
    }

    /// An opening of it through a device node.
    pub(crate) fn opened(self: Arc<Self>, inode: &InodeRef) -> Arc<dyn File> {
        Arc::new(TtyFile { tty: self, inode: inode.clone() })
    }

    /// Makes it the controlling terminal of a session, with this foreground group.
    pub(crate) fn set_session(&self, session: i32, foreground: i32) {
        self.session.store(session, Ordering::Relaxed);
        self.foreground.store(foreground, Ordering::Relaxed);
    }

    fn is_of_session(&self, process: &Process) -> bool {
        let session = self.session.load(Ordering::Relaxed);
        session != 0 && session == process.session()
    }

    /// Changes the window's size; the foreground group gets SIGWINCH if it is another one.
    pub(crate) fn set_window_size(&self, rows: u16, cols: u16) {
        self.set_window([rows, cols, 0, 0]);
    }

    fn set_window(&self, new: [u16; 4]) {
        let old = core::mem::replace(&mut *self.window.lock(), new);
        if old != new {
            self.signal_foreground(Signal::SIGWINCH);
        }
    }

    fn signal_foreground(&self, signal: Signal) {
        let group = self.foreground.load(Ordering::Relaxed);
        if group > 0 {
            send_to_group(group, &SigInfo::kernel(signal));
        }
    }

    /// The host's terminal sends no more after so many bytes.
    pub(crate) fn ends_after(&self, total: u64) {
        self.total.store(total, Ordering::Release);
        self.changed();
    }

    /// The port has keys or room. Fine in an interrupt handler.
    pub(crate) fn changed(&self) {
        self.take_keys();
        self.waiters.wake(Events::READABLE | Events::WRITABLE | Events::HUP);
    }

    /// Feeds waiting keys to the line discipline as far as it has room, and notes when there will be no more.
    fn take_keys(&self) {
        let Some(keys) = &self.keys else { return };
        // Before looking for keys: those that came before it was closed are there then.
        let closed = keys.peer_closed();
        loop {
            let mut effects = Effects::default();
            let mut discipline = self.discipline.lock();
            let mut bytes = [0; 256];
            let room = discipline.room().min(bytes.len());
            let count = keys.read(&mut bytes[..room]);
            for byte in &bytes[..count] {
                discipline.receive(*byte, &mut effects);
            }
            // Under the lock: whoever finds no more keys knows of all that others have taken.
            let received = self.received.fetch_add(count as u64, Ordering::AcqRel) + count as u64;
            drop(discipline);
            if effects.flush_output {
                self.shown.discard();
            }
            self.shown.put(&effects.echo);
            for key in effects.keys {
                self.signal_foreground(match key {
                    Key::Interrupt => Signal::SIGINT,
                    Key::Quit => Signal::SIGQUIT,
                    Key::Suspend => Signal::SIGTSTP,
                });
            }
            if count > 0 {
                continue;
            }
            let at_end = received >= self.total.load(Ordering::Acquire);
            if (at_end || closed) && !self.hung_up.swap(true, Ordering::AcqRel) {
                self.signal_foreground(Signal::SIGHUP);
                self.waiters.wake(Events::READABLE | Events::HUP);
            }
            return;
        }
    }

    fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Acquire)
    }

    /// Takes input for one read of up to `limit` bytes; EAGAIN if there is none.
    fn take(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let taken = self.discipline.lock().take(limit);
        match taken {
            Some(bytes) => {
                // There may be keys that had no room before.
                self.take_keys();
                Ok(bytes)
            }
            None if self.is_hung_up() => Ok(Vec::new()),
            None => err!(EAGAIN),
        }
    }

    /// Reads in noncanonical mode by the rules of VMIN and VTIME.
    fn read_raw(
        &self,
        task: &Task,
        nonblocking: bool,
        limit: usize,
        rules: line_discipline::RawRead,
    ) -> Result<Vec<u8>, Errno> {
        let after = |tenths: u8| husk_machine::time::monotonic_ns() + u64::from(tenths) * DECISECOND;
        let mut bytes = Vec::new();
        let mut deadline = rules.first_wait.map(after);
        let _registration = wait::Registration::new(&self.waiters, Events::READABLE);
        loop {
            match self.take(limit - bytes.len()) {
                Ok(more) => {
                    let ended = more.is_empty();
                    bytes.extend(more);
                    if ended || bytes.len() >= rules.minimum.min(limit) {
                        return Ok(bytes);
                    }
                    deadline = rules.between.map(after);
                }
                Err(error) if error == Errno::EAGAIN && (rules.first_wait == Some(0)) => return Ok(bytes),
                Err(error) if error == Errno::EAGAIN && (nonblocking) => {
                    return if bytes.is_empty() { err!(EAGAIN) } else { Ok(bytes) };
                }
                Err(error) if error == Errno::EAGAIN => match wait::sleep(task, deadline) {
                    Ok(()) => {}
                    // Time is up.
                    Err(error) if error == Errno::EAGAIN => return Ok(bytes),
                    Err(_) if !bytes.is_empty() => return Ok(bytes),
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
    }
}

/// A terminal opened through a device node.
struct TtyFile {
    tty: Arc<Tty>,
    inode: InodeRef,
}

impl File for TtyFile {
    fn metadata(&self) -> Metadata {
        self.inode.metadata()
    }

    fn inode(&self) -> Option<&InodeRef> {
        Some(&self.inode)
    }

    fn name(&self) -> Vec<u8> {
        b"/dev/console".to_vec()
    }

    fn wait_read(&self, task: &Task, nonblocking: bool, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let limit = sink.remaining();
        if limit == 0 {
            return Ok(0);
        }
        let tty = &self.tty;
        tty.take_keys();
        let rules = tty.discipline.lock().raw_read();
        let bytes = match rules {
            Some(rules) => tty.read_raw(task, nonblocking, limit, rules)?,
            None if nonblocking => tty.take(limit)?,
            None => wait::block_on(task, &tty.waiters, Events::READABLE, None, || tty.take(limit))?,
        };
        let count = match sink.push(&bytes) {
            Ok(count) => count,
            Err(error) => {
                tty.discipline.lock().give_back(&bytes);
                return Err(error);
            }
        };
        if count < bytes.len() {
            tty.discipline.lock().give_back(&bytes[count..]);
        }
        Ok(count)
    }

    fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        let mut done = 0;
        if self.tty.is_hung_up() {
            return err!(EIO);
        }
        let mut bytes = vec![0; source.remaining().min(CHUNK)];
        while source.remaining() > 0 {
            if self.tty.discipline.lock().stopped() || self.tty.shown.room() == 0 {
                return if done > 0 { Ok(done) } else { err!(EAGAIN) };
            }
            match source.pull(&mut bytes) {
                Ok(0) => break,
                Ok(count) => {
                    let mut out = Vec::with_capacity(count + count / 8);
                    self.tty.discipline.lock().write(&bytes[..count], &mut out);
                    self.tty.shown.put(&out);
                    done += count;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn poll(&self) -> Events {
        self.tty.take_keys();
        let discipline = self.tty.discipline.lock();
        let mut events = Events::empty();
        events.set(Events::READABLE, discipline.poll_readable());
        events.set(Events::WRITABLE, !discipline.stopped() && self.tty.shown.room() > 0);
        if self.tty.is_hung_up() {
            events |= Events::READABLE | Events::HUP;
        }
        events
    }

    fn waiters(&self) -> Option<&Waiters> {
        Some(&self.tty.waiters)
    }

    fn check_job_control(&self, task: &Task, write: bool) -> Result<(), Errno> {
        if write { self.tty.check_write(task) } else { self.tty.check_read(task) }
    }

    fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        self.tty.ioctl(task, command, argument)
    }
}
