//! Starting the monitor as a child that ends with us.

use super::TRAMPOLINE;
use super::arguments::Files;
use super::files::passed_path;
use crate::error::failure;
use anyhow::{Context, Result};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{PidfdFlags, Signal};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

/// Our ends of what connects us with the machine; all non-blocking.
#[derive(Debug)]
pub struct Ports {
    /// Standard input and output.
    pub stdio: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
    /// Control messages.
    pub control: OwnedFd,
    /// The kernel's log on the serial line.
    pub serial: OwnedFd,
    /// What the monitor itself has to say.
    pub monitor: OwnedFd,
}

/// A running machine.
#[derive(Debug)]
pub struct Vm {
    child: Child,
    /// Readable once the monitor has ended.
    pub ended: OwnedFd,
    /// The connections.
    pub ports: Ports,
}

impl Vm {
    /// Ends the machine at once and waits for it.
    ///
    /// # Errors
    /// When the child is not there to be waited for.
    pub fn kill(&mut self) -> std::io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Waits for the machine, which has ended by itself.
    ///
    /// # Errors
    /// When the child is not there to be waited for.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Nothing to be done about a machine that is gone already.
        let _ = self.kill();
    }
}

/// One thread at a time has descriptors that a child would inherit.
static INHERITABLE: Mutex<()> = Mutex::new(());

/// Starts the monitor. `arguments` makes its command line from the places of the files; `trampoline` is the
/// husk command, through which the monitor is started so that it ends when we do, however we end.
///
/// # Errors
/// When the host is out of descriptors or processes, or the program cannot be run.
pub fn spawn(
    qemu: &Path,
    trampoline: Option<&Path>,
    kernel: &File,
    boot_module: &File,
    image: &File,
    arguments: impl FnOnce(&Files) -> Vec<OsString>,
) -> Result<Vm> {
    let (stdio, their_stdio) = socket_pair()?;
    let (stderr, their_stderr) = socket_pair()?;
    let (control, their_control) = socket_pair()?;
    let (serial, their_serial) = socket_pair()?;
    let (monitor, their_monitor) = socket_pair()?;
    let files = Files {
        kernel: passed_path(kernel),
        boot_module: passed_path(boot_module),
        image: passed_path(image),
        stdio: their_stdio.as_raw_fd(),
        stderr: their_stderr.as_raw_fd(),
        control: their_control.as_raw_fd(),
        serial: their_serial.as_raw_fd(),
    };
    let mut command = match trampoline {
        Some(husk) => {
            let mut command = Command::new(husk);
            command.arg(TRAMPOLINE).arg(std::process::id().to_string()).arg(qemu);
            command
        }
        None => Command::new(qemu),
    };
    command.args(arguments(&files)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(their_monitor);
    // Its own process group: a Ctrl-C at the terminal is for us to pass on, not for the monitor to die of.
    command.process_group(0);

    let passed = [
        kernel.as_fd(),
        boot_module.as_fd(),
        image.as_fd(),
        their_stdio.as_fd(),
        their_stderr.as_fd(),
        their_control.as_fd(),
        their_serial.as_fd(),
    ];
    let guard = INHERITABLE.lock().unwrap_or_else(PoisonError::into_inner);
    for fd in passed {
        rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    }
    let child = command.spawn();
    for fd in passed {
        rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    }
    drop(guard);
    let child = child.map_err(|error| {
        failure(format!("cannot start {}: {error}", qemu.display()), "check the path given with --qemu")
    })?;
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.context("the monitor has no process id")?;
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the monitor")?;
    Ok(Vm { child, ended, ports: Ports { stdio, stderr, control, serial, monitor } })
}

/// Our end is non-blocking; both are closed on exec until [`spawn`] says otherwise.
fn socket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .context("cannot make a socket for the monitor")?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// What the husk command does when it is started as the trampoline: asks the host kernel to kill this process when its
/// parent ends, then becomes the monitor. The arguments are the parent's process id, QEMU, and QEMU's arguments. Comes
/// back only with an error.
#[must_use]
pub fn run_trampoline(mut args: impl Iterator<Item = OsString>) -> anyhow::Error {
    let parent = args.next().and_then(|pid| pid.to_str()?.parse().ok());
    let Some((parent, qemu)) = parent.zip(args.next()) else {
        return anyhow::anyhow!("{TRAMPOLINE} is for the command's own use");
    };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return anyhow::Error::from(error).context("cannot bind the monitor's life to ours");
    }
    // The parent may have ended before the line above.
    if rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero).map(std::num::NonZero::get)
        != Some(parent)
    {
        return anyhow::anyhow!("the command that started the monitor has ended");
    }
    let error = Command::new(&qemu).args(args).exec();
    anyhow::Error::from(error).context(format!("cannot run {}", PathBuf::from(qemu).display()))
}
