//! The control port: what is told to the host's tool, and what it asks for.

use crate::process::Process;
use crate::signal::{self, SigInfo, Signal};
use crate::stdio::Stdio;
use alloc::sync::{Arc, Weak};
use husk_abi::control::{self, Decoder, Event, Request};
use husk_machine::frame::OutOfMemory;
use husk_machine::port::Port;
use husk_machine::sync::{Mutex, Once, SpinLock, WaitQueue};
use husk_machine::thread::{self, Attributes};
use husk_machine::{power, time};

/// Exit code of the VM when the tool at the other end of the control port has gone away.
const TOOL_GONE: u8 = 129;

static CONTROL: Once<Control> = Once::new();

/// The connection to the tool.
struct Control {
    /// None if the monitor gave the VM no such port; messages then go to the log.
    port: Option<Arc<dyn Port>>,
    stdio: Arc<Stdio>,
    /// One message at a time.
    sending: Mutex<()>,
    changed: WaitQueue,
    /// The program that runs now.
    program: SpinLock<Weak<Process>>,
}

/// Attaches the port and starts the thread that reads it.
///
/// # Errors
/// [`OutOfMemory`] if there is none for the thread.
pub(crate) fn init(port: Option<Arc<dyn Port>>, stdio: Arc<Stdio>) -> Result<(), OutOfMemory> {
    let control = CONTROL.call_once(|| Control {
        port,
        stdio,
        sending: Mutex::new(()),
        changed: WaitQueue::new(),
        program: SpinLock::new(Weak::new()),
    });
    if let Some(port) = &control.port {
        port.set_listener(Arc::new(|| {
            if let Some(control) = CONTROL.get() {
                control.changed.wake_all();
            }
        }));
        thread::spawn_with("control", Attributes::SERVICE, move || control.serve(&**port))?;
    }
    Ok(())
}

/// Says which program signals from the tool go to.
pub(crate) fn set_program(process: &Arc<Process>) {
    if let Some(control) = CONTROL.get() {
        let old = core::mem::replace(&mut *control.program.lock(), Arc::downgrade(process));
        drop(old);
    }
}

/// Sends an event, after all output before it has been taken by the monitor.
pub(crate) fn send(event: &Event) {
    match CONTROL.get() {
        Some(control) => control.send(event),
        None => log_event(event),
    }
}

fn log_event(event: &Event) {
    match event {
        Event::Trace(line) => log::info!("{line}"),
        Event::Message(text) => log::warn!("{text}"),
        Event::ProgramEnded { index, status, .. } => log::info!("program {index} ended: {status:?}"),
        Event::Started { boot_ns } => log::info!("started after {} us", boot_ns / 1000),
        Event::PowerOff => log::info!("powering off"),
    }
}

impl Control {
    fn send(&self, event: &Event) {
        self.stdio.flush();
        let Some(port) = &self.port else {
            log_event(event);
            return;
        };
        let message = control::encode(event);
        let _sending = self.sending.lock();
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            let count = port.write(rest);
            rest = &rest[count..];
            if count == 0 {
                self.changed.wait_until(|| (port.can_write() || port.peer_closed()).then_some(()));
                if port.peer_closed() {
                    return;
                }
            }
        }
    }

    /// Waits until the monitor has taken everything sent.
    fn flush(&self) {
        self.stdio.flush();
        if let Some(port) = &self.port {
            self.changed.wait_until(|| (port.is_flushed() || port.peer_closed()).then_some(()));
        }
    }

    /// Does what the tool asks for, for as long as it is there.
    fn serve(&self, port: &dyn Port) {
        let mut decoder = Decoder::default();
        let mut buffer = [0; 512];
        let mut connected = false;
        loop {
            self.changed.wait_until(|| {
                connected |= !port.peer_closed();
                (port.has_input() || connected && port.peer_closed()).then_some(())
            });
            if !port.has_input() {
                log::error!("the tool has closed the control port: powering off");
                power::power_off(TOOL_GONE);
            }
            let count = port.read(&mut buffer);
            decoder.push(&buffer[..count]);
            loop {
                match decoder.next_message() {
                    Ok(Some(request)) => self.handle(request),
                    Ok(None) => break,
                    Err(_) => {
                        log::error!(
                            "the tool sent a damaged message on the control port: no longer reading it"
                        );
                        return;
                    }
                }
            }
        }
    }

    fn handle(&self, request: Request) {
        match request {
            Request::WindowSize { rows, cols } => self.stdio.window_changed(rows, cols),
            Request::StdinEof { sent } => self.stdio.input_ended(sent),
            Request::WallClock { ns } => time::set_realtime_ns(ns),
            Request::Signal(number) => {
                let program = self.program.lock().upgrade();
                match (Signal::new(number.into()), program) {
                    (Ok(signal), Some(process)) => {
                        if let Err(error) = signal::send_to_process(&process, SigInfo::kernel(signal)) {
                            log::warn!("the tool's {signal} cannot be sent: {error}");
                        }
                    }
                    (Err(_), _) => log::warn!("the tool asked for signal {number}, which does not exist"),
                    (_, None) => log::info!("the tool sent signal {number}, but no program runs"),
                }
            }
        }
    }
}

/// Waits until all events and all output have been taken by the monitor.
pub(crate) fn flush() {
    if let Some(control) = CONTROL.get() {
        control.flush();
    }
}
