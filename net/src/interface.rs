//! Network interfaces.

use crate::link::{Link, Offloads};
use crate::lock_level;
use crate::neighbour::Neighbours;
use crate::packet::Frame;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use husk_machine::sync::SpinLock;

/// Frames an interface keeps while its card has no room (Linux's txqueuelen).
pub const TX_QUEUE_LEN: usize = 1000;

/// MTU of the loopback interface.
pub(crate) const LOOPBACK_MTU: usize = 65_536;
/// Largest IP packet.
pub(crate) const MAX_PACKET: usize = 65_535;

/// An interface's index, as if_nametoindex(3) gives it; 1 is `lo`.
pub type InterfaceIndex = u32;
/// The index of the loopback interface.
pub const LOOPBACK: InterfaceIndex = 1;

/// A network interface: `lo` or `ethN`. Its addresses are in the stack's configuration.
pub struct Interface {
    index: InterfaceIndex,
    name: String,
    link: Option<Arc<dyn Link>>,
    mac: [u8; 6],
    offloads: Offloads,
    mtu: AtomicUsize,
    up: AtomicBool,
    carrier: AtomicBool,
    /// What was sent and received.
    pub counters: Counters,
    pub(crate) neighbours: SpinLock<Neighbours>,
    queue: SpinLock<VecDeque<Frame>>,
}

/// Counters of an interface, for /proc/net/dev and netlink.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names are those of struct rtnl_link_stats64")]
pub struct Counters {
    pub rx_packets: AtomicU64,
    pub rx_bytes: AtomicU64,
    pub rx_errors: AtomicU64,
    pub rx_dropped: AtomicU64,
    pub tx_packets: AtomicU64,
    pub tx_bytes: AtomicU64,
    pub tx_errors: AtomicU64,
    pub tx_dropped: AtomicU64,
    pub multicast: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Interface {
    pub(crate) fn loopback() -> Self {
        Self::with(LOOPBACK, "lo".into(), None, [0; 6], Offloads::default(), LOOPBACK_MTU)
    }

    pub(crate) fn ethernet(index: InterfaceIndex, name: String, link: Arc<dyn Link>) -> Self {
        let (mac, offloads, mtu) = (link.mac(), link.offloads(), link.mtu().clamp(68, MAX_PACKET));
        let carrier = link.is_up();
        let interface = Self::with(index, name, Some(link), mac, offloads, mtu);
        interface.carrier.store(carrier, Ordering::Relaxed);
        interface
    }

    fn with(
        index: InterfaceIndex,
        name: String,
        link: Option<Arc<dyn Link>>,
        mac: [u8; 6],
        offloads: Offloads,
        mtu: usize,
    ) -> Self {
        Self {
            index,
            name,
            link,
            mac,
            offloads,
            mtu: AtomicUsize::new(mtu),
            up: AtomicBool::new(true),
            carrier: AtomicBool::new(true),
            counters: Counters::default(),
            neighbours: SpinLock::with_level(lock_level::NEIGHBOURS, Neighbours::default()),
            queue: SpinLock::with_level(lock_level::TX_QUEUE, VecDeque::new()),
        }
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> InterfaceIndex {
        self.index
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its Ethernet address; zero for loopback.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The largest IP packet in bytes.
    #[must_use]
    pub fn mtu(&self) -> usize {
        self.mtu.load(Ordering::Relaxed)
    }

    /// The largest IP packet that is ever sent.
    pub(crate) fn packet_limit(&self) -> usize {
        self.mtu().min(MAX_PACKET)
    }

    pub(crate) fn set_mtu(&self, mtu: usize) {
        self.mtu.store(mtu, Ordering::Relaxed);
    }

    /// Whether it is the loopback interface.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.link.is_none()
    }

    /// IFF_UP.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    pub(crate) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// IFF_RUNNING: up, and the card has a carrier.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.is_up() && self.carrier.load(Ordering::Relaxed)
    }

    pub(crate) fn set_carrier(&self, carrier: bool) {
        self.carrier.store(carrier, Ordering::Relaxed);
    }

    pub(crate) fn link(&self) -> Option<&Arc<dyn Link>> {
        self.link.as_ref()
    }

    pub(crate) fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Gives a frame to the card, or keeps it until there is room.
    pub(crate) fn transmit(&self, frame: Frame) {
        let Some(link) = &self.link else { return };
        if !self.is_running() {
            count(&self.counters.tx_dropped, 1);
            return;
        }
        let bytes = frame.bytes().len();
        let refused = if self.queue.lock().is_empty() { link.transmit(frame).err() } else { Some(frame) };
        if let Some(frame) = refused {
            {
                let mut queue = self.queue.lock();
                if queue.len() >= TX_QUEUE_LEN {
                    count(&self.counters.tx_dropped, 1);
                    return;
                }
                queue.push_back(frame);
            }
            // Room may have come between being refused and queueing, and then nobody would tell.
            self.transmit_queued();
        }
        count(&self.counters.tx_packets, 1);
        count(&self.counters.tx_bytes, bytes);
    }

    /// Gives the card what was kept.
    pub(crate) fn transmit_queued(&self) {
        let Some(link) = &self.link else { return };
        for _ in 0..TX_QUEUE_LEN {
            let Some(frame) = self.queue.lock().pop_front() else { return };
            if let Err(frame) = link.transmit(frame) {
                self.queue.lock().push_front(frame);
                return;
            }
        }
    }
}
