//! `struct tcp_info` (linux/tcp.h) as bytes.

use alloc::vec::Vec;
use husk_net::tcp::TcpInfo;

/// As Linux 6.1 lays it out. Times in microseconds or, for the last packets, milliseconds; what the stack does not count is 0.
pub(super) fn encode(info: &TcpInfo) -> Vec<u8> {
    let micros = |nanos: u64| u32::try_from(nanos / 1000).unwrap_or(u32::MAX);
    let millis = |nanos: u64| u32::try_from(nanos / 1_000_000).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(240);
    out.extend_from_slice(&[
        info.state,
        info.ca_state,
        info.retransmits,
        info.probes,
        info.backoff,
        info.options,
        info.snd_wscale | info.rcv_wscale << 4,
        0,
    ]);
    let words = [
        micros(info.rto),
        micros(info.ato),
        info.snd_mss,
        info.rcv_mss,
        info.unacked,
        info.sacked,
        info.lost,
        info.retrans,
        0, // fackets
        millis(info.last_data_sent),
        0, // last_ack_sent: not remembered, as on Linux
        millis(info.last_data_recv),
        millis(info.last_ack_recv),
        info.pmtu,
        0, // rcv_ssthresh
        micros(info.rtt),
        micros(info.rttvar),
        info.snd_ssthresh,
        info.snd_cwnd,
        info.advmss,
        3, // reordering: the default, it is not measured
        micros(info.rcv_rtt),
        info.rcv_space,
        info.total_retrans,
    ];
    words.iter().for_each(|word| out.extend_from_slice(&word.to_ne_bytes()));
    // pacing_rate, max_pacing_rate: none.
    let longs = [u64::MAX, u64::MAX, info.bytes_acked, info.bytes_received];
    longs.iter().for_each(|long| out.extend_from_slice(&long.to_ne_bytes()));
    let words = [
        info.segs_out,
        info.segs_in,
        info.notsent_bytes,
        micros(info.min_rtt),
        info.data_segs_in,
        info.data_segs_out,
    ];
    words.iter().for_each(|word| out.extend_from_slice(&word.to_ne_bytes()));
    // delivery_rate, busy_time, rwnd_limited, sndbuf_limited.
    let longs = [0; 4];
    longs.iter().for_each(|long: &u64| out.extend_from_slice(&long.to_ne_bytes()));
    // delivered, delivered_ce.
    out.extend_from_slice(&[0; 8]);
    let longs = [info.bytes_sent, info.bytes_retrans];
    longs.iter().for_each(|long| out.extend_from_slice(&long.to_ne_bytes()));
    // dsack_dups, reord_seen, rcv_ooopack.
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&info.snd_wnd.to_ne_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_linux_has_them() {
        let info = TcpInfo { state: 1, rtt: 5000, total_retrans: 9, bytes_acked: 77, ..TcpInfo::default() };
        let bytes = encode(&info);
        let word = |at: usize| u32::from_ne_bytes(core::array::from_fn(|i| bytes[at + i]));
        // offsetof(struct tcp_info, tcpi_rtt), tcpi_total_retrans, tcpi_bytes_acked; sizeof in Linux 6.1.
        assert_eq!((bytes[0], word(68), word(100), word(120)), (1, 5, 9, 77));
        assert_eq!(bytes.len(), 232);
    }
}
