//! Channel 2 of the 8254 timer: a counter of known frequency to measure the others against.

use x86_64::instructions::port::Port;

use super::tsc;

/// Ticks a second.
pub(crate) const FREQUENCY: u64 = 1_193_182;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// System control port B: bit 0 is channel 2's gate, bit 1 the speaker.
const CONTROL: u16 = 0x61;
/// Channel 2, low byte then high byte, mode 0.
const START: u8 = 0xb0;
/// Channel 2, latch the count.
const LATCH: u8 = 0x80;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) tsc: u64,
    /// Ticks since [`start`], modulo 2^16.
    pub(crate) ticks: u16,
    /// TSC ticks that the reading took: how far off `tsc` may be.
    pub(crate) width: u64,
}

/// Lets the channel count from 0xffff down, over and over.
pub(crate) fn start() {
    // SAFETY: the channel drives nothing but the speaker, which is off.
    unsafe {
        let control = Port::<u8>::new(CONTROL).read();
        Port::<u8>::new(CONTROL).write(control & !2 | 1);
        Port::<u8>::new(COMMAND).write(START);
        Port::<u8>::new(CHANNEL_2).write(0xff);
        Port::<u8>::new(CHANNEL_2).write(0xff);
    }
}

/// Reads both clocks; the best of a few tries.
pub(crate) fn sample() -> Sample {
    let once = || {
        let before = tsc::read();
        // SAFETY: reading the channel's count has no effect on anything else.
        unsafe { Port::new(COMMAND).write(LATCH) };
        let after = tsc::read();
        // SAFETY: as above.
        let count = unsafe {
            u16::from_le_bytes([Port::<u8>::new(CHANNEL_2).read(), Port::<u8>::new(CHANNEL_2).read()])
        };
        Sample {
            tsc: before.midpoint(after),
            ticks: 0xffff_u16.wrapping_sub(count),
            width: after.wrapping_sub(before),
        }
    };
    let mut best = once();
    for _ in 0..3 {
        let next = once();
        if next.width < best.width {
            best = next;
        }
    }
    best
}

/// The sample at least so many ticks after another; `None` if the channel does not count.
pub(crate) fn sample_after(first: Sample, ticks: u16) -> Option<Sample> {
    // A read of the count takes a microsecond at most on hardware, far more in emulation.
    for _ in 0..20_000 {
        let next = sample();
        if next.ticks.wrapping_sub(first.ticks) >= ticks {
            // A count that jumps is no counter (all ones where there is no device).
            return (next.ticks.wrapping_sub(first.ticks) < ticks.saturating_mul(20)).then_some(next);
        }
    }
    None
}
