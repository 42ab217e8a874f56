//! The queue of timers: one kernel thread that calls what is due.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use husk_abi::Errno;
use husk_machine::sync::SpinLock;
use husk_machine::thread::{self, Thread};
use husk_machine::time::monotonic_ns;

/// Something that happens at a time.
pub(crate) trait Expire: Send + Sync {
    /// Called in the timers' thread when the time has come, and with no lock held; the answer is when to call again, in monotonic
    /// nanoseconds.
    fn expired(&self) -> Option<u64>;
}

struct Queue {
    due: BTreeMap<(u64, u64), Weak<dyn Expire>>,
    last_id: u64,
    thread: Option<Thread>,
}

static QUEUE: SpinLock<Queue> = SpinLock::new(Queue { due: BTreeMap::new(), last_id: 0, thread: None });

/// Calls `timer` at `deadline` (monotonic nanoseconds), if it still exists then. A timer whose time has been changed
/// meanwhile is called all the same and looks for itself.
///
/// # Errors
/// ENOMEM if the thread cannot be started.
pub(crate) fn arm(deadline: u64, timer: &Arc<impl Expire + 'static>) -> Result<(), Errno> {
    let timer: Arc<dyn Expire> = timer.clone();
    let thread = {
        let mut queue = QUEUE.lock();
        queue.insert(deadline, Arc::downgrade(&timer));
        queue.thread.clone()
    };
    if let Some(thread) = thread {
        thread.unpark();
        return Ok(());
    }
    let thread = thread::spawn("timers", run).map_err(|_| Errno::ENOMEM.here())?;
    QUEUE.lock().thread.get_or_insert(thread);
    Ok(())
}

impl Queue {
    fn insert(&mut self, deadline: u64, timer: Weak<dyn Expire>) {
        self.last_id += 1;
        let key = (deadline, self.last_id);
        self.due.insert(key, timer);
    }
}

fn run() {
    loop {
        let now = monotonic_ns();
        let (due, next): (Vec<_>, Option<u64>) = {
            let mut queue = QUEUE.lock();
            let later = queue.due.split_off(&(now.saturating_add(1), 0));
            let due = core::mem::replace(&mut queue.due, later);
            (due.into_values().collect(), queue.due.first_key_value().map(|((deadline, _), _)| *deadline))
        };
        if due.is_empty() {
            match next {
                Some(deadline) => {
                    thread::park_until(deadline);
                }
                None => thread::park(),
            }
        }
        for timer in due {
            if let Some(living) = timer.upgrade()
                && let Some(next) = living.expired()
            {
                QUEUE.lock().insert(next, timer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};

    struct Count(AtomicU32, u64);

    impl Expire for Count {
        fn expired(&self) -> Option<u64> {
            (self.0.fetch_add(1, Ordering::Relaxed) < 2).then(|| monotonic_ns() + self.1)
        }
    }

    #[test]
    fn timers_expire_and_repeat() {
        let timer = Arc::new(Count(AtomicU32::new(0), 1_000_000));
        arm(monotonic_ns() + 1_000_000, &timer).unwrap();
        let end = monotonic_ns() + 5_000_000_000;
        while timer.0.load(Ordering::Relaxed) < 3 && monotonic_ns() < end {
            std::thread::yield_now();
        }
        assert_eq!(timer.0.load(Ordering::Relaxed), 3);
    }
}
