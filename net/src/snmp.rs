//! Counters of the protocols, for /proc/net/snmp and /proc/net/netstat.

use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $count:ident;)*) => {
        /// Counters, named as in RFC 4293, RFC 4022 and RFC 4113.
        #[derive(Debug, Default)]
        pub struct Snmp {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        impl Snmp {
            $(pub(crate) fn $count(&self) {
                self.$name.fetch_add(1, Ordering::Relaxed);
            })*
        }
    };
}

counters! {
    /// Ip: InReceives.
    ip_in_receives, packet_received;
    /// Ip: InHdrErrors.
    ip_in_header_errors, header_error;
    /// Ip: InAddrErrors.
    ip_in_address_errors, address_error;
    /// Ip: InUnknownProtos.
    ip_in_unknown_protocols, unknown_protocol;
    /// Ip: InDelivers.
    ip_in_delivers, delivered;
    /// Ip: OutRequests.
    ip_out_requests, packet_sent;
    /// Ip: OutNoRoutes.
    ip_out_no_routes, no_route;
    /// Ip: ReasmReqds.
    ip_reassembly_required, fragment_received;
    /// Ip: ReasmOKs.
    ip_reassembly_ok, reassembled;
    /// Ip: ReasmFails.
    ip_reassembly_failed, reassembly_failed;
    /// Ip: FragCreates.
    ip_fragments_created, fragment_created;
    /// Icmp: InMsgs.
    icmp_in_messages, icmp_received;
    /// Icmp: InErrors.
    icmp_in_errors, icmp_error;
    /// Icmp: OutMsgs.
    icmp_out_messages, icmp_sent;
    /// Tcp: ActiveOpens.
    tcp_active_opens, active_open;
    /// Tcp: PassiveOpens.
    tcp_passive_opens, passive_open;
    /// Tcp: AttemptFails.
    tcp_attempt_fails, attempt_failed;
    /// Tcp: EstabResets.
    tcp_established_resets, established_reset;
    /// Tcp: InSegs.
    tcp_in_segments, segment_received;
    /// Tcp: OutSegs.
    tcp_out_segments, segment_sent;
    /// Tcp: RetransSegs.
    tcp_retransmitted, retransmitted;
    /// Tcp: InErrs.
    tcp_in_errors, segment_error;
    /// Tcp: OutRsts.
    tcp_out_resets, reset_sent;
    /// TcpExt: SyncookiesSent.
    syn_cookies_sent, syn_cookie_sent;
    /// TcpExt: SyncookiesRecv.
    syn_cookies_received, syn_cookie_received;
    /// TcpExt: SyncookiesFailed.
    syn_cookies_failed, syn_cookie_failed;
    /// TcpExt: ListenOverflows.
    listen_overflows, listen_overflow;
    /// TcpExt: ListenDrops.
    listen_drops, listen_drop;
    /// Udp: InDatagrams.
    udp_in_datagrams, datagram_received;
    /// Udp: NoPorts.
    udp_no_ports, no_port;
    /// Udp: InErrors.
    udp_in_errors, datagram_error;
    /// Udp: RcvbufErrors.
    udp_receive_buffer_errors, datagram_dropped;
    /// Udp: OutDatagrams.
    udp_out_datagrams, datagram_sent;
}
