//! The 16550 serial port COM1: the kernel's log.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

use x86_64::instructions::port::Port;

use super::{percpu, time};
use crate::sync::SpinLock;

const COM1: u16 = 0x3f8;
const DATA: u16 = COM1;
const INTERRUPT_ENABLE: u16 = COM1 + 1;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_CONTROL: u16 = COM1 + 3;
const MODEM_CONTROL: u16 = COM1 + 4;
const LINE_STATUS: u16 = COM1 + 5;
const SCRATCH: u16 = COM1 + 7;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Reads of the status before a byte is given up: nobody takes bytes from the port.
const PATIENCE: u32 = 100_000;

static PRESENT: AtomicBool = AtomicBool::new(false);
static LOCK: SpinLock<()> = SpinLock::new(());

/// Looks for the port, and sets it to 115200 baud, 8N1, polled.
pub(crate) fn init() {
    let setup = [
        (INTERRUPT_ENABLE, 0),
        (LINE_CONTROL, 0x80),
        (DATA, 1),
        (INTERRUPT_ENABLE, 0),
        (LINE_CONTROL, 3),
        (FIFO_CONTROL, 7),
        (MODEM_CONTROL, 3),
    ];
    // SAFETY: these are COM1's registers; where there is no port, writes are ignored and reads give all ones.
    unsafe {
        Port::<u8>::new(SCRATCH).write(0x5a);
        if Port::<u8>::new(SCRATCH).read() != 0x5a {
            return;
        }
        for (port, value) in setup {
            Port::<u8>::new(port).write(value);
        }
    }
    PRESENT.store(true, Ordering::Relaxed);
}

/// Whether there is such a port.
pub(crate) fn present() -> bool {
    PRESENT.load(Ordering::Relaxed)
}

/// The port as a text sink. Writing never fails; without a port nothing is written.
pub(crate) struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !PRESENT.load(Ordering::Relaxed) {
            return Ok(());
        }
        for byte in text.bytes() {
            if byte == b'\n' {
                put(b'\r');
            }
            put(byte);
        }
        Ok(())
    }
}

fn put(byte: u8) {
    // SAFETY: the port is there; sending a byte affects nothing else.
    unsafe {
        for _ in 0..PATIENCE {
            if Port::<u8>::new(LINE_STATUS).read() & TRANSMITTER_EMPTY != 0 {
                break;
            }
        }
        Port::<u8>::new(DATA).write(byte);
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = time::monotonic_ns() / 1000;
        // While this CPU panics it may hold the lock already.
        let panicking = percpu::current().panicking.load(Ordering::Relaxed);
        let guard = (!panicking).then(|| LOCK.lock());
        let level = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            _ => "",
        };
        // Writing to the port never fails.
        let _ = writeln!(Serial, "[{:3}.{:06}] {level}{}", now / 1_000_000, now % 1_000_000, record.args());
        drop(guard);
    }

    fn flush(&self) {}
}

/// Sends the kernel's log to the port: 0 errors, 1 warnings, 2 information, 3 debugging, 4 everything.
pub(crate) fn init_logger(level: u8) {
    let filter = match level {
        0 => LevelFilter::Error,
        1 => LevelFilter::Warn,
        2 => LevelFilter::Info,
        3 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(filter);
    }
}
