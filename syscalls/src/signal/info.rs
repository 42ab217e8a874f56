//! What is known about one signal: Linux's `siginfo_t`.

use super::Signal;
use linux_raw_sys::general as sys;

/// Size of `siginfo_t` in bytes.
pub(crate) const SIGINFO_SIZE: usize = 128;

const _: () = assert!(size_of::<sys::siginfo_t>() == SIGINFO_SIZE);

/// `si_code` values (sigaction(2)).
pub(crate) mod code {
    /// Sent by kill(2).
    pub(crate) const SI_USER: i32 = 0;
    /// Sent by the kernel.
    pub(crate) const SI_KERNEL: i32 = 128;
    /// Sent by tgkill(2).
    pub(crate) const SI_TKILL: i32 = -6;
    /// SIGILL: illegal operand (Linux's code for an invalid opcode).
    pub(crate) const ILL_ILLOPN: i32 = 2;
    /// SIGFPE: integer division by zero.
    pub(crate) const FPE_INTDIV: i32 = 1;
    /// SIGFPE: floating-point division by zero.
    pub(crate) const FPE_FLTDIV: i32 = 3;
    /// SIGFPE: floating-point overflow.
    pub(crate) const FPE_FLTOVF: i32 = 4;
    /// SIGFPE: floating-point underflow.
    pub(crate) const FPE_FLTUND: i32 = 5;
    /// SIGFPE: inexact result.
    pub(crate) const FPE_FLTRES: i32 = 6;
    /// SIGFPE: invalid operation.
    pub(crate) const FPE_FLTINV: i32 = 7;
    /// SIGSEGV: no mapping at the address.
    pub(crate) const SEGV_MAPERR: i32 = 1;
    /// SIGSEGV: the mapping does not allow the access.
    pub(crate) const SEGV_ACCERR: i32 = 2;
    /// SIGBUS: alignment.
    pub(crate) const BUS_ADRALN: i32 = 1;
    /// SIGBUS: nothing behind the address (beyond the end of the file, or an error on reading it).
    pub(crate) const BUS_ADRERR: i32 = 2;
    /// SIGTRAP: single step.
    pub(crate) const TRAP_TRACE: i32 = 2;
}

/// A signal with its circumstances.
#[derive(Clone, Debug)]
pub(crate) struct SigInfo {
    /// Which.
    pub(crate) signal: Signal,
    /// `si_errno`.
    pub(crate) errno: i32,
    /// `si_code`: why it was sent.
    pub(crate) code: i32,
    /// What else there is, by kind.
    pub(crate) fields: SigFields,
}

/// The union in `siginfo_t`.
#[derive(Clone, Debug)]
pub(crate) enum SigFields {
    /// kill(2), tgkill(2): who sent it.
    Sender {
        /// Sender's process.
        pid: i32,
        /// Sender's real user id.
        uid: u32,
    },
    /// POSIX timers.
    Timer {
        /// The timer's id.
        id: i32,
        /// Which setting of the timer it is for; programs do not see that.
        generation: u32,
        /// How often it ran out without a signal of its own.
        overrun: i32,
        /// The program's value.
        value: u64,
    },
    /// Faults: the address.
    Fault {
        /// The faulting address or instruction.
        addr: u64,
    },
    /// As rt_sigqueueinfo(2) got it: the bytes after the first 12 (`si_signo`, `si_errno`, `si_code`).
    Raw([u8; SIGINFO_SIZE - 12]),
}

impl SigInfo {
    /// Sent by the kernel for no process's sake (SI_KERNEL).
    pub(crate) const fn kernel(signal: Signal) -> Self {
        Self { signal, errno: 0, code: code::SI_KERNEL, fields: SigFields::Sender { pid: 0, uid: 0 } }
    }

    /// Sent by a process with kill(2).
    pub(crate) const fn user(signal: Signal, pid: i32, uid: u32) -> Self {
        Self { signal, errno: 0, code: code::SI_USER, fields: SigFields::Sender { pid, uid } }
    }

    /// A fault of the program at an address.
    pub(crate) const fn fault(signal: Signal, code: i32, addr: u64) -> Self {
        Self { signal, errno: 0, code, fields: SigFields::Fault { addr } }
    }

    /// From the bytes of a `siginfo_t`, whose `si_signo` does not count.
    pub(crate) fn from_bytes(signal: Signal, bytes: &[u8; SIGINFO_SIZE]) -> Self {
        let word = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut rest = [0; SIGINFO_SIZE - 12];
        rest.copy_from_slice(&bytes[12..]);
        Self { signal, errno: word(4), code: word(8), fields: SigFields::Raw(rest) }
    }

    /// As a `siginfo_t`.
    pub(crate) fn to_bytes(&self) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, &i32::from(self.signal.number()).to_le_bytes());
        put(4, &self.errno.to_le_bytes());
        put(8, &self.code.to_le_bytes());
        match &self.fields {
            SigFields::Sender { pid, uid } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
            }
            SigFields::Timer { id, overrun, value, .. } => {
                put(16, &id.to_le_bytes());
                put(20, &overrun.to_le_bytes());
                put(24, &value.to_le_bytes());
            }
            SigFields::Fault { addr } => put(16, &addr.to_le_bytes()),
            SigFields::Raw(rest) => put(12, rest),
        }
        bytes
    }
}
