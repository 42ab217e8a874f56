//! Job control: who may use the terminal just now (termios(3), credentials(7)).

use super::Tty;
use crate::pid;
use crate::process::Process;
use crate::signal::{SigInfo, Signal, send_to_group};
use crate::task::Task;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use linux_raw_sys::general as raw;

impl Tty {
    fn in_background(&self, process: &Process) -> bool {
        self.is_of_session(process) && self.foreground.load(Ordering::Relaxed) != process.group()
    }

    /// Reading from the background stops the process group.
    pub(super) fn check_read(&self, task: &Task) -> Result<(), Errno> {
        if !self.in_background(task.process()) {
            return Ok(());
        }
        if passes(task, Signal::SIGTTIN) || is_orphaned(task.process()) {
            return err!(EIO);
        }
        stop(task, Signal::SIGTTIN)
    }

    /// Writing from the background stops the process group if the terminal is set so (TOSTOP).
    pub(super) fn check_write(&self, task: &Task) -> Result<(), Errno> {
        if self.discipline.lock().termios().local(raw::TOSTOP) { self.check_change(task) } else { Ok(()) }
    }

    /// Changing the terminal from the background stops the process group.
    pub(super) fn check_change(&self, task: &Task) -> Result<(), Errno> {
        if !self.in_background(task.process()) || passes(task, Signal::SIGTTOU) {
            return Ok(());
        }
        if is_orphaned(task.process()) {
            return err!(EIO);
        }
        stop(task, Signal::SIGTTOU)
    }
}

/// Whether the task blocks or ignores a signal.
fn passes(task: &Task, signal: Signal) -> bool {
    task.blocked().contains(signal) || task.process().handlers.get(signal).ignores(signal)
}

fn stop(task: &Task, signal: Signal) -> Result<(), Errno> {
    send_to_group(task.process().group(), &SigInfo::kernel(signal));
    err!(ERESTARTSYS)
}

/// Whether nobody could ever continue the process's group: no member has a parent of another group in the same session.
fn is_orphaned(process: &Process) -> bool {
    !pid::processes().iter().filter(|member| member.group() == process.group()).any(|member| {
        pid::process(member.parent())
            .is_some_and(|parent| parent.group() != member.group() && parent.session() == member.session())
    })
}
