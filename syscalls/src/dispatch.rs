//! From a trap to a handler and back.

use crate::table::{self, Entry};
use crate::task::Task;
use crate::trace;
use core::sync::atomic::{AtomicU64, Ordering};
use husk_abi::Errno;
use husk_machine::user::UserContext;

/// Does the system call that the registers ask for; its result is in RAX afterwards.
pub(crate) fn dispatch(task: &Task, context: &mut UserContext) {
    let regs = &context.regs;
    // An int on Linux: the upper half does not count.
    let number = regs.rax & 0xffff_ffff;
    let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    let entry = table::entry(number);
    let traced = trace::enter(task, number, entry, &args);
    let result = match entry.and_then(|entry| entry.handler) {
        Some(handler) => handler(task, context, &args),
        None => {
            note_missing(number, entry);
            Err(Errno::ENOSYS)
        }
    };
    trace::leave(task, traced, &result);
    context.regs.rax = result.unwrap_or_else(Errno::to_return);
}

/// One line in the log for each number that is asked for and not there.
fn note_missing(number: u64, entry: Option<&Entry>) {
    static SEEN: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
    let word = SEEN.get((number / 64) as usize);
    let bit = 1 << (number % 64);
    if word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0) {
        return;
    }
    match entry {
        Some(entry) if entry.note.is_empty() => {
            log::warn!("system call {} is not supported: ENOSYS", entry.name);
        }
        Some(entry) => log::warn!("system call {} is not supported ({}): ENOSYS", entry.name, entry.note),
        None => log::warn!("there is no system call {number}: ENOSYS"),
    }
}
