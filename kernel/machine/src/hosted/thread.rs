//! Threads of the host, with our tokens.

use super::model::{self, Model};
use super::time::monotonic_ns;
use super::user::{self, Script};
use crate::frame::OutOfMemory;
use crate::thread::token::{Sleep, Token};
use crate::thread::{Attributes, CpuSet, Scheduling};
use std::boxed::Box;
use std::string::String;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// One thread; those that the host's test harness started get theirs when they first ask.
pub(crate) struct Inner {
    id: u64,
    name: String,
    sleep: Mutex<Sleep>,
    wake: Condvar,
    started_ns: u64,
    /// Its number, if it is a model checker's.
    in_model: Option<usize>,
}

pub(crate) type Handle = Arc<Inner>;

std::thread_local! {
    static CURRENT: Handle = Inner::new(std::thread::current().name().unwrap_or("host"), None);
}

impl Inner {
    /// A thread of a model checker.
    pub(super) fn in_model(number: usize) -> Handle {
        Self::new("model", Some(number))
    }

    fn new(name: &str, in_model: Option<usize>) -> Handle {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            sleep: Mutex::new(Sleep::new()),
            wake: Condvar::new(),
            started_ns: monotonic_ns(),
            in_model,
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

pub(crate) fn current() -> Handle {
    model::current().unwrap_or_else(|| CURRENT.with(Arc::clone))
}

pub(crate) fn spawn(
    name: &str,
    _attributes: Attributes,
    f: Box<dyn FnOnce() + Send>,
) -> Result<Handle, OutOfMemory> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let script: Script = user::current_script();
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            user::set_current_script(script);
            if sender.send(current()).is_ok() {
                f();
            }
        })
        .map_err(|_| OutOfMemory)?;
    receiver.recv().map_err(|_| OutOfMemory)
}

pub(crate) fn park(token: Token, deadline_ns: Option<u64>) -> bool {
    let me = current();
    if let Some(model) = model::active() {
        return park_in_model(model, &me, token, deadline_ns);
    }
    let mut sleep = me.sleep.lock().unwrap_or_else(PoisonError::into_inner);
    while !sleep.take_or_sleep(token) {
        let Some(deadline_ns) = deadline_ns else {
            sleep = me.wake.wait(sleep).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let now = monotonic_ns();
        if now >= deadline_ns {
            sleep.time_out();
            return false;
        }
        let timeout = Duration::from_nanos(deadline_ns - now);
        sleep = me.wake.wait_timeout(sleep, timeout).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}

fn park_in_model(model: &dyn Model, me: &Handle, token: Token, deadline_ns: Option<u64>) -> bool {
    loop {
        model.point();
        let mut sleep = me.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        if sleep.take_or_sleep(token) {
            return true;
        }
        let Some(deadline_ns) = deadline_ns else {
            drop(sleep);
            model.park();
            continue;
        };
        if monotonic_ns() >= deadline_ns || model.time_is_up() {
            model::time_passes(deadline_ns);
            sleep.time_out();
            return false;
        }
        drop(sleep);
        model.spin();
    }
}

pub(crate) fn unpark(thread: &Handle, token: Token) {
    model::point();
    if let (Some(number), Some(model)) = (thread.in_model, model::active()) {
        if thread.sleep.lock().unwrap_or_else(PoisonError::into_inner).give(token) {
            model.unpark(number);
        }
        return;
    }
    if thread.sleep.lock().unwrap_or_else(PoisonError::into_inner).give(token) {
        thread.wake.notify_one();
    }
}

pub(crate) fn is_asleep(thread: &Handle) -> bool {
    thread.sleep.lock().unwrap_or_else(PoisonError::into_inner).is_asleep()
}

pub(crate) fn yield_now() {
    match model::active() {
        Some(model) => model.spin(),
        None => std::thread::yield_now(),
    }
}

/// The host takes care of fairness.
pub(crate) fn should_yield() -> bool {
    false
}

pub(crate) fn reschedule() {
    std::thread::yield_now();
}

/// The host takes care of that, too.
pub(crate) fn is_told_to_yield() -> bool {
    false
}

/// The host does not say; as if nothing else ever ran.
pub(crate) fn interruption_mark() -> u64 {
    0
}

pub(crate) fn switches(_thread: &Handle) -> [u64; 2] {
    [0, 0]
}

/// Programs are closures here, which cannot be interrupted.
pub(crate) fn interrupt(thread: &Handle) {
    unpark(thread, Token::PUBLIC);
}

pub(crate) fn cpu_of(_thread: &Handle) -> usize {
    0
}

/// There is one CPU.
pub(crate) fn set_affinity(_thread: &Handle, _cpus: CpuSet) {}

pub(crate) fn set_scheduling(_thread: &Handle, _scheduling: Scheduling) {}

/// The time since it began: an upper bound, as the host's accounts are not portable.
pub(crate) fn cpu_time_ns(thread: &Handle) -> u64 {
    monotonic_ns() - thread.started_ns
}

pub(crate) fn start(main: Box<dyn FnOnce() + Send>) -> ! {
    main();
    std::process::exit(0)
}
