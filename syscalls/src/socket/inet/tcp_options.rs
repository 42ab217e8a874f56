//! getsockopt(2) and setsockopt(2) of TCP sockets (socket(7), tcp(7)).

use super::super::calls::IPPROTO_TCP;
use super::super::options::{SOL_SOCKET, int, number, so};
use super::ip_options::{IPPROTO_IP, IPPROTO_IPV6};
use super::tcp::TcpFile;
use super::{ip_options, tcp_info};
use crate::network;
use crate::task::Task;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use husk_abi::{Errno, err};
use husk_machine::time::monotonic_ns;
use husk_net::TcpSocket;
use husk_net::tcp::{Options, State};
use zerocopy::IntoBytes;

/// Options of the level IPPROTO_TCP.
mod tcp {
    pub(super) const NODELAY: u32 = 1;
    pub(super) const MAXSEG: u32 = 2;
    pub(super) const CORK: u32 = 3;
    pub(super) const KEEPIDLE: u32 = 4;
    pub(super) const KEEPINTVL: u32 = 5;
    pub(super) const KEEPCNT: u32 = 6;
    pub(super) const SYNCNT: u32 = 7;
    pub(super) const LINGER2: u32 = 8;
    pub(super) const DEFER_ACCEPT: u32 = 9;
    pub(super) const INFO: u32 = 11;
    pub(super) const QUICKACK: u32 = 12;
    pub(super) const CONGESTION: u32 = 13;
    pub(super) const USER_TIMEOUT: u32 = 18;
    pub(super) const NOTSENT_LOWAT: u32 = 25;
}

const MILLISECOND: u64 = 1_000_000;
/// Least SO_SNDBUF and SO_RCVBUF (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF of Linux on x86-64).
pub(super) const LEAST_BUFFERS: [usize; 2] = [4608, 2304];
/// net.core.wmem_max and wmem_default.
pub(super) const WMEM_MAX: usize = 212_992;
/// TCP_MAXSEG (MAX_TCP_WINDOW is its upper bound).
const SEGMENTS: core::ops::RangeInclusive<i32> = 88..=32_767;
/// TCP_KEEPIDLE and TCP_KEEPINTVL in seconds.
const KEEPALIVE_SECONDS: core::ops::RangeInclusive<i32> = 1..=32_767;
const KEEPALIVE_COUNT: core::ops::RangeInclusive<i32> = 1..=127;
const SYN_COUNT: core::ops::RangeInclusive<i32> = 1..=127;

/// SO_SNDBUF and SO_RCVBUF as getsockopt(2) shows them.
pub(super) fn buffer_sizes(socket: &TcpSocket) -> [usize; 2] {
    let options = socket.options();
    let settings = network::stack().map(|stack| &stack.settings);
    let default = |choose: fn(&husk_net::Settings) -> &core::sync::atomic::AtomicUsize| {
        settings.map_or(0, |settings| choose(settings).load(Ordering::Relaxed))
    };
    [
        options.send_buffer.unwrap_or_else(|| default(|settings| &settings.tcp_wmem_default)),
        options.receive_buffer.unwrap_or_else(|| default(|settings| &settings.tcp_rmem_default)),
    ]
}

/// What SO_SNDBUF (0) or SO_RCVBUF (1) makes of a size that a program asks for: twice, and not above the maximum.
pub(super) fn buffer_size(which: usize, wanted: i32) -> usize {
    let most = match which {
        0 => WMEM_MAX,
        _ => network::stack().map_or(0, |stack| stack.settings.rmem_max.load(Ordering::Relaxed)),
    };
    // An unsigned comparison in Linux: negative sizes become the maximum.
    ((wanted as u32 as usize).min(most) * 2).max(LEAST_BUFFERS[which])
}

