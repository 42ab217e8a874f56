//! Which local ports are taken, and by whom: bind(2)'s conflicts.

use crate::Result;
use crate::addr::Family;
use crate::hash::Random;
use crate::interface::InterfaceIndex;
use crate::lock_level;
use crate::settings::Settings;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use husk_abi::err;
use husk_machine::sync::SpinLock;

/// The taken ports of one protocol.
pub(crate) struct Ports {
    table: SpinLock<BTreeMap<u16, Port>>,
}

#[derive(Default)]
struct Port {
    /// Sockets that were bound, each once; accepted connections share the listener's.
    bound: Vec<Arc<Owner>>,
    /// Connections whose port was chosen by connect(2): they share ports, as no two have the same peer.
    connections: u32,
}

struct Owner {
    /// The wildcard of the family if it is unspecified.
    addr: IpAddr,
    /// An IPv6 wildcard that takes no IPv4.
    v6_only: bool,
    device: Option<InterfaceIndex>,
    /// REUSE_* bits.
    reuse: AtomicU8,
    uid: u32,
    listening: AtomicBool,
}

const REUSE_ADDR: u8 = 1;
const REUSE_PORT: u8 = 2;

/// What a socket wants to be bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    pub(crate) addr: IpAddr,
    /// 0 for any.
    pub(crate) port: u16,
    pub(crate) v6_only: bool,
    pub(crate) device: Option<InterfaceIndex>,
    pub(crate) reuse_addr: bool,
    pub(crate) reuse_port: bool,
    /// Sockets of different users never share by SO_REUSEPORT.
    pub(crate) uid: u32,
}

/// A taken port; given back when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Claim(Arc<ClaimInner>);

struct ClaimInner {
    ports: Arc<Ports>,
    port: u16,
    /// None for a connection's own port.
    owner: Option<Arc<Owner>>,
}

impl Claim {
    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// Whether bind(2) made it.
    pub(crate) fn is_bound(&self) -> bool {
        self.0.owner.is_some()
    }

    /// The socket listens from now on.
    ///
    /// # Errors
    /// EADDRINUSE if another one that it shares the port with does too, and not by SO_REUSEPORT.
    pub(crate) fn listen(&self, reuse_port: bool) -> Result<()> {
        let Some(owner) = &self.0.owner else { return Ok(()) };
        let mut table = self.0.ports.table.lock();
        let Some(port) = table.get_mut(&self.0.port) else { return Ok(()) };
        set_flag(&owner.reuse, REUSE_PORT, reuse_port);
        let conflict = port.bound.iter().any(|other| {
            !Arc::ptr_eq(other, owner)
                && other.listening.load(Ordering::Relaxed)
                && overlap(owner, other)
                && !both(owner, other, REUSE_PORT)
        });
        if conflict {
            return err!(EADDRINUSE);
        }
        owner.listening.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn stop_listening(&self) {
        if let Some(owner) = &self.0.owner {
            owner.listening.store(false, Ordering::Relaxed);
        }
    }

    /// The socket's SO_REUSEADDR was changed.
    pub(crate) fn set_reuse_addr(&self, on: bool) {
        if let Some(owner) = &self.0.owner {
            set_flag(&owner.reuse, REUSE_ADDR, on);
        }
    }
}

impl Drop for ClaimInner {
    fn drop(&mut self) {
        let mut table = self.ports.table.lock();
        let Some(port) = table.get_mut(&self.port) else { return };
        match &self.owner {
            Some(owner) => port.bound.retain(|other| !Arc::ptr_eq(other, owner)),
            None => port.connections = port.connections.saturating_sub(1),
        }
        if port.bound.is_empty() && port.connections == 0 {
            table.remove(&self.port);
        }
    }
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self { table: SpinLock::with_level(lock_level::PORTS, BTreeMap::new()) }
    }

