//! ioctl(2) of Internet sockets: what waits in their queues (tcp(7), udp(7)), and the interfaces (netdevice(7)).

use super::super::address;
use crate::file::put_int;
use crate::network;
use crate::task::Task;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use husk_abi::{Errno, err};
use husk_net::Interface;
use linux_raw_sys::ioctl::{FIONREAD, TIOCOUTQ};

const SIOCOUTQNSD: u32 = 0x894b;
const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCGIFBRDADDR: u32 = 0x8919;
const SIOCGIFNETMASK: u32 = 0x891b;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;

/// Bytes of `struct ifreq` and of the name in it.
const REQUEST: usize = 40;
const NAME: usize = 16;

/// What waits in a socket's queues, in bytes.
pub(super) struct Queues {
    /// To be read; `None` if the socket has nothing of the kind.
    pub(super) unread: Option<usize>,
    /// Sent and not acknowledged, and not sent.
    pub(super) unacknowledged: usize,
    /// Not sent.
    pub(super) unsent: usize,
}

/// # Errors
/// ENOTTY for an unknown command; EINVAL, ENODEV, EADDRNOTAVAIL.
pub(super) fn ioctl(task: &Task, command: u32, argument: u64, queues: &Queues) -> Result<u64, Errno> {
    match command {
        FIONREAD => put_int(task, argument, queues.unread.ok_or(Errno::EINVAL.here())? as i32),
        TIOCOUTQ => put_int(task, argument, queues.unacknowledged as i32),
        SIOCOUTQNSD => put_int(task, argument, queues.unsent as i32),
        SIOCGIFCONF => list(task, argument),
        SIOCGIFNAME | SIOCGIFFLAGS | SIOCGIFADDR | SIOCGIFBRDADDR | SIOCGIFNETMASK | SIOCGIFMTU
        | SIOCGIFHWADDR | SIOCGIFINDEX => interface(task, command, argument),
        _ => err!(ENOTTY),
    }
}

/// One interface, which `struct ifreq` names or numbers.
fn interface(task: &Task, command: u32, argument: u64) -> Result<u64, Errno> {
    let stack = network::stack().ok_or(Errno::ENODEV.here())?;
    let configuration = stack.configuration();
    let mut request = [0; REQUEST];
    task.mm().copy_in(&mut request, argument)?;
    let found = if command == SIOCGIFNAME {
        let index = u32::from_ne_bytes([request[16], request[17], request[18], request[19]]);
        configuration.interface(index)
    } else {
        let name = request[..NAME].split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(name).ok().and_then(|name| configuration.interface_named(name))
    };
    let interface = found.ok_or(Errno::ENODEV.here())?;
    let v4 = configuration.addresses_of(interface.index()).find_map(|address| match address.cidr.addr {
        IpAddr::V4(ip) => Some((ip, address.cidr)),
        IpAddr::V6(_) => None,
    });
    let v4 = || v4.ok_or(Errno::EADDRNOTAVAIL.here());
    let mut put = |bytes: &[u8]| request[NAME..NAME + bytes.len()].copy_from_slice(bytes);
    match command {
        SIOCGIFNAME => {
            request[..NAME].fill(0);
            request[..interface.name().len().min(NAME - 1)]
                .copy_from_slice(&interface.name().as_bytes()[..interface.name().len().min(NAME - 1)]);
        }
        SIOCGIFFLAGS => put(&(flags(interface) as u16).to_ne_bytes()),
        SIOCGIFADDR => put(&inet(v4()?.0)),
        SIOCGIFBRDADDR => put(&inet(v4()?.1.broadcast().unwrap_or(Ipv4Addr::UNSPECIFIED))),
        SIOCGIFNETMASK => put(&inet(mask(v4()?.1.prefix))),
        SIOCGIFMTU => put(&(interface.mtu() as i32).to_ne_bytes()),
        SIOCGIFINDEX => put(&(interface.index() as i32).to_ne_bytes()),
        _ => {
            put(&hardware_type(interface).to_ne_bytes());
            request[NAME + 2..][..6].copy_from_slice(&interface.mac());
        }
    }
    task.mm().copy_out(argument, &request)?;
    Ok(0)
}

/// SIOCGIFCONF: the IPv4 addresses.
fn list(task: &Task, argument: u64) -> Result<u64, Errno> {
    let stack = network::stack().ok_or(Errno::ENODEV.here())?;
    let configuration = stack.configuration();
    let mut header = [0; 16];
    task.mm().copy_in(&mut header, argument)?;
    let room = i32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
    let buffer = u64::from_ne_bytes(core::array::from_fn(|at| header[8 + at]));
    let mut used = 0;
    for interface in &configuration.interfaces {
        for address in configuration.addresses_of(interface.index()) {
            let IpAddr::V4(ip) = address.cidr.addr else { continue };
            let mut request = [0; REQUEST];
            let name = interface.name().as_bytes();
            request[..name.len().min(NAME - 1)].copy_from_slice(&name[..name.len().min(NAME - 1)]);
            request[NAME..NAME + 16].copy_from_slice(&inet(ip));
            if buffer != 0 {
                if used + REQUEST > room.max(0) as usize {
                    break;
                }
                task.mm().copy_out(buffer + used as u64, &request)?;
            }
            used += REQUEST;
        }
    }
    header[..4].copy_from_slice(&(used as i32).to_ne_bytes());
    task.mm().copy_out(argument, &header)?;
    Ok(0)
}

fn inet(ip: Ipv4Addr) -> [u8; 16] {
    let bytes = address::encode(SocketAddr::new(IpAddr::V4(ip), 0));
    core::array::from_fn(|at| bytes[at])
}

fn mask(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
}

/// IFF_… of an interface (netdevice(7)).
pub(crate) fn flags(interface: &Interface) -> u32 {
    const UP: u32 = 0x1;
    const BROADCAST: u32 = 0x2;
    const LOOPBACK: u32 = 0x8;
    const RUNNING: u32 = 0x40;
    const MULTICAST: u32 = 0x1000;
    let mut flags = if interface.is_loopback() { LOOPBACK } else { BROADCAST | MULTICAST };
    if interface.is_up() {
        flags |= UP;
    }
    if interface.is_running() {
        flags |= RUNNING;
    }
    flags
}

/// ARPHRD_… of an interface.
pub(crate) fn hardware_type(interface: &Interface) -> u16 {
    const ETHER: u16 = 1;
    const LOOPBACK: u16 = 772;
    if interface.is_loopback() { LOOPBACK } else { ETHER }
}
