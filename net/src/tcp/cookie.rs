//! SYN cookies: a listener whose queue is full puts what it must remember of a handshake into the sequence number, and if the peer
//! sends timestamps into the timestamp too (RFC 4987, section 3.6).

use super::connection::timestamp;
use super::seq::Seq;
use crate::addr::{FlowKey, Nanos, SECOND};
use crate::hash::Key;

/// Segment sizes that a cookie can stand for.
const SIZES: [u16; 4] = [536, 1220, 1440, 1460];
/// A cookie's number changes this often, and the one before is still good.
const PERIOD: Nanos = 64 * SECOND;
/// For how long after the last cookie was sent acknowledgements are looked at.
pub(crate) const LIFE: Nanos = 2 * PERIOD;
/// Low bits of a timestamp that carry options: the window's shift, and whether selective acknowledgements are allowed.
const OPTION_BITS: u32 = 5;
/// Stands for no window scaling.
const NO_SCALE: u32 = 0xf;

/// The sequence number that stands for a handshake.
pub(crate) fn make(key: &Key, flow: &FlowKey, irs: Seq, mss: u16, now: Nanos) -> Seq {
    let index = SIZES.iter().rposition(|&size| size <= mss).unwrap_or(0) as u32;
    let count = (now / PERIOD) as u32;
    Seq(irs.0.wrapping_add(mask(key, flow, irs, count)).wrapping_add((count & 0x3f) << 26 | index << 24))
}

/// What a sequence number stands for: the segment size; `None` if this machine did not make it lately.
pub(crate) fn check(key: &Key, flow: &FlowKey, irs: Seq, iss: Seq, now: Nanos) -> Option<u16> {
    let current = (now / PERIOD) as u32;
    [current, current.wrapping_sub(1)].into_iter().find_map(|count| {
        let rest = iss.0.wrapping_sub(irs.0).wrapping_sub(mask(key, flow, irs, count));
        let matches = rest >> 26 == count & 0x3f && rest & 0x00ff_ffff == 0;
        matches.then(|| SIZES[(rest >> 24 & 3) as usize])
    })
}

/// 24 bits of a keyed hash in the low part, and 32 in all so that the number cannot be told from random.
fn mask(key: &Key, flow: &FlowKey, irs: Seq, count: u32) -> u32 {
    let [a, b, c, d, e] = flow.words();
    key.prf(&[a, b, c, d, e, u64::from(irs.0) << 32 | u64::from(count)]) as u32
}

/// A timestamp with options in it; not later than now.
pub(crate) fn stamp(offset: u32, now: Nanos, shift: Option<u8>, sack: bool) -> u32 {
    let options = shift.map_or(NO_SCALE, u32::from) | u32::from(sack) << 4;
    let clock = timestamp(0, now);
    let low = 1 << OPTION_BITS;
    let mut value = clock & !(low - 1) | options;
    if value > clock {
        value = value.wrapping_sub(low);
    }
    value.wrapping_add(offset)
}

/// The options in an echoed timestamp: the peer's window shift, and whether selective acknowledgements are allowed.
pub(crate) fn options(offset: u32, echo: u32) -> (Option<u8>, bool) {
    let value = echo.wrapping_sub(offset);
    let shift = value & 0xf;
    ((shift != NO_SCALE).then_some(shift as u8), value >> 4 & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Endpoint;
    use proptest::prelude::*;

    fn flow(port: u16) -> FlowKey {
        let end = |last, port| Endpoint::new(core::net::IpAddr::from([10, 0, 0, last]), port);
        FlowKey { local: end(1, 80), remote: end(2, port) }
    }

    proptest! {
        #[test]
        fn is_recognised(irs: u32, mss: u16, now in 0_u64..1 << 50, wait in 0_u64..PERIOD, forged: u32) {
            let key = Key::new([3; 16]);
            let iss = make(&key, &flow(1), Seq(irs), mss, now);
            let size = check(&key, &flow(1), Seq(irs), iss, now + wait).unwrap();
            prop_assert!(size <= mss.max(536) && SIZES.contains(&size));
            prop_assert_eq!(check(&key, &flow(1), Seq(irs), iss, now + 3 * PERIOD), None);
            prop_assert_eq!(check(&key, &flow(2), Seq(irs), iss, now), None);
            if forged != iss.0 {
                // One in 2^29 would do.
                prop_assert_eq!(check(&key, &flow(1), Seq(irs), Seq(forged), now), None);
            }
        }

        #[test]
        fn carries_options(offset: u32, now in 0_u64..1 << 50, shift in proptest::option::of(0_u8..15), sack: bool) {
            let value = stamp(offset, now, shift, sack);
            prop_assert_eq!(options(offset, value), (shift, sack));
            let clock = timestamp(offset, now);
            prop_assert!(clock.wrapping_sub(value) < 64);
        }
    }
}
