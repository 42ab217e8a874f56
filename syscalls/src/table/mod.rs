//! The table of system calls: what is there, how far it goes, how a trace prints it.
//!
//! One line a call in [`entries`]. Dispatch, `--trace`, docs/syscalls.md and the conformance report come from it.

mod entries;
pub(crate) mod flags;
pub mod format;
#[cfg(test)]
mod tests;

pub use entries::TABLE;
pub use format::Format;

use crate::args::{ArgReader, FromArg, IntoReturn};
use crate::task::Task;
use husk_abi::Errno;
use husk_machine::user::UserContext;

/// How much of a call works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// All of it, as far as a process without children can tell.
    Full,
    /// What the note says.
    Partial,
    /// Nothing: ENOSYS, or the error the note gives.
    None,
}

/// The function behind a call: the thread, its registers, the six arguments.
pub(crate) type Handler = fn(&Task, &mut UserContext, &[u64; 6]) -> Result<u64, Errno>;

/// A line of the table.
#[derive(Debug)]
pub struct Entry {
    /// The call's number on x86-64.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// How much of it works.
    pub support: Support,
    pub(crate) handler: Option<Handler>,
    /// How a trace prints the arguments; its length is how many there are.
    pub formats: &'static [Format],
    /// What is missing or special.
    pub note: &'static str,
}

/// Numbers from here on follow [`LAST_OLD`] in the table.
const FIRST_NEW: u32 = 424;
/// After it x86-64 skipped numbers, so that new calls have the same ones everywhere.
const LAST_OLD: u32 = 335;

/// The line of a call by its number.
pub(crate) fn entry(number: u64) -> Option<&'static Entry> {
    let number = u32::try_from(number).ok()?;
    let at = if number <= LAST_OLD { number } else { number.checked_sub(FIRST_NEW)? + LAST_OLD + 1 };
    TABLE.get(at as usize)
}

/// A handler as an ordinary function: `fn(&Task, A, B…) -> Result<R, Errno>`.
pub(crate) trait Call<A> {
    fn call(self, task: &Task, args: &[u64; 6]) -> Result<u64, Errno>;
}

/// A handler that needs the thread's registers: `fn(&Task, &mut UserContext, A, B…) -> Result<R, Errno>`.
pub(crate) trait ContextCall<A> {
    fn call(self, task: &Task, context: &mut UserContext, args: &[u64; 6]) -> Result<u64, Errno>;
}

macro_rules! call_impls {
    ($(($($arg:ident)*))*) => {
        $(
            impl<F, R, $($arg: FromArg),*> Call<($($arg,)*)> for F
            where
                F: FnOnce(&Task $(, $arg)*) -> R,
                R: IntoReturn,
            {
                #[allow(non_snake_case, unused_mut, unused_variables, reason = "the names of the types serve for the values; some have no arguments")]
                fn call(self, task: &Task, args: &[u64; 6]) -> Result<u64, Errno> {
                    let mut reader = ArgReader::new(args);
                    $(let $arg = $arg::from_arg(&mut reader)?;)*
                    self(task $(, $arg)*).into_return()
                }
            }

            impl<F, R, $($arg: FromArg),*> ContextCall<($($arg,)*)> for F
            where
                F: FnOnce(&Task, &mut UserContext $(, $arg)*) -> R,
                R: IntoReturn,
            {
                #[allow(non_snake_case, unused_mut, unused_variables, reason = "the names of the types serve for the values; some have no arguments")]
                fn call(self, task: &Task, context: &mut UserContext, args: &[u64; 6]) -> Result<u64, Errno> {
                    let mut reader = ArgReader::new(args);
                    $(let $arg = $arg::from_arg(&mut reader)?;)*
                    self(task, context $(, $arg)*).into_return()
                }
            }
        )*
    };
}

call_impls! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) }

macro_rules! handler {
    () => {
        None
    };
    (regs $path:path) => {
        Some(|task, context, args| $crate::table::ContextCall::call($path, task, context, args))
    };
    ($path:path) => {
        Some(|task, _, args| $crate::table::Call::call($path, task, args))
    };
}

macro_rules! syscalls {
    ($($number:literal $name:ident $support:ident ($($handler:tt)*) [$($format:expr),*] $note:literal;)*) => {
        /// All system calls of Linux 6.12 on x86-64, by number.
        pub const TABLE: &[$crate::table::Entry] = &[$($crate::table::Entry {
            number: $number,
            name: stringify!($name),
            support: $crate::table::Support::$support,
            handler: $crate::table::handler!($($handler)*),
            formats: &[$($format),*],
            note: $note,
        },)*];
    };
}

pub(crate) use {handler, syscalls};
