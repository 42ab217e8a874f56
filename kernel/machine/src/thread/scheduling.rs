//! How a thread competes with others for CPUs.

/// A thread's scheduling policy, in the terms of sched(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// SCHED_OTHER and SCHED_BATCH: CPU time in proportion to the weight of the nice value.
    Fair {
        /// -20 (most) to 19 (least).
        nice: i8,
        /// SCHED_BATCH: waking up, it does not take the CPU from others before their slice ends.
        batch: bool,
    },
    /// SCHED_IDLE: what is left over, and a little.
    Idle,
    /// SCHED_FIFO and SCHED_RR: before all others, the highest priority first.
    Realtime {
        /// 1 to 99 (highest).
        priority: u8,
        /// SCHED_RR: takes turns with others of its priority.
        round_robin: bool,
    },
}

impl Default for Scheduling {
    fn default() -> Self {
        Self::Fair { nice: 0, batch: false }
    }
}

/// The weight of nice value 0.
pub(crate) const NORMAL_WEIGHT: u64 = 1024;
/// The weight of SCHED_IDLE.
const IDLE_WEIGHT: u64 = 3;

/// A step of the nice value changes a thread's share by a quarter: 1024 * 1.25^-nice.
const WEIGHTS: [u64; 40] = {
    const SCALE: u64 = 1 << 20;
    let mut weights = [0; 40];
    let mut nice = 0;
    let (mut up, mut down) = (NORMAL_WEIGHT * SCALE, NORMAL_WEIGHT * SCALE);
    while nice < 20 {
        weights[20 + nice] = down / SCALE;
        down = down * 4 / 5;
        up = up * 5 / 4;
        weights[19 - nice] = up / SCALE;
        nice += 1;
    }
    weights
};

#[cfg_attr(
    not(any(target_os = "none", test)),
    expect(dead_code, reason = "the host schedules its threads itself")
)]
impl Scheduling {
    /// How fast its virtual time goes: the larger, the slower.
    pub(crate) fn weight(self) -> u64 {
        match self {
            Self::Fair { nice, .. } => WEIGHTS[(i32::from(nice) + 20).clamp(0, 39) as usize],
            Self::Idle => IDLE_WEIGHT,
            Self::Realtime { .. } => NORMAL_WEIGHT,
        }
    }

    /// The priority of a real-time thread.
    pub(crate) fn realtime_priority(self) -> Option<u8> {
        match self {
            Self::Realtime { priority, .. } => Some(priority),
            _ => None,
        }
    }

    /// In a word, for an atomic.
    pub(crate) fn pack(self) -> u32 {
        match self {
            Self::Fair { nice, batch } => u32::from(nice as u8) << 8 | u32::from(batch) << 16,
            Self::Idle => 1,
            Self::Realtime { priority, round_robin } => {
                2 | u32::from(priority) << 8 | u32::from(round_robin) << 16
            }
        }
    }

    /// From a word of [`pack`](Self::pack).
    pub(crate) fn unpack(word: u32) -> Self {
        let (value, flag) = ((word >> 8) as u8, word & 1 << 16 != 0);
        match word & 0xff {
            0 => Self::Fair { nice: value as i8, batch: flag },
            1 => Self::Idle,
            _ => Self::Realtime { priority: value, round_robin: flag },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_sched_7() {
        let weight = |nice| Scheduling::Fair { nice, batch: false }.weight();
        assert_eq!((weight(0), weight(19), weight(1)), (1024, 14, 819));
        assert!(weight(-20).abs_diff(88_761) < 100, "{}", weight(-20));
        assert!((-20..19).all(|nice| weight(nice) > weight(nice + 1)));
    }

    #[test]
    fn packed_and_unpacked() {
        for scheduling in [
            Scheduling::default(),
            Scheduling::Fair { nice: -20, batch: true },
            Scheduling::Idle,
            Scheduling::Realtime { priority: 99, round_robin: true },
            Scheduling::Realtime { priority: 1, round_robin: false },
        ] {
            assert_eq!(Scheduling::unpack(scheduling.pack()), scheduling);
        }
        assert_eq!(Scheduling::Realtime { priority: 7, round_robin: false }.realtime_priority(), Some(7));
        assert_eq!(Scheduling::Idle.realtime_priority(), None);
    }
}
