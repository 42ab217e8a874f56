//! Signal numbers and sets of them.

use core::ops::{BitAnd, BitOr, Not};
use husk_abi::{Errno, err};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A signal's number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $number:literal $default:ident;)*) => {
        #[expect(dead_code, reason = "the list is complete, whoever uses them")]
        impl Signal {
            $(pub(crate) const $name: Self = Self($number);)*

            /// What happens without a handler (signal(7)).
            pub(crate) const fn default_action(self) -> DefaultAction {
                match self.0 {
                    $($number => DefaultAction::$default,)*
                    _ => DefaultAction::Terminate,
                }
            }

            /// Linux's name of it; None for real-time signals.
            pub(crate) const fn standard_name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    SIGHUP = 1 Terminate;
    SIGINT = 2 Terminate;
    SIGQUIT = 3 Core;
    SIGILL = 4 Core;
    SIGTRAP = 5 Core;
    SIGABRT = 6 Core;
    SIGBUS = 7 Core;
    SIGFPE = 8 Core;
    SIGKILL = 9 Terminate;
    SIGUSR1 = 10 Terminate;
    SIGSEGV = 11 Core;
    SIGUSR2 = 12 Terminate;
    SIGPIPE = 13 Terminate;
    SIGALRM = 14 Terminate;
    SIGTERM = 15 Terminate;
    SIGSTKFLT = 16 Terminate;
    SIGCHLD = 17 Ignore;
    SIGCONT = 18 Continue;
    SIGSTOP = 19 Stop;
    SIGTSTP = 20 Stop;
    SIGTTIN = 21 Stop;
    SIGTTOU = 22 Stop;
    SIGURG = 23 Ignore;
    SIGXCPU = 24 Core;
    SIGXFSZ = 25 Core;
    SIGVTALRM = 26 Terminate;
    SIGPROF = 27 Terminate;
    SIGWINCH = 28 Ignore;
    SIGIO = 29 Terminate;
    SIGPWR = 30 Terminate;
    SIGSYS = 31 Core;
}

/// What a signal does that has no handler and is not ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process, which Linux would dump; here a report goes to the user.
    Core,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Continues a stopped process.
    Continue,
}

impl Signal {
    /// The first real-time signal.
    pub(crate) const SIGRTMIN: Self = Self(32);
    /// The last signal.
    pub(crate) const MAX: Self = Self(64);

    /// From a program's number.
    ///
    /// # Errors
    /// EINVAL if there is no such signal, 0 included.
    pub(crate) fn new(number: i32) -> Result<Self, Errno> {
        match u8::try_from(number) {
            Ok(number @ 1..=64) => Ok(Self(number)),
            _ => err!(EINVAL),
        }
    }

    /// As [`new`](Self::new), but 0 gives None: kill(2) and its relatives then only check.
    pub(crate) fn or_none(number: i32) -> Result<Option<Self>, Errno> {
        if number == 0 { Ok(None) } else { Self::new(number).map(Some) }
    }

    /// The number.
    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    /// Its bit in a set.
    pub(crate) const fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }

    /// Whether it is a real-time signal, of which several may be pending.
    pub(crate) const fn is_realtime(self) -> bool {
        self.0 >= Self::SIGRTMIN.0
    }
}

impl core::fmt::Display for Signal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.standard_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "SIGRT_{}", self.0 - Self::SIGRTMIN.0),
        }
    }
}

impl core::fmt::Debug for Signal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// A set of signals: the kernel's `sigset_t`, 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(crate) struct SigSet(u64);

impl SigSet {
    /// No signal.
    pub(crate) const EMPTY: Self = Self(0);
    /// Those that a fault of the program itself causes; they are delivered first.
    pub(crate) const SYNCHRONOUS: Self = Self(
        Signal::SIGSEGV.bit()
            | Signal::SIGBUS.bit()
            | Signal::SIGILL.bit()
            | Signal::SIGTRAP.bit()
            | Signal::SIGFPE.bit()
            | Signal::SIGSYS.bit(),
    );
    /// Those that stop a process.
    pub(crate) const STOP: Self =
        Self(Signal::SIGSTOP.bit() | Signal::SIGTSTP.bit() | Signal::SIGTTIN.bit() | Signal::SIGTTOU.bit());

    /// From a bit mask, bit 0 for signal 1.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bit mask.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// One signal alone.
    pub(crate) const fn only(signal: Signal) -> Self {
        Self(signal.bit())
    }

    /// The set as a mask of blocked signals: SIGKILL and SIGSTOP cannot be in it.
    pub(crate) const fn blockable(self) -> Self {
        Self(self.0 & !(Signal::SIGKILL.bit() | Signal::SIGSTOP.bit()))
    }

    /// Whether the signal is in it.
    pub(crate) const fn contains(self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// Whether it is empty.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a signal.
    pub(crate) fn insert(&mut self, signal: Signal) {
        self.0 |= signal.bit();
    }

    /// Takes a signal out.
    pub(crate) fn remove(&mut self, signal: Signal) {
        self.0 &= !signal.bit();
    }

    /// The lowest signal in it.
    pub(crate) fn first(self) -> Option<Signal> {
        (self.0 != 0).then(|| Signal(self.0.trailing_zeros() as u8 + 1))
    }
}

impl BitOr for SigSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for SigSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for SigSet {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}
