//! getsockopt(2) and setsockopt(2) of UDP sockets, and their ancillary data (socket(7), ip(7), ipv6(7), udp(7)).

use super::super::Control;
use super::super::options::{SOL_SOCKET, int, number, so};
use super::ip_options::{self, IPPROTO_IP, IPPROTO_IPV6, int_or_byte};
use super::tcp_options::{WMEM_MAX, buffer_size};
use super::udp::UdpFile;
use crate::network;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, Ordering};
use husk_abi::{Errno, err};
use husk_net::udp::{Datagram, SendControl};
use husk_net::{Family, UdpSocket};

const IP_PKTINFO: u32 = 8;
const IP_MTU_DISCOVER: u32 = 10;
const IP_RECVERR: u32 = 11;
const IP_RECVTTL: u32 = 12;
const IP_RECVTOS: u32 = 13;
const IP_MULTICAST_IF: u32 = 32;
const IP_MULTICAST_TTL: u32 = 33;
const IP_MULTICAST_LOOP: u32 = 34;
const IP_ADD_MEMBERSHIP: u32 = 35;
const IP_DROP_MEMBERSHIP: u32 = 36;
const IP_MULTICAST_ALL: u32 = 49;
const IPV6_MULTICAST_IF: u32 = 17;
const IPV6_MULTICAST_HOPS: u32 = 18;
const IPV6_MULTICAST_LOOP: u32 = 19;
const IPV6_ADD_MEMBERSHIP: u32 = 20;
const IPV6_DROP_MEMBERSHIP: u32 = 21;
const IPV6_MTU_DISCOVER: u32 = 23;
const IPV6_RECVERR: u32 = 25;
const IPV6_RECVPKTINFO: u32 = 49;
const IPV6_RECVHOPLIMIT: u32 = 51;
const IPV6_RECVTCLASS: u32 = 66;
/// The types of ancillary data where they differ from the option that asks for it.
const IP_TOS: i32 = 1;
const IP_TTL: i32 = 2;
const IPV6_PKTINFO: i32 = 50;
const IPV6_HOPLIMIT: i32 = 52;
const IPV6_TCLASS: i32 = 67;
/// IP_PMTUDISC_WANT, and from which value on datagrams are never cut: DO and PROBE.
const PMTUDISC_WANT: i32 = 1;
const PMTUDISC_DO: i32 = 2;
const PMTUDISC_PROBE: i32 = 3;

/// Which ancillary data recvmsg(2) gives.
#[derive(Default)]
pub(super) struct Told {
    packet_info: AtomicBool,
    packet_info6: AtomicBool,
    ttl: AtomicBool,
    hop_limit: AtomicBool,
    tos: AtomicBool,
    class: AtomicBool,
}

impl Told {
    /// That of one datagram.
    pub(super) fn control(&self, family: Family, datagram: &Datagram) -> Vec<Control> {
        let mut all = Vec::new();
        let mut add =
            |level: u32, kind: i32, data: Vec<u8>| all.push(Control { level: level as i32, kind, data });
        let index = datagram.interface.to_ne_bytes();
        if let IpAddr::V4(to) = datagram.to {
            if Self::wants(&self.packet_info) {
                add(IPPROTO_IP, IP_PKTINFO as i32, [index, to.octets(), to.octets()].concat());
            }
            if Self::wants(&self.ttl) {
                add(IPPROTO_IP, IP_TTL, number(datagram.ttl.into()));
            }
            if Self::wants(&self.tos) {
                add(IPPROTO_IP, IP_TOS, Vec::from([datagram.tos]));
            }
        }
        if family == Family::V6 {
            let to = match datagram.to {
                IpAddr::V4(to) => to.to_ipv6_mapped(),
                IpAddr::V6(to) => to,
            };
            if Self::wants(&self.packet_info6) {
                add(IPPROTO_IPV6, IPV6_PKTINFO, [to.octets().as_slice(), &index].concat());
            }
            if datagram.to.is_ipv6() {
                if Self::wants(&self.hop_limit) {
                    add(IPPROTO_IPV6, IPV6_HOPLIMIT, number(datagram.ttl.into()));
                }
                if Self::wants(&self.class) {
                    add(IPPROTO_IPV6, IPV6_TCLASS, number(datagram.tos.into()));
                }
            }
        }
        all
    }

