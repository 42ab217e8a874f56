//! getsockopt(2) and setsockopt(2): the options that all sockets have; the others are asked of the socket.

use super::calls::{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use super::common::Direction;
use super::{Kind, Open};
use crate::args::{Fd, UserPtr};
use crate::task::Task;
use alloc::vec;
use alloc::vec::Vec;
use husk_abi::{Errno, err};
use zerocopy::IntoBytes;

pub(super) const SOL_SOCKET: u32 = 1;

/// Options of the level SOL_SOCKET.
pub(super) mod so {
    pub(crate) const REUSEADDR: u32 = 2;
    pub(crate) const TYPE: u32 = 3;
    pub(crate) const ERROR: u32 = 4;
    pub(crate) const BROADCAST: u32 = 6;
    pub(crate) const SNDBUF: u32 = 7;
    pub(crate) const RCVBUF: u32 = 8;
    pub(crate) const KEEPALIVE: u32 = 9;
    pub(crate) const LINGER: u32 = 13;
    pub(crate) const REUSEPORT: u32 = 15;
    pub(crate) const PEERCRED: u32 = 17;
    pub(crate) const RCVLOWAT: u32 = 18;
    pub(crate) const SNDLOWAT: u32 = 19;
    pub(crate) const RCVTIMEO: u32 = 20;
    pub(crate) const SNDTIMEO: u32 = 21;
    pub(crate) const ACCEPTCONN: u32 = 30;
    pub(crate) const PROTOCOL: u32 = 38;
    pub(crate) const DOMAIN: u32 = 39;
}

/// Longest value of an option that is looked at.
const VALUE_MAX: i32 = 4096;

/// getsockopt(2).
pub(crate) fn getsockopt(
    task: &Task,
    fd: Fd,
    level: u32,
    option: u32,
    value: u64,
    len: UserPtr<i32>,
) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    let socket = open.socket();
    let common = socket.common();
    let room = usize::try_from(len.read(task.mm())?).map_err(|_| Errno::EINVAL.here())?;
    let time = |direction| {
        let nanos = common.timeout(direction);
        let parts = [(nanos / 1_000_000_000) as i64, (nanos % 1_000_000_000 / 1000) as i64];
        Vec::from(parts.as_bytes())
    };
    let bytes = match (level, option) {
        (SOL_SOCKET, so::TYPE) => number(match common.kind {
            Kind::Stream => SOCK_STREAM,
            Kind::Datagram => SOCK_DGRAM,
            Kind::SeqPacket => SOCK_SEQPACKET,
        } as i32),
        (SOL_SOCKET, so::ERROR) => number(socket.take_error()),
        (SOL_SOCKET, so::SNDBUF) => number(socket.buffer_sizes()[0] as i32),
        (SOL_SOCKET, so::RCVBUF) => number(socket.buffer_sizes()[1] as i32),
        (SOL_SOCKET, so::RCVTIMEO) => time(Direction::Receive),
        (SOL_SOCKET, so::SNDTIMEO) => time(Direction::Send),
        (SOL_SOCKET, so::ACCEPTCONN) => number(socket.is_listening().into()),
        (SOL_SOCKET, so::PROTOCOL) => number(common.protocol as i32),
        (SOL_SOCKET, so::DOMAIN) => number(common.domain.into()),
        _ => socket.option(level, option)?,
    };
    let count = bytes.len().min(room);
    task.mm().copy_out(value, &bytes[..count])?;
    len.write(task.mm(), &(count as i32))
}

/// setsockopt(2).
pub(crate) fn setsockopt(
    task: &Task,
    fd: Fd,
    level: u32,
    option: u32,
    value: u64,
    len: i32,
) -> Result<(), Errno> {
    let open = Open::get(task, fd)?;
    let socket = open.socket();
    if len < 0 {
        return err!(EINVAL);
    }
    let mut bytes = vec![0; len.min(VALUE_MAX) as usize];
    task.mm().copy_in(&mut bytes, value)?;
    let direction = match (level, option) {
        (SOL_SOCKET, so::RCVTIMEO) => Direction::Receive,
        (SOL_SOCKET, so::SNDTIMEO) => Direction::Send,
        (SOL_SOCKET, so::TYPE | so::ERROR | so::ACCEPTCONN | so::PROTOCOL | so::DOMAIN) => {
            return err!(ENOPROTOOPT);
        }
        _ => return socket.set_option(task, level, option, &bytes),
    };
    let Some(timeval) = bytes.first_chunk::<16>() else { return err!(EINVAL) };
    let (seconds, micros) = (i64::from_ne_bytes(*half(timeval, 0)), i64::from_ne_bytes(*half(timeval, 8)));
    if !(0..1_000_000).contains(&micros) {
        return err!(EDOM);
    }
    // A negative time is none to wait at all.
    let nanos = match u64::try_from(seconds) {
        Ok(seconds) => seconds.saturating_mul(1_000_000_000).saturating_add(micros as u64 * 1000),
        Err(_) => 1,
    };
    socket.common().set_timeout(direction, nanos);
    Ok(())
}

fn half(bytes: &[u8; 16], at: usize) -> &[u8; 8] {
    bytes[at..].first_chunk().expect("16 bytes have two halves")
}

/// An int as the value of an option.
pub(super) fn number(number: i32) -> Vec<u8> {
    Vec::from(number.to_ne_bytes())
}

/// The value of an option that is an int.
///
/// # Errors
/// EINVAL if it is shorter.
pub(super) fn int(value: &[u8]) -> Result<i32, Errno> {
    value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or(Errno::EINVAL.here())
}
