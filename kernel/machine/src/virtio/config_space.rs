//! PCI configuration space for the crate, with as few accesses as can be: each is one exit to the monitor, or two.
//!
//! The crate asks for eight functions of every device, and reads lists of capabilities more than once. So functions that
//! cannot exist are not asked for, and words are remembered until they are written.
//!
//! And its PCI transport measures a BAR for each structure in it, to check the capabilities: decoding off, all ones, back
//! again, decoding on. That is some twenty accesses each time, and the monitor builds its memory map anew twice. As
//! firmware, or we, have given the BARs their addresses, and a BAR is aligned to its length, the address says how long it can be
//! at most. [`ConfigSpace::with_lengths_by_alignment`] lets the crate measure that instead; nothing reaches the device.

use core::cell::RefCell;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

const ID: u8 = 0x00;
const STATUS_COMMAND: u8 = 0x04;
const HEADER_TYPE: u8 = 0x0c;
/// Bits of a memory BAR that are no address.
const BAR_FLAGS: u32 = 0xf;
const HEADER_MULTI_FUNCTION: u32 = 1 << 23;

/// The mechanism that reaches configuration space.
pub(crate) trait Mechanism {
    /// Reads the word at `register`, a multiple of 4.
    fn read(&self, at: DeviceFunction, register: u8) -> u32;
    /// Writes it.
    fn write(&self, at: DeviceFunction, register: u8, value: u32);
}

struct Known {
    /// Devices whose functions 1 to 7 do not exist, by what function 0 says: one bit each.
    single: u32,
    /// The function that `words` are of.
    function: DeviceFunction,
    words: [Option<u32>; 64],
    /// What is written is dropped, and BARs are measured by their alignment.
    by_alignment: bool,
    /// The registers that were to be set to ones: a BAR, and the upper half of its address.
    lower: Option<u8>,
    upper: Option<u8>,
}

/// Configuration space of one bus.
pub(crate) struct ConfigSpace<M> {
    mechanism: M,
    known: RefCell<Known>,
}

impl<M: Mechanism> ConfigSpace<M> {
    pub(crate) fn new(mechanism: M) -> Self {
        let function = DeviceFunction { bus: 0, device: 0, function: 0 };
        let known =
            Known { single: 0, function, words: [None; 64], by_alignment: false, lower: None, upper: None };
        Self { mechanism, known: RefCell::new(known) }
    }

    /// Runs `f`, to which memory BARs look as long as their addresses allow. All must have addresses. What it writes is dropped.
    pub(crate) fn with_lengths_by_alignment<R>(&self, f: impl FnOnce() -> R) -> R {
        self.known.borrow_mut().by_alignment = true;
        let result = f();
        let mut known = self.known.borrow_mut();
        (known.by_alignment, known.lower, known.upper) = (false, None, None);
        result
    }
}

impl Known {
    fn select(&mut self, at: DeviceFunction) {
        if self.function != at {
            self.function = at;
            self.words = [None; 64];
        }
    }

    /// Takes note of a write that is dropped.
    fn measure(&mut self, register: u8, value: u32) {
        let begins = value == u32::MAX;
        // The lower half is put back after the upper one.
        if self.lower.is_some_and(|lower| lower + 4 == register) {
            self.upper = begins.then_some(register);
        } else {
            self.lower = begins.then_some(register);
        }
    }
}

impl<M: Mechanism> ConfigurationAccess for &ConfigSpace<M> {
    fn read_word(&self, at: DeviceFunction, register: u8) -> u32 {
        let mut known = self.known.borrow_mut();
        if at.function > 0 && known.single & 1 << at.device != 0 {
            return u32::MAX;
        }
        known.select(at);
        let slot = usize::from(register / 4);
        if known.upper == Some(register) {
            // No BAR that virtio has is longer than 4 GiB.
            return u32::MAX;
        }
        if known.lower == Some(register) {
            return known.words[slot].map_or(0, mask);
        }
        // The status changes by itself.
        if register != STATUS_COMMAND
            && let Some(word) = known.words[slot]
        {
            return word;
        }
        let word = self.mechanism.read(at, register);
        known.words[slot] = Some(word);
        let absent = register == ID && word == u32::MAX;
        let single = register == HEADER_TYPE && word & HEADER_MULTI_FUNCTION == 0;
        if at.function == 0 && (absent || single) {
            known.single |= 1 << at.device;
        }
        word
    }

    fn write_word(&mut self, at: DeviceFunction, register: u8, value: u32) {
        let mut known = self.known.borrow_mut();
        known.select(at);
        if known.by_alignment {
            return known.measure(register, value);
        }
        known.words[usize::from(register / 4)] = None;
        self.mechanism.write(at, register, value);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self
    }
}

/// How the lower word of a memory BAR reads after ones were written, if the BAR is as long as its address allows.
fn mask(word: u32) -> u32 {
    let address = word & !BAR_FLAGS;
    // 0 is the lower half of an address above 4 GiB.
    let alignment = if address == 0 { 31 } else { address.trailing_zeros() };
    u32::MAX << alignment | word & BAR_FLAGS
}
