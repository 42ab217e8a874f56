//! User mode: the registers of a thread, running it, and what brings it back.

mod clock;

pub use crate::arch::user::{UserContext, hwcap, hwcap2, xcr0};
pub use clock::UserClock;

/// The general registers of a user thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the registers'")]
pub struct UserRegs {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}

/// Why user mode was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The SYSCALL instruction: `rax` is the number, `rip` is behind the instruction, `rcx` and `r11` are `rip` and `rflags`.
    Syscall,
    /// A page is missing or does not allow the access. `rip` is at the instruction.
    PageFault {
        /// The address that was accessed.
        addr: u64,
        /// How it was accessed.
        access: Access,
        /// There is a page, but it does not allow the access.
        present: bool,
    },
    /// Any other exception.
    Exception {
        /// Its number (Intel SDM volume 3, 6.3.1): 0 division, 1 debug, 3 breakpoint, 6 invalid opcode, 13 general protection...
        vector: u8,
        /// The CPU's error code, 0 where there is none; for vector 1 the contents of DR6.
        error_code: u64,
    },
    /// Devices or the timer interrupted; their handlers have run.
    Interrupt,
}

/// How memory was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Executed.
    Exec,
}

/// A floating-point state that the CPU would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFpState;