/// # Errors
/// ENOPROTOOPT; EOPNOTSUPP for a level that TCP sockets do not have.
pub(super) fn get(file: &TcpFile, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
    let options = file.socket.options();
    let settings = &network::stack().ok_or(Errno::ENOPROTOOPT.here())?.settings;
    let load = |setting: &core::sync::atomic::AtomicU32| setting.load(Ordering::Relaxed);
    let flag = |is_set: bool| Ok(number(is_set.into()));
    match (level, option) {
        (SOL_SOCKET, so::REUSEADDR) => flag(options.reuse_addr),
        (SOL_SOCKET, so::REUSEPORT) => flag(options.reuse_port),
        (SOL_SOCKET, so::KEEPALIVE) => flag(options.keepalive),
        (SOL_SOCKET, so::BROADCAST) => flag(false),
        (SOL_SOCKET, so::LINGER) => {
            let linger = [i32::from(options.linger.is_some()), options.linger.unwrap_or(0) as i32];
            Ok(Vec::from(linger.as_bytes()))
        }
        (SOL_SOCKET, so::RCVLOWAT) => Ok(number(options.receive_low_water as i32)),
        (SOL_SOCKET, so::SNDLOWAT) => Ok(number(1)),
        (SOL_SOCKET, _) => err!(ENOPROTOOPT),
        (IPPROTO_TCP, tcp::NODELAY) => flag(options.no_delay),
        (IPPROTO_TCP, tcp::MAXSEG) => Ok(number(match file.socket.state() {
            State::Closed | State::Listen if options.max_segment != 0 => options.max_segment.into(),
            // TCP_MSS_DEFAULT.
            State::Closed | State::Listen => 536,
            _ => file.socket.info(monotonic_ns()).snd_mss as i32,
        })),
        (IPPROTO_TCP, tcp::CORK) => flag(options.cork),
        (IPPROTO_TCP, tcp::KEEPIDLE) => {
            Ok(number(options.keepalive_idle.unwrap_or_else(|| load(&settings.keepalive_time)) as i32))
        }
        (IPPROTO_TCP, tcp::KEEPINTVL) => Ok(number(
            options.keepalive_interval.unwrap_or_else(|| load(&settings.keepalive_interval)) as i32,
        )),
        (IPPROTO_TCP, tcp::KEEPCNT) => Ok(number(match options.keepalive_count {
            Some(count) => count.into(),
            None => load(&settings.keepalive_probes) as i32,
        })),
        (IPPROTO_TCP, tcp::SYNCNT) => Ok(number(match options.syn_count {
            Some(count) => count.into(),
            None => load(&settings.syn_retries) as i32,
        })),
        (IPPROTO_TCP, tcp::LINGER2) => {
            Ok(number(options.linger2.unwrap_or_else(|| load(&settings.fin_timeout) as i32)))
        }
        (IPPROTO_TCP, tcp::DEFER_ACCEPT) => Ok(number(options.defer_accept as i32)),
        (IPPROTO_TCP, tcp::INFO) => Ok(tcp_info::encode(&file.socket.info(monotonic_ns()))),
        (IPPROTO_TCP, tcp::QUICKACK) => flag(options.quick_ack),
        (IPPROTO_TCP, tcp::CONGESTION) => {
            let mut name = Vec::from(b"reno");
            name.resize(16, 0);
            Ok(name)
        }
        (IPPROTO_TCP, tcp::USER_TIMEOUT) => Ok(number((options.user_timeout / MILLISECOND) as i32)),
        (IPPROTO_TCP, tcp::NOTSENT_LOWAT) => {
            Ok(number(u32::try_from(options.not_sent_low_water).unwrap_or(u32::MAX) as i32))
        }
        (IPPROTO_TCP, _) => err!(ENOPROTOOPT),
        (IPPROTO_IP | IPPROTO_IPV6, _) => {
            let ip = ip_options::Ip { ttl: options.ttl, tos: options.tos, v6_only: options.v6_only };
            ip.get(file.socket.family(), level, option)
        }
        _ => err!(EOPNOTSUPP),
    }
}

