//! What is to be done when all locks are released.

use crate::interface::Interface;
use crate::notify::{Events, Notify};
use crate::packet::Packet;
use crate::route::Path;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Packets to be sent and programs to be woken. Gathered while locks are held; [`Stack::finish`](crate::Stack::finish)
/// does it afterwards.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) packets: Vec<(Packet, Path)>,
    /// Packets that an interface receives from this machine itself: groups that it belongs to.
    pub(crate) local: Vec<(Packet, Arc<Interface>)>,
    pub(crate) notifications: Vec<(Arc<dyn Notify>, Events)>,
    /// A timer has become the earliest.
    pub(crate) deadline: bool,
    /// A queue of the loopback interface was left with packets in it.
    pub(crate) resume: Option<usize>,
}

impl Output {
    pub(crate) fn send(&mut self, packet: Packet, path: &Path) {
        self.packets.push((packet, path.clone()));
    }

    pub(crate) fn notify(&mut self, whom: Option<&Arc<dyn Notify>>, events: Events) {
        if let Some(whom) = whom
            && !events.is_empty()
        {
            self.notifications.push((Arc::clone(whom), events));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
            && self.local.is_empty()
            && self.notifications.is_empty()
            && !self.deadline
            && self.resume.is_none()
    }
}
