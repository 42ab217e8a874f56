//! Sending datagrams.

use super::HEADER;
use super::datagram::SendControl;
use super::socket::{Inner, UdpSocket};
use crate::Result;
use crate::addr::{Endpoint, Family, Nanos, canonical};
use crate::interface::{InterfaceIndex, MAX_PACKET};
use crate::ip;
use crate::output::Output;
use crate::ports::{Claim, fits};
use crate::route::Path;
use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use husk_abi::err;

impl UdpSocket {
    /// A destination as the stack has it; unspecified means this machine.
    pub(super) fn destination(&self, addr: &SocketAddr) -> Result<Endpoint> {
        let to = canonical(addr.ip());
        if !fits(self.family, to) {
            return err!(EAFNOSUPPORT);
        }
        let to = match to {
            IpAddr::V4(to) if to.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(to) if to.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            to => to,
        };
        Ok(Endpoint::new(to, addr.port()))
    }

    pub(super) fn path_to(
        &self,
        inner: &Inner,
        to: IpAddr,
        control: &SendControl,
        scope: Option<InterfaceIndex>,
    ) -> Result<Path> {
        let multicast = to.is_multicast();
        let device = control
            .interface
            .or(inner.options.device)
            .or(scope)
            .or_else(|| inner.options.multicast_interface.filter(|_| multicast));
        let bound = inner.bound_addr.filter(|addr| !addr.is_unspecified() && !addr.is_multicast());
        let bound = bound.filter(|addr| self.stack.is_local(*addr));
        let source =
            control.source.or_else(|| inner.options.multicast_source.filter(|_| multicast)).or(bound);
        if source.is_some_and(|source| source.is_ipv4() != to.is_ipv4()) {
            return err!(ENETUNREACH);
        }
        if let Some(source) = control.source
            && !self.stack.is_local(source)
        {
            return err!(EINVAL);
        }
        self.stack.path(to, device, source)
    }

    /// Sends a datagram of `len` bytes to `to`, or to the peer. `fill` is called with the packet's buffer and fills all of it; no
    /// lock is held then.
    ///
    /// # Errors
    /// EDESTADDRREQ without a destination; EMSGSIZE if it is too large; EPIPE after shutdown; EACCES for broadcast without
    /// SO_BROADCAST; EINVAL for port 0; ENETUNREACH and the like without a route; EAGAIN without a free port; the pending error; what
    /// `fill` says.
    pub fn send(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        control: &SendControl,
        now: Nanos,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let (path, local, remote, info, flags) = self.prepare(len, to, control)?;
        let from = Endpoint::new(path.source, local);
        let mut packet = ip::packet(from.addr, remote.addr, HEADER + len, 0, &info);
        let at = ip::header_len(remote.addr);
        let bytes = &mut packet.bytes_mut()[at..];
        let filled = fill(&mut bytes[HEADER..])?;
        if filled < len {
            return err!(EFAULT);
        }
        bytes[0..2].copy_from_slice(&from.port.to_be_bytes());
        bytes[2..4].copy_from_slice(&remote.port.to_be_bytes());
        bytes[4..6].copy_from_slice(&((HEADER + len) as u16).to_be_bytes());
        let too_big = packet.len() > path.interface.packet_limit();
        if too_big && flags.no_fragments {
            return err!(EMSGSIZE);
        }
        let mut out = Output::default();
        if flags.loop_back {
            let mut copy = ip::packet(from.addr, remote.addr, 0, HEADER + len, &info);
            ip::write_header(copy.bytes_mut(), from.addr, remote.addr, HEADER + len, &info);
            copy.tail().extend_from_slice(&packet.bytes()[at..]);
            out.local.push((copy, Arc::clone(&path.interface)));
        }
        ip::finish_udp(&mut packet, &path, from.addr, remote.addr, too_big);
        out.send(packet, &path);
        self.stack.snmp.datagram_sent();
        self.stack.finish(out, now);
        Ok(len)
    }

    fn prepare(
        &self,
        len: usize,
        to: Option<SocketAddr>,
        control: &SendControl,
    ) -> Result<(Path, u16, Endpoint, ip::Header, SendFlags)> {
        let mut inner = self.inner.lock();
        if let Some(error) = inner.error.take() {
            return Err(error);
        }
        if inner.write_shut {
            return err!(EPIPE);
        }
        let remote = match (&to, inner.peer) {
            (Some(to), _) => self.destination(to)?,
            (None, Some(peer)) => peer,
            (None, None) => return err!(EDESTADDRREQ),
        };
        if remote.port == 0 {
            return err!(EINVAL);
        }
        if inner.options.v6_only && remote.addr.is_ipv4() && self.family == Family::V6 {
            return err!(ENETUNREACH);
        }
        if len > MAX_PACKET - HEADER - ip::header_len(remote.addr) {
            return err!(EMSGSIZE);
        }
        let cached = inner.path.as_ref().filter(|path| {
            to.is_none() && *control == SendControl::default() && path.generation == self.stack.generation()
        });
        let path = match cached.cloned() {
            Some(path) => path,
            None => {
                let path =
                    self.path_to(&inner, remote.addr, control, to.as_ref().and_then(crate::tcp::scope_of))?;
                if to.is_none() && *control == SendControl::default() {
                    inner.path = Some(path.clone());
                }
                path
            }
        };
        let multicast = remote.addr.is_multicast();
        let broadcast = remote.addr.is_ipv4() && !multicast && self.stack.is_broadcast(remote.addr);
        if broadcast && !inner.options.broadcast {
            return err!(EACCES);
        }
        self.bind_any(&mut inner)?;
        let options = &inner.options;
        let usual = if multicast { Some(options.multicast_ttl) } else { options.ttl };
        let info = ip::Header {
            protocol: ip::UDP,
            ttl: control.ttl.or(usual).unwrap_or(self.stack.settings.ttl() as u8),
            tos: control.tos.unwrap_or(options.tos),
            flow: 0,
        };
        let group = multicast && options.multicast_loop && !path.interface.is_loopback();
        let flags = SendFlags {
            no_fragments: options.no_fragments,
            loop_back: group || (broadcast && !path.interface.is_loopback()),
        };
        let local = inner.claim.as_ref().map_or(0, Claim::port);
        Ok((path, local, remote, info, flags))
    }
}

struct SendFlags {
    no_fragments: bool,
    /// The sender's own interface receives it too.
    loop_back: bool,
}
