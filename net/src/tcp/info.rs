//! What TCP_INFO, /proc/net/tcp and socket diagnosis show.

use super::State;
use super::connection::{Connection, Context, Recovery};
use crate::addr::Nanos;
use core::net::SocketAddr;

/// Numbers of a connection, for TCP_INFO (linux/tcp.h, `struct tcp_info`). Times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of struct tcp_info, units apart")]
pub struct TcpInfo {
    pub state: u8,
    /// 0 open, 1 disorder, 3 recovery, 4 loss.
    pub ca_state: u8,
    pub retransmits: u8,
    pub probes: u8,
    pub backoff: u8,
    /// 1 timestamps, 2 SACK, 4 window scaling.
    pub options: u8,
    pub snd_wscale: u8,
    pub rcv_wscale: u8,
    pub rto: Nanos,
    pub ato: Nanos,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    /// Segments; for a listener, connections to be accepted.
    pub unacked: u32,
    /// Segments; for a listener, its backlog.
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub last_data_sent: Nanos,
    pub last_data_recv: Nanos,
    pub last_ack_recv: Nanos,
    pub pmtu: u32,
    pub rtt: Nanos,
    pub rttvar: Nanos,
    /// In segments.
    pub snd_ssthresh: u32,
    /// In segments.
    pub snd_cwnd: u32,
    pub advmss: u32,
    pub rcv_rtt: Nanos,
    pub rcv_space: u32,
    pub total_retrans: u32,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub bytes_retrans: u64,
    pub segs_out: u32,
    pub segs_in: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    pub notsent_bytes: u32,
    pub min_rtt: Nanos,
    pub snd_wnd: u32,
    pub rcv_wnd: u32,
}

/// A line of /proc/net/tcp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSummary {
    /// The own end, as the socket's program sees it.
    pub local: SocketAddr,
    /// The other end; unspecified for a listener.
    pub remote: SocketAddr,
    /// The state.
    pub state: State,
    /// Bytes written and not acknowledged; for a listener its backlog.
    pub send_queue: usize,
    /// Bytes not read; for a listener the connections to be accepted.
    pub receive_queue: usize,
    /// When its timer is due, if it has one.
    pub timer: Option<Nanos>,
    /// Timeouts without an answer.
    pub retransmits: u32,
    /// The number given at [`Stack::tcp_socket`](crate::Stack::tcp_socket); 0 if no program has it.
    pub cookie: u64,
}

impl Connection {
    pub(crate) fn info(&self, cx: &Context<'_>) -> TcpInfo {
        let mss = self.mss.max(1);
        let segments = |bytes: usize| bytes.div_ceil(mss) as u32;
        let lost =
            self.lost_to.distance(self.una).saturating_sub(self.sacked.bytes_in(self.una, self.lost_to));
        let threshold = self.congestion.threshold();
        TcpInfo {
            state: self.state as u8,
            ca_state: match self.recovery {
                Recovery::Open => u8::from(self.dup_acks > 0),
                Recovery::Fast(_) => 3,
                Recovery::Loss(_) => 4,
            },
            retransmits: self.timeouts.min(255) as u8,
            probes: self.keepalive_probes.min(255) as u8,
            backoff: self.rtt.backoff().min(255) as u8,
            options: u8::from(self.timestamps)
                | u8::from(self.sack) << 1
                | u8::from(self.tx_shift != 0 || self.rx_shift != 0) << 2,
            snd_wscale: self.tx_shift,
            rcv_wscale: self.rx_shift,
            rto: self.rtt.timeout(),
            ato: super::output::ACK_DELAY,
            snd_mss: mss as u32,
            rcv_mss: self.rx_mss as u32,
            unacked: segments(self.in_flight()),
            sacked: segments(self.sacked.bytes()),
            lost: segments(lost),
            retrans: segments(self.resent_to.distance(self.una)),
            last_data_sent: cx.now.saturating_sub(self.last_sent),
            last_data_recv: cx.now.saturating_sub(self.last_received),
            last_ack_recv: cx.now.saturating_sub(self.last_received),
            pmtu: self.path.interface.mtu().min(self.path_mtu) as u32,
            rtt: self.rtt.smoothed,
            rttvar: self.rtt.variation,
            snd_ssthresh: if threshold == usize::MAX { 0x7fff_ffff } else { (threshold / mss) as u32 },
            snd_cwnd: (self.congestion.window() / mss) as u32,
            advmss: mss as u32,
            rcv_rtt: self.tuning.rtt,
            rcv_space: self.rx_limit as u32,
            total_retrans: self.total_resent,
            bytes_acked: self.counters.bytes_acked,
            bytes_received: self.counters.bytes_received,
            bytes_sent: self.counters.bytes_sent,
            bytes_retrans: self.counters.bytes_resent,
            segs_out: self.counters.segments_out,
            segs_in: self.counters.segments_in,
            data_segs_in: self.counters.data_segments_in,
            data_segs_out: self.counters.data_segments_out,
            notsent_bytes: self.tx_end().distance(self.nxt) as u32,
            min_rtt: if self.rtt.min == Nanos::MAX { 0 } else { self.rtt.min },
            snd_wnd: self.window as u32,
            rcv_wnd: self.rcv_edge.distance(self.rcv_nxt) as u32,
        }
    }
}
