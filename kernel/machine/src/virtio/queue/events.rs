//! Who is told of what: notifications to the device and interrupts from it (virtio 1.2, sections 2.7.7 and 2.7.10).
//!
//! Both sides can ask for silence, by a flag or, with VIRTIO_F_EVENT_IDX, by the index whose passing they want to hear of. Each
//! stores its own index and then looks at what the other wants, while the other stores what it wants and then looks at the
//! index: between store and load there must be a full fence on both sides, or each misses the other.

use super::super::dma::DmaMemory;
use super::VirtQueue;
use core::sync::atomic::{Ordering, fence};

const AVAIL_F_NO_INTERRUPT: u16 = 1;
const USED_F_NO_NOTIFY: u16 = 1;

/// Where the device says how many buffers it has used, for an interrupt handler that wants to know whose interrupt it is.
#[derive(Clone, Copy)]
pub(crate) struct UsedIndex {
    rings: DmaMemory,
    at: usize,
}

impl UsedIndex {
    /// How many buffers the device has ever used, modulo 2^16.
    pub(crate) fn read(&self) -> u16 {
        u16::from_le(self.rings.atomic_u16(self.at).load(Ordering::Acquire))
    }
}

impl VirtQueue {
    /// VIRTIO_F_EVENT_IDX was agreed on. Called before the first buffer is added.
    pub(crate) fn use_event_idx(&mut self) {
        self.event_idx = true;
    }

    /// The device's index, to be compared with [`seen`](Self::seen).
    pub(crate) fn used_index(&self) -> UsedIndex {
        UsedIndex { rings: self.rings, at: self.layout.used() + 2 }
    }

    /// How many buffers have been taken with [`pop`](Self::pop) so far, modulo 2^16.
    pub(crate) fn seen(&self) -> u16 {
        self.used_index
    }

    /// Buffers that the device has used and nobody has taken yet; none once the queue has stopped.
    pub(crate) fn unseen(&self) -> u16 {
        if self.broken { 0 } else { self.used_index().read().wrapping_sub(self.used_index) }
    }

    /// Tells the device about buffers added since the last kick, unless it asked not to be told.
    pub(crate) fn kick(&mut self) {
        let before = core::mem::replace(&mut self.kicked_index, self.avail_index);
        let added = self.avail_index.wrapping_sub(before);
        if added == 0 {
            return;
        }
        fence(Ordering::SeqCst);
        let used = self.layout.used();
        let wanted = if self.event_idx {
            // The device wants to hear when the index passes this one: if that is among those just added.
            let event = self.load(used + 4 + 8 * usize::from(self.size()));
            event.wrapping_sub(before) < added
        } else {
            self.load(used) & USED_F_NO_NOTIFY == 0
        };
        if wanted {
            self.notifier.notify();
        }
    }

    /// Asks the device not to interrupt any more. An interrupt may still be on its way.
    pub(crate) fn suppress_interrupts(&mut self) {
        if self.event_idx {
            // An index just passed comes again only after 65,535 more buffers.
            self.store(self.used_event(), self.used_index.wrapping_sub(1));
        } else {
            self.store(self.layout.avail(), AVAIL_F_NO_INTERRUPT);
        }
    }

    /// Asks the device to interrupt once it has used `after` (at least 1) more buffers; without VIRTIO_F_EVENT_IDX, after each.
    /// False if it has used so many already: then no interrupt may come, and the caller looks at the ring again.
    #[must_use = "if it is false there is something in the ring"]
    pub(crate) fn request_interrupt(&mut self, after: u16) -> bool {
        let after = if self.event_idx { after } else { 1 };
        if self.event_idx {
            self.store(self.used_event(), self.used_index.wrapping_add(after - 1));
        } else {
            self.store(self.layout.avail(), 0);
        }
        fence(Ordering::SeqCst);
        self.unseen() < after
    }

    /// Offset of `used_event`, behind the available ring.
    fn used_event(&self) -> usize {
        self.layout.avail() + 4 + 2 * usize::from(self.size())
    }

    fn load(&self, offset: usize) -> u16 {
        u16::from_le(self.rings.atomic_u16(offset).load(Ordering::Relaxed))
    }

    fn store(&self, offset: usize, value: u16) {
        self.rings.atomic_u16(offset).store(value.to_le(), Ordering::Relaxed);
    }
}
