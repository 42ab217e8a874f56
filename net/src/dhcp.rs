//! A DHCP client for IPv4 (RFC 2131): discovers, requests, renews, rebinds, and configures its interface.

mod interface;

use crate::addr::{Cidr, MILLISECOND, NEVER, Nanos, SECOND};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Options that are asked for: mask, router, name servers, domain, broadcast, MTU, routes.
const WANTED: [u8; 7] = [1, 3, 6, 15, 28, 26, 121];
const OPTION_ROUTER: u8 = 3;
const OPTION_NAME_SERVERS: u8 = 6;
const OPTION_HOST_NAME: u8 = 12;
/// The first wait for an answer; doubled up to the last (RFC 2131, section 4.1).
const FIRST_WAIT: Nanos = 2 * SECOND;
const LONGEST_WAIT: Nanos = 64 * SECOND;
/// Requests for one offer before starting anew.
const REQUESTS: u32 = 4;
/// Least time between requests to renew.
const RENEW_WAIT: Nanos = 60 * SECOND;
/// The lease if the server names no time.
const DEFAULT_LEASE: u32 = 3600;

/// What a server has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address and its network.
    pub address: Cidr,
    /// The router.
    pub router: Option<Ipv4Addr>,
    /// Name servers, for resolv.conf.
    pub name_servers: Vec<Ipv4Addr>,
    /// The server.
    pub server: Ipv4Addr,
    /// Seconds that it is good for.
    pub seconds: u32,
    /// When it ends, in monotonic time; [`u64::MAX`] for never.
    pub until: Nanos,
}

/// The client of one interface.
pub(crate) struct Client {
    host_name: Option<String>,
    state: State,
    transaction: u32,
    started: Nanos,
    next: Nanos,
}

enum State {
    /// Asking for offers.
    Selecting { tries: u32 },
    /// An offer was taken up.
    Requesting { tries: u32, offer: Lease },
    /// The lease, and when to renew and to rebind.
    Bound { lease: Lease, renew: Nanos, rebind: Nanos },
}

/// What a client wants done.
#[derive(Default)]
struct Action {
    send: Option<Message>,
    /// The interface's lease has changed: the old one, the new one.
    change: Option<(Option<Lease>, Option<Lease>)>,
}

/// A message to be sent.
struct Message {
    kind: DhcpMessageType,
    client: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    to: Ipv4Addr,
}

impl Client {
    fn new(host_name: Option<String>, transaction: u32, now: Nanos) -> Self {
        Self { host_name, state: State::Selecting { tries: 0 }, transaction, started: now, next: now }
    }

    /// Time has passed.
    fn expire(&mut self, now: Nanos, random: u64) -> Action {
        let mut action = Action::default();
        if now < self.next {
            return action;
        }
        match &mut self.state {
            State::Selecting { tries } => {
                self.next = now + wait(*tries, random);
                *tries += 1;
                action.send = Some(Message::discover());
            }
            State::Requesting { tries, .. } if *tries >= REQUESTS => {
                self.restart(now, random);
                return self.expire(now, random);
            }
            State::Requesting { tries, offer } => {
                self.next = now + wait(*tries, random);
                *tries += 1;
                action.send = Some(Message::request(offer));
            }
            State::Bound { lease, .. } if now >= lease.until => {
                let change = Some((Some(lease.clone()), None));
                self.restart(now, random);
                return Action { change, ..self.expire(now, random) };
            }
            State::Bound { lease, renew, rebind } => {
                // Half of what is left until the next stage, a minute at least (RFC 2131, section 4.4.5).
                let (to, end) =
                    if now >= *rebind { (Ipv4Addr::BROADCAST, lease.until) } else { (lease.server, *rebind) };
                if now >= *renew {
                    action.send = Some(Message::renew(lease, to));
                    self.next = (now + ((end - now) / 2).max(RENEW_WAIT)).min(end.max(now + SECOND));
                } else {
                    self.next = *renew;
                }
            }
        }
        action
    }

    fn restart(&mut self, now: Nanos, random: u64) {
        self.state = State::Selecting { tries: 0 };
        self.transaction = random as u32;
        self.started = now;
        self.next = now;
    }

    /// A server's message.
    fn receive(&mut self, bytes: &[u8], mac: [u8; 6], now: Nanos, random: u64) -> Action {
        let mut action = Action::default();
        let Ok(packet) = DhcpPacket::new_checked(bytes) else { return action };
        let Ok(message) = DhcpRepr::parse(&packet) else { return action };
        if message.transaction_id != self.transaction || message.client_hardware_address.0 != mac {
            return action;
        }
        match (&self.state, message.message_type) {
            (State::Selecting { .. }, DhcpMessageType::Offer) => {
                if let Some(offer) = lease(&message, &packet, now) {
                    action.send = Some(Message::request(&offer));
                    self.state = State::Requesting { tries: 1, offer };
                    self.next = now + wait(0, random);
                }
            }
            (State::Requesting { .. } | State::Bound { .. }, DhcpMessageType::Ack) => {
                if let Some(lease) = lease(&message, &packet, now) {
                    action.change = self.bind(&message, lease, now);
                }
            }
            (State::Requesting { .. }, DhcpMessageType::Nak) => self.restart(now + SECOND, random),
            (State::Bound { lease, renew, .. }, DhcpMessageType::Nak) if now >= *renew => {
                action.change = Some((Some(lease.clone()), None));
                self.restart(now, random);
            }
            _ => {}
        }
        action
    }