    /// bind(2).
    ///
    /// # Errors
    /// EADDRINUSE.
    pub(crate) fn bind(
        self: &Arc<Self>,
        binding: Binding,
        random: &Random,
        settings: &Settings,
    ) -> Result<Claim> {
        let reuse =
            if binding.reuse_addr { REUSE_ADDR } else { 0 } | if binding.reuse_port { REUSE_PORT } else { 0 };
        let owner = Owner {
            addr: binding.addr,
            v6_only: binding.v6_only,
            device: binding.device,
            reuse: AtomicU8::new(reuse),
            uid: binding.uid,
            listening: AtomicBool::new(false),
        };
        let mut table = self.table.lock();
        let port = if binding.port != 0 {
            if table.get(&binding.port).is_some_and(|port| port.conflicts(&owner)) {
                return err!(EADDRINUSE);
            }
            binding.port
        } else {
            // A port nobody has, and only if there is none one that can be shared.
            let free = search(random, settings, |port| !table.contains_key(&port));
            let shared =
                || search(random, settings, |port| table.get(&port).is_none_or(|p| !p.conflicts(&owner)));
            match free.or_else(shared) {
                Some(port) => port,
                None => return err!(EADDRINUSE),
            }
        };
        let owner = Arc::new(owner);
        table.entry(port).or_default().bound.push(Arc::clone(&owner));
        Ok(Claim(Arc::new(ClaimInner { ports: Arc::clone(self), port, owner: Some(owner) })))
    }

    /// A port for a connection: one that nobody is bound to and for which `usable` is true (no other connection to the same peer).
    /// `usable` is called with the lock held, which is taken before those of the flow table.
    ///
    /// # Errors
    /// EADDRNOTAVAIL if there is none.
    pub(crate) fn connect(
        self: &Arc<Self>,
        random: &Random,
        settings: &Settings,
        mut usable: impl FnMut(u16) -> bool,
    ) -> Result<Claim> {
        let mut table = self.table.lock();
        let port = search(random, settings, |port| {
            table.get(&port).is_none_or(|port| port.bound.is_empty()) && usable(port)
        });
        let Some(port) = port else { return err!(EADDRNOTAVAIL) };
        table.entry(port).or_default().connections += 1;
        Ok(Claim(Arc::new(ClaimInner { ports: Arc::clone(self), port, owner: None })))
    }
}

/// A port of the range, from a random one on.
fn search(random: &Random, settings: &Settings, mut usable: impl FnMut(u16) -> bool) -> Option<u16> {
    let start = settings.port_range_start().clamp(1, 65_535);
    let count = settings.port_range_end().clamp(start, 65_535) - start + 1;
    let first = random.below(count.into()) as u32;
    (0..count).map(|i| (start + (first + i) % count) as u16).find(|&port| usable(port))
}

impl Port {
    fn conflicts(&self, new: &Owner) -> bool {
        // Connections that chose the port hold it as Linux's do: for sockets without SO_REUSEADDR.
        if self.connections > 0 && new.reuse.load(Ordering::Relaxed) & REUSE_ADDR == 0 {
            return true;
        }
        self.bound.iter().any(|other| {
            let may_share = (both(new, other, REUSE_ADDR) && !other.listening.load(Ordering::Relaxed))
                || both(new, other, REUSE_PORT);
            overlap(new, other) && !may_share
        })
    }
}

fn both(a: &Owner, b: &Owner, flag: u8) -> bool {
    let set = a.reuse.load(Ordering::Relaxed) & b.reuse.load(Ordering::Relaxed) & flag != 0;
    set && (flag != REUSE_PORT || a.uid == b.uid)
}

fn overlap(a: &Owner, b: &Owner) -> bool {
    if let (Some(a), Some(b)) = (a.device, b.device)
        && a != b
    {
        return false;
    }
    let takes = |owner: &Owner, addr: IpAddr| match (owner.addr, addr) {
        (own, addr) if own == addr => true,
        (IpAddr::V4(own), IpAddr::V4(addr)) => own.is_unspecified() || addr.is_unspecified(),
        (IpAddr::V6(own), IpAddr::V6(addr)) => own.is_unspecified() || addr.is_unspecified(),
        (IpAddr::V6(own), IpAddr::V4(_)) => own.is_unspecified() && !owner.v6_only,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    };
    takes(a, b.addr) || takes(b, a.addr)
}

