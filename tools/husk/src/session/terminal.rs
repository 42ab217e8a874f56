//! The host's terminal while a program uses it: raw, because the guest's line discipline does the work. It is set back on
//! every way out, a panic included.

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::sync::{Mutex, Once, PoisonError};

/// What to set the terminal back to.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Keeps the terminal raw; dropping it sets it back.
#[derive(Debug)]
pub(super) struct RawTerminal;

impl RawTerminal {
    /// Makes the terminal on standard input raw; none if that is no terminal.
    pub(super) fn enter() -> Option<Self> {
        let termios = tcgetattr(std::io::stdin()).ok()?;
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                previous(info);
            }));
        });
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(termios.clone());
        Self::apply(termios);
        Some(Self)
    }

    /// Makes it raw once more, after a shell has had it (SIGCONT).
    pub(super) fn enter_again(&self) {
        if let Some(termios) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Self::apply(termios);
        }
    }

    fn apply(mut termios: Termios) {
        let output = termios.output_modes;
        termios.make_raw();
        // `husk run ... | less`: the terminal's output belongs to others, who expect its processing.
        if !isatty(std::io::stdout()) {
            termios.output_modes = output;
        }
        // A terminal that does not take it stays as it is.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &termios);
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let saved = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(termios) = saved {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &termios);
    }
}
