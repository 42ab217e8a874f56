//! Signals (signal(7)): sending, queues, actions, delivery.

pub(crate) mod alt_stack;
pub(crate) mod deliver;
pub(crate) mod frame;
mod handlers;
mod info;
mod number;
mod pending;
mod send;
mod state;
mod take;
#[cfg(test)]
mod tests;

pub(crate) use handlers::{SigAction, SignalHandlers};
pub(crate) use info::{SIGINFO_SIZE, SigFields, SigInfo, code};
pub(crate) use number::{DefaultAction, SigSet, Signal};
pub(crate) use pending::Pending;
pub(crate) use send::{raise, retarget, send_to_group, send_to_process, send_to_task};
pub(crate) use state::{AltStack, TaskSignals};
pub(crate) use take::{pending, take};
