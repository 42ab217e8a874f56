//! Terminal settings: the kernel's `struct termios2` and the flags in it (termios(3), ioctl_tty(2)).

use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Number of control characters the kernel keeps.
pub(crate) const NCCS: usize = 19;

/// `struct termios2`: all settings, with the speeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Termios {
    /// Input modes.
    pub(crate) iflag: u32,
    /// Output modes.
    pub(crate) oflag: u32,
    /// Control modes.
    pub(crate) cflag: u32,
    /// Local modes.
    pub(crate) lflag: u32,
    /// Line discipline number.
    pub(crate) line: u8,
    /// Control characters.
    pub(crate) cc: [u8; NCCS],
    /// Input speed, bits a second.
    pub(crate) ispeed: u32,
    /// Output speed, bits a second.
    pub(crate) ospeed: u32,
}

/// `struct termios` as TCGETS and TCSETS know it: the settings without the speeds.
pub(crate) const TERMIOS_SIZE: usize = 36;

const _: () = assert!(size_of::<Termios>() == size_of::<raw::termios2>());
const _: () = assert!(TERMIOS_SIZE == size_of::<raw::termios>());

/// Value of a control character that is switched off.
pub(crate) const DISABLED: u8 = 0;

impl Default for Termios {
    /// What a terminal has when it is first opened (`tty_std_termios`).
    fn default() -> Self {
        let mut cc = [0; NCCS];
        for (index, value) in [
            (raw::VINTR, 0x03),
            (raw::VQUIT, 0x1c),
            (raw::VERASE, 0x7f),
            (raw::VKILL, 0x15),
            (raw::VEOF, 0x04),
            (raw::VMIN, 1),
            (raw::VSTART, 0x11),
            (raw::VSTOP, 0x13),
            (raw::VSUSP, 0x1a),
            (raw::VREPRINT, 0x12),
            (raw::VDISCARD, 0x0f),
            (raw::VWERASE, 0x17),
            (raw::VLNEXT, 0x16),
        ] {
            cc[index as usize] = value;
        }
        Self {
            iflag: raw::ICRNL | raw::IXON,
            oflag: raw::OPOST | raw::ONLCR,
            cflag: raw::B38400 | raw::CS8 | raw::CREAD | raw::HUPCL,
            lflag: raw::ISIG
                | raw::ICANON
                | raw::ECHO
                | raw::ECHOE
                | raw::ECHOK
                | raw::ECHOCTL
                | raw::ECHOKE
                | raw::IEXTEN,
            line: 0,
            cc,
            ispeed: 38400,
            ospeed: 38400,
        }
    }
}

impl Termios {
    /// Whether any of these input modes is on.
    pub(crate) fn input(&self, flags: u32) -> bool {
        self.iflag & flags != 0
    }

    /// Whether any of these output modes is on.
    pub(crate) fn output(&self, flags: u32) -> bool {
        self.oflag & flags != 0
    }

    /// Whether any of these local modes is on.
    pub(crate) fn local(&self, flags: u32) -> bool {
        self.lflag & flags != 0
    }

    /// The control character at this index (`VINTR`, …).
    pub(crate) fn control(&self, index: u32) -> u8 {
        self.cc.get(index as usize).copied().unwrap_or(DISABLED)
    }

    /// Whether `byte` is the control character at this index and that one is not switched off.
    pub(crate) fn is_control(&self, index: u32, byte: u8) -> bool {
        byte != DISABLED && self.control(index) == byte
    }

    /// Sets the speeds from the bits of `cflag`, as TCSETS does (TCSETS2 brings its own for BOTHER).
    pub(crate) fn set_speeds_from_flags(&mut self) {
        const BAUD: [u32; 16] =
            [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
        const FAST: [u32; 15] = [
            57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
            2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
        ];
        let of = |bits: u32, own: u32| match bits {
            raw::BOTHER => own,
            slow @ 0..=15 => BAUD[slow as usize],
            fast => FAST.get((fast & 0xf) as usize - 1).copied().unwrap_or(0),
        };
        self.ospeed = of(self.cflag & raw::CBAUD, self.ospeed);
        let input_bits = (self.cflag & raw::CIBAUD) >> raw::IBSHIFT;
        self.ispeed = if input_bits == raw::B0 { self.ospeed } else { of(input_bits, self.ispeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_follow_the_flags() {
        let mut termios = Termios::default();
        termios.cflag = (termios.cflag & !raw::CBAUD) | raw::B115200;
        termios.set_speeds_from_flags();
        assert_eq!((termios.ispeed, termios.ospeed), (115_200, 115_200));
        termios.cflag = (termios.cflag & !raw::CBAUD) | raw::B9600;
        termios.set_speeds_from_flags();
        assert_eq!(termios.ospeed, 9600);
    }
}
