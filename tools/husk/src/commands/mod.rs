//! The sub-commands of `husk`.

pub(crate) mod bundle;
pub(crate) mod cache;
pub(crate) mod options;
pub(crate) mod run;

use husk::bundle::Bundle;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How the writing of an image is shown once it takes more than a second, if anyone is looking.
pub(crate) struct ImageProgress {
    start: Instant,
    shown: Option<Instant>,
    visible: bool,
}

impl ImageProgress {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), shown: None, visible: std::io::stderr().is_terminal() }
    }

    pub(crate) fn update(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        let due = self.shown.map_or(now - self.start > Duration::from_secs(1), |shown| {
            now - shown > Duration::from_millis(100)
        });
        if self.visible && due {
            let percent = done * 100 / total.max(1);
            // Progress that cannot be shown is not worth failing for.
            let _ =
                write!(std::io::stderr(), "\rhusk: writing the image: {percent:3} % of {} MiB", total >> 20);
            self.shown = Some(now);
        }
    }
}

impl Drop for ImageProgress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// What was left out of a bundle, for `--verbose`.
pub(crate) fn print_notes(bundle: &Bundle) {
    for note in bundle.notes() {
        eprintln!("husk: note: {note}");
    }
}