    fn bind(
        &mut self,
        message: &DhcpRepr<'_>,
        lease: Lease,
        now: Nanos,
    ) -> Option<(Option<Lease>, Option<Lease>)> {
        let old = match &self.state {
            State::Bound { lease: old, renew, .. } => {
                if now < *renew {
                    // Not asked for.
                    return None;
                }
                Some(old.clone())
            }
            State::Requesting { offer, .. } if offer.address.addr != lease.address.addr => return None,
            _ => None,
        };
        let seconds = u64::from(lease.seconds);
        let (renew, rebind) = if lease.until == NEVER {
            (NEVER, NEVER)
        } else {
            let renew = message.renew_duration.map_or(seconds / 2, u64::from).min(seconds);
            let rebind = message.rebind_duration.map_or(seconds * 7 / 8, u64::from).clamp(renew, seconds);
            (now + renew * SECOND, now + rebind * SECOND)
        };
        self.next = renew;
        self.state = State::Bound { lease: lease.clone(), renew, rebind };
        Some((old, Some(lease)))
    }

    fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound { lease, .. } => Some(lease),
            _ => None,
        }
    }

    /// A message as bytes.
    fn emit(&self, message: &Message, mac: [u8; 6], now: Nanos) -> Vec<u8> {
        let host_name =
            self.host_name.as_ref().map(|name| DhcpOption { kind: OPTION_HOST_NAME, data: name.as_bytes() });
        let repr = DhcpRepr {
            message_type: message.kind,
            transaction_id: self.transaction,
            secs: (now.saturating_sub(self.started) / SECOND).min(65_535) as u16,
            client_hardware_address: EthernetAddress(mac),
            client_ip: message.client,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: message.requested,
            client_identifier: Some(EthernetAddress(mac)),
            server_identifier: message.server,
            parameter_request_list: (message.kind != DhcpMessageType::Release).then_some(&WANTED[..]),
            dns_servers: None,
            max_size: Some(1500),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: host_name.as_slice(),
        };
        // Servers of old expect the size of BOOTP (RFC 1542, section 2.1).
        let mut bytes = vec![0; repr.buffer_len().max(300)];
        match repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }
}

impl Message {
    fn discover() -> Self {
        let (client, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        Self { kind: DhcpMessageType::Discover, client, requested: None, server: None, to }
    }

    fn request(offer: &Lease) -> Self {
        let requested = match offer.address.addr {
            IpAddr::V4(addr) => Some(addr),
            IpAddr::V6(_) => None,
        };
        let server = Some(offer.server);
        Self { requested, server, kind: DhcpMessageType::Request, ..Self::discover() }
    }

    fn renew(lease: &Lease, to: Ipv4Addr) -> Self {
        let client = v4(lease.address.addr);
        Self { kind: DhcpMessageType::Request, client, requested: None, server: None, to }
    }
}

fn v4(addr: IpAddr) -> Ipv4Addr {
    match addr {
        IpAddr::V4(addr) => addr,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// How long to wait for an answer: doubled each time, with up to a second more or less.
fn wait(tries: u32, random: u64) -> Nanos {
    let base = (FIRST_WAIT << tries.min(5)).min(LONGEST_WAIT);
    base - SECOND + random % (2 * SECOND / MILLISECOND) * MILLISECOND
}

/// What a message offers or gives.
fn lease(message: &DhcpRepr<'_>, packet: &DhcpPacket<&[u8]>, now: Nanos) -> Option<Lease> {
    let addr = message.your_ip;
    if addr.is_unspecified() || addr.is_multicast() || addr.is_broadcast() || addr.is_loopback() {
        return None;
    }
    let mask = u32::from(message.subnet_mask.unwrap_or(Ipv4Addr::new(255, 255, 255, 0)));
    let addresses = |kind: u8| -> Vec<Ipv4Addr> {
        let body = packet.options().find(|option| option.kind == kind).map_or(&[][..], |option| option.data);
        body.as_chunks::<4>().0.iter().map(|bytes| Ipv4Addr::from(*bytes)).take(8).collect()
    };
    let seconds = message.lease_duration.unwrap_or(DEFAULT_LEASE).max(60);
    Some(Lease {
        address: Cidr::new(addr.into(), mask.leading_ones() as u8),
        router: addresses(OPTION_ROUTER).first().copied(),
        name_servers: addresses(OPTION_NAME_SERVERS),
        server: message.server_identifier?,
        seconds,
        until: if seconds == u32::MAX { NEVER } else { now + u64::from(seconds) * SECOND },
    })
}
