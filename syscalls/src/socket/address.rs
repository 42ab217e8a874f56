//! `struct sockaddr_in` and `sockaddr_in6` as bytes (ip(7), ipv6(7)), and addresses to and from a program's memory.

use super::family;
use crate::args::UserPtr;
use crate::credentials::Capability;
use crate::task::Task;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use husk_abi::{Errno, err};

/// Size of `struct sockaddr_storage`: no address is longer.
const STORAGE: usize = 128;
/// Size of `struct sockaddr_in`.
const INET_LEN: usize = 16;
/// Least length of `struct sockaddr_in6`: without the scope (RFC 2133).
const INET6_LEAST: usize = 24;

/// Reads an address given to a call.
///
/// # Errors
/// EINVAL for an impossible length, EFAULT.
pub(super) fn read(task: &Task, addr: u64, len: i32) -> Result<Vec<u8>, Errno> {
    let len = usize::try_from(len).ok().filter(|len| *len <= STORAGE).ok_or(Errno::EINVAL.here())?;
    let mut bytes = vec![0; len];
    task.mm().copy_in(&mut bytes, addr)?;
    Ok(bytes)
}

/// Writes an address, cut off at the length that `len` points at, and its full length there.
///
/// # Errors
/// EINVAL for a negative length, EFAULT.
pub(super) fn write(task: &Task, address: &[u8], addr: u64, len: UserPtr<i32>) -> Result<(), Errno> {
    let room = usize::try_from(len.read(task.mm())?).map_err(|_| Errno::EINVAL.here())?;
    task.mm().copy_out(addr, &address[..room.min(address.len())])?;
    len.write(task.mm(), &(address.len() as i32))
}

/// The family of an address.
///
/// # Errors
/// EINVAL if it is too short to have one.
pub(super) fn family_of(address: &[u8]) -> Result<u16, Errno> {
    address.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes)).ok_or(Errno::EINVAL.here())
}

/// An Internet address for a socket of this family (AF_INET or AF_INET6).
///
/// # Errors
/// EINVAL if it is too short; EAFNOSUPPORT if it is of another family.
pub(super) fn decode(domain: u16, address: &[u8]) -> Result<SocketAddr, Errno> {
    let least = if domain == family::INET6 { INET6_LEAST } else { INET_LEN };
    if address.len() < least {
        return err!(EINVAL);
    }
    if family_of(address)? != domain {
        return err!(EAFNOSUPPORT);
    }
    let port = u16::from_be_bytes([address[2], address[3]]);
    Ok(if domain == family::INET {
        let octets = [address[4], address[5], address[6], address[7]];
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(octets), port))
    } else {
        let octets: [u8; 16] = core::array::from_fn(|at| address[8 + at]);
        let flow = u32::from_be_bytes([address[4], address[5], address[6], address[7]]);
        let scope =
            address.get(24..28).map_or(0, |word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, flow, scope))
    })
}

/// An Internet address to bind(2) to: AF_INET sockets take AF_UNSPEC for the wildcard, as old programs leave the family out.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_to_bind(domain: u16, address: &[u8]) -> Result<SocketAddr, Errno> {
    let is_unspecified = domain == family::INET
        && address.len() >= INET_LEN
        && family_of(address)? == family::UNSPEC
        && address[4..8] == [0; 4];
    if is_unspecified {
        let port = u16::from_be_bytes([address[2], address[3]]);
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    decode(domain, address)
}

/// Ports below 1024 are for who has CAP_NET_BIND_SERVICE (net.ipv4.ip_unprivileged_port_start).
///
/// # Errors
/// EACCES.
pub(super) fn check_port(task: &Task, port: u16) -> Result<(), Errno> {
    const UNPRIVILEGED: u16 = 1024;
    let allowed = || task.credentials().has(Capability::NET_BIND_SERVICE);
    if port != 0 && port < UNPRIVILEGED && !allowed() { err!(EACCES) } else { Ok(()) }
}

/// An Internet address as a program sees it.
pub(super) fn encode(address: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match address {
        SocketAddr::V4(address) => {
            bytes.extend_from_slice(&family::INET.to_ne_bytes());
            bytes.extend_from_slice(&address.port().to_be_bytes());
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(address) => {
            bytes.extend_from_slice(&family::INET6.to_ne_bytes());
            bytes.extend_from_slice(&address.port().to_be_bytes());
            bytes.extend_from_slice(&address.flowinfo().to_be_bytes());
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&address.scope_id().to_ne_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        for text in ["127.0.0.1:80", "[::1]:443", "[fe80::1%7]:1", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            let bytes = encode(address);
            let domain = family_of(&bytes).unwrap();
            assert_eq!(decode(domain, &bytes), Ok(address));
            assert_eq!(decode(domain, &bytes[..bytes.len().min(15)]), Err(Errno::EINVAL));
        }
        let v4 = encode("1.2.3.4:5".parse().unwrap());
        assert_eq!(v4, [2, 0, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(family::INET6, &[v4.as_slice(), &[0; 12]].concat()), Err(Errno::EAFNOSUPPORT));
    }
}
