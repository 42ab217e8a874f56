//! Kernel threads: each has its own stack, gives up its CPU only by parking, yielding or ending, and is woken by a token.
//!
//! [`park`] and [`Thread::unpark`] work as in `std`: an unpark that comes first makes the next park return at once, and
//! tokens do not add up. A wake-up may have been meant for an earlier sleep: callers look at their condition again.

mod cpu_set;
#[cfg(any(target_os = "none", test))]
pub(crate) mod deadlines;
#[cfg(any(target_os = "none", test))]
pub(crate) mod load;
#[cfg(any(target_os = "none", test))]
pub(crate) mod ready;
mod scheduling;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use crate::arch::thread as backend;
use crate::frame::OutOfMemory;
#[cfg(target_os = "none")]
pub(crate) use cpu_set::bits;
pub use cpu_set::{CpuSet, MAX_CPUS};
#[cfg(target_os = "none")]
pub(crate) use scheduling::NORMAL_WEIGHT;
pub use scheduling::Scheduling;
pub(crate) use token::Token;

/// A handle to a thread. The thread lives on without it.
#[derive(Clone)]
pub struct Thread(pub(crate) backend::Handle);

/// Where and how a thread runs.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// The CPUs that it may run on. If none of them exists it runs anywhere.
    pub affinity: CpuSet,
    /// How it competes for them.
    pub scheduling: Scheduling,
}

impl Attributes {
    /// Of a thread of the kernel that programs wait for: it runs before all of them, and briefly.
    pub const SERVICE: Self =
        Self { affinity: CpuSet::ALL, scheduling: Scheduling::Realtime { priority: 99, round_robin: false } };
}

impl Default for Attributes {
    fn default() -> Self {
        Self { affinity: CpuSet::ALL, scheduling: Scheduling::default() }
    }
}

/// Starts a thread on any CPU. Its name is for messages.
///
/// # Errors
/// [`OutOfMemory`] if there is no memory for its stack.
pub fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<Thread, OutOfMemory> {
    spawn_with(name, Attributes::default(), f)
}

/// As [`spawn`], with attributes from the start.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_with(
    name: &str,
    attributes: Attributes,
    f: impl FnOnce() + Send + 'static,
) -> Result<Thread, OutOfMemory> {
    backend::spawn(name, attributes, alloc::boxed::Box::new(f)).map(Thread)
}

/// The thread that runs this.
pub fn current() -> Thread {
    Thread(backend::current())
}

/// Sleeps until [`Thread::unpark`].
///
/// # Panics
/// In debug builds, if a spin lock is held.
pub fn park() {
    park_token(Token::PUBLIC, None);
}

/// Sleeps until [`Thread::unpark`] (then it is true) or at least until the monotonic time `deadline_ns` (then it is false).
///
/// # Panics
/// In debug builds, if a spin lock is held.
pub fn park_until(deadline_ns: u64) -> bool {
    park_token(Token::PUBLIC, Some(deadline_ns))
}

/// As [`park_until`], for a token of its own: waiting for a lock must not eat the wake-up of an outer wait.
pub(crate) fn park_token(token: Token, deadline_ns: Option<u64>) -> bool {
    crate::sync::level::assert_none_held("parking");
    backend::park(token, deadline_ns)
}

/// Lets other threads of this CPU run, if there are any, whether it is their turn or not.
pub fn yield_now() {
    crate::sync::level::assert_none_held("yielding");
    backend::yield_now();
}

/// Whether others should have the CPU now, or this thread should be on another one. The loop that runs a user program calls
/// [`reschedule`] then.
pub fn should_yield() -> bool {
    backend::should_yield()
}

/// Gives the CPU to the thread whose turn it is; comes back when it is this one's, perhaps on another CPU.
pub fn reschedule() {
    crate::sync::level::assert_none_held("pre-emption");
    backend::reschedule();
}

/// Whether this CPU was told to look for another thread, or a place for this one, since it took this one: a part of
/// [`should_yield`] that costs one load.
pub fn is_told_to_yield() -> bool {
    backend::is_told_to_yield()
}

/// A value that is another one each time after this thread was switched away from or interrupted by
/// [`cpu::barrier`](crate::cpu::barrier). As long as it does not change, nothing else has run on its CPU.
#[inline]
pub fn interruption_mark() -> u64 {
    backend::interruption_mark()
}

/// Starts the scheduler on the boot CPU with `main` as the first thread. Called once, when [`crate::init`] is done.
pub fn start(main: impl FnOnce() + Send + 'static) -> ! {
    backend::start(alloc::boxed::Box::new(main))
}

impl Thread {
    /// Wakes the thread if it is parked, or makes its next [`park`] return at once. Fine in an interrupt handler.
    pub fn unpark(&self) {
        self.unpark_token(Token::PUBLIC);
    }

    /// As [`unpark`](Self::unpark); and if the thread runs a user program on another CPU, that is interrupted.
    pub fn interrupt(&self) {
        backend::interrupt(&self.0);
    }

    /// Says on which CPUs the thread may run from now on. If it runs on another, it leaves that at once; a thread that calls
    /// this for itself has done so when it returns. If none of them exists it runs anywhere.
    pub fn set_affinity(&self, cpus: CpuSet) {
        backend::set_affinity(&self.0, cpus);
    }

    /// Changes how the thread competes for CPUs.
    pub fn set_scheduling(&self, scheduling: Scheduling) {
        backend::set_scheduling(&self.0, scheduling);
    }

    /// Whether it sleeps: otherwise it runs or waits for a CPU.
    pub fn is_asleep(&self) -> bool {
        backend::is_asleep(&self.0)
    }

    /// The CPU that it runs on, or ran on last.
    pub fn cpu(&self) -> usize {
        backend::cpu_of(&self.0)
    }

    /// How often it was switched away from: because it slept or ended, and because others had their turn.
    pub fn switches(&self) -> [u64; 2] {
        backend::switches(&self.0)
    }

    pub(crate) fn unpark_token(&self, token: Token) {
        backend::unpark(&self.0, token);
    }

    /// A number that no other thread has had since boot.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// How long it has run, in user and kernel mode together, in nanoseconds.
    pub fn cpu_time_ns(&self) -> u64 {
        backend::cpu_time_ns(&self.0)
    }
}

impl core::fmt::Debug for Thread {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Thread({}, {})", self.id(), self.name())
    }
}