fn set_flag(flags: &AtomicU8, flag: u8, on: bool) {
    if on {
        flags.fetch_or(flag, Ordering::Relaxed);
    } else {
        flags.fetch_and(!flag, Ordering::Relaxed);
    }
}

impl Binding {
    /// Of a socket without options.
    #[cfg(test)]
    fn plain(addr: &str, port: u16) -> Self {
        let addr = addr.parse().unwrap();
        Self { addr, port, v6_only: false, device: None, reuse_addr: false, reuse_port: false, uid: 0 }
    }
}

/// Whether an address can be bound by a socket of the family.
pub(crate) fn fits(family: Family, addr: IpAddr) -> bool {
    matches!((family, addr), (Family::V4, IpAddr::V4(_)) | (Family::V6, _))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Key;

    struct Table {
        ports: Arc<Ports>,
        random: Random,
        settings: Settings,
    }

    impl Table {
        fn new() -> Self {
            let random = Random::new(Key::new([1; 16]));
            Self { ports: Arc::new(Ports::new()), random, settings: Settings::default() }
        }

        fn bind(&self, binding: Binding) -> Option<Claim> {
            self.ports.bind(binding, &self.random, &self.settings).ok()
        }
    }

    #[test]
    fn wildcard_and_specific_conflict() {
        let table = Table::new();
        let first = table.bind(Binding::plain("0.0.0.0", 80)).unwrap();
        assert!(table.bind(Binding::plain("10.0.0.1", 80)).is_none());
        assert!(table.bind(Binding::plain("::", 80)).is_none());
        assert!(table.bind(Binding { v6_only: true, ..Binding::plain("::", 80) }).is_some());
        assert!(table.bind(Binding::plain("10.0.0.1", 81)).is_some());
        drop(first);
        let _one = table.bind(Binding::plain("10.0.0.1", 80)).unwrap();
        assert!(table.bind(Binding::plain("10.0.0.2", 80)).is_some());
        assert!(table.bind(Binding::plain("0.0.0.0", 80)).is_none());
    }

    #[test]
    fn reuse() {
        let table = Table::new();
        let reuse = Binding { reuse_addr: true, ..Binding::plain("0.0.0.0", 80) };
        let first = table.bind(reuse).unwrap();
        let second = table.bind(reuse).unwrap();
        first.listen(false).unwrap();
        assert!(second.listen(false).is_err(), "only one can listen");
        assert!(table.bind(reuse).is_none(), "nor can a third be bound then");
        first.stop_listening();
        assert!(table.bind(reuse).is_some());
        let share = Binding { reuse_port: true, ..Binding::plain("0.0.0.0", 90) };
        let (a, b) = (table.bind(share).unwrap(), table.bind(share).unwrap());
        assert!(a.listen(true).is_ok() && b.listen(true).is_ok());
        assert!(table.bind(Binding { uid: 5, ..share }).is_none());
    }

    #[test]
    fn connections_share_ports_and_run_out() {
        let table = Table::new();
        table.settings.port_range_start.store(1000, Ordering::Relaxed);
        table.settings.port_range_end.store(1001, Ordering::Relaxed);
        let bound = table.bind(Binding::plain("0.0.0.0", 1000)).unwrap();
        let connect =
            |usable: &dyn Fn(u16) -> bool| table.ports.connect(&table.random, &table.settings, usable);
        let first = connect(&|_| true).unwrap();
        assert_eq!(first.port(), 1001);
        let _second = connect(&|_| true).unwrap();
        assert!(connect(&|_| false).is_err());
        drop(bound);
        assert!(table.bind(Binding::plain("0.0.0.0", 1001)).is_none());
        assert_eq!(table.bind(Binding::plain("0.0.0.0", 0)).unwrap().port(), 1000);
    }
}
