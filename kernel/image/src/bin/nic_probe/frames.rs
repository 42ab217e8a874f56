//! The frames that are sent.

use alloc::vec;
use alloc::vec::Vec;

pub(crate) type Mac = [u8; 6];

/// Our address in QEMU's user network, and its gateway's.
const ADDRESS: [u8; 4] = [10, 0, 2, 15];
const GATEWAY: [u8; 4] = [10, 0, 2, 2];

/// For experiments (IEEE 802).
const TYPE_EXPERIMENT: [u8; 2] = [0x88, 0xb5];
const TYPE_ARP: [u8; 2] = [0x08, 0x06];
const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// Bytes before the pattern: the Ethernet header and a number.
pub(crate) const NUMBERED: usize = 18;
/// Bytes before an echo's data: the headers of Ethernet, IPv4 and ICMP.
const ECHO: usize = 42;

fn header(to: Mac, from: Mac, kind: [u8; 2]) -> Vec<u8> {
    [&to[..], &from, &kind].concat()
}

fn pattern(number: u32, at: usize) -> u8 {
    (number.wrapping_mul(31) as usize + at * 7 % 253) as u8
}

/// A frame of so many bytes that is known by its number.
pub(crate) fn numbered(from: Mac, number: u32, len: usize) -> Vec<u8> {
    let mut frame = header([0xff; 6], from, TYPE_EXPERIMENT);
    frame.extend(number.to_be_bytes());
    frame.extend((NUMBERED..len).map(|at| pattern(number, at)));
    frame
}

/// The number of such a frame, if it is whole.
pub(crate) fn number(frame: &[u8]) -> Option<u32> {
    let number = u32::from_be_bytes(*frame.get(14..)?.first_chunk()?);
    let whole = frame.iter().enumerate().skip(NUMBERED).all(|(at, byte)| *byte == pattern(number, at));
    (whole && frame[12..14] == TYPE_EXPERIMENT).then_some(number)
}

/// Asks for the gateway's address (RFC 826).
pub(crate) fn who_is_the_gateway(from: Mac) -> Vec<u8> {
    let mut frame = header([0xff; 6], from, TYPE_ARP);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(from);
    frame.extend(ADDRESS);
    frame.extend([0; 6]);
    frame.extend(GATEWAY);
    frame
}

/// The gateway's address in the answer.
pub(crate) fn gateway(frame: &[u8]) -> Option<Mac> {
    let arp = frame.get(14..42)?;
    let answer = frame[12..14] == TYPE_ARP && arp[..8] == [0, 1, 8, 0, 6, 4, 0, 2] && arp[14..18] == GATEWAY;
    if answer { arp[8..].first_chunk().copied() } else { None }
}

/// An echo request (RFC 792) with so many bytes of data.
pub(crate) fn echo(to: Mac, from: Mac, number: u16, len: usize) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((28 + len as u16).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 1, 0, 0]);
    ip.extend(ADDRESS);
    ip.extend(GATEWAY);
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let mut icmp = vec![8, 0, 0, 0, 0, 1];
    icmp.extend(number.to_be_bytes());
    icmp.extend((0..len).map(|at| pattern(number.into(), at)));
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    [header(to, from, TYPE_IPV4), ip, icmp].concat()
}

/// The number of an echo reply, if it is whole, and the length of its data.
pub(crate) fn echoed(frame: &[u8]) -> Option<(u16, usize)> {
    let (ip, icmp) = (frame.get(14..34)?, frame.get(34..)?);
    let len = usize::from(u16::from_be_bytes([ip[2], ip[3]])).checked_sub(28)?;
    let icmp = icmp.get(..len + 8)?;
    let number = u16::from_be_bytes([icmp[6], icmp[7]]);
    let right = frame[12..14] == TYPE_IPV4 && ip[9] == 1 && icmp[0] == 0 && checksum(icmp) == [0, 0];
    let whole =
        frame[ECHO..ECHO + len].iter().enumerate().all(|(at, byte)| *byte == pattern(number.into(), at));
    (right && whole).then_some((number, len))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words =
        bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