/// # Errors
/// ENOPROTOOPT, EOPNOTSUPP; EINVAL for a bad value.
pub(super) fn set(file: &TcpFile, _task: &Task, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
    let socket = &file.socket;
    let change = |change: &dyn Fn(&mut Options)| {
        socket.set_options(monotonic_ns(), |options| change(options));
        Ok(())
    };
    if matches!(level, IPPROTO_IP | IPPROTO_IPV6) {
        let options = socket.options();
        let mut ip = ip_options::Ip { ttl: options.ttl, tos: options.tos, v6_only: options.v6_only };
        let is_bound = socket.local_addr().port() != 0;
        ip.set(socket.family(), level, option, value, is_bound)?;
        return change(&|options| (options.ttl, options.tos, options.v6_only) = (ip.ttl, ip.tos, ip.v6_only));
    }
    if (level, option) == (IPPROTO_TCP, tcp::CONGESTION) {
        let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
        // The only one there is.
        return if name == b"reno" { Ok(()) } else { err!(ENOENT) };
    }
    let known = match level {
        SOL_SOCKET => matches!(
            option,
            so::REUSEADDR
                | so::REUSEPORT
                | so::KEEPALIVE
                | so::LINGER
                | so::SNDBUF
                | so::RCVBUF
                | so::RCVLOWAT
        ),
        IPPROTO_TCP => matches!(
            option,
            tcp::NODELAY
                | tcp::MAXSEG
                | tcp::CORK
                | tcp::KEEPIDLE
                | tcp::KEEPINTVL
                | tcp::KEEPCNT
                | tcp::SYNCNT
                | tcp::LINGER2
                | tcp::DEFER_ACCEPT
                | tcp::QUICKACK
                | tcp::USER_TIMEOUT
                | tcp::NOTSENT_LOWAT
        ),
        _ => return err!(EOPNOTSUPP),
    };
    if !known {
        return err!(ENOPROTOOPT);
    }
    let given = int(value)?;
    let is_set = given != 0;
    let within = |range: core::ops::RangeInclusive<i32>| {
        if range.contains(&given) { Ok(()) } else { err!(EINVAL) }
    };
    match (level, option) {
        (SOL_SOCKET, so::REUSEADDR) => change(&|options| options.reuse_addr = is_set),
        (SOL_SOCKET, so::REUSEPORT) => change(&|options| options.reuse_port = is_set),
        (SOL_SOCKET, so::KEEPALIVE) => change(&|options| options.keepalive = is_set),
        (SOL_SOCKET, so::LINGER) => {
            let seconds = int(value.get(4..).unwrap_or_default())?;
            change(&|options| options.linger = is_set.then_some(seconds as u32))
        }
        (SOL_SOCKET, so::SNDBUF) => change(&|options| options.send_buffer = Some(buffer_size(0, given))),
        (SOL_SOCKET, so::RCVBUF) => change(&|options| options.receive_buffer = Some(buffer_size(1, given))),
        (SOL_SOCKET, _) => {
            let bytes = if given < 0 { i32::MAX } else { given.max(1) };
            change(&|options| options.receive_low_water = bytes as usize)
        }
        (_, tcp::NODELAY) => change(&|options| options.no_delay = is_set),
        (_, tcp::MAXSEG) => {
            if is_set {
                within(SEGMENTS)?;
            }
            change(&|options| options.max_segment = given as u16)
        }
        (_, tcp::CORK) => change(&|options| options.cork = is_set),
        (_, tcp::KEEPIDLE) => {
            within(KEEPALIVE_SECONDS)?;
            change(&|options| options.keepalive_idle = Some(given as u32))
        }
        (_, tcp::KEEPINTVL) => {
            within(KEEPALIVE_SECONDS)?;
            change(&|options| options.keepalive_interval = Some(given as u32))
        }
        (_, tcp::KEEPCNT) => {
            within(KEEPALIVE_COUNT)?;
            change(&|options| options.keepalive_count = Some(given as u8))
        }
        (_, tcp::SYNCNT) => {
            within(SYN_COUNT)?;
            change(&|options| options.syn_count = Some(given as u8))
        }
        (_, tcp::LINGER2) => change(&|options| options.linger2 = Some(given.max(-1))),
        (_, tcp::DEFER_ACCEPT) => change(&|options| options.defer_accept = given.max(0) as u32),
        (_, tcp::QUICKACK) => change(&|options| options.quick_ack = is_set),
        (_, tcp::USER_TIMEOUT) => {
            if given < 0 {
                return err!(EINVAL);
            }
            change(&|options| options.user_timeout = given as u64 * MILLISECOND)
        }
        _ => change(&|options| options.not_sent_low_water = given as u32 as usize),
    }
}
