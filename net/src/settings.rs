//! What can be set under /proc/sys/net, with Linux's defaults.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $atomic:ty as $value:ty = $default:expr,)*) => {
        /// Settings. Each is read when it matters, so a change works from then on.
        #[derive(Debug)]
        pub struct Settings {
            $($(#[$doc])* pub $name: $atomic,)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: <$atomic>::new($default),)* }
            }
        }

        impl Settings {
            $(
                pub(crate) fn $name(&self) -> $value {
                    self.$name.load(Ordering::Relaxed)
                }
            )*
        }
    };
}

settings! {
    /// net.ipv4.ip_local_port_range, lower end.
    port_range_start: AtomicU32 as u32 = 32_768,
    /// net.ipv4.ip_local_port_range, upper end (inclusive).
    port_range_end: AtomicU32 as u32 = 60_999,
    /// net.ipv4.ip_default_ttl.
    ttl: AtomicU32 as u32 = 64,
    /// net.core.somaxconn: the longest queue of connections to be accepted.
    somaxconn: AtomicU32 as u32 = 4096,
    /// net.ipv4.tcp_max_syn_backlog: half-open connections of one listener.
    max_syn_backlog: AtomicU32 as u32 = 1024,
    /// net.ipv4.tcp_syncookies: 0 off, else on when the queue is full.
    syn_cookies: AtomicU32 as u32 = 1,
    /// net.ipv4.tcp_syn_retries.
    syn_retries: AtomicU32 as u32 = 6,
    /// net.ipv4.tcp_synack_retries.
    synack_retries: AtomicU32 as u32 = 5,
    /// net.ipv4.tcp_retries2.
    retries2: AtomicU32 as u32 = 15,
    /// net.ipv4.tcp_orphan_retries (Linux's 0 means 8).
    orphan_retries: AtomicU32 as u32 = 8,
    /// net.ipv4.tcp_max_orphans: connections that no program has open.
    max_orphans: AtomicU32 as u32 = 8192,
    /// net.ipv4.tcp_max_tw_buckets.
    max_time_wait: AtomicU32 as u32 = 16_384,
    /// net.ipv4.tcp_fin_timeout in seconds.
    fin_timeout: AtomicU32 as u32 = 60,
    /// net.ipv4.tcp_keepalive_time in seconds.
    keepalive_time: AtomicU32 as u32 = 7200,
    /// net.ipv4.tcp_keepalive_intvl in seconds.
    keepalive_interval: AtomicU32 as u32 = 75,
    /// net.ipv4.tcp_keepalive_probes.
    keepalive_probes: AtomicU32 as u32 = 9,
    /// net.ipv4.tcp_timestamps: 0 off.
    timestamps: AtomicU32 as u32 = 1,
    /// net.ipv4.tcp_sack: 0 off.
    sack: AtomicU32 as u32 = 1,
    /// net.ipv4.tcp_window_scaling: 0 off.
    window_scaling: AtomicU32 as u32 = 1,
    /// net.ipv4.tcp_tw_reuse: 0 off, 1 everywhere, 2 on loopback only (the default).
    time_wait_reuse: AtomicU32 as u32 = 2,
    /// net.ipv4.tcp_rmem, default: the receive buffer a connection starts with, in bytes.
    tcp_rmem_default: AtomicUsize as usize = 131_072,
    /// net.ipv4.tcp_rmem, maximum for automatic tuning.
    tcp_rmem_max: AtomicUsize as usize = 6 << 20,
    /// net.ipv4.tcp_wmem, default.
    tcp_wmem_default: AtomicUsize as usize = 16_384,
    /// net.ipv4.tcp_wmem, maximum for automatic tuning.
    tcp_wmem_max: AtomicUsize as usize = 4 << 20,
    /// net.core.rmem_default.
    rmem_default: AtomicUsize as usize = 212_992,
    /// net.core.rmem_max.
    rmem_max: AtomicUsize as usize = 212_992,
    /// net.ipv4.icmp_echo_ignore_all.
    icmp_echo_ignore_all: AtomicU32 as u32 = 0,
    /// net.ipv4.icmp_echo_ignore_broadcasts.
    icmp_echo_ignore_broadcasts: AtomicU32 as u32 = 1,
    /// net.ipv4.icmp_ratelimit as messages a second (Linux: one a second and destination, 1000 a second in all).
    icmp_messages_per_second: AtomicU32 as u32 = 1000,
}
