//! The tokens that park and unpark pass: the state machine of one thread's sleep.

/// What a park waits for. Each kind is independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u8);

impl Token {
    /// [`park`](super::park) and [`unpark`](super::Thread::unpark).
    pub(crate) const PUBLIC: Self = Self(1);
    /// Sleeping locks.
    pub(crate) const LOCK: Self = Self(2);
    /// Wait queues.
    pub(crate) const QUEUE: Self = Self(4);
}

/// Whether a thread sleeps, and the tokens it has. Guarded by a lock of the thread.
#[derive(Debug, Default)]
pub(crate) struct Sleep {
    tokens: u8,
    /// What it sleeps for; 0 if it does not.
    waits_for: u8,
}

impl Sleep {
    pub(crate) const fn new() -> Self {
        Self { tokens: 0, waits_for: 0 }
    }

    /// Takes the token if it is there, else begins to sleep; false is "begin to sleep".
    pub(crate) fn take_or_sleep(&mut self, token: Token) -> bool {
        if self.take(token) {
            return true;
        }
        self.waits_for = token.0;
        false
    }

    /// Takes the token if it is there.
    pub(crate) fn take(&mut self, token: Token) -> bool {
        let had = self.tokens & token.0 != 0;
        self.tokens &= !token.0;
        had
    }

    /// Gives the token; true if the thread slept for it and is to be made runnable.
    pub(crate) fn give(&mut self, token: Token) -> bool {
        self.tokens |= token.0;
        self.wake(token.0)
    }

    /// Ends the sleep without a token, as its time is up; true if the thread is to be made runnable.
    pub(crate) fn time_out(&mut self) -> bool {
        self.wake(u8::MAX)
    }

    /// Whether the thread sleeps.
    pub(crate) fn is_asleep(&self) -> bool {
        self.waits_for != 0
    }

    fn wake(&mut self, tokens: u8) -> bool {
        let slept = self.waits_for & tokens != 0;
        if slept {
            self.waits_for = 0;
        }
        slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_given_first_is_taken_once() {
        let mut sleep = Sleep::new();
        assert!(!sleep.give(Token::PUBLIC));
        assert!(!sleep.give(Token::PUBLIC));
        assert!(sleep.take_or_sleep(Token::PUBLIC));
        assert!(!sleep.take_or_sleep(Token::PUBLIC));
    }

    #[test]
    fn only_the_awaited_token_wakes() {
        let mut sleep = Sleep::new();
        assert!(!sleep.take_or_sleep(Token::LOCK));
        assert!(!sleep.give(Token::PUBLIC));
        assert!(sleep.give(Token::LOCK));
        assert!(!sleep.give(Token::LOCK), "it is awake already");
        assert!(sleep.take(Token::LOCK));
        assert!(sleep.take_or_sleep(Token::PUBLIC), "the other token was kept");
    }

    #[test]
    fn a_time_out_leaves_no_token() {
        let mut sleep = Sleep::new();
        assert!(!sleep.time_out(), "it does not sleep");
        assert!(!sleep.take_or_sleep(Token::QUEUE));
        assert!(sleep.time_out());
        assert!(!sleep.take(Token::QUEUE));
    }
}
