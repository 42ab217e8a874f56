//! Options of the levels IPPROTO_IP and IPPROTO_IPV6 that all Internet sockets have (ip(7), ipv6(7)).

use super::super::options::{int, number};
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use husk_net::Family;

pub(super) const IPPROTO_IP: u32 = 0;
pub(super) const IPPROTO_IPV6: u32 = 41;

const IP_TOS: u32 = 1;
const IP_TTL: u32 = 2;
const IPV6_UNICAST_HOPS: u32 = 16;
const IPV6_V6ONLY: u32 = 26;
const IPV6_TCLASS: u32 = 67;
/// net.ipv4.ip_default_ttl and its like for IPv6.
const DEFAULT_TTL: u8 = 64;

/// The options' values.
pub(super) struct Ip {
    pub(super) ttl: Option<u8>,
    pub(super) tos: u8,
    pub(super) v6_only: bool,
}

impl Ip {
    /// # Errors
    /// ENOPROTOOPT; EOPNOTSUPP for IPv6's options of an AF_INET socket.
    pub(super) fn get(&self, family: Family, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
        check_level(family, level)?;
        match (level, option) {
            (IPPROTO_IP, IP_TOS) | (IPPROTO_IPV6, IPV6_TCLASS) => Ok(number(self.tos.into())),
            (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => {
                Ok(number(self.ttl.unwrap_or(DEFAULT_TTL).into()))
            }
            (IPPROTO_IPV6, IPV6_V6ONLY) => Ok(number(self.v6_only.into())),
            _ => err!(ENOPROTOOPT),
        }
    }

    /// # Errors
    /// As [`get`](Self::get); EINVAL for a bad value, or IPV6_V6ONLY of a bound socket.
    pub(super) fn set(
        &mut self,
        family: Family,
        level: u32,
        option: u32,
        value: &[u8],
        is_bound: bool,
    ) -> Result<(), Errno> {
        check_level(family, level)?;
        match (level, option) {
            (IPPROTO_IP, IP_TOS) => self.tos = int_or_byte(value)? as u8,
            (IPPROTO_IP, IP_TTL) => {
                self.ttl = match int_or_byte(value)? {
                    -1 => None,
                    ttl @ 1..=255 => Some(ttl as u8),
                    _ => return err!(EINVAL),
                }
            }
            (IPPROTO_IPV6, IPV6_TCLASS) => {
                self.tos = match int(value)? {
                    -1 => 0,
                    class @ 0..=255 => class as u8,
                    _ => return err!(EINVAL),
                }
            }
            (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => {
                self.ttl = match int(value)? {
                    -1 => None,
                    hops @ 0..=255 => Some(hops as u8),
                    _ => return err!(EINVAL),
                }
            }
            (IPPROTO_IPV6, IPV6_V6ONLY) => {
                let given = int(value)?;
                if is_bound {
                    return err!(EINVAL);
                }
                self.v6_only = given != 0;
            }
            _ => return err!(ENOPROTOOPT),
        }
        Ok(())
    }
}

/// IPv4's options take a byte, too.
///
/// # Errors
/// EINVAL for nothing at all.
pub(super) fn int_or_byte(value: &[u8]) -> Result<i32, Errno> {
    match value {
        [] => err!(EINVAL),
        [byte] | [byte, _] | [byte, _, _] => Ok((*byte).into()),
        _ => int(value),
    }
}

fn check_level(family: Family, level: u32) -> Result<(), Errno> {
    if level == IPPROTO_IPV6 && family == Family::V4 { err!(EOPNOTSUPP) } else { Ok(()) }
}
