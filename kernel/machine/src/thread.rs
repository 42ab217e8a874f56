//! Kernel threads: each has its own stack, gives up its CPU only by parking, yielding or ending, and is woken by a token.
//!
//! [`park`] and [`Thread::unpark`] work as in `std`: an unpark that comes first makes the next park return at once, and
//! tokens do not add up. A park may return without reason; callers look at their condition again.

#[cfg(any(target_os = "none", test))]
pub(crate) mod deadlines;
#[cfg(any(target_os = "none", test))]
pub(crate) mod ready;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use crate::arch::thread as backend;
use crate::frame::OutOfMemory;
pub(crate) use token::Token;

/// A handle to a thread. The thread lives on without it.
#[derive(Clone)]
pub struct Thread(pub(crate) backend::Handle);

/// Starts a thread. Its name is for messages.
///
/// # Errors
/// [`OutOfMemory`] if there is no memory for its stack.
pub fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<Thread, OutOfMemory> {
    backend::spawn(name, alloc::boxed::Box::new(f)).map(Thread)
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

/// Sleeps until [`Thread::unpark`] (then it is true) or until the monotonic time `deadline_ns` (then it is false).
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

/// Lets other threads of this CPU run, if there are any.
pub fn yield_now() {
    crate::sync::level::assert_none_held("yielding");
    backend::yield_now();
}

/// Whether this thread has used up its slice of time while others wait for the CPU. The loop that runs a user program calls
/// [`yield_now`] then.
pub fn should_yield() -> bool {
    backend::should_yield()
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