    fn wants(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    fn flag(&self, level: u32, option: u32) -> Option<&AtomicBool> {
        Some(match (level, option) {
            (IPPROTO_IP, IP_PKTINFO) => &self.packet_info,
            (IPPROTO_IP, IP_RECVTTL) => &self.ttl,
            (IPPROTO_IP, IP_RECVTOS) => &self.tos,
            (IPPROTO_IPV6, IPV6_RECVPKTINFO) => &self.packet_info6,
            (IPPROTO_IPV6, IPV6_RECVHOPLIMIT) => &self.hop_limit,
            (IPPROTO_IPV6, IPV6_RECVTCLASS) => &self.class,
            _ => return None,
        })
    }
}

/// What ancillary data says about a datagram to be sent.
///
/// # Errors
/// EINVAL for what is malformed or unknown.
pub(super) fn send_control(control: &[Control]) -> Result<SendControl, Errno> {
    let mut result = SendControl::default();
    for Control { level, kind, data } in control {
        match (*level as u32, *kind) {
            (IPPROTO_IP, kind) if kind == IP_PKTINFO as i32 => {
                let Some([a, b, c, d, e, f, g, h]) = data.first_chunk() else { return err!(EINVAL) };
                let index = u32::from_ne_bytes([*a, *b, *c, *d]);
                result.interface = (index != 0).then_some(index);
                let source = Ipv4Addr::new(*e, *f, *g, *h);
                result.source = (!source.is_unspecified()).then_some(IpAddr::V4(source));
            }
            (IPPROTO_IP, IP_TTL) => {
                result.ttl =
                    Some(u8::try_from(int(data)?).ok().filter(|ttl| *ttl != 0).ok_or(Errno::EINVAL.here())?);
            }
            (IPPROTO_IP, IP_TOS) => result.tos = Some(int_or_byte(data)? as u8),
            (IPPROTO_IPV6, IPV6_PKTINFO) => {
                if data.len() < 20 {
                    return err!(EINVAL);
                }
                let source = Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(|at| data[at]));
                let index = u32::from_ne_bytes([data[16], data[17], data[18], data[19]]);
                result.interface = (index != 0).then_some(index);
                result.source = (!source.is_unspecified()).then_some(IpAddr::V6(source).to_canonical());
            }
            (IPPROTO_IPV6, IPV6_HOPLIMIT) => {
                result.ttl = match int(data)? {
                    -1 => None,
                    hops => Some(u8::try_from(hops).map_err(|_| Errno::EINVAL.here())?),
                }
            }
            (IPPROTO_IPV6, IPV6_TCLASS) => {
                result.tos = match int(data)? {
                    -1 => None,
                    class => Some(u8::try_from(class).map_err(|_| Errno::EINVAL.here())?),
                }
            }
            _ => return err!(EINVAL),
        }
    }
    Ok(result)
}

/// SO_SNDBUF and SO_RCVBUF as getsockopt(2) shows them.
pub(super) fn buffer_sizes(socket: &UdpSocket) -> [usize; 2] {
    let options = socket.options();
    let settings = network::stack().map(|stack| &stack.settings);
    [
        options.send_buffer.unwrap_or(WMEM_MAX),
        options.receive_buffer.or_else(|| Some(settings?.rmem_default.load(Ordering::Relaxed))).unwrap_or(0),
    ]
}

