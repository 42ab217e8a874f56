//! Groups that a socket belongs to.

use super::socket::UdpSocket;
use crate::Result;
use crate::interface::InterfaceIndex;
use core::net::IpAddr;
use husk_abi::err;

/// Groups that one socket may join (net.ipv4.igmp_max_memberships is 20, IPv6 has no limit of its own).
const MAX_GROUPS: usize = 64;

impl UdpSocket {
    /// IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP. Without an interface, the one by which the group is routed.
    ///
    /// # Errors
    /// EINVAL if it is no group; ENODEV without such an interface; EADDRINUSE if it has joined already; ENOBUFS for too many.
    pub fn join(&self, group: IpAddr, interface: Option<InterfaceIndex>) -> Result<()> {
        let mut inner = self.inner.lock();
        let index = self.group_interface(group, interface)?;
        if inner.groups.contains(&(group, index)) {
            return err!(EADDRINUSE);
        }
        if inner.groups.len() >= MAX_GROUPS {
            return err!(ENOBUFS);
        }
        inner.groups.push((group, index));
        self.stack.udp.join(group, index);
        Ok(())
    }

    /// IP_DROP_MEMBERSHIP, IPV6_DROP_MEMBERSHIP.
    ///
    /// # Errors
    /// EADDRNOTAVAIL if it has not joined; EINVAL, ENODEV as [`join`](Self::join).
    pub fn leave(&self, group: IpAddr, interface: Option<InterfaceIndex>) -> Result<()> {
        let mut inner = self.inner.lock();
        let found = inner
            .groups
            .iter()
            .position(|joined| joined.0 == group && interface.is_none_or(|interface| interface == joined.1));
        let Some(at) = found else {
            self.group_interface(group, interface)?;
            return err!(EADDRNOTAVAIL);
        };
        let (group, index) = inner.groups.swap_remove(at);
        self.stack.udp.leave(group, index);
        Ok(())
    }

    fn group_interface(&self, group: IpAddr, interface: Option<InterfaceIndex>) -> Result<InterfaceIndex> {
        if !group.is_multicast() {
            return err!(EINVAL);
        }
        let configuration = self.stack.configuration();
        match interface {
            Some(index) => match configuration.interface(index) {
                Some(_) => Ok(index),
                None => err!(ENODEV),
            },
            None => match configuration.path(group, None, Some(group)) {
                Ok(path) => Ok(path.interface.index()),
                Err(_) => err!(ENODEV),
            },
        }
    }

    /// Whether it takes datagrams to a group. `member` says that some socket has joined on the interface.
    pub(crate) fn wants_group(&self, group: IpAddr, interface: InterfaceIndex, member: bool) -> bool {
        let inner = self.inner.lock();
        inner.groups.contains(&(group, interface)) || (member && inner.options.multicast_all)
    }
}
