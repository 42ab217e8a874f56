//! Whether a device has a carrier (virtio 1.2, section 5.1.4).

use super::super::transport::Configuration;
use crate::sync::{Once, SpinLock};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const CONFIG_STATUS: usize = 6;
const STATUS_LINK_UP: u16 = 1;

/// The least time between two looks at the configuration. Over MMIO one interrupt stands for the rings and for the
/// configuration; to read which it was would be an exit to the monitor for each, so after interrupts it is looked at no more often than this.
const PERIOD_NS: u64 = 100_000_000;

/// The state of the link.
pub(super) struct Link {
    /// Once the device runs.
    configuration: Once<SpinLock<Configuration>>,
    /// VIRTIO_NET_F_STATUS was agreed on; otherwise the link is always up.
    known: bool,
    up: AtomicBool,
    /// An interrupt came that may have been for this.
    suspect: AtomicBool,
    /// When it may be looked at again.
    next_look_ns: AtomicU64,
}

/// What a look at the link gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There was no reason to look, or nothing had changed.
    Same,
    /// It went up or down.
    Changed(bool),
    /// It is too early; look again at this time.
    Later(u64),
}

impl Link {
    /// Of a device that does not run yet: as long as nothing is known, it is up.
    pub(super) fn new(known: bool) -> Self {
        let (up, suspect) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { configuration: Once::new(), known, up, suspect, next_look_ns: AtomicU64::new(0) }
    }

    /// The device runs.
    pub(super) fn runs(&self, configuration: Configuration) {
        let up = !self.known || is_up(&configuration);
        self.up.store(up, Ordering::Relaxed);
        self.configuration.call_once(|| SpinLock::new(configuration));
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// An interrupt came that may be for the configuration. Called by its handler.
    pub(super) fn suspect(&self) {
        self.suspect.store(self.known, Ordering::Relaxed);
    }

    /// Looks, if there is reason to.
    pub(super) fn look(&self, now_ns: u64) -> Look {
        if !self.suspect.load(Ordering::Relaxed) {
            return Look::Same;
        }
        let next_look_ns = self.next_look_ns.load(Ordering::Relaxed);
        if now_ns < next_look_ns {
            return Look::Later(next_look_ns);
        }
        self.next_look_ns.store(now_ns.saturating_add(PERIOD_NS), Ordering::Relaxed);
        // First: a change after the look raises an interrupt of its own.
        self.suspect.store(false, Ordering::SeqCst);
        let up = self.configuration.get().is_none_or(|configuration| is_up(&configuration.lock()));
        if self.up.swap(up, Ordering::Relaxed) == up { Look::Same } else { Look::Changed(up) }
    }
}

fn is_up(configuration: &Configuration) -> bool {
    configuration.u16(CONFIG_STATUS) & STATUS_LINK_UP != 0
}

#[cfg(test)]
mod tests {
    use super::super::super::dma::DmaMemory;
    use super::super::super::fake_device::{FakeLines, ram_device};
    use super::super::super::mmio;
    use super::*;
    use alloc::boxed::Box;

    fn link(memory: &DmaMemory, known: bool) -> Link {
        let found = mmio::open(memory.registers(), || Box::new(FakeLines::default())).unwrap();
        let link = Link::new(known);
        link.runs(found.1.unwrap().finish_and_keep());
        link
    }

    #[test]
    fn changes_are_seen_and_looks_are_rare() {
        let memory = ram_device(2);
        memory.write_u16(0x106, STATUS_LINK_UP);
        let link = link(&memory, true);
        assert!(link.is_up());
        memory.write_u16(0x106, 0);
        assert_eq!(link.look(5), Look::Same, "nobody said that it changed");
        link.suspect();
        assert_eq!((link.look(5), link.is_up()), (Look::Changed(false), false));
        memory.write_u16(0x106, STATUS_LINK_UP);
        link.suspect();
        let at = PERIOD_NS + 5;
        assert_eq!(link.look(6), Look::Later(at));
        assert_eq!(link.look(at - 1), Look::Later(at));
        assert_eq!(link.look(at), Look::Changed(true));
        link.suspect();
        assert_eq!(link.look(2 * at), Look::Same);
    }

    #[test]
    fn without_status_it_is_up() {
        let link = link(&ram_device(2), false);
        link.suspect();
        assert_eq!((link.is_up(), link.look(1)), (true, Look::Same));
    }
}
