//! The stack: what all sockets and interfaces share.

use crate::Result;
use crate::addr::{FlowKey, NEVER, Nanos};
use crate::autoconf::Autoconf;
use crate::dhcp;
use crate::fragment::Reassembly;
use crate::hash::{Key, Random};
use crate::icmp::RateLimit;
use crate::interface::{Interface, InterfaceIndex};
use crate::lock_level;
use crate::loopback::Loopback;
use crate::notify::Waker;
use crate::output::Output;
use crate::ping;
use crate::ports::Ports;
use crate::route::{AddressKind, Configuration, Path};
use crate::settings::Settings;
use crate::snmp::Snmp;
use crate::tcp::{Flows, Listeners, Seq, TimeWaits};
use crate::timer::{Timer, TimerKey, Timers};
use crate::udp;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use husk_machine::sync::SpinLock;

/// Timers handled in one call of [`Stack::expire`]; it is called again at once if more are due.
const MAX_EXPIRED: usize = 1024;

/// A TCP/IP stack. See the crate's page.
pub struct Stack {
    /// What /proc/sys/net sets.
    pub settings: Settings,
    /// Counters for /proc/net/snmp and netstat.
    pub snmp: Snmp,
    pub(crate) random: Random,
    pub(crate) cookie_key: Key,
    sequence_key: Key,
    pub(crate) flows: Flows,
    pub(crate) listeners: Listeners,
    pub(crate) time_waits: TimeWaits,
    pub(crate) tcp_ports: Arc<Ports>,
    pub(crate) orphans: AtomicU32,
    pub(crate) udp: udp::Table,
    pub(crate) pings: ping::Table,
    pub(crate) udp_ports: Arc<Ports>,
    pub(crate) timers: Timers,
    pub(crate) loopback: Loopback,
    pub(crate) reassembly: SpinLock<Reassembly>,
    pub(crate) icmp_limit: SpinLock<RateLimit>,
    pub(crate) dhcp: SpinLock<BTreeMap<InterfaceIndex, dhcp::Client>>,
    pub(crate) autoconf: SpinLock<BTreeMap<InterfaceIndex, Autoconf>>,
    pub(crate) waker: Arc<dyn Waker>,
    configuration: SpinLock<Arc<Configuration>>,
    generation: AtomicU64,
}

impl Stack {
    /// A stack with the loopback interface, up, with 127.0.0.1/8 and ::1/128. `seed` must be random: sequence numbers,
    /// ports and the order of the tables depend on it.
    #[must_use]
    pub fn new(seed: [u8; 32], waker: Arc<dyn Waker>) -> Arc<Self> {
        let half = |at: usize| core::array::from_fn(|i| seed[at + i]);
        let root = Key::new(half(0));
        let derive = |number: u64| {
            let (a, b) = (root.prf(&[number, 0]).to_le_bytes(), root.prf(&[number, 1]).to_le_bytes());
            Key::new(core::array::from_fn(|i| if i < 8 { a[i] } else { b[i - 8] }))
        };
        let stack = Self {
            settings: Settings::default(),
            snmp: Snmp::default(),
            random: Random::new(Key::new(half(16))),
            cookie_key: derive(1),
            sequence_key: derive(2),
            flows: Flows::new(derive(3)),
            listeners: Listeners::new(),
            time_waits: TimeWaits::new(),
            tcp_ports: Arc::new(Ports::new()),
            orphans: AtomicU32::new(0),
            udp: udp::Table::new(derive(4)),
            pings: SpinLock::with_level(lock_level::UDP_TABLE, BTreeMap::new()),
            udp_ports: Arc::new(Ports::new()),
            timers: Timers::new(),
            loopback: Loopback::new(),
            reassembly: SpinLock::with_level(lock_level::FRAGMENTS, Reassembly::default()),
            icmp_limit: SpinLock::with_level(lock_level::CLIENTS, RateLimit::default()),
            dhcp: SpinLock::with_level(lock_level::CLIENTS, BTreeMap::new()),
            autoconf: SpinLock::with_level(lock_level::CLIENTS, BTreeMap::new()),
            waker,
            configuration: SpinLock::with_level(lock_level::CONFIGURATION, Arc::default()),
            generation: AtomicU64::new(0),
        };
        let stack = Arc::new(stack);
        stack.configure(|configuration| configuration.interfaces.push(Arc::new(Interface::loopback())));
        stack.add_loopback_addresses();
        stack
    }

