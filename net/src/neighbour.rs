//! The neighbour table of an interface: which Ethernet address has an IP address (RFC 826, RFC 4861 section 7.3).

use crate::addr::{NEVER, Nanos, SECOND};
use crate::packet::Packet;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

/// Most entries (Linux's gc_thresh3).
const MAX_ENTRIES: usize = 1024;
/// Packets that wait for one address. More push out the oldest.
const MAX_QUEUED: usize = 64;
/// How long an answer is good for.
const REACHABLE: Nanos = 30 * SECOND;
/// Time between solicitations.
const RETRANSMIT: Nanos = SECOND;
/// Solicitations before an address counts as unreachable.
const TRIES: u8 = 3;

/// The table.
#[derive(Default)]
pub(crate) struct Neighbours {
    entries: BTreeMap<IpAddr, Entry>,
    /// A timer is set for the entries that are asked for.
    timer: bool,
}

struct Entry {
    mac: [u8; 6],
    state: State,
}

enum State {
    /// Asked for; nothing is known.
    Incomplete {
        queue: VecDeque<Packet>,
        tries: u8,
        next: Nanos,
    },
    /// Known until then, and used after that until somebody sends to it.
    Known {
        until: Nanos,
    },
    /// Known once and used, but asked for again.
    Probing {
        tries: u8,
        next: Nanos,
    },
    Permanent,
}

/// The state of an entry, for netlink and /proc/net/arp (NUD_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// NUD_INCOMPLETE.
    Incomplete,
    /// NUD_REACHABLE.
    Reachable,
    /// NUD_STALE.
    Stale,
    /// NUD_PROBE.
    Probe,
    /// NUD_PERMANENT.
    Permanent,
}

/// An entry, for netlink and /proc/net/arp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The IP address.
    pub addr: IpAddr,
    /// The Ethernet address; zero while it is not known.
    pub mac: [u8; 6],
    /// How much is known.
    pub state: NeighbourState,
}

/// What to do with a packet.
pub(crate) enum Resolution {
    /// Send it there; if `probe` is set, ask that address whether it is still right.
    Send { packet: Packet, mac: [u8; 6], probe: bool },
    /// It waits. If `ask` is set, ask everybody.
    Wait { ask: bool },
}

/// What is due.
#[derive(Default)]
pub(crate) struct Due {
    /// Addresses to ask for, of those known the Ethernet address too.
    pub(crate) ask: Vec<(IpAddr, Option<[u8; 6]>)>,
    /// Packets whose destination has not answered.
    pub(crate) failed: Vec<Packet>,
    pub(crate) next: Nanos,
}

impl Neighbours {
    /// Where a packet for the neighbour `addr` goes.
    pub(crate) fn resolve(&mut self, addr: IpAddr, packet: Packet, now: Nanos) -> Resolution {
        if let Some(entry) = self.entries.get_mut(&addr) {
            return match &mut entry.state {
                State::Incomplete { queue, .. } => {
                    if queue.len() >= MAX_QUEUED {
                        queue.pop_front();
                    }
                    queue.push_back(packet);
                    Resolution::Wait { ask: false }
                }
                State::Known { until } => {
                    let probe = now >= *until;
                    if probe {
                        entry.state = State::Probing { tries: 1, next: now + RETRANSMIT };
                    }
                    Resolution::Send { packet, mac: entry.mac, probe }
                }
                State::Probing { .. } | State::Permanent => {
                    Resolution::Send { packet, mac: entry.mac, probe: false }
                }
            };
        }
        self.make_room();
        let state = State::Incomplete { queue: VecDeque::from([packet]), tries: 1, next: now + RETRANSMIT };
        self.entries.insert(addr, Entry { mac: [0; 6], state });
        Resolution::Wait { ask: true }
    }

    /// Somebody says that `mac` has `addr`. If `create` is not set it counts only if the address is in the table.
    /// The answer is the packets that waited for it.
    pub(crate) fn learn(&mut self, addr: IpAddr, mac: [u8; 6], now: Nanos, create: bool) -> VecDeque<Packet> {
        let known = State::Known { until: now + REACHABLE };
        match self.entries.get_mut(&addr) {
            Some(entry) if matches!(entry.state, State::Permanent) => {}
            Some(entry) => {
                entry.mac = mac;
                if let State::Incomplete { queue, .. } = core::mem::replace(&mut entry.state, known) {
                    return queue;
                }
            }
            None if create => {
                self.make_room();
                self.entries.insert(addr, Entry { mac, state: known });
            }
            None => {}
        }
        VecDeque::new()
    }

    /// Makes room for one more: the entry least sure goes.
    fn make_room(&mut self) {
        if self.entries.len() < MAX_ENTRIES {
            return;
        }
        let oldest = self
            .entries
            .iter()
            .filter_map(|(addr, entry)| match entry.state {
                State::Known { until } => Some((until, *addr)),
                State::Incomplete { next, .. } | State::Probing { next, .. } => Some((next, *addr)),
                State::Permanent => None,
            })
            .min();
        if let Some((_, addr)) = oldest {
            self.entries.remove(&addr);
        }
    }

