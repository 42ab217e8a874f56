//! What a device tells.

use super::frames::{self, Mac};
use husk_machine::net::{Incoming, Receiver};
use husk_machine::sync::{SpinLock, WaitQueue};
use husk_machine::time::monotonic_ns;

/// Longest wait for anything.
const PATIENCE_NS: u64 = 60_000_000_000;

/// What has been told so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) gateway: Option<Mac>,
    /// Frames that came back, and the sum of their numbers.
    pub(crate) numbered: (u32, u64),
    pub(crate) echoed: (u32, u64),
    /// Neither.
    pub(crate) others: u32,
    pub(crate) batches: u32,
    pub(crate) rooms: u32,
    pub(crate) links: u32,
}

#[derive(Default)]
pub(crate) struct Listener {
    seen: SpinLock<Seen>,
    changed: WaitQueue,
}

impl Listener {
    /// Looks at what was seen.
    pub(crate) fn seen<R>(&self, look: impl FnOnce(&Seen) -> R) -> R {
        look(&self.seen.lock())
    }

    /// Waits until something has been seen.
    ///
    /// # Panics
    /// When it takes too long.
    pub(crate) fn wait_for<R>(&self, what: &str, look: impl Fn(&Seen) -> Option<R>) -> R {
        let seen = self.changed.wait_until_deadline(|| self.seen(&look), monotonic_ns() + PATIENCE_NS);
        seen.unwrap_or_else(|| panic!("no {what}: {:?}", self.seen.lock()))
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock());
        self.changed.wake_all();
    }
}

impl Receiver for Listener {
    fn frame(&self, bytes: &[u8], _incoming: Incoming) {
        let mut seen = self.seen.lock();
        if let Some(number) = frames::number(bytes) {
            seen.numbered = (seen.numbered.0 + 1, seen.numbered.1 + u64::from(number));
        } else if let Some((number, _)) = frames::echoed(bytes) {
            seen.echoed = (seen.echoed.0 + 1, seen.echoed.1 + u64::from(number));
        } else if let Some(gateway) = frames::gateway(bytes) {
            seen.gateway = Some(gateway);
        } else {
            seen.others += 1;
        }
    }

    fn end_of_batch(&self) {
        self.note(|seen| seen.batches += 1);
    }

    fn room(&self) {
        self.note(|seen| seen.rooms += 1);
    }

    fn link_changed(&self, up: bool) {
        log::info!("nic-probe: link {}", if up { "up" } else { "down" });
        self.note(|seen| seen.links += 1);
    }
}
