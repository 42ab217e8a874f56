//! User programs as closures.

use crate::frame::OutOfMemory;
use crate::paging::PageTable;
use crate::user::{BadFpState, Trap, UserClock, UserRegs};
use std::boxed::Box;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

/// What the "program" does from one trap to the next.
type Program = Box<dyn FnMut(&mut UserRegs, &PageTable) -> Trap + Send>;
/// The program of a test, shared with the threads it spawns.
pub(crate) type Script = Option<Arc<Mutex<Program>>>;

std::thread_local! {
    static SCRIPT: RefCell<Script> = const { RefCell::new(None) };
}

/// Sets what [`UserContext::run`] does, on this thread and on those it spawns from now on: each run is one call of
/// `program`. It reads and sets registers and memory as a program would, and returns the trap with which that ends.
///
/// A system call's result is in `regs.rax` at the next call.
pub fn script(program: impl FnMut(&mut UserRegs, &PageTable) -> Trap + Send + 'static) {
    set_current_script(Some(Arc::new(Mutex::new(Box::new(program)))));
}

/// As [`script`], for a program that only traps; a run beyond the last trap panics.
pub fn script_traps(traps: Vec<Trap>) {
    let mut traps = traps.into_iter();
    script(move |_, _| traps.next().expect("the program ran on after the last trap of its script"));
}

pub(crate) fn current_script() -> Script {
    SCRIPT.with(|script| script.borrow().clone())
}

pub(crate) fn set_current_script(script: Script) {
    SCRIPT.with(|current| *current.borrow_mut() = script);
}

/// Bytes of the simulated floating-point state: the legacy area and the header of XSAVE.
const FP_LEN: usize = 512 + 64;
const FCW: [u8; 2] = 0x37f_u16.to_le_bytes();
const MXCSR: [u8; 4] = 0x1f80_u32.to_le_bytes();
/// MXCSR bits that exist.
const MXCSR_MASK: u32 = 0xffff;
/// x87 and SSE.
const XCR0: u64 = 3;

/// The state of a user program.
pub struct UserContext {
    /// The integer registers.
    pub regs: UserRegs,
    fp: Vec<u8>,
}

impl UserContext {
    /// Registers 0, floating point in its initial state.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new() -> Result<Self, OutOfMemory> {
        let mut context = Self { regs: UserRegs { rflags: 0x202, ..UserRegs::default() }, fp: Vec::new() };
        context.fp_reset();
        Ok(context)
    }

    /// A copy, for a new thread.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn try_clone(&mut self) -> Result<Self, OutOfMemory> {
        Ok(Self { regs: self.regs, fp: self.fp.clone() })
    }

    /// Runs the thread's [`script`] for one step.
    ///
    /// # Panics
    /// If there is none.
    pub fn run(&mut self, space: &Arc<PageTable>, clock: &UserClock) -> Trap {
        let script = current_script().expect("hosted::script says what the program does");
        let mut program = script.lock().unwrap_or_else(PoisonError::into_inner);
        clock.enter();
        let trap = program(&mut self.regs, space);
        clock.leave();
        trap
    }

    /// Bytes of the floating-point state.
    #[must_use]
    pub fn fp_len() -> usize {
        FP_LEN
    }

    /// Copies the floating-point state out, in XSAVE's standard format.
    ///
    /// # Panics
    /// If `out` is shorter than [`fp_len`](Self::fp_len).
    pub fn fp_save(&mut self, out: &mut [u8]) {
        out[..FP_LEN].copy_from_slice(&self.fp);
    }

    /// Replaces the floating-point state.
    ///
    /// # Errors
    /// [`BadFpState`] if it is too short, or has bits that do not exist.
    pub fn fp_restore(&mut self, bytes: &[u8]) -> Result<(), BadFpState> {
        let bytes = bytes.get(..FP_LEN).ok_or(BadFpState)?;
        let word =
            |at: usize| bytes[at..at + 8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let mxcsr = word(24) as u32;
        if mxcsr & !MXCSR_MASK != 0 || word(512) & !XCR0 != 0 || word(520) != 0 {
            return Err(BadFpState);
        }
        self.fp.copy_from_slice(bytes);
        Ok(())
    }

    /// Sets the floating-point state to its initial value.
    pub fn fp_reset(&mut self) {
        self.fp = std::vec![0; FP_LEN];
        self.fp[..2].copy_from_slice(&FCW);
        self.fp[24..28].copy_from_slice(&MXCSR);
        self.fp[28..32].copy_from_slice(&MXCSR_MASK.to_le_bytes());
        self.fp[512] = XCR0 as u8;
    }
}

/// AT_HWCAP: here what every x86-64 CPU has.
#[must_use]
pub fn hwcap() -> u64 {
    0x078b_fbff
}

/// AT_HWCAP2.
#[must_use]
pub fn hwcap2() -> u64 {
    0
}

/// The enabled parts of the floating-point state.
#[must_use]
pub fn xcr0() -> u64 {
    XCR0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_inherited_by_spawned_threads() {
        script_traps(std::vec![Trap::Syscall, Trap::Interrupt]);
        let space = Arc::new(PageTable::new().unwrap());
        assert_eq!(UserContext::new().unwrap().run(&space, &UserClock::default()), Trap::Syscall);
        let (sender, receiver) = std::sync::mpsc::channel();
        crate::thread::spawn("task", move || {
            sender.send(UserContext::new().unwrap().run(&space, &UserClock::default())).unwrap();
        })
        .unwrap();
        assert_eq!(receiver.recv().unwrap(), Trap::Interrupt);
    }

    #[test]
    fn a_floating_point_state_is_checked() {
        let mut context = UserContext::new().unwrap();
        let mut bytes = std::vec![0; UserContext::fp_len()];
        context.fp_save(&mut bytes);
        assert_eq!(context.fp_restore(&bytes), Ok(()));
        assert_eq!(context.fp_restore(&bytes[1..]), Err(BadFpState));
        bytes[26] = 1;
        assert_eq!(context.fp_restore(&bytes), Err(BadFpState));
    }
}