    /// Whether the caller must set a timer, which is then taken to be set.
    pub(crate) fn needs_timer(&mut self) -> bool {
        !core::mem::replace(&mut self.timer, true)
    }

    /// What is due at `now`. The caller sets a timer for the next if there is one.
    pub(crate) fn expire(&mut self, now: Nanos) -> Due {
        let mut due = Due { next: NEVER, ..Due::default() };
        self.entries.retain(|addr, entry| match &mut entry.state {
            State::Incomplete { queue, tries, next } => {
                if now < *next {
                    due.next = due.next.min(*next);
                } else if *tries >= TRIES {
                    due.failed.extend(queue.drain(..));
                    return false;
                } else {
                    (*tries, *next) = (*tries + 1, now + RETRANSMIT);
                    due.ask.push((*addr, None));
                    due.next = due.next.min(*next);
                }
                true
            }
            State::Probing { tries, next } => {
                if now < *next {
                    due.next = due.next.min(*next);
                } else if *tries >= TRIES {
                    return false;
                } else {
                    (*tries, *next) = (*tries + 1, now + RETRANSMIT);
                    due.ask.push((*addr, Some(entry.mac)));
                    due.next = due.next.min(*next);
                }
                true
            }
            State::Known { .. } | State::Permanent => true,
        });
        self.timer = due.next != NEVER;
        due
    }

    /// Sets an entry by hand, or removes it.
    pub(crate) fn set(&mut self, addr: IpAddr, mac: Option<[u8; 6]>) -> bool {
        match mac {
            Some(mac) => {
                self.make_room();
                self.entries.insert(addr, Entry { mac, state: State::Permanent });
                true
            }
            None => self.entries.remove(&addr).is_some(),
        }
    }

    /// Forgets everything but what was set by hand.
    pub(crate) fn flush(&mut self) {
        self.entries.retain(|_, entry| matches!(entry.state, State::Permanent));
    }

    pub(crate) fn list(&self, now: Nanos) -> Vec<Neighbour> {
        let state = |entry: &Entry| match entry.state {
            State::Incomplete { .. } => NeighbourState::Incomplete,
            State::Known { until } if now < until => NeighbourState::Reachable,
            State::Known { .. } => NeighbourState::Stale,
            State::Probing { .. } => NeighbourState::Probe,
            State::Permanent => NeighbourState::Permanent,
        };
        self.entries
            .iter()
            .map(|(addr, entry)| Neighbour { addr: *addr, mac: entry.mac, state: state(entry) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u16) -> IpAddr {
        IpAddr::from([10, 0, (last >> 8) as u8, last as u8])
    }

    fn packet() -> Packet {
        Packet::new(20, 0)
    }

    #[test]
    fn asks_waits_and_gives_up() {
        let mut table = Neighbours::default();
        assert!(matches!(table.resolve(ip(1), packet(), 0), Resolution::Wait { ask: true }));
        assert!(matches!(table.resolve(ip(1), packet(), 0), Resolution::Wait { ask: false }));
        let mut now = 0;
        for _ in 1..TRIES {
            now += RETRANSMIT;
            let due = table.expire(now);
            assert_eq!((due.ask, due.failed.len(), due.next), (vec![(ip(1), None)], 0, now + RETRANSMIT));
        }
        let due = table.expire(now + RETRANSMIT);
        assert_eq!((due.ask.len(), due.failed.len(), due.next), (0, 2, NEVER));
        assert!(table.list(0).is_empty());
    }

    #[test]
    fn answers_release_packets_and_grow_stale() {
        let mut table = Neighbours::default();
        for _ in 0..MAX_QUEUED + 5 {
            table.resolve(ip(1), packet(), 0);
        }
        assert_eq!(table.learn(ip(1), [1; 6], 5, false).len(), MAX_QUEUED);
        let sent = |table: &mut Neighbours, now| match table.resolve(ip(1), packet(), now) {
            Resolution::Send { mac, probe, .. } => (mac, probe),
            Resolution::Wait { .. } => panic!("it is known"),
        };
        assert_eq!(sent(&mut table, 6), ([1; 6], false));
        let late = 6 + REACHABLE;
        assert_eq!(sent(&mut table, late), ([1; 6], true));
        assert_eq!(sent(&mut table, late), ([1; 6], false));
        assert_eq!(table.expire(late + RETRANSMIT).ask, [(ip(1), Some([1; 6]))]);
        table.expire(late + 2 * RETRANSMIT);
        table.expire(late + 3 * RETRANSMIT);
        assert!(table.list(late).is_empty(), "a neighbour that no longer answers is forgotten");
        assert!(table.learn(ip(2), [1; 6], 0, false).is_empty() && table.list(0).is_empty());
    }

    #[test]
    fn has_a_bound() {
        let mut table = Neighbours::default();
        table.set(ip(0), Some([9; 6]));
        for i in 1..3000 {
            table.learn(ip(i), [1; 6], u64::from(i), true);
        }
        assert_eq!(table.list(0).len(), MAX_ENTRIES);
        assert_eq!(table.list(0)[0].state, NeighbourState::Permanent);
    }
}
