//! The terminal's ioctl(2) commands (ioctl_tty(2)).

use super::Tty;
use super::termios::{TERMIOS_SIZE, Termios};
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::file::put_int;
use crate::pid;
use crate::task::Task;
use crate::wait::{Events, sleep};
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use linux_raw_sys::general::{self, TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON};
use linux_raw_sys::ioctl as raw;
use zerocopy::{FromBytes, IntoBytes};

/// Line discipline number of N_TTY, the only one.
const N_TTY: i32 = 0;

impl Tty {
    pub(super) fn ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        let mm = task.mm();
        match command {
            raw::TCGETS => {
                let termios = *self.discipline.lock().termios();
                mm.copy_out(argument, &termios.as_bytes()[..TERMIOS_SIZE])?;
                Ok(0)
            }
            raw::TCGETS2 => {
                let termios = *self.discipline.lock().termios();
                UserPtr::new(argument).write(mm, &termios)?;
                Ok(0)
            }
            raw::TCSETS | raw::TCSETSW | raw::TCSETSF => {
                let mut bytes = [0; size_of::<Termios>()];
                bytes.copy_from_slice(self.discipline.lock().termios().as_bytes());
                mm.copy_in(&mut bytes[..TERMIOS_SIZE], argument)?;
                let mut termios = Termios::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL.here())?;
                termios.set_speeds_from_flags();
                self.set_termios(task, termios, command != raw::TCSETS, command == raw::TCSETSF)
            }
            raw::TCSETS2 | raw::TCSETSW2 | raw::TCSETSF2 => {
                let mut termios: Termios = UserPtr::new(argument).read(mm)?;
                termios.set_speeds_from_flags();
                self.set_termios(task, termios, command != raw::TCSETS2, command == raw::TCSETSF2)
            }
            raw::TIOCGWINSZ => {
                let window = *self.window.lock();
                UserPtr::new(argument).write(mm, &window)?;
                Ok(0)
            }
            raw::TIOCSWINSZ => {
                self.set_window(UserPtr::new(argument).read(mm)?);
                Ok(0)
            }
            raw::FIONREAD => {
                self.take_keys();
                let available = self.discipline.lock().available();
                put_int(task, argument, available as i32)
            }
            raw::TIOCOUTQ => put_int(task, argument, self.shown.pending() as i32),
            raw::TCFLSH => self.flush(task, argument),
            raw::TCXONC => self.flow(task, argument),
            raw::TCSBRK | raw::TCSBRKP => {
                self.check_change(task)?;
                self.drain(task)?;
                Ok(0)
            }
            raw::TIOCGETD => put_int(task, argument, N_TTY),
            raw::TIOCSETD => {
                let wanted: i32 = UserPtr::new(argument).read(mm)?;
                if wanted == N_TTY { Ok(0) } else { err!(EINVAL) }
            }
            raw::TIOCEXCL | raw::TIOCNXCL => {
                self.exclusive.store(command == raw::TIOCEXCL, Ordering::Relaxed);
                Ok(0)
            }
            raw::TIOCGEXCL => put_int(task, argument, i32::from(self.exclusive.load(Ordering::Relaxed))),
            raw::TIOCGDEV => {
                let device = husk_fs::DeviceNumber::new(super::TTYAUX_MAJOR, 1).encode() as u32;
                UserPtr::new(argument).write(mm, &device)?;
                Ok(0)
            }
            _ => self.session_ioctl(task, command, argument),
        }
    }

    fn set_termios(&self, task: &Task, new: Termios, drain: bool, flush: bool) -> Result<u64, Errno> {
        self.check_change(task)?;
        if drain {
            self.drain(task)?;
        }
        let mut discipline = self.discipline.lock();
        if flush {
            discipline.flush_input();
        }
        let new = Termios { line: discipline.termios().line, ..new };
        discipline.set_termios(new);
        drop(discipline);
        self.waiters.wake(Events::READABLE | Events::WRITABLE);
        Ok(0)
    }

    /// Waits until the host has taken all output.
    fn drain(&self, task: &Task) -> Result<(), Errno> {
        let _registration = crate::wait::Registration::new(self.shown.waiters(), Events::WRITABLE);
        while !self.shown.is_flushed() {
            sleep(task, None)?;
        }
        Ok(())
    }

    fn flush(&self, task: &Task, what: u64) -> Result<u64, Errno> {
        self.check_change(task)?;
        let what = u32::try_from(what).map_err(|_| Errno::EINVAL.here())?;
        if what > TCIOFLUSH {
            return err!(EINVAL);
        }
        if what != TCOFLUSH {
            self.discipline.lock().flush_input();
        }
        if what != TCIFLUSH {
            self.shown.discard();
        }
        self.take_keys();
        Ok(0)
    }

    fn flow(&self, task: &Task, what: u64) -> Result<u64, Errno> {
        self.check_change(task)?;
        match u32::try_from(what) {
            Ok(TCOOFF) => self.discipline.lock().set_stopped(true),
            Ok(TCOON) => self.discipline.lock().set_stopped(false),
            Ok(what @ (TCIOFF | TCION)) => {
                let index = if what == TCIOFF { general::VSTOP } else { general::VSTART };
                let key = self.discipline.lock().termios().control(index);
                if key != super::termios::DISABLED {
                    self.shown.put(&[key]);
                }
            }
            _ => return err!(EINVAL),
        }
        self.waiters.wake(Events::WRITABLE);
        Ok(0)
    }

    /// Commands about sessions and process groups.
    fn session_ioctl(&self, task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
        let process = task.process();
        let own = self.is_of_session(process);
        match command {
            raw::TIOCGPGRP if own => put_int(task, argument, self.foreground.load(Ordering::Relaxed)),
            raw::TIOCGSID if own => put_int(task, argument, self.session.load(Ordering::Relaxed)),
            raw::TIOCSPGRP if own => {
                self.check_change(task)?;
                let group: i32 = UserPtr::new(argument).read(task.mm())?;
                if group < 0 {
                    return err!(EINVAL);
                }
                let member = pid::processes().into_iter().find(|process| process.group() == group);
                let member = member.ok_or(Errno::ESRCH.here())?;
                if member.session() != process.session() {
                    return err!(EPERM);
                }
                self.foreground.store(group, Ordering::Relaxed);
                Ok(0)
            }
            raw::TIOCSCTTY => {
                if own {
                    return Ok(0);
                }
                let leads = process.session() == process.pid();
                let taken = self.session.load(Ordering::Relaxed) != 0
                    && pid::processes().iter().any(|other| self.is_of_session(other));
                if !leads || (taken && !(argument == 1 && task.has_capability(Capability::SYS_ADMIN))) {
                    return err!(EPERM);
                }
                self.set_session(process.session(), process.group());
                Ok(0)
            }
            raw::TIOCNOTTY if own => {
                if process.session() == process.pid() {
                    self.set_session(0, 0);
                }
                Ok(0)
            }
            _ => err!(ENOTTY),
        }
    }
}
