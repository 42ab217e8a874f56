//! The driver of virtio console devices (virtio 1.2, section 5.3): one port, or many.

mod control;
mod control_queue;
mod port;
mod receive;
mod send;

pub(crate) use port::ConsolePort;

use super::buffer_queue::Direction::{FromDevice, ToDevice};
use super::transport::Transport;
use super::{Features, VirtioError};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use control::HostEvent;
use control_queue::ControlQueue;

/// Feature bit (section 5.3.3).
const MULTIPORT: Features = Features::from_bits_retain(1 << 1);

const CONFIG_MAX_NR_PORTS: usize = 4;

/// One interrupt for all queues: looking at an empty ring is a load from memory, while connecting a vector for each queue would
/// cost time at boot.
const INTERRUPT: u16 = 0;

const CONTROL_RECEIVE: u16 = 2;
const CONTROL_SEND: u16 = 3;
/// Entries of each queue: as many as QEMU's control queues have. QEMU drops what finds no buffer there, so these are enough for all
/// that it says at once, three messages for each of its ports. One size for all queues: each size is code of its own, which
/// emulation has to translate at boot.
const ENTRIES: usize = 32;
/// Ports above this number are not used: each costs two queues at boot.
const MOST_PORTS: u32 = 4;
/// Buffers of a page that wait for input, for each port: standard input and messages of the tool come in bulk, the others hardly ever.
const RECEIVE_BUFFERS: [usize; MOST_PORTS as usize] = [2, 8, 1, 2];

/// A console device with its ports.
pub(crate) struct VirtioConsole {
    ports: Vec<Arc<ConsolePort>>,
    control: Option<ControlQueue>,
    found: fn(Arc<ConsolePort>),
}

/// The queue that brings input of a port; the one after it takes output (section 5.3.2).
fn receive_queue(port: u32) -> u16 {
    // There are few ports.
    let port = port as u16;
    if port == 0 { 0 } else { 2 + 2 * port }
}

impl VirtioConsole {
    /// Sets the device up and starts it. `found` is called for each port that the host announces, at once or later.
    pub(crate) fn start(
        mut transport: Transport,
        found: fn(Arc<ConsolePort>),
    ) -> Result<Arc<Self>, VirtioError> {
        let multiport = transport.begin(MULTIPORT)?.contains(MULTIPORT);
        let count =
            if multiport { transport.config_u32(CONFIG_MAX_NR_PORTS).clamp(1, MOST_PORTS) } else { 1 };
        let mut ports = Vec::new();
        // Where there are many, nothing is said over port 0, which is for a console in the old sense.
        for (number, buffers) in (0..count).zip(RECEIVE_BUFFERS).skip(usize::from(multiport)) {
            let receive = transport.buffer_queue(receive_queue(number), FromDevice, INTERRUPT)?;
            let send = transport.buffer_queue(receive_queue(number) + 1, ToDevice, INTERRUPT)?;
            ports.push(Arc::new(ConsolePort::new(number, receive, send, buffers)));
        }
        let control = if multiport {
            let receive = transport.buffer_queue(CONTROL_RECEIVE, FromDevice, INTERRUPT)?;
            let send = transport.buffer_queue(CONTROL_SEND, ToDevice, INTERRUPT)?;
            Some(ControlQueue::new(receive, send)?)
        } else {
            None
        };
        let device = Arc::new(Self { ports, control, found });
        let handler = device.clone();
        transport.connect(INTERRUPT, Box::new(move || handler.interrupt()))?;
        transport.finish();
        match &device.control {
            Some(control) => control.ready(),
            None => {
                let port = &device.ports[0];
                port.announced();
                port.host_opened(true);
                (device.found)(port.clone());
            }
        }
        Ok(device)
    }

    /// The host has taken what we sent, so it has said which ports there are: QEMU says it before it gives the buffer
    /// of our message back. May be called with interrupts off.
    pub(crate) fn settled(&self) -> bool {
        self.control.as_ref().is_none_or(ControlQueue::all_sent)
    }

    /// Looks at all rings. Also called while booting, with interrupts off, to learn early which ports there are.
    pub(crate) fn interrupt(&self) {
        for port in &self.ports {
            port.interrupt();
        }
        let Some(control) = &self.control else { return };
        while let Some((number, event)) = control.next_event() {
            let port = self.ports.iter().find(|port| port.number() == number);
            let Some(port) = port else {
                if matches!(event, HostEvent::Add) {
                    log::warn!("virtio-serial: port {number} is not used: only 1 to {} are", MOST_PORTS - 1);
                }
                continue;
            };
            match event {
                HostEvent::Add => {
                    port.announced();
                    control.accept(number);
                    (self.found)(port.clone());
                }
                HostEvent::Open(open) => port.host_opened(open),
                HostEvent::Remove => port.host_opened(false),
                // The window's size comes over the control port, the name is not used: ports are known by number.
                HostEvent::Other => {}
            }
        }
    }
}
