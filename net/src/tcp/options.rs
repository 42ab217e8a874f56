//! What a program sets on a TCP socket.

use crate::addr::{Nanos, SECOND};
use crate::interface::InterfaceIndex;
use crate::settings::Settings;

/// Which directions shutdown(2) closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// SHUT_RD.
    Read,
    /// SHUT_WR.
    Write,
    /// SHUT_RDWR.
    Both,
}

impl Shutdown {
    pub(crate) fn read(self) -> bool {
        self != Self::Write
    }

    pub(crate) fn write(self) -> bool {
        self != Self::Read
    }
}

/// Options of a TCP socket (socket(7), tcp(7), ip(7)). An accepted socket begins with its listener's.
///
/// Plain values: the caller checks what setsockopt(2) would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// SO_REUSEADDR.
    pub reuse_addr: bool,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// IPV6_V6ONLY.
    pub v6_only: bool,
    /// SO_BINDTODEVICE.
    pub device: Option<InterfaceIndex>,
    /// SO_RCVBUF as getsockopt(2) shows it (twice what was set); `None` for automatic tuning.
    pub receive_buffer: Option<usize>,
    /// SO_SNDBUF likewise.
    pub send_buffer: Option<usize>,
    /// SO_LINGER in seconds. With `Some(0)`, [`close`](crate::TcpSocket::close) resets the connection; waiting is the caller's part.
    pub linger: Option<u32>,
    /// SO_KEEPALIVE.
    pub keepalive: bool,
    /// TCP_KEEPIDLE in seconds.
    pub keepalive_idle: Option<u32>,
    /// TCP_KEEPINTVL in seconds.
    pub keepalive_interval: Option<u32>,
    /// TCP_KEEPCNT.
    pub keepalive_count: Option<u8>,
    /// TCP_USER_TIMEOUT in nanoseconds, 0 for none.
    pub user_timeout: Nanos,
    /// TCP_SYNCNT.
    pub syn_count: Option<u8>,
    /// TCP_NODELAY.
    pub no_delay: bool,
    /// TCP_CORK.
    pub cork: bool,
    /// TCP_QUICKACK.
    pub quick_ack: bool,
    /// TCP_LINGER2 in seconds; negative for none at all.
    pub linger2: Option<i32>,
    /// TCP_DEFER_ACCEPT in seconds, 0 for off.
    pub defer_accept: u32,
    /// TCP_MAXSEG, 0 for the path's.
    pub max_segment: u16,
    /// TCP_NOTSENT_LOWAT in bytes.
    pub not_sent_low_water: usize,
    /// IP_TTL or IPV6_UNICAST_HOPS; `None` for the default.
    pub ttl: Option<u8>,
    /// IP_TOS or IPV6_TCLASS.
    pub tos: u8,
    /// SO_RCVLOWAT in bytes.
    pub receive_low_water: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reuse_addr: false,
            reuse_port: false,
            v6_only: false,
            device: None,
            receive_buffer: None,
            send_buffer: None,
            linger: None,
            keepalive: false,
            keepalive_idle: None,
            keepalive_interval: None,
            keepalive_count: None,
            user_timeout: 0,
            syn_count: None,
            no_delay: false,
            cork: false,
            quick_ack: false,
            linger2: None,
            defer_accept: 0,
            max_segment: 0,
            not_sent_low_water: usize::MAX,
            ttl: None,
            tos: 0,
            receive_low_water: 1,
        }
    }
}

impl Options {
    /// Bytes of payload that may wait to be read: half of the buffer, as Linux counts the rest as overhead (tcp_adv_win_scale).
    pub(crate) fn receive_limit(&self, settings: &Settings) -> usize {
        (self.receive_buffer.unwrap_or(settings.tcp_rmem_default()) / 2).max(2048)
    }

    /// Bytes of payload that may wait to be acknowledged: by itself, it follows the congestion window.
    pub(crate) fn send_limit(&self, settings: &Settings, window: usize, mss: usize) -> usize {
        match self.send_buffer {
            Some(size) => (size / 2).max(2048),
            None => {
                let wanted = 4 * window.max(10 * mss);
                wanted.max(settings.tcp_wmem_default()).min(settings.tcp_wmem_max())
            }
        }
    }

    pub(crate) fn ttl(&self, settings: &Settings) -> u8 {
        self.ttl.unwrap_or(settings.ttl() as u8)
    }

    pub(crate) fn keepalive_time(&self, settings: &Settings) -> Nanos {
        u64::from(self.keepalive_idle.unwrap_or(settings.keepalive_time())) * SECOND
    }

    pub(crate) fn keepalive_interval(&self, settings: &Settings) -> Nanos {
        u64::from(self.keepalive_interval.unwrap_or(settings.keepalive_interval())) * SECOND
    }

    pub(crate) fn keepalive_count(&self, settings: &Settings) -> u32 {
        self.keepalive_count.map_or(settings.keepalive_probes(), u32::from)
    }

    pub(crate) fn fin_wait_timeout(&self, settings: &Settings) -> Nanos {
        let seconds = match self.linger2 {
            None | Some(0) => settings.fin_timeout(),
            Some(seconds) => seconds.max(0) as u32,
        };
        u64::from(seconds) * SECOND
    }
}
