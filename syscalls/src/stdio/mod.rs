//! What stands behind descriptors 0, 1 and 2: pipes from and to the host, the terminal, or nothing.

mod output;
mod pipe;

pub(crate) use output::Output;

use crate::file::{FdTable, File, FileDescription, open_device};
use crate::process::Process;
use crate::tty::{self, Tty};
use crate::wait::{Events, Registration};
use alloc::sync::Arc;
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_abi::boot::{self, StdioKind};
use husk_fs::{Credentials, Location, LookupFlags, OpenFlags, WalkContext};
use husk_machine::port::{Listener, Port};
use husk_machine::thread;
use pipe::{InputPipe, OutputPipe};

/// The standard descriptors of all programs of this boot.
pub(crate) struct Stdio {
    config: boot::Stdio,
    /// The port for input and output, and the one for errors.
    outputs: Vec<Arc<Output>>,
    input: Option<Arc<InputPipe>>,
    tty: Option<Arc<Tty>>,
}

impl Stdio {
    /// Attaches the ports. A terminal for input whose output goes elsewhere shows its echo on the port for errors.
    pub(crate) fn new(config: &boot::Stdio, stdio: Arc<dyn Port>, stderr: Arc<dyn Port>) -> Arc<Self> {
        let output = Output::new(stdio.clone());
        let errors = Output::new(stderr.clone());
        let kinds = [config.stdin, config.stdout, config.stderr];
        let input = (config.stdin == StdioKind::Pipe).then(|| InputPipe::new(stdio.clone()));
        let tty = kinds.contains(&StdioKind::Tty).then(|| {
            let shown = if config.stdout == StdioKind::Pipe { &errors } else { &output };
            let keys = (config.stdin == StdioKind::Tty).then(|| stdio.clone());
            let tty = Tty::new(shown.clone(), keys);
            tty.set_window_size(config.rows, config.cols);
            tty::set_console(tty.clone());
            tty
        });
        let (outputs, keys) = (Vec::from([output, errors]), (input.clone(), tty.clone()));
        let listener: Listener = {
            let outputs = outputs.clone();
            Arc::new(move || {
                for output in &outputs {
                    output.flush();
                }
                if let Some(input) = &keys.0 {
                    input.changed();
                }
                if let Some(tty) = &keys.1 {
                    tty.changed();
                }
            })
        };
        // One for both, as they may be the same port.
        stdio.set_listener(listener.clone());
        stderr.set_listener(listener);
        Arc::new(Self { config: config.clone(), outputs, input, tty })
    }

    /// Opens descriptors 0, 1 and 2 for a new program and makes the terminal, if there is one, that of its session.
    ///
    /// # Errors
    /// Those of opening /dev/null and /dev/console.
    pub(crate) fn install(&self, process: &Process, files: &FdTable, root: &Location) -> Result<(), Errno> {
        let terminal = match &self.tty {
            None => None,
            Some(tty) => {
                tty.set_session(process.session(), process.group());
                let place = device(root, b"/dev/console")?;
                Some(FileDescription::at(tty.clone().opened(place.inode()), OpenFlags::RDWR, place)?)
            }
        };
        let kinds = [self.config.stdin, self.config.stdout, self.config.stderr];
        for (number, kind) in kinds.into_iter().enumerate() {
            let access = if number == 0 { OpenFlags::empty() } else { OpenFlags::WRONLY };
            let description = match kind {
                StdioKind::Closed => continue,
                StdioKind::Tty => terminal.clone(),
                StdioKind::Null => {
                    let place = device(root, b"/dev/null")?;
                    let file = open_device(place.inode())?;
                    Some(FileDescription::at(file, OpenFlags::RDWR, place)?)
                }
                StdioKind::Pipe => {
                    let file: Option<Arc<dyn File>> = match number {
                        0 => self.input.clone().map(|input| input as Arc<dyn File>),
                        _ => self.outputs.get(number - 1).map(|output| OutputPipe::new(output.clone()) as _),
                    };
                    file.map(|file| FileDescription::new(file, access))
                }
            };
            if let Some(description) = description {
                files.replace(number, description, false)?;
            }
        }
        Ok(())
    }

    /// The host's end of standard input has been closed after so many bytes.
    pub(crate) fn input_ended(&self, total: u64) {
        if let Some(input) = &self.input {
            input.ends_after(total);
        }
        if let Some(tty) = &self.tty {
            tty.ends_after(total);
        }
    }

    /// The host's terminal has another size.
    pub(crate) fn window_changed(&self, rows: u16, cols: u16) {
        if let Some(tty) = &self.tty {
            tty.set_window_size(rows, cols);
        }
    }

    /// Bytes written to standard output and standard error from the start.
    pub(crate) fn written(&self) -> [u64; 2] {
        [0, 1].map(|index| self.outputs.get(index).map_or(0, |output: &Arc<Output>| output.total()))
    }

    /// Waits until the monitor has taken all output.
    pub(crate) fn flush(&self) {
        for output in self.outputs.iter().filter(|output| !output.is_flushed()) {
            let _registration = Registration::new(output.waiters(), Events::WRITABLE);
            while !output.is_flushed() {
                thread::park();
            }
        }
    }
}

fn device(root: &Location, path: &[u8]) -> Result<Location, Errno> {
    let context =
        WalkContext { root: root.clone(), cwd: root.clone(), credentials: Arc::new(Credentials::root()) };
    husk_fs::lookup(&context, None, path, LookupFlags::FOLLOW)
}
