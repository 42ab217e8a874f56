//! A pair of queues with the thread that serves it.
//!
//! The receive queue interrupts once, when the thread sleeps. The thread then takes frames until there are no more, with
//! interrupts off, and asks for the next interrupt only before it sleeps again. After asking it looks once more: what
//! came in between brings no interrupt.

use super::link::{Link, Look};
use super::receive::{ReceiveQueue, Received};
use super::transmit::{Sent, TransmitQueue};
use crate::net::Receiver;
use crate::sync::{Once, SpinLock};
use crate::thread::{self, Thread};
use crate::time::monotonic_ns;
use crate::virtio::queue::UsedIndex;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

/// Buffers that are taken from the ring before others have a turn: a quarter of a usual ring, so that the device does not run
/// out of them before they are given back.
const BUDGET: usize = 64;

/// The two queues, and what interrupt handlers need to know of them.
pub(super) struct Pair {
    /// Until the thread has it.
    receive: SpinLock<Option<ReceiveQueue>>,
    pub(super) transmit: SpinLock<TransmitQueue>,
    pub(super) received: Arc<Received>,
    pub(super) sent: Arc<Sent>,
    /// Frames were queued that the device may not have been told of.
    pub(super) unkicked: AtomicBool,
    used: UsedIndex,
    /// Where `used` stood when the thread last went to sleep.
    armed: AtomicU16,
    someone_waits: Arc<AtomicBool>,
    thread: Once<Thread>,
}

impl Pair {
    pub(super) fn new(
        receive: ReceiveQueue,
        received: Arc<Received>,
        transmit: TransmitQueue,
        sent: Arc<Sent>,
    ) -> Self {
        Self {
            used: receive.used_index(),
            armed: AtomicU16::new(0),
            someone_waits: transmit.someone_waits(),
            receive: SpinLock::new(Some(receive)),
            transmit: SpinLock::new(transmit),
            received,
            sent,
            unkicked: AtomicBool::new(false),
            thread: Once::new(),
        }
    }

    /// Takes the receive queue; the first time only.
    pub(super) fn take_receive(&self) -> Option<ReceiveQueue> {
        self.receive.lock().take()
    }

    /// The thread that serves the pair is this one.
    pub(super) fn served_by(&self, thread: Thread) {
        self.thread.call_once(|| thread);
    }

    /// An interrupt came that may be for these queues: wakes the thread and is true if there is something for it to do. No lock is
    /// taken, and nothing outside of memory is looked at.
    pub(super) fn interrupt(&self) -> bool {
        let received = self.used.read() != self.armed.load(Ordering::SeqCst);
        let any = received || self.someone_waits.load(Ordering::SeqCst);
        if any {
            self.wake();
        }
        any
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Serves the queues, for ever. `link` is for the thread that looks after that.
    pub(super) fn serve(&self, mut receive: ReceiveQueue, receiver: &dyn Receiver, link: Option<&Link>) -> ! {
        loop {
            let deadline_ns = loop {
                if self.turn(&mut receive, receiver) {
                    thread::yield_now();
                } else if let Some(deadline_ns) = self.settle(&mut receive, receiver, link) {
                    break deadline_ns;
                }
            };
            match deadline_ns {
                u64::MAX => thread::park(),
                _ => {
                    thread::park_until(deadline_ns);
                }
            }
        }
    }

    /// Takes what has come in; true if there may be more.
    pub(super) fn turn(&self, receive: &mut ReceiveQueue, receiver: &dyn Receiver) -> bool {
        receive.suppress_interrupts();
        let more = receive.drain(BUDGET, |frame, incoming| receiver.frame(frame, incoming));
        if self.someone_waits.load(Ordering::Relaxed) && self.transmit.lock().has_room_again() {
            receiver.room();
        }
        receiver.end_of_batch();
        more
    }

    /// Prepares to sleep: asks for interrupts. `None` if something came meanwhile, else how long to sleep at most (`u64::MAX`: for
    /// ever).
    pub(super) fn settle(
        &self,
        receive: &mut ReceiveQueue,
        receiver: &dyn Receiver,
        link: Option<&Link>,
    ) -> Option<u64> {
        // First this, as a handler compares with it; then the request, which ends with a fence and another look at the ring.
        self.armed.store(receive.seen(), Ordering::SeqCst);
        if !receive.request_interrupt() {
            return None;
        }
        match link.map_or(Look::Same, |link| link.look(monotonic_ns())) {
            Look::Same => Some(u64::MAX),
            Look::Later(at_ns) => Some(at_ns),
            Look::Changed(up) => {
                receiver.link_changed(up);
                Some(u64::MAX)
            }
        }
    }
}
