//! The first serial line (16550A) as a port, for a console where there is no virtio-serial device.
//!
//! The log goes to the same line; [`super::super::serial`] has set it up.

use super::super::{irq, serial};
use super::io_apic;
use crate::port::{Listener, Port};
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use x86_64::instructions::port::Port as IoPort;

const BASE: u16 = 0x3f8;
const IRQ: u8 = 4;
const DATA: u16 = BASE;
const INTERRUPT_ENABLE: u16 = BASE + 1;
const MODEM_CONTROL: u16 = BASE + 4;
const LINE_STATUS: u16 = BASE + 5;

const ENABLE_RECEIVED: u8 = 1;
const ENABLE_EMPTY: u8 = 2;
const STATUS_RECEIVED: u8 = 1;
/// The transmit FIFO is empty: it takes 16 bytes.
const STATUS_EMPTY: u8 = 1 << 5;
const FIFO: usize = 16;
/// DTR, RTS, and OUT2, which connects the interrupt on a PC.
const MODEM_READY: u8 = 0b1011;

/// Input that nobody reads is kept up to here, then lost.
const MOST_INPUT: usize = 16 << 10;

struct State {
    input: VecDeque<u8>,
    someone_waits: bool,
}

struct Uart {
    state: SpinLock<State>,
    listener: SpinLock<Option<Listener>>,
}

fn read(register: u16) -> u8 {
    // SAFETY: the ports are the serial line's; reading takes a byte from its FIFO at most.
    unsafe { IoPort::new(register).read() }
}

fn write(register: u16, value: u8) {
    // SAFETY: the ports are the serial line's.
    unsafe { IoPort::new(register).write(value) }
}

/// Opens the line and lets it receive; `None` if there is no such device.
pub(super) fn open() -> Option<Arc<dyn Port>> {
    if !serial::present() {
        return None;
    }
    let state = State { input: VecDeque::new(), someone_waits: false };
    let uart = Arc::new(Uart { state: SpinLock::new(state), listener: SpinLock::new(None) });
    let handler = uart.clone();
    let vector = irq::register(Box::new(move || handler.interrupt()))?;
    if !io_apic::route_isa(IRQ, vector) {
        log::warn!("serial line: no interrupt; input is seen only when something else happens");
    }
    write(MODEM_CONTROL, MODEM_READY);
    write(INTERRUPT_ENABLE, ENABLE_RECEIVED);
    Some(uart)
}

impl Uart {
    fn interrupt(&self) {
        {
            let mut state = self.state.lock();
            state.receive();
            if state.someone_waits && read(LINE_STATUS) & STATUS_EMPTY != 0 {
                state.someone_waits = false;
                write(INTERRUPT_ENABLE, ENABLE_RECEIVED);
            }
        }
        let listener = self.listener.lock().clone();
        if let Some(listener) = listener {
            listener();
        }
    }
}

impl State {
    fn receive(&mut self) {
        // Bounded: a line cannot bring bytes faster than they are taken for ever.
        for _ in 0..MOST_INPUT {
            if read(LINE_STATUS) & STATUS_RECEIVED == 0 {
                break;
            }
            let byte = read(DATA);
            if self.input.len() < MOST_INPUT {
                self.input.push_back(byte);
            }
        }
    }

    fn is_empty(&mut self) -> bool {
        let empty = read(LINE_STATUS) & STATUS_EMPTY != 0;
        if !empty && !self.someone_waits {
            self.someone_waits = true;
            write(INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_EMPTY);
        }
        empty
    }
}

impl Port for Uart {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut state = self.state.lock();
        let mut done = 0;
        for chunk in bytes.chunks(FIFO) {
            if !state.is_empty() {
                break;
            }
            chunk.iter().for_each(|byte| write(DATA, *byte));
            done += chunk.len();
        }
        done
    }

    fn read(&self, buffer: &mut [u8]) -> usize {
        let mut state = self.state.lock();
        state.receive();
        let len = buffer.len().min(state.input.len());
        state.input.drain(..len).zip(buffer).for_each(|(byte, slot)| *slot = byte);
        len
    }

    fn has_input(&self) -> bool {
        let mut state = self.state.lock();
        state.receive();
        !state.input.is_empty()
    }

    fn can_write(&self) -> bool {
        self.state.lock().is_empty()
    }

    fn peer_closed(&self) -> bool {
        // A serial line has no end.
        false
    }

    fn is_flushed(&self) -> bool {
        self.state.lock().is_empty()
    }

    fn set_listener(&self, listener: Listener) {
        *self.listener.lock() = Some(listener);
    }
}