/// # Errors
/// ENOPROTOOPT; EOPNOTSUPP for a level that UDP sockets do not have.
pub(super) fn get(file: &UdpFile, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
    let options = file.socket.options();
    let flag = |is_set: bool| Ok(number(is_set.into()));
    if let Some(told) = file.told.flag(level, option) {
        return flag(Told::wants(told));
    }
    match (level, option) {
        (SOL_SOCKET, so::REUSEADDR) => flag(options.reuse_addr),
        (SOL_SOCKET, so::REUSEPORT) => flag(options.reuse_port),
        (SOL_SOCKET, so::BROADCAST) => flag(options.broadcast),
        (SOL_SOCKET, so::KEEPALIVE) => flag(false),
        (SOL_SOCKET, so::RCVLOWAT | so::SNDLOWAT) => Ok(number(1)),
        (SOL_SOCKET, _) => err!(ENOPROTOOPT),
        (IPPROTO_IP, IP_MTU_DISCOVER) | (IPPROTO_IPV6, IPV6_MTU_DISCOVER) => {
            Ok(number(if options.no_fragments { PMTUDISC_DO } else { PMTUDISC_WANT }))
        }
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => flag(options.receive_errors),
        (IPPROTO_IP, IP_MULTICAST_TTL) | (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) => {
            Ok(number(options.multicast_ttl.into()))
        }
        (IPPROTO_IP, IP_MULTICAST_LOOP) | (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => flag(options.multicast_loop),
        (IPPROTO_IP, IP_MULTICAST_ALL) => flag(options.multicast_all),
        (IPPROTO_IP, IP_MULTICAST_IF) => Ok(Vec::from(match options.multicast_source {
            Some(IpAddr::V4(source)) => source.octets(),
            _ => [0; 4],
        })),
        (IPPROTO_IPV6, IPV6_MULTICAST_IF) => Ok(number(options.multicast_interface.unwrap_or(0) as i32)),
        (IPPROTO_IP | IPPROTO_IPV6, _) => {
            let ip = ip_options::Ip { ttl: options.ttl, tos: options.tos, v6_only: options.v6_only };
            ip.get(file.socket.family(), level, option)
        }
        _ => err!(EOPNOTSUPP),
    }
}

/// # Errors
/// ENOPROTOOPT, EOPNOTSUPP; EINVAL for a bad value; those of joining and leaving a group.
pub(super) fn set(file: &UdpFile, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
    let socket = &file.socket;
    if let Some(told) = file.told.flag(level, option) {
        if level == IPPROTO_IPV6 && socket.family() == Family::V4 {
            return err!(EOPNOTSUPP);
        }
        told.store(int_or_byte(value)? != 0, Ordering::Relaxed);
        return Ok(());
    }
    match (level, option) {
        (SOL_SOCKET, so::REUSEADDR | so::REUSEPORT | so::BROADCAST | so::SNDBUF | so::RCVBUF) => {
            let given = int(value)?;
            socket.set_options(|options| match option {
                so::REUSEADDR => options.reuse_addr = given != 0,
                so::REUSEPORT => options.reuse_port = given != 0,
                so::BROADCAST => options.broadcast = given != 0,
                so::SNDBUF => options.send_buffer = Some(buffer_size(0, given)),
                _ => options.receive_buffer = Some(buffer_size(1, given)),
            });
        }
        (SOL_SOCKET, _) => return err!(ENOPROTOOPT),
        (IPPROTO_IP, IP_MTU_DISCOVER) | (IPPROTO_IPV6, IPV6_MTU_DISCOVER) => match int_or_byte(value)? {
            mode @ (PMTUDISC_DO | PMTUDISC_PROBE) | mode @ (0 | PMTUDISC_WANT) => {
                socket.set_options(|options| options.no_fragments = mode >= PMTUDISC_DO);
            }
            _ => return err!(EINVAL),
        },
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => {
            let is_set = int_or_byte(value)? != 0;
            socket.set_options(|options| options.receive_errors = is_set);
        }
        (IPPROTO_IP, IP_MULTICAST_TTL) | (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) => {
            let ttl = match int_or_byte(value)? {
                -1 => 1,
                ttl @ 0..=255 => ttl as u8,
                _ => return err!(EINVAL),
            };
            socket.set_options(|options| options.multicast_ttl = ttl);
        }
        (IPPROTO_IP, IP_MULTICAST_LOOP) | (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => {
            let is_set = int_or_byte(value)? != 0;
            socket.set_options(|options| options.multicast_loop = is_set);
        }
        (IPPROTO_IP, IP_MULTICAST_ALL) => {
            let is_set = int_or_byte(value)? != 0;
            socket.set_options(|options| options.multicast_all = is_set);
        }
        (IPPROTO_IP, IP_MULTICAST_IF) => set_multicast_interface(socket, value)?,
        (IPPROTO_IPV6, IPV6_MULTICAST_IF) => {
            let index = interface_of(int(value)? as u32)?;
            socket.set_options(|options| options.multicast_interface = index);
        }
        (IPPROTO_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP) => {
            let (group, interface) = membership(value)?;
            return join_or_leave(socket, option == IP_ADD_MEMBERSHIP, group, interface);
        }
        (IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP) => {
            if value.len() < 20 {
                return err!(EINVAL);
            }
            let group = IpAddr::V6(Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(|at| value[at])));
            let index = u32::from_ne_bytes([value[16], value[17], value[18], value[19]]);
            return join_or_leave(socket, option == IPV6_ADD_MEMBERSHIP, group, interface_of(index)?);
        }
        (IPPROTO_IP | IPPROTO_IPV6, _) => {
            let options = socket.options();
            let mut ip = ip_options::Ip { ttl: options.ttl, tos: options.tos, v6_only: options.v6_only };
            ip.set(socket.family(), level, option, value, socket.local_addr().port() != 0)?;
            socket.set_options(|options| {
                (options.ttl, options.tos, options.v6_only) = (ip.ttl, ip.tos, ip.v6_only);
            });
        }
        _ => return err!(EOPNOTSUPP),
    }
    Ok(())
}

fn join_or_leave(socket: &UdpSocket, join: bool, group: IpAddr, interface: Option<u32>) -> Result<(), Errno> {
    if join { socket.join(group, interface) } else { socket.leave(group, interface) }
}

/// `struct ip_mreq` or `struct ip_mreqn`: the group, an address of the interface, its index.
fn membership(value: &[u8]) -> Result<(IpAddr, Option<u32>), Errno> {
    let Some([a, b, c, d, e, f, g, h]) = value.first_chunk() else { return err!(EINVAL) };
    let (group, addr) = (Ipv4Addr::new(*a, *b, *c, *d), Ipv4Addr::new(*e, *f, *g, *h));
    let index = value.get(8..12).map_or(0, |word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    let interface = if index != 0 { interface_of(index)? } else { interface_with(addr)? };
    Ok((IpAddr::V4(group), interface))
}

fn set_multicast_interface(socket: &UdpSocket, value: &[u8]) -> Result<(), Errno> {
    let (source, interface) = if value.len() >= 8 {
        let (_, interface) = membership(value)?;
        let source = Ipv4Addr::new(value[4], value[5], value[6], value[7]);
        (source, interface)
    } else {
        let Some([a, b, c, d]) = value.first_chunk() else { return err!(EINVAL) };
        let source = Ipv4Addr::new(*a, *b, *c, *d);
        let interface = interface_with(source).map_err(|_| Errno::EADDRNOTAVAIL.here())?;
        (source, interface)
    };
    socket.set_options(|options| {
        options.multicast_interface = interface;
        options.multicast_source = (!source.is_unspecified()).then_some(IpAddr::V4(source));
    });
    Ok(())
}

/// The interface with an index; none for 0.
fn interface_of(index: u32) -> Result<Option<u32>, Errno> {
    if index == 0 {
        return Ok(None);
    }
    let stack = network::stack().ok_or(Errno::ENODEV.here())?;
    stack.configuration().interface(index).map(|_| Some(index)).ok_or(Errno::ENODEV.here())
}

/// The interface with an address; none for the wildcard.
fn interface_with(addr: Ipv4Addr) -> Result<Option<u32>, Errno> {
    if addr.is_unspecified() {
        return Ok(None);
    }
    let stack = network::stack().ok_or(Errno::ENODEV.here())?;
    let configuration = stack.configuration();
    let found = configuration.addresses.iter().find(|address| address.cidr.addr == IpAddr::V4(addr));
    found.map(|address| Some(address.interface)).ok_or(Errno::ENODEV.here())
}