    /// The interfaces, addresses and routes as they are now.
    #[must_use]
    pub fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration.lock())
    }

    /// Changes the configuration, as a whole.
    pub(crate) fn configure<R>(&self, change: impl FnOnce(&mut Configuration) -> R) -> R {
        let mut current = self.configuration.lock();
        let mut new = (**current).clone();
        let answer = change(&mut new);
        new.generation += 1;
        self.generation.store(new.generation, Ordering::Release);
        let old = core::mem::replace(&mut *current, Arc::new(new));
        drop(current);
        drop(old);
        answer
    }

    /// Grows with every change of the configuration.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Where packets to an address go.
    pub(crate) fn path(
        &self,
        to: IpAddr,
        device: Option<InterfaceIndex>,
        source: Option<IpAddr>,
    ) -> Result<Path> {
        let path = self.configuration().path(to, device, source);
        if path.is_err() {
            self.snmp.no_route();
        }
        path
    }

    pub(crate) fn is_local(&self, addr: IpAddr) -> bool {
        self.configuration().is_local(addr)
    }

    pub(crate) fn is_broadcast(&self, addr: IpAddr) -> bool {
        self.configuration().kind(addr, None) == AddressKind::Broadcast
    }

    /// The first sequence number of a connection (RFC 6528).
    pub(crate) fn initial_sequence(&self, key: &FlowKey, now: Nanos) -> Seq {
        Seq((self.sequence_key.prf(&key.words()) as u32).wrapping_add((now / 64) as u32))
    }

    /// From where a flow's timestamps count (RFC 7323, section 5.4); the same for all between two hosts.
    pub(crate) fn timestamp_offset(&self, key: &FlowKey) -> u32 {
        let [a, b, c, d, _] = key.words();
        self.sequence_key.prf(&[a, b, c, d]) as u32
    }

    /// When [`expire`](Self::expire) is to be called, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.timers.next()
    }

    /// Does what is due at `now`.
    pub fn expire(&self, now: Nanos) {
        for _ in 0..MAX_EXPIRED {
            let Some((key, timer)) = self.timers.pop(now) else { return };
            let mut out = Output::default();
            self.on_timer(key, timer, now, &mut out);
            self.finish(out, now);
        }
    }

    fn on_timer(&self, key: TimerKey, timer: Timer, now: Nanos, out: &mut Output) {
        match timer {
            Timer::Tcp(socket) => {
                if let Some(socket) = socket.upgrade() {
                    socket.expire(key, now, out);
                }
            }
            Timer::TimeWait => {
                if let Some(next) = self.time_waits.expire(&self.flows, now) {
                    self.set_timer(next, Timer::TimeWait, out);
                }
            }
            Timer::Neighbours(index) => self.expire_neighbours(index, now, out),
            Timer::Dhcp(index) => self.expire_dhcp(index, now, out),
            Timer::Autoconfiguration(index) => self.expire_autoconfiguration(index, now, out),
            Timer::Fragments => self.expire_fragments(now, out),
            // What is left over is done when this call finishes.
            Timer::Loopback(queue) => self.loopback.resume(queue, out),
        }
    }

    /// Sets a timer.
    pub(crate) fn set_timer(&self, at: Nanos, timer: Timer, out: &mut Output) -> TimerKey {
        debug_assert_ne!(at, NEVER, "a timer that is never due");
        let (key, first) = self.timers.set(at, timer);
        out.deadline |= first;
        key
    }

    /// The interface with this index.
    pub(crate) fn interface(&self, index: InterfaceIndex) -> Option<Arc<Interface>> {
        self.configuration().interface(index).cloned()
    }
}
